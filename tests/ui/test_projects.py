"""The dock as projects are saved, opened and begun."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import QgsProcessingUtils, QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtXml import QDomDocument


def test_choices_stay_in_their_project(dock: Any, tmp_path: Path) -> None:
    """No project inherits those of another."""
    project, box = QgsProject.instance(), dock.form.target
    other = QgsProject()
    assert other.write(str(tmp_path / "other.qgz"))
    sip.delete(other)
    for begin in (project.clear, lambda: project.read(str(tmp_path / "other.qgz"))):
        dock.form.output.path.setFilePath(str(tmp_path / "old.tif"))
        box.date.setText("2020-01-13")
        box.radiometry.setCurrentIndex(1)
        dock.form.gaps.swath.setChecked(True)
        begin()
        choices = dock.form.choices()
        assert (choices.date, choices.radiometry, choices.fill_swath_edges) == (None, "auto", False)
        assert dock.form.output.path.filePath() == "" and choices.std is not None
        assert choices.target == ()


def test_a_temporary_output_is_not_remembered(dock: Any, tmp_path: Path) -> None:
    from terramend.ui import project_state

    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    kept, _ = project.readEntry(project_state.SCOPE, project_state.KEY)
    assert QgsProcessingUtils.tempFolder() not in kept
    choices = project_state.load(project)
    assert choices.output == "" and choices.std and choices.provenance, "the extras stay ticked"


def test_files_move_with_their_project(dock: Any, layers: Any, scene: dict[str, str], tmp_path: Path) -> None:
    """As QGIS keeps its layers: relative to the project, so that the folder may be moved or sent."""
    project, old, new = QgsProject.instance(), Path(scene["target"]).parent, tmp_path / "moved"
    project.removeMapLayer(layers["mask"].id())
    dock.form.gaps.rows[0].chooser.set_item(scene["mask"])  # a file, no layer
    dock.form.output.path.setFilePath(str(old / "filled.tif"))
    assert project.write(str(old / "project.qgz"))
    project.clear()
    old.rename(new)
    assert project.read(str(new / "project.qgz"))
    choices = dock.form.choices()
    assert [layer.source() for layer in choices.target] == [str(new / Path(scene["target"]).name)]
    assert [mask.source for mask in choices.gaps] == [str(new / Path(scene["mask"]).name)]
    assert choices.output == str(new / "filled.tif")


def test_what_the_map_shows_is_still_that_when_the_project_comes_back(dock: Any, tmp_path: Path) -> None:
    project, extent = QgsProject.instance(), dock.form.output.extent
    for kind in ("visible", "whole"):
        extent.setCurrentIndex(extent.findData(kind))
        assert project.write(str(tmp_path / "project.qgz"))
        project.clear()
        assert extent.currentData() == "whole"
        assert project.read(str(tmp_path / "project.qgz"))
        assert extent.currentData() == kind


@pytest.mark.parametrize(
    "other",
    [
        {"GROW": 3}, {"DATE": 20240630}, {"STD": True}, {"GAPS": "mask"}, {"CLASSES": [1]}, {"SEED": "1"},
        {"REFERENCES": [""]}, {"MORE_BANDS": [""]},
    ],
)  # fmt: skip
def test_choices_of_another_version_leave_the_dock_as_it_is(dock: Any, other: dict[str, Any]) -> None:
    from terramend.ui import project_state

    project = QgsProject.instance()
    project_state.save(dock.form.remembered(), project)
    written = json.loads(project.readEntry("terramend", "/choices")[0])
    for text in (json.dumps([written]), json.dumps({**written, **other})):
        project.writeEntry("terramend", "/choices", text)
        assert project_state.load(project) is None
        project.readProject.emit(QDomDocument())
        heard: list[bool] = []
        dock.form.changed.connect(lambda heard=heard: heard.append(True))
        dock.form.gaps.swath.toggle()
        assert heard, "it still answers"


def test_a_method_that_is_not_offered_is_said(dock: Any, iface: Any) -> None:
    """Without a word the settings of a result would give another."""
    from terramend.ui import project_state

    project = QgsProject.instance()
    for method, says in (("harmonic", False), ("ddpm", True)):
        iface.said.clear()
        project_state.save(replace(dock.form.remembered(), model=method), project)
        project.readProject.emit(QDomDocument())
        assert dock.form.choices().model == ("auto" if says else method)
        assert [text.startswith("ddpm is not offered") for text, _ in iface.said] == [True] * says


def test_a_widening_that_cannot_be_shown_is_said(dock: Any, iface: Any, until: Callable) -> None:
    from terramend.ui import project_state

    project = QgsProject.instance()
    project_state.save(replace(dock.form.remembered(), grow="far", std=None), project)
    project.readProject.emit(QDomDocument())
    until(lambda: "Widen by: 'far' is no distance" in dock.bar.estimate.text())
    dock.form.gaps.grow.setValue(2)
    assert dock.form.choices().grow == "2px" and dock.form.choices().std is None


def test_a_sun_that_cannot_be_read_costs_nothing_else(
    dock: Any, iface: Any, tmp_path: Path, until: Callable
) -> None:
    dock.form.target.sun.setText("noon")
    dock.form.gaps.grow.setValue(7)
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "project.qgz"))
    assert iface.said[-1][0].startswith("Sun: give azimuth")
    project.clear()
    assert project.read(str(tmp_path / "project.qgz"))
    choices = dock.form.choices()
    assert (choices.grow, [layer.name() for layer in choices.target]) == ("7px", ["target"])


def test_settings_that_are_loaded_keep_their_extent(
    dock: Any, iface: Any, layers: Any, until: Callable, tmp_path: Path
) -> None:
    canvas, box = iface.mapCanvas(), layers["target"].extent()
    canvas.setDestinationCrs(layers["target"].crs())
    half = layers["target"].extent()
    half.setXMaximum(half.center().x())
    canvas.setExtent(half)
    filled = dock.form.output.visible_extent()
    dock.form.output.follow_map()
    dock.form.output.path.setFilePath(str(tmp_path / "half.tif"))
    dock.bar.fill.click()
    until(lambda: dock.run is None)
    canvas.setExtent(box.buffered(1))
    (iface.active,) = QgsProject.instance().mapLayersByName("filled, target")
    dock.load_from_active_layer()
    assert dock.form.choices().extent.toString(5) == filled.toString(5)
    iface.said.clear()
    dock.form.output.path.setFilePath("name")
    dock.bar.fill.click()
    assert dock.run is None and "names no folder" in iface.said[-1][0]
    dock.form.output.extent.setCurrentIndex(dock.form.output.extent.findData("inside"))
    dock.form.output.path.setFilePath("")
    dock.bar.fill.click()
    assert dock.run is None and "choose their layer" in iface.said[-1][0]


def test_what_a_result_cannot_give_back_is_said(layers: Any, scene: dict[str, str], tmp_path: Path) -> None:
    """Made by the command line with two masks of one date and a mask that is gone."""
    from terramend.ui.project_state import TAG, from_layer

    gone, inside = str(tmp_path / "gone.tif"), "/vsizip/folder/other.zip/a.tif"
    request = {
        "target": [scene["target"]],
        "gaps": [{"path": inside}, {"path": 'NETCDF:"folder/a.nc":mask'}],
        "references": [
            {"path": scene["other"], "masks": [{"path": scene["other_mask"]}, {"path": scene["mask"]}]},
            {"path": scene["truth"], "masks": [{"path": gone}]},
        ],
    }
    path = str(tmp_path / "filled.tif")
    gdal.Translate(path, scene["target"], metadataOptions=[f"{TAG}={json.dumps(request)}"])
    choices, losses = from_layer(QgsRasterLayer(path, "filled"), QgsProject.instance())
    assert [other.mask and other.mask.source for other in choices.references] == [layers["other_mask"], None]
    assert [mask.source for mask in choices.gaps] == [inside, 'NETCDF:"folder/a.nc":mask'], "GDAL's own names"
    assert losses[0] == f"Files that are gone were left out: {gone}"
    assert losses[1].endswith(f"its further masks were left out: {scene['mask']}") and len(losses) == 2


def test_a_layer_without_settings_is_said_also_where_gdal_raises(dock: Any, iface: Any, layers: Any) -> None:
    """Other plugins ask GDAL for exceptions."""
    had = gdal.GetUseExceptions()
    gdal.UseExceptions()
    try:
        layer = QgsRasterLayer("type=xyz&url=https://example.invalid/{z}/{x}/{y}.png", "street map", "wms")
        for iface.active in (layers["target"], layer):
            dock.load_from_active_layer()
            assert iface.said[-1][0] == f"The layer {iface.active.name()} was not filled by Terramend."
    finally:
        if not had:
            gdal.DontUseExceptions()
