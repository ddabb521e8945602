"""The sections of the dock as layers come and go; no backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import (
    QgsMapLayer,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QPointF, Qt
from qgis.PyQt.QtGui import QEnterEvent, QFocusEvent
from qgis.PyQt.QtWidgets import QFileDialog


@pytest.fixture
def form(layers: dict[str, Any], qgis_canvas: Any) -> Iterator[Any]:
    """A form in which target, mask, another date and its mask are chosen."""
    from terramend.ui.widgets.form import ChoicesForm

    made = ChoicesForm(qgis_canvas)
    made.target.chooser.set_item(layers["target"])
    made.gaps.rows[0].chooser.set_item(layers["mask"])
    made.references.tick(layers["other"])
    yield made
    sip.delete(made)


@pytest.fixture
def more(layers: dict[str, Any], scene: dict[str, str]) -> dict[str, QgsRasterLayer]:
    """Further layers: elevation and something before it in the alphabet."""
    made = {name: QgsRasterLayer(scene["truth"], name) for name in ("a raster", "dem", "zz")}
    QgsProject.instance().addMapLayers(list(made.values()))
    return made


def name(item: Any) -> Any:
    return item.name() if isinstance(item, QgsMapLayer) else item


def chosen(form: Any) -> dict[str, Any]:
    """Names of all that is chosen."""
    choices = form.choices()
    return {
        "target": [name(item) for item in choices.target],
        "gaps": [name(mask.source) for mask in choices.gaps],
        "references": [name(reference.source) for reference in choices.references],
        "dem": name(choices.dem),
        "sar": name(choices.sar),
    }


def test_base_maps_are_offered_nowhere(form: Any, more: dict[str, QgsRasterLayer], qgis_app: Any) -> None:
    picture = QgsRasterLayer("type=xyz&url=file:///{x}/{y}/{z}.png&zmax=1&zmin=0", "base map", "wms")
    assert picture.isValid()
    QgsProject.instance().addMapLayers([picture])
    qgis_app.processEvents()
    choosers = [form.target.chooser, form.gaps.rows[0].chooser, form.guides.dem, form.guides.sar]
    for chooser in choosers:
        assert chooser.combo.findText("dem") >= 0 and chooser.combo.findText("base map") < 0
    assert chosen(form)["target"] == ["target"]
    listed = [row.item.text(0) for row in form.references._rows]
    assert "other" in listed and "base map" not in listed
    (row,) = [row for row in form.references._rows if row.item.text(0) == "other"]
    row.mask.list_rasters()
    assert row.mask.findText("dem") >= 0 and row.mask.findText("base map") < 0


@pytest.mark.filterwarnings("error::DeprecationWarning")  # newer QGIS would show it in a panel of its own
def test_nothing_is_chosen_at_first(layers: dict[str, Any], qgis_canvas: Any) -> None:
    from terramend.ui.widgets.form import ChoicesForm

    form = ChoicesForm(qgis_canvas)
    assert chosen(form) == {"target": [], "gaps": [], "references": [], "dem": None, "sar": None}
    sip.delete(form)


def test_what_is_removed_is_replaced_by_nothing(
    form: Any, layers: Any, more: dict[str, QgsRasterLayer], until: Callable
) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)
    form.guides.dem.set_item(more["dem"])
    form.guides.sar.set_item(more["zz"])
    project = QgsProject.instance()
    expected = {"target": ["target"], "gaps": ["mask"], "references": ["other"], "dem": "dem", "sar": "zz"}
    assert chosen(form) == expected
    removals = (("dem", more["dem"]), ("gaps", layers["mask"]), ("target", layers["target"]))
    for field, layer in (*removals, ("sar", more["zz"]), ("references", layers["other"])):
        title = layer.name()
        project.removeMapLayer(layer.id())
        expected[field] = None if field in ("dem", "sar") else []
        assert chosen(form) == expected
        until(lambda: bool(told))
        assert told == [[title]]
        told.clear()


def test_layers_that_go_together_are_told_together_and_a_new_project_is_silent(
    form: Any, layers: Any, until: Callable, qgis_app: Any
) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)
    QgsProject.instance().removeMapLayers([layers["target"].id(), layers["mask"].id()])
    until(lambda: bool(told))
    assert [sorted(names) for names in told] == [["mask", "target"]]
    told.clear()
    QgsProject.instance().clear()
    until(lambda: not form._pause.isActive())
    assert told == [] and chosen(form)["references"] == []


def test_a_layer_that_becomes_the_target_leaves_its_other_role_empty(
    form: Any, layers: Any, more: dict[str, QgsRasterLayer], until: Callable
) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)
    form.guides.dem.set_item(more["dem"])
    form.target.chooser.set_item(more["dem"])
    assert chosen(form) == {
        "target": ["dem"], "gaps": ["mask"], "references": ["other"], "dem": None, "sar": None
    }  # fmt: skip
    form.target.chooser.set_item(layers["mask"])
    assert chosen(form)["gaps"] == [] and chosen(form)["dem"] is None
    assert not form._pause.isActive()


def test_roles_can_be_swapped_by_choices(form: Any, layers: Any, more: dict[str, QgsRasterLayer]) -> None:
    from terramend.ui.choices import Choices

    form.guides.dem.set_item(more["dem"])
    form.show_choices(Choices(target=(more["dem"],), dem=layers["target"]))
    assert (chosen(form)["target"], chosen(form)["dem"]) == (["dem"], "target")


def test_another_mask_is_chosen_by_the_analyst(form: Any, layers: Any) -> None:
    row = form.gaps.add_row()
    assert chosen(form)["gaps"] == ["mask"]
    row.chooser.set_item(layers["other_mask"])
    assert chosen(form)["gaps"] == ["mask", "other_mask"]


def test_a_layer_that_is_renamed_is_listed_by_its_new_name(form: Any, layers: Any, qgis_app: Any) -> None:
    layers["other"].setName("another date")
    layers["other_mask"].setName("its clouds")
    qgis_app.processEvents()
    row = next(row for row in form.references._rows if row.source is layers["other"])
    row.mask.showPopup()
    assert row.item.text(0) == "another date" and row.mask.findText("its clouds") >= 0
    assert row.item.toolTip(0).startswith("another date\n"), "the column may be narrow"
    assert chosen(form)["references"] == ["another date"]


def test_layers_that_come_and_go_one_by_one_are_listed_at_once(
    form: Any, more: Any, qgis_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a project that is read or a script does it: to list hundreds anew with each would take minutes."""
    lists, fill = [], form.references._fill
    monkeypatch.setattr(form.references, "_fill", lambda chosen: lists.append(1) or fill(chosen))
    project, ids = QgsProject.instance(), [layer.id() for layer in more.values()]
    for act in (lambda _: project.layersAdded.emit([]), rename, project.removeMapLayer):
        for name in ids:
            act(name)
        assert lists == []
        qgis_app.processEvents()
        assert lists == [1]
        lists.clear()
    assert [row.item.text(0) for row in form.references._rows] == ["other"]


def rename(layer_id: str) -> None:
    QgsProject.instance().mapLayer(layer_id).setName("another name")


@pytest.mark.parametrize("come", ["keyboard", "mouse", "popup"])
def test_masks_are_listed_where_somebody_comes_to_choose(
    form: Any, layers: Any, come: str, qgis_app: Any
) -> None:
    """In all rows at once, of a series of three hundred dates, they would take seconds whenever one comes."""
    row = next(row for row in form.references._rows if row.source is layers["other"])
    row.mask.choose(layers["other_mask"])
    assert [row.mask.itemText(i) for i in range(row.mask.count())] == [
        "find beside",
        "clear everywhere",
        "other_mask",
    ]
    if come == "keyboard":
        qgis_app.sendEvent(row.mask, QFocusEvent(QEvent.Type.FocusIn))
    elif come == "mouse":
        qgis_app.sendEvent(row.mask, QEnterEvent(QPointF(), QPointF(), QPointF()))
    else:
        row.mask.showPopup()
    listed = {row.mask.itemText(i) for i in range(row.mask.count())}
    assert listed == {"find beside", "clear everywhere", "other_mask", "mask", "target"}
    assert row.mask.count() == len(listed) and row.mask.currentText() == "other_mask"
    row.mask.hidePopup()


def test_a_mask_of_another_date_that_is_removed_is_looked_for_again(
    form: Any, layers: Any, until: Callable
) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)

    def row() -> Any:
        return next(row for row in form.references._rows if row.source is layers["other"])

    row().mask.choose(layers["other_mask"])
    (reference,) = form.choices().references
    assert reference.mask.source is layers["other_mask"]
    QgsProject.instance().removeMapLayer(layers["other_mask"].id())
    (reference,) = form.choices().references
    assert reference.mask is None
    until(lambda: bool(told))
    assert row().mask.currentText() == "find beside"
    assert told == [["other_mask"]]


def test_what_is_detected_and_another_mask_are_united(form: Any, layers: Any) -> None:
    gaps = form.gaps
    assert not form.choices().own_mask
    gaps.rows[0].chooser.set_item(None)
    assert not form.choices().own_mask, "by itself it is what happens anyway"
    gaps.add_row().chooser.set_item(layers["mask"])
    choices = form.choices()
    assert choices.own_mask and [mask.source for mask in choices.gaps] == [layers["mask"]]
    found = [{"path": "m.tif", "kind": "nonzero"}, {"path": "/a/scene_SCL.tif", "kind": "scl"}]
    gaps.show_found(found)
    assert gaps.rows[1].kind.currentText() == "Auto: not 0"
    assert not gaps.found.isHidden() and gaps.found.text() == "Found: scene_SCL.tif (scl)"
    assert gaps.found.toolTip() == "/a/scene_SCL.tif"
    form.show_choices(choices)
    assert [row.choice() is None for row in gaps.rows] == [True, False]
    assert form.choices() == choices
    gaps.rows[0].chooser.set_item(layers["other_mask"])
    assert not form.choices().own_mask and len(form.choices().gaps) == 2


def test_what_the_masks_missed_is_filled_on_request(form: Any) -> None:
    from terramend.ui.choices import Choices

    told = []
    form.gaps.changed.connect(lambda: told.append(form.choices().missed))
    assert not form.choices().missed
    form.gaps.missed.click()
    assert form.choices().missed and told == [True]
    form.show_choices(Choices())
    assert not form.choices().missed
    form.show_choices(Choices(missed=True))
    assert form.gaps.missed.isChecked()


def test_what_a_mask_was_taken_for_is_forgotten_with_it_alone(
    form: Any, layers: Any, scene: dict[str, str]
) -> None:
    row = form.gaps.rows[0]
    row.chooser.set_item(layers["mask"])
    form.gaps.show_found([{"path": "m.tif", "kind": "nonzero"}])
    QgsProject.instance().addMapLayer(QgsRasterLayer(scene["other"], "a layer that is listed before it"))
    assert row.choice().source is layers["mask"] and row.kind.currentText() == "Auto: not 0"
    row.chooser.set_item(layers["other_mask"])
    assert row.kind.currentText() == "Auto"


def test_dates_of_a_folder_are_said_to_be_clear(
    form: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    box = form.references.folder
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    assert box.isHidden()
    box.button.click()
    assert not box.isHidden() and not form.choices().references_clear
    box.clear.setChecked(True)
    assert form.choices().references_clear
    form.show_choices(form.choices())
    assert box.clear.isChecked()
    box.button.click()  # without it
    assert box.isHidden() and not form.choices().references_clear
    box.button.click()
    assert not box.clear.isChecked(), "of another folder it was not said"


def test_dates_of_a_folder_are_told_and_can_be_listed(
    form: Any, layers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "a<b> dates"
    folder.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    box = form.references.folder
    box.button.click()
    assert box.told.text() == "and all dates of a<b> dates" and box.one_by_one.isHidden()
    mask = [{"path": "m", "kind": "scl"}]
    facts = [
        {"path": str(folder / f"{n}.tif"), "name": f"{n}.tif", "date": date, "masks": mask}
        for n, date in (("b", "2020-02-01"), ("a", "2019-03-01"), ("c", None))
    ]
    why = {"path": str(folder / "far.tif")}
    box.show_found(facts, [{"code": "reference.apart", "arguments": why, "message": "?"}])
    told = "and 3 dates of a<b> dates: 2019-03-01 – 2020-02-01; 1 of unknown date; 1 left out"
    assert box.told.text() == told
    tip = box.told.toolTip()
    assert (
        tip.index("2019-03-01  a.tif")
        < tip.index("2020-02-01  b.tif")
        < tip.index("far.tif does not overlap")
    )
    form.show_choices(form.choices())
    assert box.told.text() == told, "nobody asks again about the same"
    box.show_found([{**facts[0], "path": layers["other"].source()}, {**facts[1], "masks": []}], [])
    assert not box.one_by_one.isHidden()
    box.one_by_one.click()
    choices = form.choices()
    assert choices.references_from is None and box.isHidden()
    assert [(name(each.source), each.mask and each.mask.kind) for each in choices.references] == [
        ("other", None),
        (facts[1]["path"], "none"),
    ]
    box.button.click()
    box.show_found([{**facts[0], "path": "a.tif;b.tif"}], [])
    assert box.one_by_one.isHidden(), "several files are no row"
    assert box.told.text() == "and 1 date of a<b> dates: 2020-02-01"


def test_a_folder_of_hundreds_of_dates_has_a_short_tip(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/somewhere/series")
    box = form.references.folder
    box.button.click()
    box.show_found(
        [{"path": f"{i}", "name": f"{i}", "date": "2020-01-01", "masks": []} for i in range(300)], []
    )
    assert box.told.text() == "and 300 dates of series: 2020-01-01"
    assert len(box.told.toolTip().splitlines()) < 50 and "and 260 more" in box.told.toolTip()


def test_a_mask_that_is_a_file_stays(form: Any, layers: Any, scene: dict[str, str]) -> None:
    from dataclasses import replace

    from terramend.ui.choices import MaskChoice, ReferenceChoice

    mask = MaskChoice("/elsewhere/clouds.tif", "scl")
    form.show_choices(replace(form.choices(), references=(ReferenceChoice(layers["other"], mask),)))
    QgsProject.instance().removeMapLayer(layers["other_mask"].id())
    assert form.choices().references[0].mask == mask


def test_how_masks_of_other_dates_are_read_is_chosen_below_them(
    form: Any, layers: Any, scene: dict[str, str]
) -> None:
    box = form.references
    assert box.kind_line.isHidden(), "no mask is chosen here"
    first = next(row for row in box._rows if row.source is layers["other"])
    first.mask.choose(layers["other_mask"])
    assert not box.kind_line.isHidden() and box.kind.kind() == "auto"
    box.kind.setCurrentIndex(box.kind.findData("scl"))
    assert [reference.mask.kind for reference in form.choices().references] == ["scl"]
    box.add_paths([scene["truth"]])
    assert box.kind.kind() == "scl", "the mask of the second is looked for beside it"
    second = box._rows[-1]
    second.mask.choose(layers["mask"])
    assert {reference.mask.kind for reference in form.choices().references} == {"scl"}, "read as the first"
    box.kind.setCurrentIndex(box.kind.findData("qa60"))
    assert [reference.mask.kind for reference in form.choices().references] == ["qa60", "qa60"]
    box.kind.setEditText("fmask; value=2,3")
    kinds = [reference.mask.kind for reference in form.choices().references]
    assert kinds == ["fmask", "value=2,3"]
    form.show_choices(form.choices())
    assert box.kind.currentText() == "fmask;value=2,3"
    box._rows[-1].mask.choose(layers["target"])  # another mask is read as was said of this date
    assert [reference.mask.kind for reference in form.choices().references] == kinds
    box._rows[-1].item.setCheckState(0, Qt.CheckState.Unchecked)
    assert box.kind.kind() == "fmask", "of the one that is left"
    form.show_choices(replace(form.choices(), references=()))
    assert box.kind_line.isHidden()


@pytest.fixture
def bands(layers: dict[str, Any], scene: dict[str, str], tmp_path: Path) -> list[QgsRasterLayer]:
    """A group of the target's bands."""
    group = QgsProject.instance().layerTreeRoot().addGroup("bands")
    made = []
    for number in (1, 2, 3):
        path = str(tmp_path / f"b{number}.tif")
        gdal.Translate(path, scene["target"], bandList=[number])
        made.append(QgsRasterLayer(path, f"b{number}"))
        QgsProject.instance().addMapLayer(made[-1], False)
        group.addLayer(made[-1])
    return made


def test_results_stand_beside_a_group_of_bands_which_stays_the_target(
    form: Any, bands: list[QgsRasterLayer], scene: dict[str, str]
) -> None:
    from terramend.ui.layers.results import ROLE, add_results

    project = QgsProject.instance()
    form.target.chooser.set_item("Bands of group bands")
    add_results({"outputs": [scene["other"]]}, form.target.subject(), "made", project)
    assert chosen(form)["target"] == ["b1", "b2", "b3"] and chosen(form)["gaps"] == ["mask"]
    names = [node.name() for node in project.layerTreeRoot().children()]
    assert names.index("made") == names.index("bands") - 1
    inside = QgsRasterLayer(scene["truth"], "filled by an older version")
    inside.setCustomProperty(ROLE, "result")
    project.addMapLayer(inside, False)
    project.layerTreeRoot().findGroup("bands").addLayer(inside)
    assert chosen(form)["target"] == ["b1", "b2", "b3"]


def test_a_group_of_bands_is_followed(form: Any, bands: list[QgsRasterLayer], until: Callable) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)
    root = QgsProject.instance().layerTreeRoot()
    form.target.chooser.set_item("Bands of group bands")
    root.findGroup("bands").setName("renamed")
    assert form.target.chooser.item() == "Bands of group renamed" and not form._pause.isActive()
    QgsProject.instance().removeMapLayer(bands[2].id())
    assert chosen(form)["target"] == ["b1", "b2"]
    until(lambda: bool(told))
    root.removeChildNode(root.findGroup("renamed"))
    assert chosen(form)["target"] == []
    until(lambda: len(told) == 2)
    assert told == [["b3"], ["Bands of group renamed"]]


def test_pictures_are_no_bands_of_a_group(form: Any, bands: list[QgsRasterLayer]) -> None:
    root = QgsProject.instance().layerTreeRoot()
    for group in (root.findGroup("bands"), *2 * [root.addGroup("base maps")]):
        picture = QgsRasterLayer("type=xyz&url=file:///{x}/{y}/{z}.png&zmax=1&zmin=0", "map", "wms")
        QgsProject.instance().addMapLayer(picture, False)
        group.addLayer(picture)
    assert form.target.chooser.combo.additionalItems() == ["Bands of group bands"]
    form.target.chooser.set_item("Bands of group bands")
    assert chosen(form)["target"] == ["b1", "b2", "b3"]


def test_groups_of_one_name_are_told_apart(
    form: Any, bands: list[QgsRasterLayer], scene: dict[str, str], tmp_path: Path
) -> None:
    root = QgsProject.instance().layerTreeRoot()

    def group(parent: str, *numbers: int) -> None:
        """A further group "bands"; its layers are called after the one it stands in."""
        made = (root.addGroup(parent) if parent else root).addGroup("bands")
        for number in numbers:
            layer = QgsRasterLayer(str(tmp_path / f"b{number}.tif"), f"{parent or 'root'}{number}")
            QgsProject.instance().addMapLayer(layer, False)
            made.addLayer(layer)

    form.target.chooser.set_item("Bands of group bands")
    group("2020/01", 1, 2)
    assert form.target.chooser.item() == "Bands of group bands" and len(form.choices().target) == 3
    form.target.chooser.set_item("Bands of group bands in 2020/01")
    assert chosen(form)["target"] == ["2020/011", "2020/012"]
    assert form.target.subject().name == "Bands of group bands in 2020/01", "what results are called after"
    group("", 2, 3)
    form.target.chooser.set_item("Bands of group bands (2)")
    assert chosen(form)["target"] == ["root2", "root3"]
    form.target.chooser.set_item("Bands of group bands (1)")
    assert chosen(form)["target"] == ["b1", "b2", "b3"]
    root.removeChildNode(root.findGroup("bands"))
    assert chosen(form)["target"] == [], "nothing takes its place"


def test_groups_of_a_project_that_is_opened_are_offered(
    form: Any, bands: list[QgsRasterLayer], tmp_path: Path
) -> None:
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    project.clear()
    assert form.target.chooser.combo.additionalItems() == []
    assert project.read(str(tmp_path / "project.qgz"))
    assert form.target.chooser.combo.additionalItems() == ["Bands of group bands"]


def test_bands_that_are_no_group_stay_together(
    form: Any, bands: list[QgsRasterLayer], until: Callable
) -> None:
    from terramend.ui.choices import Choices

    told: list[list[str]] = []
    form.lost.connect(told.append)
    paths = ("/elsewhere/B02.tif", "/elsewhere/B03.tif")
    form.show_choices(Choices(target=paths))
    assert form.choices().target == paths and form.target.subject().name == "2 bands from B02.tif"
    form.show_choices(Choices(target=(bands[2], bands[0])))
    assert chosen(form)["target"] == ["b3", "b1"]
    QgsProject.instance().removeMapLayer(bands[0].id())
    assert chosen(form)["target"] == []
    until(lambda: bool(told))


def test_a_group_of_bands_comes_back_with_the_project(
    form: Any, bands: list[QgsRasterLayer], tmp_path: Path
) -> None:
    from terramend.ui import project_state

    project = QgsProject.instance()
    form.target.chooser.set_item("Bands of group bands")
    project_state.save(form.choices(), project)
    assert project.write(str(tmp_path / "project.qgz"))
    project.clear()
    assert chosen(form)["target"] == []
    read: list[Any] = []

    def restore() -> None:  # as the dock does
        form.show_choices(project_state.load(project))
        read.append(form.target.chooser.item())

    project.readProject.connect(restore)
    assert project.read(str(tmp_path / "project.qgz"))
    project.readProject.disconnect(restore)
    assert chosen(form)["target"] == ["b1", "b2", "b3"] and read == ["Bands of group bands"]


def test_inside_polygons_wants_polygons(form: Any, until: Callable) -> None:
    from terramend.ui.choices import ChoiceError

    form.output.extent.setCurrentIndex(form.output.extent.findData("inside"))
    with pytest.raises(ChoiceError, match="choose their layer"):
        form.choices()
    area = QgsVectorLayer("Polygon?crs=EPSG:4326", "area", "memory")
    QgsProject.instance().addMapLayer(area)
    form.output.area.set_item(area)
    assert form.choices().extent is area
    QgsProject.instance().removeMapLayer(area.id())
    with pytest.raises(ChoiceError):
        form.choices()


def test_a_rectangle_that_was_saved_stays(form: Any, layers: Any, qgis_canvas: Any) -> None:
    from dataclasses import replace

    crs = layers["target"].crs()
    box = QgsReferencedRectangle(QgsRectangle(2.8, 42.3, 2.81, 42.31), crs)
    form.show_choices(replace(form.choices(), extent=box))
    qgis_canvas.setDestinationCrs(crs)
    qgis_canvas.setExtent(QgsRectangle(2, 42, 3, 43))
    assert form.choices().extent.toString(5) == box.toString(5)
    again = form.choices()
    form.output.follow_map()
    assert form.choices().extent.width() >= 1 and form.output.extent.findData("box") < 0
    form.show_choices(again)
    form.output.extent.setCurrentIndex(0)
    assert form.choices().extent is None
    form.start_over()
    assert form.output.extent.findData("box") < 0 and form.output.extent.currentData() == "whole"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("name", "names no folder"), ("~/name.tif", "names no folder"), ("/tmp/", "is a folder"), ("/tmp", "is a folder")],
)  # fmt: skip
def test_where_results_would_lie_is_plain(form: Any, path: str, sentence: str) -> None:
    from terramend.ui.choices import ChoiceError

    form.output.path.setFilePath(path)
    form.choices()  # a preview goes elsewhere
    with pytest.raises(ChoiceError, match=f"Save to: {path} {sentence}"):
        form.output.check_path()
    form.output.path.setFilePath("/tmp/with.dots.v1")
    form.output.check_path()
    assert form.choices().output == "/tmp/with.dots.v1.tif"


def test_reading_the_form_makes_no_folders(form: Any) -> None:
    from terramend.ui.widgets.output import in_temporary_file

    folder = Path(QgsProcessingUtils.tempFolder())
    before = sorted(folder.iterdir())
    choices = form.choices()
    form.remembered()
    assert sorted(folder.iterdir()) == before
    first, second = in_temporary_file(choices), in_temporary_file(choices)
    assert first.output != second.output and first.output.endswith("filled.tif")
    assert first.std == first.output[:-4] + "_std.tif"
    form.output.provenance.setChecked(False)
    form.output.path.setFilePath("/tmp/a.tif")
    typed = in_temporary_file(form.choices())
    assert (typed.output, typed.std, typed.provenance) == ("/tmp/a.tif", "/tmp/a_std.tif", None)


def test_what_an_empty_map_shows_is_nothing_to_fill(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from terramend.ui.choices import ChoiceError

    monkeypatch.setattr(form.output, "_canvas", QgsMapCanvas())
    form.output.follow_map()
    with pytest.raises(ChoiceError, match="The map is empty: zoom to the raster"):
        form.choices()
    assert form.remembered().extent is None


def test_what_cannot_be_read_is_not_remembered_but_the_rest_is(form: Any) -> None:
    form.target.sun.setText("noon")
    form.gaps.grow.setValue(7)
    form.output.extent.setCurrentIndex(form.output.extent.findData("inside"))
    kept = form.remembered()
    assert (kept.grow, kept.sun, kept.extent, kept.output) == ("7px", None, None, "")
    assert [name(item) for item in kept.target] == ["target"]


def test_numbers_that_were_loaded_are_not_rounded(form: Any) -> None:
    """Settings of a layer give the same request again; what is changed then counts."""
    from terramend.ui.choices import read_sun, to_parameters

    loaded = replace(form.choices(), grow="1.5px", sun=(145.123456789, 30.5))
    form.show_choices(loaded)
    assert (form.choices().grow, form.choices().sun) == ("1.5px", (145.123456789, 30.5))
    assert read_sun(to_parameters(loaded)["SUN"]) == loaded.sun
    form.gaps.grow.setValue(3)
    assert form.choices().grow == "3px"
    form.gaps.unit.setCurrentIndex(1)
    assert form.choices().grow == "3m"
    form.gaps.grow.setValue(-1)
    assert form.choices().grow is None


def test_starting_over_is_as_at_first(layers: Any, qgis_canvas: Any) -> None:
    from terramend.ui.choices import to_parameters
    from terramend.ui.widgets.form import ChoicesForm

    form = ChoicesForm(qgis_canvas)
    first = to_parameters(form.remembered())
    form.target.date.setText("2020-01-13")
    form.output.std.setChecked(False)
    form.output.path.setFilePath("/tmp/old.tif")
    form.start_over()
    again = to_parameters(form.remembered())
    assert bool(first["STD"]) and bool(again["STD"])
    assert {**first, "STD": "", "PROVENANCE": ""} == {**again, "STD": "", "PROVENANCE": ""}
    sip.delete(form)
