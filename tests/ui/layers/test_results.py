"""Styles and legends of the results."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, gdal_array
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDateTimeRange,
    QgsLayerTreeModel,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
)
from qgis.gui import QgsLayerTreeView
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDateTime
from qgis.PyQt.QtGui import QColor
from terramend.ui.layers.results import BEFORE, Subject, add_results, earlier_results, remove_results
from terramend.ui.layers.styles import provenance_legend, style_filled, style_provenance, style_std

gdal.UseExceptions()
Limits = QgsRasterMinMaxOrigin.Limits


def limits(layer: QgsRasterLayer) -> list[tuple[float, float]]:
    renderer = layer.renderer()
    enhancements = (
        renderer.redContrastEnhancement(),
        renderer.greenContrastEnhancement(),
        renderer.blueContrastEnhancement(),
    )
    return [(e.minimumValue(), e.maximumValue()) for e in enhancements]


def test_the_legend_names_every_source(backend_python: str) -> None:
    code = (
        "import json; from terramend.models.base import Source; print(json.dumps([int(s) for s in Source]))"
    )
    found = subprocess.run([backend_python, "-c", code], capture_output=True, text=True, check=True)
    assert [code for code, _, _ in provenance_legend()] == json.loads(found.stdout)
    assert len({name for _, name, _ in provenance_legend()}) == len(provenance_legend())


def test_an_automatic_stretch_is_made_for_the_filled_scene_and_shared(
    target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    assert target.renderer().minMaxOrigin().limits() != Limits.None_
    filled = QgsRasterLayer(scene["other"], "filled")
    before = limits(target)
    style_filled(filled, target, share=True)
    assert limits(filled) == limits(target) != before
    assert filled.renderer().minMaxOrigin().limits() == Limits.None_


def test_a_stretch_set_by_hand_is_kept(target: QgsRasterLayer, scene: dict[str, str]) -> None:
    renderer = target.renderer()
    renderer.setRedBand(4)
    for enhancement in (renderer.redContrastEnhancement(), renderer.greenContrastEnhancement()):
        enhancement.setMinimumValue(300)
        enhancement.setMaximumValue(2100)
    origin = QgsRasterMinMaxOrigin()
    origin.setLimits(Limits.None_)
    renderer.setMinMaxOrigin(origin)
    before = limits(target)
    filled = QgsRasterLayer(scene["other"], "filled")
    style_filled(filled, target, share=True)
    assert limits(filled) == limits(target) == before
    assert filled.renderer().redBand() == 4


def test_what_is_said_of_the_target_is_not_said_of_its_fill(
    target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    """Its date holds for both; a note, and what other plugins keep with a layer, for the one alone."""
    day = QgsDateTimeRange(QDateTime(2020, 1, 13, 0, 0, 0), QDateTime(2020, 1, 14, 0, 0, 0))
    target.temporalProperties().setFixedTemporalRange(day)
    target.temporalProperties().setIsActive(True)
    target.setOpacity(0.5)
    target.setCustomProperty("userNotes", "<p>half of it is cloud</p>")
    target.setCustomProperty("another plugin/id", 7)
    filled = QgsRasterLayer(scene["other"], "filled")
    own = filled.customPropertyKeys()
    style_filled(filled, target)
    assert filled.temporalProperties().isActive()
    assert filled.temporalProperties().fixedTemporalRange() == day
    assert filled.opacity() == 0.5
    assert filled.customPropertyKeys() == own


@pytest.mark.parametrize(
    ("style", "kind"), [(style_std, "singlebandpseudocolor"), (style_provenance, "paletted")]
)
def test_what_lies_over_a_fill_is_of_its_time(
    style: Any, kind: str, target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    """Else the temporal controller would show it on all dates."""
    day = QgsDateTimeRange(QDateTime(2020, 1, 13, 0, 0, 0), QDateTime(2020, 1, 14, 0, 0, 0))
    target.temporalProperties().setFixedTemporalRange(day)
    target.temporalProperties().setIsActive(True)
    layer = QgsRasterLayer(scene["mask"], "layer")
    style(layer, target)
    assert layer.temporalProperties().isActive()
    assert layer.temporalProperties().fixedTemporalRange() == day
    assert layer.renderer().type() == kind


def test_other_band_counts_keep_their_own_style(target: QgsRasterLayer, scene: dict[str, str]) -> None:
    mask = QgsRasterLayer(scene["mask"], "mask")
    kind = mask.renderer().type()
    style_filled(mask, target)
    assert mask.renderer().type() == kind


def test_what_was_no_layer_is_shown_in_the_colours_of_its_file(qgis_app: Any, tmp_path: Path) -> None:
    """A product's bands stand by their wavelengths, blue first."""
    path, values = str(tmp_path / "filled.tif"), np.arange(4800, dtype=np.uint16).reshape(4, 30, 40)
    gdal_array.SaveArray(values, path)
    made = gdal.Open(path, gdal.GA_Update)
    for band, colour in enumerate((gdal.GCI_BlueBand, gdal.GCI_GreenBand, gdal.GCI_RedBand), 1):
        made.GetRasterBand(band).SetColorInterpretation(colour)
    del made
    layer = QgsRasterLayer(path, "filled")
    style_filled(layer, None)
    renderer = layer.renderer()
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
    stretch = renderer.redContrastEnhancement()
    assert 2400 <= stretch.minimumValue() < stretch.maximumValue() < 3600, "that of the band it shows"
    std = str(tmp_path / "std.tif")
    gdal_array.SaveArray(values.astype("float32"), std)
    found = add_results(
        {"outputs": [path], "stds": [std]}, Subject("product", "", False), "made", QgsProject.instance()
    )
    assert found[1].renderer().usesBands() == [3], "what the map shows first"
    remove_results([layer.id() for layer in found], QgsProject.instance())


def test_std_runs_from_clear_to_the_98th_percentile(
    target: QgsRasterLayer, scene: dict[str, str], tmp_path: Any
) -> None:
    values = gdal.Open(scene["target"]).ReadAsArray()[0].astype("float32")
    values[values < 900] = 0
    values[5, 5] = 1234567  # one wild pixel must not set the scale
    path = str(tmp_path / "std.tif")
    made = gdal.GetDriverByName("GTiff").Create(path, values.shape[1], values.shape[0], 1, gdal.GDT_Float32)
    made.GetRasterBand(1).WriteArray(values)
    del made
    layer = QgsRasterLayer(path, "std")
    style_std(layer)
    renderer = layer.renderer()
    assert renderer.type() == "singlebandpseudocolor"
    assert renderer.classificationMin() == 0
    assert renderer.classificationMax() < 1e5
    assert renderer.classificationMax() == float(f"{renderer.classificationMax():.3g}"), "legends are read"
    assert renderer.rasterTransparency().transparentSingleValuePixelList()[0].percentTransparent == 100


def test_std_is_that_of_the_band_the_target_shows_first(
    target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    target.renderer().setRedBand(3)
    layer = QgsRasterLayer(scene["truth"], "std")  # as many bands, zero outside the hole
    style_std(layer, target)
    assert layer.renderer().usesBands() == [3]
    style_std(layer, QgsRasterLayer(scene["mask"], "of one band"))
    assert layer.renderer().usesBands() == [1]


def test_provenance_is_named(scene: dict[str, str], qgis_app: Any) -> None:
    layer = QgsRasterLayer(scene["mask"], "provenance")
    style_provenance(layer)
    renderer = layer.renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    named = {item.value: (item.label, item.color) for item in renderer.classes()}
    assert named[1] == ("other dates", QColor("#1b9e77"))
    assert named[0][1].alpha() == 0


def test_a_result_stands_above_its_target_in_the_same_group(
    target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    root = QgsProject.instance().layerTreeRoot()
    inner = root.addGroup("inner")
    node = root.findLayer(target.id())
    inner.addChildNode(node.clone())
    root.removeChildNode(node)
    masks = [scene["mask"], scene["other_mask"]]
    result = {"outputs": [scene["other"], scene["truth"]], "std": scene["other"], "provenance": masks[0]}
    result.update(stds=[scene["other"], scene["truth"]], provenances=masks)
    layers = add_results(result, Subject("target", target.id(), False), "made", QgsProject.instance())
    assert [child.name() for child in inner.children()] == ["made", "target"]
    assert [layer.name() for layer in layers] == [
        "filled, target",
        "filled, boadella_2020-01-13_truth_in_hole",
        "uncertainty, target",
        "uncertainty, boadella_2020-01-13_truth_in_hole",
        "provenance, target",
        "provenance, boadella_2020-01-28_cloudmask",
    ]
    assert all(isinstance(layer.renderer(), QgsPalettedRasterRenderer) for layer in layers[4:])
    assert layers[0].customProperty(BEFORE) == target.id()


def replace(path: str, by: str, times: int = 1) -> None:
    """Put another file in a file's place, as a run does; its values may be multiplied."""
    shutil.copy(by, f"{path}.new")
    dataset = gdal.Open(f"{path}.new", gdal.GA_Update)
    dataset.WriteArray(dataset.ReadAsArray() * times)
    del dataset
    Path(f"{path}.aux.xml").unlink(missing_ok=True)
    Path(f"{path}.new").replace(path)


@pytest.fixture
def result(scene: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """A run's answer, without a provenance; its files are the sample's."""
    paths = {"outputs": [str(tmp_path / "filled.tif")], "stds": [str(tmp_path / "std.tif")]}
    replace(paths["outputs"][0], scene["other"])
    replace(paths["stds"][0], scene["truth"])
    return paths


def test_layers_of_a_target_that_is_filled_again_stay_as_they_were_made(
    target: QgsRasterLayer, scene: dict[str, str], result: dict[str, Any]
) -> None:
    project, subject = QgsProject.instance(), Subject("target", target.id(), False)
    root = project.layerTreeRoot()
    filled, std = add_results(result, subject, "made", project)
    filled.setName("my own")
    filled.setOpacity(0.5)
    filled.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    filled.dataProvider().setUseSourceNoDataValue(1, False)
    filled.renderer().setRedBand(4)
    std.renderer().setClassificationMax(7)
    root.findLayer(filled.id()).setItemVisibilityChecked(False)
    std_node = root.findLayer(std.id())
    std_node.parent().insertChildNode(-1, std_node.clone())  # below the filled layer
    std_node.parent().removeChildNode(std_node)
    for path, by in ((result["outputs"][0], scene["truth"]), (result["stds"][0], scene["other"])):
        replace(path, by)
    result["provenances"] = [scene["mask"]]
    assert earlier_results(result, subject, project) == []
    again = add_results(result, subject, "made anew", project)
    assert again[:2] == [filled, std]
    assert (filled.name(), filled.opacity(), filled.crs().authid()) == ("my own", 0.5, "EPSG:32631")
    assert not filled.dataProvider().useSourceNoDataValue(1)
    assert (filled.renderer().redBand(), std.renderer().classificationMax()) == (4, 7)
    (group,) = [child for child in root.children() if child.name().startswith("made")]
    assert [node.name() for node in group.children()] == [
        "provenance, target",
        "my own",
        "uncertainty, target",
    ]
    assert not root.findLayer(filled.id()).isVisible()
    for layer in (filled, std):
        values = gdal.Open(layer.source()).ReadAsArray()[0]
        assert layer.dataProvider().bandStatistics(1).maximumValue == values.max()


def test_the_legend_of_an_uncertainty_says_what_it_is_in(
    target: QgsRasterLayer, scene: dict[str, str]
) -> None:
    layer = QgsRasterLayer(scene["other"])
    style_std(layer, target)
    for each in (layer, layer.clone()):
        legend = each.renderer().shader().rasterShaderFunction().legendSettings()
        assert legend.suffix() == " (raster's values)"


def test_the_ramp_of_an_uncertainty_follows_its_values_until_it_is_changed(
    target: QgsRasterLayer, scene: dict[str, str], result: dict[str, Any]
) -> None:
    project, subject = QgsProject.instance(), Subject("target", target.id(), False)
    _, std = add_results(result, subject, "made", project)
    std.setOpacity(0.5)
    before = std.renderer().classificationMax()
    replace(result["stds"][0], scene["truth"], times=3)
    add_results(result, subject, "made", project)
    assert std.renderer().classificationMax() == pytest.approx(3 * before, rel=0.02)
    assert std.opacity() == 0.5


def test_the_ramp_of_an_uncertainty_is_made_for_what_was_filled(qgis_app: Any, tmp_path: Path) -> None:
    """Nearly all is valid, where it is 0, and a few of the filled pixels stick out."""
    path, values = str(tmp_path / "std.tif"), np.zeros((100, 100), np.float32)
    values[:10] = np.linspace(0.001, 1, 1000).reshape(10, 100)
    values[0, 0] = 1.2
    gdal_array.SaveArray(values, path)
    layer = QgsRasterLayer(path, "std")
    style_std(layer)
    assert layer.renderer().classificationMax() == pytest.approx(0.98, abs=0.01)


def test_an_uncertainty_that_is_nowhere_known_has_a_legend(qgis_app: Any, tmp_path: Path) -> None:
    """As under a fill by a method that states none, where all was gap."""
    path = str(tmp_path / "std.tif")
    gdal_array.SaveArray(np.full((20, 20), np.nan, np.float32), path)
    layer = QgsRasterLayer(path, "std")
    style_std(layer)
    assert layer.renderer().classificationMax() == 1


def test_bands_that_are_no_group_have_their_results_above_the_first(
    target: QgsRasterLayer, result: dict[str, Any]
) -> None:
    add_results(result, Subject("2 bands from target", target.id(), True), "made", QgsProject.instance())
    names = [node.name() for node in QgsProject.instance().layerTreeRoot().children()]
    assert names == ["made", "target"]


def test_a_layer_that_was_added_by_hand_shows_the_new_pixels(
    target: QgsRasterLayer, scene: dict[str, str], result: dict[str, Any]
) -> None:
    path = result["outputs"][0]
    mine = QgsRasterLayer(path, "mine")
    QgsProject.instance().addMapLayer(mine)
    before = mine.dataProvider().bandStatistics(1).maximumValue
    replace(path, scene["truth"])
    filled, _ = add_results(result, Subject("target", target.id(), False), "made", QgsProject.instance())
    now = mine.dataProvider().bandStatistics(1).maximumValue
    assert now == gdal.Open(path).ReadAsArray()[0].max() != before
    assert mine.name() == "mine" and filled is not mine


def test_layers_of_another_target_do_not_stay(
    target: QgsRasterLayer, scene: dict[str, str], result: dict[str, Any]
) -> None:
    project = QgsProject.instance()
    old = [layer.id() for layer in add_results(result, Subject("target", target.id(), False), "A", project)]
    replace(result["stds"][0], scene["truth"], times=3)
    other = QgsRasterLayer(scene["other"], "other")
    project.addMapLayer(other)
    subject = Subject("other", other.id(), False)
    outdated = earlier_results(result, subject, project)
    assert sorted(outdated) == sorted(old)
    _, std = add_results(result, subject, "B", project)
    remove_results(outdated, project)
    assert not set(old) & set(project.mapLayers()) and std.id() in project.mapLayers()
    assert [group.name() for group in project.layerTreeRoot().findGroups()] == ["B"]
    assert not Path(f"{std.source()}.aux.xml").exists(), "they would be those of the old pixels"


def test_the_group_of_a_second_result_is_open_in_the_tree(
    target: QgsRasterLayer, scene: dict[str, str], result: dict[str, Any], qgis_app: Any
) -> None:
    project, subject = QgsProject.instance(), Subject("target", target.id(), False)
    view = QgsLayerTreeView()
    model = QgsLayerTreeModel(project.layerTreeRoot(), view)
    view.setModel(model)
    view.resize(300, 900)
    view.show()
    for title, outputs in (("A", [scene["truth"]]), ("B", result["outputs"])):
        for _ in range(50):
            qgis_app.processEvents()
        add_results({"outputs": outputs}, subject, title, project)
        group = project.layerTreeRoot().findGroup(title)
        assert view.isExpanded(view.node2index(group)), title
    sip.delete(view)  # while the tree that it shows is there
