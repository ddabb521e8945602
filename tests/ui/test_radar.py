"""Align-CR and a radar layer, clicked in the dock and run from the toolbox, with a real backend, on a real triplet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

gdal.UseExceptions()
ALTERED = 5


@pytest.fixture
def triplet(data_pack: Path, tmp_path: Path) -> dict[str, str]:
    """Paths of a cloudy image, its cloud probability and its radar."""
    found = {}
    for word in ("cloudy", "cloudprob", "s1"):
        found[word] = str(tmp_path / f"{word}.tif")
        name = f"sen12mscr_sample_2729_{word}.tif"
        shutil.copy(data_pack / "val" / "s1_s2_triplets" / name, found[word])
    return found


@pytest.fixture
def dock(
    qgis_iface: Any, qgis_new_project: None, triplet: dict[str, str], client: Any, provider: Any
) -> Iterator[Any]:
    """A dock in which all three are chosen."""
    from terramend.ui.dock import TerramendDock

    layers = {word: QgsRasterLayer(path, word) for word, path in triplet.items()}
    QgsProject.instance().addMapLayers(list(layers.values()))
    made = TerramendDock(qgis_iface)
    made.show()
    made.form.target.chooser.set_item(layers["cloudy"])
    made.form.gaps.rows[0].chooser.set_item(layers["cloudprob"])
    made.form.guides.sar.set_item(layers["s1"])
    yield made
    made.close_down()
    sip.delete(made)


def read(path: str) -> Any:
    return gdal.Open(path).ReadAsArray()


def test_a_click_fills_with_radar(
    dock: Any, triplet: dict[str, str], until: Callable, tmp_path: Path
) -> None:
    box = dock.form.method.model
    until(lambda: bool(dock.form.method._options))
    box.setCurrentIndex(box.findData("align-cr"))
    assert "upsampling" in dock.form.method.options.fields
    dock.form.output.path.setFilePath(str(tmp_path / "filled.tif"))
    QTest.mouseClick(dock.bar.fill, Qt.MouseButton.LeftButton)
    until(lambda: dock.run is None)
    assert dock.result["model"] == "align-cr" and dock.result["unfilled_samples"] == 0
    before, after = read(triplet["cloudy"]), read(dock.result["outputs"][0])
    hole = read(dock.result["provenance"])[0] != 0
    assert 0.005 < hole.mean() < 0.5 and np.array_equal(before[:, ~hole], after[:, ~hole])
    assert (before[:, hole] != after[:, hole]).mean() > 0.9


def test_thin_cloud_goes_with_radar(
    qgis_new_project: None, triplet: dict[str, str], client: Any, provider: Any, tmp_path: Path
) -> None:
    import processing

    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    values = {
        "TARGET": triplet["cloudy"], "SAR": triplet["s1"], "MODEL": "align-cr",
        "OUTPUT": str(tmp_path / "clear.tif"), "PROVENANCE": str(tmp_path / "prov.tif"),
    }  # fmt: skip
    found = processing.run("terramend:removethincloud", values, context=context)
    assert found["MODEL_USED"] == "align-cr"
    before, after = read(triplet["cloudy"]), read(found["OUTPUT"])
    assert (before != after).mean() > 0.9
    assert (read(found["PROVENANCE"])[0] == ALTERED).all()
