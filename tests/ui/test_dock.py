"""The dock, clicked from empty to finished layers, with a real backend."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsDataProvider,
    QgsDateTimeRange,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDate, QDateTime, QEvent, Qt, QTime
from qgis.PyQt.QtGui import QTextDocument
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialog, QMessageBox, QWidget

gdal.UseExceptions()


@pytest.fixture
def experimental() -> Iterator[None]:
    """Experimental methods are offered."""
    from terramend.ui import settings

    settings.put("experimental", True)
    yield
    settings.put("experimental", False)


def click(button: Any) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def read(path: str) -> Any:
    return gdal.Open(path).ReadAsArray()


def choose_what_takes_minutes(dock: Any) -> None:
    """A method in a thousand steps, each of which is quick: a cancel is soon heeded, and no test lets it end."""
    settings = (("prior", "harmonic"), ("steps", "1000"))
    dock.form.show_choices(replace(dock.form.choices(), model="aligndiff", settings=settings))


def test_what_a_mask_of_another_date_was_taken_for_is_shown(dock: Any, layers: Any, until: Callable) -> None:
    box = dock.form.references
    (row,) = [row for row in box._rows if row.source is layers["other"]]
    row.mask.choose(layers["other_mask"])
    until(lambda: box.kind.currentText() == "Auto: not 0")
    assert box.kind.kind() == "auto"


def test_the_dock_shows_the_day_that_a_layers_properties_name(
    dock: Any, layers: Any, until: Callable, history_command: Callable
) -> None:
    """They say so without a word to who listens for edits, and a project would not come along with a history."""
    (row,) = [row for row in dock.form.references._rows if row.source is layers["other"]]
    until(lambda: row.item.text(1) == "2020-01-28")
    for day in (5, 6):
        for layer in (layers["other"], layers["target"]):
            noon = QDateTime(QDate(2020, 2, day), QTime(12, 0), Qt.TimeSpec.UTC)
            layer.temporalProperties().setFixedTemporalRange(QgsDateTimeRange(noon, noon))
            layer.temporalProperties().setIsActive(True)
            layer.triggerRepaint()  # last of what QGIS's window for properties does
        until(lambda day=day: row.item.text(1) == f"2020-02-0{day}")
        assert f"2020-02-0{day}" in dock.form.target.facts.text()
    assert dock.form.choices().date is None, "nobody typed it"
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert "'DATE':'2020-02-06'" in history_command()


def test_the_target_among_its_other_dates_is_left_out(
    dock: Any, layers: Any, scene: dict[str, str], until: Callable
) -> None:
    twice = QgsRasterLayer(scene["target"], "again")  # sorted before the other date
    QgsProject.instance().addMapLayer(twice)
    dock.form.references.tick(twice)
    until(lambda: "is left out of the other dates" in dock.bar.notices.toolTip())
    dates = {row.item.text(0): row.item.text(1) for row in dock.form.references._rows}
    assert dates["other"] == "2020-01-28" and dates["again"] == ""


def test_the_dock_opens_for_the_raster_that_is_selected(dock: Any, iface: Any, layers: Any) -> None:
    from terramend.ui.layers.results import ROLE

    iface.active = layers["other"]
    dock.hide()
    dock.show()
    assert dock.form.target.items() == (layers["target"],), "what is chosen stays"
    dock.start_over()
    dock.hide()
    dock.show()
    assert dock.form.target.items() == (layers["other"],)
    dock.start_over()
    picture = QgsRasterLayer("type=xyz&url=file:///{x}/{y}/{z}.png&zmax=1&zmin=0", "map", "wms")
    result = QgsRasterLayer(layers["target"].source(), "filled")
    result.setCustomProperty(ROLE, "result")
    QgsProject.instance().addMapLayers([picture, result])
    for layer in (None, picture, result):
        iface.active = layer
        dock.hide()
        dock.show()
        assert dock.form.target.items() == (), layer


def test_which_dates_of_a_folder_are_used_is_told_before_the_run(
    dock: Any, scene: dict[str, str], until: Callable
) -> None:
    folder = Path(scene["other"]).parent
    for number in (1, 2):
        (folder / f"broken{number}.tif").write_text("no raster")
    dock.form.show_choices(replace(dock.form.choices(), references=(), references_from=str(folder)))
    box = dock.form.references.folder
    until(lambda: "left out" in box.told.text())
    assert box.told.text() == "and 1 date of two dates: 2020-01-28; 2 left out"
    assert "broken1.tif is left out" in box.told.toolTip() and "broken2.tif is left out" in box.told.toolTip()
    click(box.one_by_one)
    assert [reference.source for reference in dock.form.choices().references] == [
        QgsProject.instance().mapLayersByName("other")[0]
    ]


def test_a_date_of_a_folder_without_a_mask_is_left_out_and_what_would_mend_it_said(
    dock: Any, scene: dict[str, str], until: Callable, tmp_path: Path
) -> None:
    folder = Path(scene["other"]).parent
    unmasked = folder / "other_2020-02-12.tif"
    shutil.copy(scene["other"], unmasked)
    dock.form.show_choices(replace(dock.form.choices(), references=(), references_from=str(folder)))
    box = dock.form.references.folder
    until(lambda: "expected error" in dock.bar.estimate.text())
    assert box.told.text() == "and 1 date of two dates: 2020-01-28; 1 left out"
    assert dock.bar.notices.text().startswith(
        "⚠ other_2020-02-12.tif has no mask of its clouds and is left out"
    )
    assert f"{unmasked} has no mask" in box.told.toolTip()
    assert "“Folder's unmasked dates are clear”" in dock.bar.notices.toolTip()
    dock.form.output.path.setFilePath(str(tmp_path / "result.tif"))
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert dock.bar.estimate.text().startswith("Filled 22.4 %")
    assert "other_2020-02-12.tif has no mask" in dock.bar.notices.toolTip()


def test_a_look_at_many_dates_says_how_far_it_is_and_can_be_left(
    dock: Any, scene: dict[str, str], until: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terramend.ui import outlook

    until(lambda: "expected error" in dock.bar.estimate.text())
    looks: list[Any] = []

    class Slow:
        """A look that gets no answer yet."""

        def __init__(self, method: str, built: Any, **listeners: Any) -> None:
            self.listeners, self.cancelled = listeners, False
            looks.append(self)

        def cancel(self) -> None:
            self.cancelled = True

        abandon = cancel

    monkeypatch.setattr(outlook, "Run", Slow)
    folder = str(Path(scene["other"]).parent)
    dock.form.show_choices(replace(dock.form.choices(), references=(), references_from=folder))
    until(lambda: bool(looks))
    tell = looks[0].listeners["on_progress"]
    tell({"stage": "open", "done": 0, "total": 0, "eta": None})
    assert dock.bar.estimate.text() == "Looking at what would be filled…"
    tell({"stage": "dates", "done": 10, "total": 40, "eta": 75.0})
    told = "Looking at what would be filled…<br>Opening the other dates: 25 %, 75 s left"
    assert dock.bar.estimate.text() == told
    click(dock.form.references.folder.button)  # without the folder
    assert looks[0].cancelled and dock.bar.estimate.text() == ""
    tell({"stage": "dates", "done": 20, "total": 40, "eta": 50.0})
    assert dock.bar.estimate.text() == ""


def test_what_was_said_of_one_raster_is_not_said_of_the_next(dock: Any, layers: Any, until: Callable) -> None:
    dock.form.gaps.rows[0].chooser.set_item(None)
    until(lambda: "expected error" in dock.bar.estimate.text())
    scl = [{"path": "a_SCL.tif", "kind": "scl"}]
    dock.form.gaps.show_found(scl)  # as of a product
    for line in (dock.form.target.facts, dock.form.gaps.found, dock.bar.notices):
        assert line.isVisible()
    dock.form.target.chooser.set_item(layers["other"])
    for line in (dock.form.target.facts, dock.form.gaps.found, dock.bar.notices):
        assert not line.isVisible()
    until(lambda: "2020-01-28" in dock.form.target.facts.text())
    dock.form.gaps.show_found(scl)
    dock.form.target.sun.setText("noon")
    dock.form.target.sun.editingFinished.emit()
    until(lambda: "Sun: give" in dock.bar.estimate.text())
    for line in (dock.form.target.facts, dock.form.gaps.found, dock.bar.notices):
        assert not line.isVisible()


def test_dates_are_listed_as_clear_only_while_that_is_said(
    dock: Any, scene: dict[str, str], until: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "unmasked"
    folder.mkdir()
    shutil.copy(scene["other"], folder)
    chosen = replace(dock.form.choices(), references=(), references_from=str(folder), references_clear=True)
    dock.form.show_choices(chosen)
    box = dock.form.references.folder
    until(lambda: not box.one_by_one.isHidden())
    box.clear.setChecked(False)
    assert box.one_by_one.isHidden()
    until(lambda: "Of the dates in unmasked none can be used" in dock.bar.estimate.text())
    assert box.told.text() == "and all dates of unmasked" and box.one_by_one.isHidden()


def test_sentences_show_file_names_and_their_tips_whole_paths(
    dock: Any, scene: dict[str, str], until: Callable
) -> None:
    from terramend.ui.choices import ReferenceChoice

    folder = Path(scene["other"]).parent / "a folder that lies deep" / "below many others"
    folder.mkdir(parents=True)
    name = "S2A_MSIL2A_20200301T105401_N0213_R051_T31TDG_20200301T121547.tif"
    (folder / name).write_text("no raster")
    chosen = dock.form.choices()
    dock.form.show_choices(replace(chosen, references=(), references_from=str(folder)))
    until(lambda: "is left out" in dock.bar.notices.text())
    shown = "S2A_MSIL2A_20200301T…0301T121547.tif"
    assert dock.bar.notices.text().startswith(
        f"⚠ {shown} is left out of the other dates. {shown} cannot be read as a raster: check"
    )
    assert f"{folder / name} is left out" in dock.bar.notices.toolTip()
    dock.form.show_choices(replace(chosen, references=(ReferenceChoice(str(folder / name)),)))
    until(lambda: "cannot be read" in dock.bar.estimate.text())
    assert dock.bar.estimate.text().startswith(f"{shown} cannot be read as a raster ('{shown}' not")
    assert dock.bar.estimate.toolTip().startswith(f"{folder / name} cannot be read")
    assert dock.teller.toPlainText().splitlines()[-1].endswith(dock.bar.estimate.toolTip())
    dock.form.show_choices(chosen)
    until(lambda: "would be filled" in dock.bar.estimate.text())
    assert dock.bar.estimate.toolTip() == ""


def test_the_look_tells_all_without_other_dates_too(dock: Any, layers: Any, until: Callable) -> None:
    dock.form.references._rows[0].item.setCheckState(0, Qt.CheckState.Unchecked)
    assert not dock.form.choices().references
    until(lambda: "expected error" in dock.bar.estimate.text())
    assert "only the surroundings" in dock.bar.estimate.text()


def test_from_choices_to_layers(
    dock: Any, iface: Any, layers: Any, scene: dict[str, str], until: Callable, tmp_path: Path
) -> None:
    until(lambda: "expected error" in dock.bar.estimate.text())
    assert "22.4 % of the scene would be filled" in dock.bar.estimate.text()
    assert dock.form.target.facts.text() == "Sentinel-2 · 2020-01-13 · 380 × 377 px · 10 m · 4 bands"
    assert dock.form.gaps.rows[0].kind.currentText() == "Auto: not 0"
    until(lambda: "core" in dock.bar.device.text())

    output = tmp_path / "result.tif"
    dock.form.output.path.setFilePath(str(output))
    click(dock.bar.fill)
    assert dock.bar.cancel.isEnabled() and not dock.bar.fill.isEnabled()
    until(lambda: dock.run is None)

    text, level = iface.said[-1]
    assert level == Qgis.MessageLevel.Success and text.startswith("Filled 22.4 % in ")
    group = QgsProject.instance().layerTreeRoot().findGroup("target, filled")
    names = [node.name() for node in group.children()]
    assert names == [f"{kind}, target" for kind in ("uncertainty", "provenance", "filled")], (
        "ticked, they would be hidden below it"
    )
    assert [node.itemVisibilityChecked() for node in group.children()] == [False, False, True]
    std, provenance, filled = (node.layer() for node in group.children())
    assert filled.source() == str(output)
    root = QgsProject.instance().layerTreeRoot().children()
    assert (
        root.index(group) == root.index(QgsProject.instance().layerTreeRoot().findLayer(layers["target"])) - 1
    )

    before, after, hole = read(scene["target"]), read(str(output)), read(scene["mask"]) > 0
    assert (before[:, ~hole] == after[:, ~hole]).all()
    assert (after[:, hole] > 0).all()
    assert (read(std.source())[:, ~hole] == 0).all()
    assert set(read(provenance.source())[0][hole].flat) <= {1, 2}

    shared = layers["target"].renderer(), filled.renderer()
    limits = [
        (r.redContrastEnhancement().minimumValue(), r.redContrastEnhancement().maximumValue()) for r in shared
    ]
    assert limits[0] == limits[1]
    assert [c.label for c in provenance.renderer().classes()][:3] == [
        "valid, unchanged",
        "other dates",
        "surroundings",
    ]
    assert "result" not in [row.item.text(0) for row in dock.form.references._rows]

    QTest.qWait(1000)  # layers came; what the fill did stands until a choice is changed
    assert dock.bar.estimate.text().startswith("Filled 22.4 % in ")
    (row,) = [row for row in dock.form.references._rows if row.item.text(0) == "other"]
    assert (row.item.text(1), row.mask.currentText()) == ("2020-01-28", "found")
    dock.form.gaps.grow.setValue(1)
    until(lambda: "would be filled" in dock.bar.estimate.text())


def test_what_a_fill_found_out_is_said_under_its_outcome(
    dock: Any, scene: dict[str, str], until: Callable
) -> None:
    other = gdal.Open(scene["other"], gdal.GA_Update)
    other.WriteArray(np.roll(other.ReadAsArray(), 3, axis=1))
    other = None  # closed
    until(lambda: "%" in dock.bar.estimate.text())
    no_shadow = {"code": "mask.no-shadow", "arguments": {"path": "a_mask.tif", "kind": "qa60"}}
    dock.bar.show_notices([no_shadow])  # as a look may say
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert dock.bar.estimate.text().startswith("Filled 22.4 %")
    assert "lies off the raster to fill by 3 pixels down" in dock.bar.notices.text()
    assert dock.bar.notices.isVisible()


def test_preview_is_the_visible_part_and_is_not_saved(
    dock: Any, iface: Any, layers: Any, until: Callable, qgis_canvas: Any
) -> None:
    box = layers["target"].extent()
    centre = box.center()
    canvas = iface.mapCanvas()
    canvas.setDestinationCrs(layers["target"].crs())
    canvas.setExtent(
        QgsRectangle(centre.x() - 0.005, centre.y() - 0.005, centre.x() + 0.005, centre.y() + 0.005)
    )
    visible = canvas.mapSettings().visibleExtent()
    files = set(Path(layers["target"].source()).parent.iterdir())
    click(dock.bar.preview)
    until(lambda: dock.run is None)
    group = QgsProject.instance().layerTreeRoot().findGroup("target, preview (not saved)")
    assert group is not None, iface.said
    layer = group.children()[-1].layer()
    assert layer.width() < 380
    assert layer.extent().contains(visible.intersect(box).buffered(-0.0003))
    assert set(Path(layers["target"].source()).parent.iterdir()) == files
    click(dock.bar.preview)  # a second one takes the first one's place
    until(lambda: dock.run is None)
    groups = [node.name() for node in QgsProject.instance().layerTreeRoot().findGroups()]
    assert groups == ["target, preview (not saved)"]


def test_what_shows_another_file_by_now_is_no_preview(
    dock: Any, layers: Any, scene: dict[str, str], until: Callable
) -> None:
    """The analyst gave the layer of the gaps another source: it and what lies beside that file are theirs."""
    kept = Path(f"{scene['other_mask']}.aux.xml")
    kept.write_text("<PAMDataset/>")
    click(dock.form.gaps.show_button)
    until(lambda: dock.run is None)
    (layer,) = QgsProject.instance().mapLayersByName("target, gaps (not saved)")
    layer.setDataSource(scene["other_mask"], "mine", "gdal", QgsDataProvider.ProviderOptions())
    click(dock.form.gaps.show_button)
    until(lambda: dock.run is None)
    assert QgsProject.instance().mapLayersByName("mine") == [layer] and kept.exists()
    assert len(QgsProject.instance().mapLayersByName("target, gaps (not saved)")) == 1


def test_preview_where_the_map_shows_another_place(
    dock: Any, iface: Any, scene: dict[str, str], until: Callable, tmp_path: Path
) -> None:
    canvas = iface.mapCanvas()
    canvas.setDestinationCrs(QgsProject.instance().mapLayersByName("target")[0].crs())
    canvas.setExtent(QgsRectangle(100, 10, 101, 11))
    click(dock.bar.preview)
    until(lambda: dock.run is None)
    text, level = iface.said[-1]
    assert level == Qgis.MessageLevel.Critical and text.startswith("The map shows no part of target: ")
    copy = tmp_path / "2020-01-13.tif"
    copy.write_bytes(Path(scene["target"]).read_bytes())
    dock.form.target.chooser.set_item(str(copy))  # cannot be zoomed to: all of it is shown
    click(dock.bar.preview)
    until(lambda: dock.run is None and "Preview" in iface.said[-1][0])
    group = QgsProject.instance().layerTreeRoot().findGroup("2020-01-13.tif, preview (not saved)")
    assert group.children()[0].layer().width() == 380


def test_preview_on_an_empty_map_is_of_the_whole_scene(
    dock: Any, iface: Any, layers: Any, until: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No layer has brought it to any place yet."""
    monkeypatch.setattr(dock.form.output, "_canvas", QgsMapCanvas())
    click(dock.bar.preview)
    until(lambda: dock.run is None)
    group = QgsProject.instance().layerTreeRoot().findGroup("target, preview (not saved)")
    assert group is not None, iface.said
    assert group.children()[-1].layer().width() == layers["target"].width()


def test_choices_that_cannot_be_read_are_said(dock: Any, iface: Any, until: Callable, tmp_path: Path) -> None:
    """However the analyst goes on; no exception, and nothing starts."""
    sun = dock.form.target.sun
    sun.setText("noon")
    sun.editingFinished.emit()
    until(lambda: dock.bar.estimate.text().startswith("Sun: give azimuth and elevation"))
    assert dock.bar.estimate.toolTip() == "", "it is all there"
    for button in (dock.bar.fill, dock.bar.preview, dock.form.gaps.show_button, dock.bar.batch):
        iface.said.clear()
        click(button)
        assert dock.run is None and dock.batch is None
        assert iface.said[0][0].startswith("Sun: give azimuth") and len(iface.said) == 1
    assert QgsProject.instance().write(str(tmp_path / "project.qgz"))
    sun.setText("150,30")
    sun.editingFinished.emit()
    until(lambda: "would be filled" in dock.bar.estimate.text())


def test_lines_show_names_as_they_are(dock: Any, until: Callable, tmp_path: Path) -> None:
    gone = str(tmp_path / "R&D <b>.tif")
    dock.form.target.chooser.set_item(gone)
    until(lambda: "R&amp;D &lt;b&gt;.tif" in dock.bar.estimate.text())
    shown = QTextDocument()
    shown.setHtml(dock.bar.estimate.text())
    assert shown.toPlainText().startswith("R&D <b>.tif does not exist")
    assert as_shown(dock.bar.estimate.toolTip()).startswith(gone)
    assert dock.bar.estimate.textFormat() == Qt.TextFormat.RichText
    for line in (dock.bar.notices, dock.form.gaps.found, dock.form.target.facts):
        assert line.textFormat() == Qt.TextFormat.PlainText


def as_shown(text: str) -> str:
    """What a tip or a question box makes of a text: they look for HTML in it."""
    document = QTextDocument()
    (document.setHtml if Qt.mightBeRichText(text) else document.setPlainText)(text)
    return document.toPlainText()


def test_tips_and_questions_show_names_as_they_are(
    dock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, path = "/dates/<b>R&D &lt;</b>.tif", tmp_path / "<i>out.tif"
    dock.form.references.add_paths([other])
    dock.bar.show_notices([{"message": f"{other} is one."}, {"message": "Another."}])
    tips = [row.item.toolTip(0) for row in dock.form.references._rows]
    assert other in [as_shown(tip) for tip in tips]
    assert as_shown(dock.bar.notices.toolTip()) == f"{other} is one.\nAnother."
    dock.form.references.folder._show("/dates/<b>R&D")
    assert dock.form.references.folder.told.textFormat() == Qt.TextFormat.PlainText
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda _parent, _title, text: asked.append(as_shown(text)))
    path.touch()
    dock.form.output.path.setFilePath(str(path))
    click(dock.bar.fill)
    path.with_name("<i>out_std.tif").touch()
    click(dock.bar.fill)
    assert asked[0] == f"{path} exists. Replace it?" and dock.run is None
    assert asked[1].splitlines()[-2:] == [str(path), str(path.with_name("<i>out_std.tif"))]


def test_cancel_in_the_middle_leaves_nothing(
    experimental: None, dock: Any, iface: Any, until: Callable, tmp_path: Path, client: Any
) -> None:
    choose_what_takes_minutes(dock)
    folder = tmp_path / "results"
    folder.mkdir()
    dock.form.output.path.setFilePath(str(folder / "result.tif"))
    layers = set(QgsProject.instance().mapLayers())
    click(dock.bar.fill)
    until(lambda: any(folder.iterdir()))  # it is writing
    click(dock.bar.cancel)
    until(lambda: dock.run is None)
    assert iface.said[-1] == ("Cancelled; nothing was written.", Qgis.MessageLevel.Info)
    assert list(folder.iterdir()) == []
    assert set(QgsProject.instance().mapLayers()) == layers
    assert dock.bar.fill.isEnabled() and not dock.bar.cancel.isEnabled()
    assert client.call_blocking("doctor", {})["healthy"]  # the backend lives


def test_the_gaps_are_shown(dock: Any, iface: Any, until: Callable) -> None:
    click(dock.form.gaps.show_button)
    until(lambda: dock.run is None)
    layer = QgsProject.instance().layerTreeRoot().children()[0].layer()
    assert layer.name() == "target, gaps (not saved)"
    assert iface.said[-1][0] == "22.4 % of the scene would be filled."
    assert (read(layer.source()) == 1).mean() == pytest.approx(0.2238, abs=1e-3)


def test_errors_are_said_and_the_next_run_works(
    dock: Any, iface: Any, layers: Any, until: Callable, tmp_path: Path
) -> None:
    dock.form.output.path.setFilePath(str(tmp_path / "no such folder" / "result.tif"))
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    text, level = iface.said[-1]
    assert level == Qgis.MessageLevel.Critical and "no such folder" in text
    dock.form.output.path.setFilePath(str(tmp_path / ("n" * 300)))
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert "too long" in iface.said[-1][0]
    dock.form.output.path.setFilePath("")
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert iface.said[-1][1] == Qgis.MessageLevel.Success


def test_the_backend_is_killed_in_the_middle(
    experimental: None, dock: Any, iface: Any, until: Callable, client: Any
) -> None:
    import os
    import signal

    before = dock.form.choices()
    choose_what_takes_minutes(dock)
    click(dock.bar.fill)
    until(lambda: dock.bar.progress.maximum() > 0 and dock.bar.progress.value() > 0)
    os.kill(client.pid, signal.SIGKILL)
    until(lambda: dock.run is None)
    text, level = iface.said[-1]
    assert level == Qgis.MessageLevel.Critical and "SIGKILL" in text
    dock.form.show_choices(before)
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert iface.said[-1][1] == Qgis.MessageLevel.Success


def test_choices_live_in_the_project(dock: Any, iface: Any, layers: Any, tmp_path: Path) -> None:
    from terramend.ui.choices import to_parameters

    dock.form.method.quality.setCurrentIndex(dock.form.method.quality.findData("best"))
    dock.form.gaps.grow.setValue(3)
    before = to_parameters(dock.form.choices())
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    dock.form.show_choices(type(dock.form.choices())())
    assert to_parameters(dock.form.choices())["QUALITY"] == "default"
    project.clear()
    assert project.read(str(tmp_path / "project.qgz"))
    assert to_parameters(dock.form.choices()) == before


def test_settings_come_back_from_a_result(
    dock: Any, iface: Any, layers: Any, until: Callable, scene: dict[str, str]
) -> None:
    dock.form.method.model.setCurrentIndex(dock.form.method.model.findData("copy"))
    dock.form.gaps.grow.setValue(2)
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    result = dock.result["outputs"][0]
    iface.active = layers["other"]
    dock.load_from_active_layer()
    assert "was not filled by Terramend" in iface.said[-1][0]
    iface.active = QgsRasterLayer(result, "filled before")
    dock.form.show_choices(type(dock.form.choices())())
    dock.load_from_active_layer()
    assert iface.said[-1][0] == "Settings of filled before are loaded."
    choices = dock.form.choices()
    assert (choices.model, choices.grow) == ("copy", "2px")
    assert choices.target == (layers["target"],)
    assert choices.gaps[0].source is layers["mask"]
    assert choices.references[0].source is layers["other"]
    Path(scene["mask"]).unlink()
    QgsProject.instance().removeMapLayer(layers["mask"].id())
    dock.load_from_active_layer()
    assert "gone were left out" in iface.said[-1][0] and scene["mask"] in iface.said[-1][0]


def test_a_run_stands_in_the_history(dock: Any, until: Callable, history_command: Callable) -> None:
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    command = history_command()
    assert (
        command.startswith('processing.run("terramend:fillgaps"')
        and "boadella_2020-01-13_cloudmask.tif'" in command
    )


def test_the_batch_dialog_takes_the_choices(
    dock: Any, layers: Any, qgis_app: QgsApplication, batch_row: Callable
) -> None:
    dock.form.gaps.grow.setValue(1)
    click(dock.bar.batch)
    panel = dock.batch.mainWidget()
    parameters, ok = batch_row(panel, 0)
    assert ok
    assert parameters["TARGET"] == layers["target"].id()
    assert parameters["GAPS"] == [layers["mask"].source()]
    assert parameters["REFERENCES"] == [layers["other"].source()]
    assert (parameters["GROW"], parameters["MODEL"]) == ("1px", "auto")
    dock.batch.close()
    qgis_app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_where_qgis_has_another_batch_dialog_the_toolbox_is_named(
    dock: Any, iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no stable interface of QGIS."""
    monkeypatch.setitem(sys.modules, "processing.gui.BatchAlgorithmDialog", None)
    click(dock.bar.batch)
    sentence = "This QGIS has another batch dialog: open it in the Processing toolbox, at Fill gaps."
    assert iface.said == [(sentence, Qgis.MessageLevel.Warning)] and dock.batch is None


def test_a_batch_dialog_that_lies_in_a_window_of_its_own_shows_that(
    dock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As since QGIS 4.2."""
    from terramend.ui import history

    class Hosted(QWidget):
        def showWidget(self) -> None:  # noqa: N802
            self.window().show()

    window = QDialog()
    hosted = Hosted(window)
    monkeypatch.setattr(history, "batch_dialog", lambda *_: hosted)
    click(dock.bar.batch)
    assert window.isVisible() and hosted.isVisible()
    sip.delete(window)


def test_methods_are_those_of_the_backend(client: Any, qgis_app: QgsApplication) -> None:
    from terramend.ui.words.methods import METHODS

    rows = client.call_blocking("models", {})["models"]
    known = [(row["name"], row["title"], row["group"], tuple(row["modes"])) for row in rows]
    named = [(m.name, m.title, m.group, m.modes) for m in METHODS]
    assert [m for m in named if m[2] != "experimental"] == [r for r in known if r[2] != "experimental"]
    assert all(method in known for method in named)


def test_a_group_of_single_bands_is_a_target(dock: Any, scene: dict[str, str], tmp_path: Path) -> None:
    root = QgsProject.instance().layerTreeRoot()
    group = root.addGroup("LC08 scene")
    for number in (1, 2, 3):
        path = str(tmp_path / f"B{number}.tif")
        gdal.Translate(path, scene["target"], bandList=[number])
        layer = QgsRasterLayer(path, f"B{number}")
        QgsProject.instance().addMapLayer(layer, False)
        group.addLayer(layer)
    dock.form.target.chooser.set_item("Bands of group LC08 scene")
    assert [layer.name() for layer in dock.form.choices().target] == ["B1", "B2", "B3"]
    built = json.loads(json.dumps(_request(dock)))
    assert [Path(path).name for path in built["target"]] == ["B1.tif", "B2.tif", "B3.tif"]


def _request(dock: Any) -> dict[str, Any]:
    from terramend.ui.request_builder import build
    from terramend.ui.widgets.output import in_temporary_file

    built = build(in_temporary_file(dock.form.choices()))
    built.remove()
    return built.request


def test_a_layer_that_only_qgis_reads_is_converted_and_filled(
    dock: Any, iface: Any, layers: Any, computed: Callable, until: Callable
) -> None:
    scaled = computed(layers["target"], 0.0001)
    QgsProject.instance().addMapLayer(scaled)
    dock.form.target.chooser.set_item(scaled)
    until(lambda: "convert a layer first" in dock.bar.estimate.text())
    click(dock.bar.fill)
    until(lambda: dock.run is None)
    assert iface.said[-1][1] == Qgis.MessageLevel.Success, iface.said
    before, after = read(layers["target"].source())[0], read(dock.result["outputs"][0])
    hole = read(layers["mask"].source()) > 0
    assert np.allclose(after[~hole], before[~hole] * 0.0001, atol=1e-6)
    assert (after[hole] > 0).all()


def test_experimental_methods_are_offered_on_request(dock: Any, until: Callable) -> None:
    from terramend.ui import settings
    from terramend.ui.widgets.method import MethodBox

    box = MethodBox()
    rows = [
        {"name": "sure", "title": "Sure", "group": "space", "available": True, "modes": ["fill"]},
        {"name": "bold", "title": "Bold", "group": "experimental", "available": True, "modes": ["fill"]},
        {"name": "torch", "title": "T", "group": "network", "available": False, "missing": ["torch"], "modes": ["fill"]},
    ]  # fmt: skip
    box.show_methods(rows)
    assert box.model.findData("bold") < 0 < box.model.findData("sure")
    assert not box.model.model().item(box.model.findData("torch")).isEnabled()
    settings.put("experimental", True)
    box.show_methods(rows)
    box.model.setCurrentIndex(box.model.findData("bold"))
    heard: list[str] = []
    box.changed.connect(lambda: heard.append(box.values()["model"]))
    box.show_methods(rows)
    assert heard == [] and box.values()["model"] == "bold"
    ours = MethodBox().model  # before a backend has been asked
    assert ours.findData("de") > 0 and ours.findData("ddpm") > 0
    assert ours.findData("msda-cr") < 0  # it takes no gaps
    settings.put("experimental", False)
    assert MethodBox().model.findData("de") < 0
    box.show_methods(rows)
    assert heard == ["auto"], "what was said of the method that is gone holds no more"


def test_prompts_are_shown_and_what_is_typed_fills(
    experimental: None,
    dock: Any,
    iface: Any,
    scene: dict[str, str],
    until: Callable,
    tmp_path: Path,
    batch_row: Callable,
) -> None:
    method = dock.form.method
    until(lambda: method.model.findData("aligndiff") > 0 and "would be filled" in dock.bar.estimate.text())
    method.model.setCurrentIndex(method.model.findData("aligndiff"))

    def field(name: str) -> Any:  # asked anew: they are made again when the backend tells its methods
        return method.options.fields[name]

    def told(start: str) -> bool:
        return "prompt" in method.options.fields and field("prompt").placeholderText().startswith(start)

    until(lambda: told("<AlignDiff> Spain, 2020-01-13, 13, "))
    for name, text in (("region", "Catalonia"), ("samples", "1"), ("steps", "1")):
        field(name).setText(text)
        field(name).editingFinished.emit()
    until(lambda: told("<AlignDiff> Catalonia, "))
    dock.form.output.path.setFilePath(str(tmp_path / "drawn.tif"))
    click(dock.bar.fill)
    until(lambda: dock.run is None, 120)
    assert iface.said[-1][1] == Qgis.MessageLevel.Success, iface.said
    assert (dock.result["model"], dock.result["unfilled_samples"]) == ("aligndiff", 0)
    before, after, hole = read(scene["target"]), read(dock.result["outputs"][0]), read(scene["mask"]) > 0
    assert np.array_equal(before[:, ~hole], after[:, ~hole]) and (after[:, hole] > 0).all()
    click(dock.bar.batch)
    parameters, ok = batch_row(dock.batch.mainWidget(), 0)
    assert ok and parameters["MODEL"] == "aligndiff"
    assert set(parameters["SETTINGS"].split(";")) == {"region=Catalonia", "samples=1", "steps=1"}
    dock.batch.close()
    QgsApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_nothing_keeps_a_closed_dock_alive(
    iface: Any, client: Any, layers: Any, qgis_app: QgsApplication
) -> None:
    """What stayed would be collected when QGIS is gone, and take the process down."""
    from terramend.ui import client as module
    from terramend.ui.dock import TerramendDock

    tools = iface.mapCanvas().findChildren(QgsMapTool)
    made = TerramendDock(iface)
    known = weakref.ref(made), weakref.ref(made.comparison.swipe), weakref.ref(made.form)
    made.close_down()
    sip.delete(made)
    del made
    module.close()  # as the plugin does; calls under way know the dock
    qgis_app.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # PyQt's ends of the connections
    gc.collect()
    assert [reference() for reference in known] == [None, None, None]
    assert iface.mapCanvas().findChildren(QgsMapTool) == tools


def test_every_icon_is_a_resource() -> None:
    root = Path(__file__).resolve().parents[2]
    listed = (root / "resources.qrc").read_text()
    icons = sorted(path.name for path in (root / "ui" / "icons").glob("*.svg"))
    assert "terramend.svg" in icons
    for name in icons:
        assert f'<file alias="{name}">ui/icons/{name}</file>' in listed
