"""Terrain channels against closed forms, on any grid, exact at tile edges."""

import math

import makers
import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.scene.guides import open_guide
from terramend.backend.raster.scene.terrain import TerrainReader
from terramend.backend.watch import Watch

CRS = rasterio.crs.CRS.from_epsg(32632).to_wkt()
SUN = (130.0, 35.0)


def grid(size=10.0, side=60, angle=0.0, left=makers.LEFT, top=makers.TOP):
    affine = Affine.translation(left, top) @ Affine.rotation(angle) @ Affine.scale(size, -size)
    return Grid(CRS, tuple(affine)[:6], side, side)


def plane(tmp_path, east, north, size=10.0, side=200, name="dem.tif", dtype=np.float32):
    """A DEM that rises by `east` and `north` metres per metre."""
    rows, columns = np.mgrid[:side, :side]
    height = 2000 + east * (columns - 50) * size - north * (rows - 50) * size
    return makers.write(
        tmp_path / name, height.astype(dtype), size, left=makers.LEFT - 50 * size, top=makers.TOP + 50 * size
    )


def illumination(east, north, sun=SUN):
    azimuth, elevation = map(math.radians, sun)
    normal = np.array([-east, -north, 1]) / math.sqrt(1 + east**2 + north**2)
    towards = np.array([math.sin(azimuth), math.cos(azimuth)]) * math.cos(elevation)
    return float(normal @ [*towards, math.sin(elevation)])


@pytest.mark.parametrize("angle", [0.0, 25.0, 180.0])
@pytest.mark.parametrize(("east", "north"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (-0.25, 0.4)])
def test_a_plane_has_its_slope_and_illumination(tmp_path, east, north, angle):
    target = grid(angle=angle, left=makers.LEFT + 300, top=makers.TOP - 300)
    dem = open_guide(plane(tmp_path, east, north), target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        height, slope, light = reader.read(target.whole)
    assert np.abs(slope - math.atan(math.hypot(east, north))).max() < 2e-3
    latitude, longitude = target.centre  # of the zone whose middle is 9 degrees east
    convergence = math.degrees(
        math.atan(math.tan(math.radians(longitude - 9)) * math.sin(math.radians(latitude)))
    )
    assert np.abs(light - illumination(east, north, (SUN[0] - convergence, SUN[1]))).max() < 1e-4
    rise = (height[0, -1] - height[0, 0]) / (59 * 10)
    turned = math.radians(angle)
    assert rise == pytest.approx(east * math.cos(turned) + north * math.sin(turned), abs=1e-3)


@pytest.mark.parametrize("longitude", [-45.0, 45.0, 100.0, -170.0])
def test_light_comes_from_where_the_sun_stands_in_a_polar_projection(tmp_path, longitude):
    """Of a dome around the pole every slope faces away from north; seen in degrees it falls southwards."""
    polar = rasterio.crs.CRS.from_epsg(3413)
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", polar, [longitude], [70.0])
    target = Grid(polar.to_wkt(), (30.0, 0, x - 900, 0, -30.0, y + 900), 60, 60)
    rows, columns = np.mgrid[:100, :100]
    east, north = x - 1500 + 30 * (columns + 0.5), y + 1500 - 30 * (rows + 0.5)
    height = (0.3 * (np.hypot(x, y) - np.hypot(east, north)) + 1000).astype(np.float32)
    path = makers.write(tmp_path / "dem.tif", height, 30, crs=polar, left=x - 1500, top=y + 1500)
    dem = open_guide(path, target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        light = reader.read(target.whole)[2]
    assert np.abs(light - illumination(0.0, 0.3)).max() < 0.01


def test_windows_agree_and_coarse_dems_have_no_facets(tmp_path):
    rows, columns = np.mgrid[:40, :40]
    height = (500 + 80 * np.sin(columns / 3) * np.cos(rows / 4)).astype(np.float32)
    path = makers.write(tmp_path / "dem.tif", height, 90, left=makers.LEFT - 1000, top=makers.TOP + 1000)
    target = grid(side=120)
    dem = open_guide(path, target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        whole = reader.read(target.whole)
        part = reader.read(Window(37, 50, 41, 13))
    assert part.tobytes() == whole[:, 37:78, 50:63].tobytes()
    steps = np.abs(np.diff(whole[1], axis=1))
    assert steps.max() < 0.05 * (whole[1].max() - whole[1].min())  # no jumps where DEM pixels meet


def test_voids_edges_and_no_sun(tmp_path):
    height = np.full((60, 60), 100, np.int16)
    height[:, 30:] += np.arange(30, dtype=np.int16) * 10
    height[20, 20] = -32768
    target = grid()
    watch = Watch()
    dem = open_guide(makers.write(tmp_path / "dem.tif", height), target, "--dem", watch)
    with TerrainReader(dem, target, None) as reader:
        found = reader.read(target.whole)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:2, 20, 20]).all()
    assert np.isfinite(found[:2]).sum() == 2 * (3600 - 1)  # neighbours of voids and edges use one side
    assert found[1, 5, 59] == pytest.approx(math.atan(1.0))
    assert found[1, 20, 19] == 0


def test_undeclared_voids_are_no_ground(tmp_path):
    height = np.full((60, 60), 100, np.float32)
    height[20, 20], height[30, 30], height[40, 40] = -32768, -3.4028235e38, -9999
    target = grid()
    dem = open_guide(makers.write(tmp_path / "dem.tif", height), target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        found = reader.read(target.whole)
    assert np.isnan(found[0]).sum() == 3 and np.nanmax(found[1]) == 0


@pytest.mark.parametrize("void", [-9999, -32767, -32768])
def test_few_undeclared_voids_between_whole_numbers_are_no_ground(tmp_path, void):
    height = np.full((300, 300), 100, np.int16)
    height[:3, :3] = void
    target = grid()
    dem = open_guide(makers.write(tmp_path / "dem.tif", height), target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        found = reader.read(target.whole)
    assert np.isnan(found[0]).sum() == 9 and np.nanmax(found[1]) == 0


@pytest.mark.parametrize("unit", ["ft", "US survey foot"])
def test_feet_become_metres(tmp_path, unit):
    path = plane(tmp_path, 0.3 / 0.3048, 0.0)
    with rasterio.open(path, "r+") as file:
        file.units = (unit,)
    target, watch = grid(), Watch()
    dem = open_guide(path, target, "--dem", watch)
    with TerrainReader(dem, target, SUN) as reader:
        assert np.abs(reader.read(target.whole)[1] - math.atan(0.3)).max() < 1e-3
    assert [notice.code for notice in watch.notices] == ["guide.feet"]


def test_partial_cover_is_used_and_none_is_an_error(tmp_path):
    height = np.full((30, 60), 50, np.float32)
    target = grid()
    dem = open_guide(makers.write(tmp_path / "half.tif", height), target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        found = reader.read(target.whole)
    assert np.isfinite(found[0, :30]).all() and np.isnan(found[:, 30:]).all()
    far = makers.write(tmp_path / "far.tif", height, left=makers.LEFT + 1e5)
    with pytest.raises(TerramendError, match=r"--dem.*does not overlap"):
        open_guide(far, target, "--dem", Watch())


def test_geographic_dem_and_geographic_target(tmp_path):
    columns = np.arange(300) * np.ones((300, 1))
    degree = 1 / 3600
    height = (1000 + 0.2 * columns * degree * 111194.9 * math.cos(math.radians(46.9))).astype(np.float32)
    path = makers.write(tmp_path / "srtm.tif", height, degree, "EPSG:4326", 10.32, 46.95)
    target = grid(30.0, 60, left=602000, top=5198000)
    dem = open_guide(path, target, "--dem", Watch())
    with TerrainReader(dem, target, SUN) as reader:
        assert np.abs(reader.read(target.whole)[1] - math.atan(0.2)).max() < 0.01
    own = Grid(dem.grid.crs, dem.grid.transform, 300, 300)
    with TerrainReader(dem, own, SUN) as reader:
        assert np.abs(reader.read(own.whole)[1][5:-5, 5:-5] - math.atan(0.2)).max() < 0.01


def test_dem_without_crs_pairs_pixel_to_pixel(tmp_path):
    watch = Watch()
    dem = open_guide(
        makers.write(tmp_path / "d.tif", np.ones((2, 60, 60), np.float32), crs=None), grid(), "--dem", watch
    )
    assert dem.grid == grid()
    assert {notice.code for notice in watch.notices} == {"pair.pixels", "guide.first-band"}


def test_an_optical_image_is_no_elevation(tmp_path):
    bands = np.ones((4, 60, 60), np.float32)
    path = makers.write(tmp_path / "d.tif", bands, descriptions=("blue", "green", "red", "nir"))
    with pytest.raises(TerramendError, match="d.tif is an optical image, no elevation"):
        open_guide(path, grid(), "--dem", Watch())


def test_a_mask_is_no_elevation_and_a_flat_shore_is_one(tmp_path):
    shore = np.zeros((600, 600), np.int16)
    shore[:, 300:] = 1
    shore[:, :20] = -9999
    with pytest.raises(TerramendError, match=r"shore.tif holds two values only.* leave it out"):
        open_guide(makers.write(tmp_path / "shore.tif", shore), grid(), "--dem", Watch())
    flat = np.where(shore < 0, shore, shore + 3).astype(np.int16)
    open_guide(makers.write(tmp_path / "flat.tif", flat), grid(), "--dem", Watch())
    with pytest.raises(TerramendError, match=r"codes.tif holds two values only"):
        codes = makers.write(tmp_path / "codes.tif", np.maximum(flat, 0).astype(np.uint8), nodata=0)
        open_guide(codes, grid(), "--dem", Watch())
    shore[40, 40] = 2  # between the places that are looked at first
    open_guide(makers.write(tmp_path / "hill.tif", shore), grid(), "--dem", Watch())
    open_guide(makers.write(tmp_path / "sea.tif", np.minimum(shore, 0)), grid(), "--dem", Watch())
