"""Terrain channels against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from terramend.backend.evaluation.terrain import channels
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.scene.guides import open_guide
from terramend.backend.raster.scene.terrain import TerrainReader
from terramend.backend.watch import Watch


def test_a_slope_towards_the_sun() -> None:
    y, x = np.mgrid[:20, :20]
    east = (-x * 10 * np.tan(np.radians(30))).astype(np.float32)  # falls towards the east at 30 degrees
    made = channels(east, (10.0, 10.0), (90.0, 60.0))
    assert made is not None
    inner = made[:, 2:-2, 2:-2]
    np.testing.assert_allclose(inner[1], np.radians(30), atol=1e-5)
    np.testing.assert_allclose(inner[2], 1.0, atol=1e-5)  # the sun stands on its normal
    south = channels((-y * 10 * np.tan(np.radians(20))).astype(np.float32), (10.0, 10.0), (180.0, 70.0))
    assert south is not None and south[2, 10, 10] == pytest.approx(1.0, abs=1e-5)


def test_flat_ground_and_no_sun() -> None:
    made = channels(np.full((5, 5), 7.0, np.float32), (30.0, 30.0), (140.0, 30.0))
    assert made is not None
    np.testing.assert_allclose(made[2], 0.5, atol=1e-6)
    dark = channels(np.full((5, 5), 7.0, np.float32), (30.0, 30.0), None)
    assert dark is not None and np.isnan(dark[2]).all()
    assert channels(None, (10.0, 10.0), None) is None


def test_cases_have_the_terrain_that_a_fill_has(tmp_path: Path) -> None:
    height = np.random.default_rng(1).uniform(100, 400, (40, 50)).astype(np.float32)
    height[10:13, 20] = np.nan
    target = Grid(CRS.from_epsg(32632).to_wkt(), (20.0, 0.0, 5e5 - 500, 0.0, -20.0, 5e6), 50, 40)
    path = str(tmp_path / "dem.tif")
    profile = {"width": 50, "height": 40, "count": 1, "dtype": "float32", "nodata": np.nan}
    transform = rasterio.Affine(*target.transform)
    with rasterio.open(path, "w", driver="GTiff", crs=32632, transform=transform, **profile) as file:
        file.write(height, 1)
    with TerrainReader(open_guide(path, target, "--dem", Watch()), target, (150.0, 40.0)) as reader:
        found = reader.read(target.whole)
    made = channels(height, (20.0, 20.0), (150.0, 40.0))
    np.testing.assert_allclose(made, found, atol=1e-5)
