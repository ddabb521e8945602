"""The sections of the dock as layers come and go; no backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt import sip


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


def test_a_mask_of_another_date_that_is_removed_is_looked_for_again(
    form: Any, layers: Any, until: Callable
) -> None:
    told: list[list[str]] = []
    form.lost.connect(told.append)

    def row() -> Any:
        return next(row for row in form.references._rows if row.source is layers["other"])

    row().mask.setCurrentIndex(row().mask.findData(layers["other_mask"].id()))
    (reference,) = form.choices().references
    assert reference.mask.source is layers["other_mask"]
    QgsProject.instance().removeMapLayer(layers["other_mask"].id())
    (reference,) = form.choices().references
    assert reference.mask is None and row().mask.currentText() == "find beside"
    until(lambda: bool(told))
    assert told == [["other_mask"]]


def test_a_mask_that_is_a_file_stays(form: Any, layers: Any, scene: dict[str, str]) -> None:
    from dataclasses import replace

    from terramend.ui.choices import MaskChoice, ReferenceChoice

    mask = MaskChoice("/elsewhere/clouds.tif", "scl")
    form.show_choices(replace(form.choices(), references=(ReferenceChoice(layers["other"], mask),)))
    QgsProject.instance().removeMapLayer(layers["other_mask"].id())
    assert form.choices().references[0].mask == mask
