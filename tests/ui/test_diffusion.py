"""Diffusion Enhancement on the clouded sample: shell, toolbox and dock write the same pixels."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

gdal.UseExceptions()
ROOT = Path(__file__).resolve().parents[2]
CLOUDY = ROOT / "sample" / "cloudy"


def read(path: str) -> Any:
    return gdal.Open(path).ReadAsArray()


@pytest.fixture
def clouded(tmp_path: Path) -> dict[str, str]:
    """A part of the clouded sample under broken cloud, and its quality band."""
    made = {}
    for key, name in (("target", "landsat8_cloudy"), ("mask", "landsat8_cloudy_BQA")):
        made[key] = str(tmp_path / f"{name}.tif")
        gdal.Translate(made[key], str(CLOUDY / f"{name}.tif"), srcWin=[60, 60, 120, 100])
    return made


def shell(python: str, mode: str, out: Path, *words: str) -> Any:
    """What the command line writes."""
    command = [
        python,
        str(ROOT / "backend" / "launch.py"),
        mode,
        *words,
        "--model",
        "de",
        "--quality",
        "fast",
    ]
    subprocess.run([*command, "-o", str(out)], check=True, capture_output=True)
    return read(str(out))


def test_gaps(
    clouded: dict[str, str], client: Any, provider: Any, backend_python: str, qgis_new_project: None,
    qgis_iface: Any, until: Callable, tmp_path: Path,
) -> None:  # fmt: skip
    import processing
    from terramend.ui import settings
    from terramend.ui.dock import TerramendDock

    expected = shell(backend_python, "fill", tmp_path / "a.tif", clouded["target"], "--gaps", clouded["mask"])
    before = read(clouded["target"])
    assert 0.02 < (expected != before).any(0).mean() < 0.98

    given = {"TARGET": clouded["target"], "GAPS": [clouded["mask"]], "MODEL": "de", "QUALITY": "fast"}
    result = processing.run("terramend:fillgaps", {**given, "OUTPUT": str(tmp_path / "b.tif")})
    assert result["MODEL_USED"] == "de" and np.array_equal(read(str(tmp_path / "b.tif")), expected)

    layers = {key: QgsRasterLayer(path, key) for key, path in clouded.items()}
    QgsProject.instance().addMapLayers(list(layers.values()))
    settings.put("experimental", True)
    dock = TerramendDock(qgis_iface)
    try:
        dock.show()
        dock.form.target.chooser.set_item(layers["target"])
        dock.form.gaps.rows[0].chooser.set_item(layers["mask"])
        method = dock.form.method
        method.model.setCurrentIndex(method.model.findData("de"))
        method.quality.setCurrentIndex(method.quality.findData("fast"))
        dock.form.output.path.setFilePath(str(tmp_path / "c.tif"))
        until(lambda: dock.bar.fill.isEnabled())
        QTest.mouseClick(dock.bar.fill, Qt.MouseButton.LeftButton)
        until(lambda: dock.run is None)
        assert dock.result["model"] == "de"
        assert np.array_equal(read(str(tmp_path / "c.tif")), expected)
        group = QgsProject.instance().layerTreeRoot().findGroup("target, filled")
        assert group.children()[-1].name() == "filled, target"
    finally:
        settings.put("experimental", False)
        dock.close_down()
        dock.deleteLater()


def test_thin_cloud(
    clouded: dict[str, str], client: Any, provider: Any, backend_python: str, tmp_path: Path
) -> None:
    import processing

    expected = shell(backend_python, "clear", tmp_path / "a.tif", clouded["target"])
    given = {"TARGET": clouded["target"], "MODEL": "de", "QUALITY": "fast"}
    result = processing.run("terramend:removethincloud", {**given, "OUTPUT": str(tmp_path / "b.tif")})
    made, before = read(str(tmp_path / "b.tif")), read(clouded["target"])
    assert result["MODEL_USED"] == "de" and np.array_equal(made, expected)
    assert (made[:3] != before[:3]).mean() > 0.5 and np.array_equal(made[3], before[3])
