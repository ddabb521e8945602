"""Warping: right against rasterio's exact warper, and the same whatever window is read."""

import numpy as np
import pytest
import rasterio
import rasterio.crs
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import Resampling, reproject
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.resample import bilinear, block_mean
from terramend.backend.raster.warp import overlaps, plan

UTM32 = rasterio.crs.CRS.from_epsg(32632).to_wkt()
UTM33 = rasterio.crs.CRS.from_epsg(32633).to_wkt()
WGS84 = rasterio.crs.CRS.from_epsg(4326).to_wkt()


def grid(crs, left, top, size, width, height, angle=0.0):
    affine = Affine.translation(left, top) @ Affine.rotation(angle) @ Affine.scale(size, -size)
    return Grid(crs, tuple(affine)[:6], width, height)


def smooth(height, width, seed=0):
    rows, columns = np.mgrid[:height, :width]
    wave = np.sin(rows / 7 + seed) + np.cos(columns / 5) + 0.01 * rows
    return wave.astype(np.float32)


TARGET = grid(UTM32, 600000, 5200000, 10, 90, 70)


def under(crs, size, width, height):
    """A grid whose middle lies in the target's middle."""
    x, y = rasterio.warp.transform(TARGET.crs, crs, [600450], [5199650])
    return grid(crs, x[0] - size * width / 2, y[0] + size * height / 2, size, width, height)


SOURCES = {
    "shifted": grid(UTM32, 599903.7, 5200151.2, 10, 120, 110),
    "coarser": grid(UTM32, 599800, 5200300, 23, 70, 70),
    "rotated": grid(UTM32, 599700, 5200300, 11, 160, 150, angle=17),
    "geographic": under(WGS84, 0.0001, 320, 200),
    "other zone": under(UTM33, 10, 200, 200),
}


@pytest.mark.parametrize("name", SOURCES)
def test_bilinear_agrees_with_exact_gdal(name):
    source = SOURCES[name]
    image = smooth(source.height, source.width)
    rows, columns = plan(source, TARGET).places(TARGET.whole)
    ours = bilinear(image[None], rows, columns)[0]
    theirs = np.full((TARGET.height, TARGET.width), np.nan, np.float32)
    reproject(
        image, theirs, src_transform=source.affine, src_crs=source.crs, dst_transform=TARGET.affine,
        dst_crs=TARGET.crs, resampling=Resampling.bilinear, tolerance=0, src_nodata=np.nan, dst_nodata=np.nan,
        XSCALE=1, YSCALE=1,
    )  # fmt: skip
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.95
    assert np.abs(ours - theirs)[both].max() < 2e-3  # a hundredth of a pixel on this slope


@pytest.mark.parametrize("name", ["geographic", "rotated", "coarser", "shifted"])
@settings(max_examples=30)
@given(data=st.data())
def test_places_do_not_depend_on_the_window(name, data):
    warp = plan(SOURCES[name], TARGET)
    whole = [np.broadcast_to(part, (TARGET.height, TARGET.width)) for part in warp.places(TARGET.whole)]
    row = data.draw(st.integers(0, TARGET.height - 1))
    column = data.draw(st.integers(0, TARGET.width - 1))
    height = data.draw(st.integers(1, TARGET.height - row))
    width = data.draw(st.integers(1, TARGET.width - column))
    window = Window(row, column, height, width)
    parts = warp.places(window)
    for part, all_of_it in zip(parts, whole, strict=True):
        assert np.array_equal(np.broadcast_to(part, (height, width)), all_of_it[window.slices])


def test_lattice_is_right_to_its_tolerance():
    warp = plan(SOURCES["geographic"], TARGET)
    assert warp.spacing > 1
    rows, columns = warp.places(TARGET.whole)
    true_rows, true_columns = warp.exact(
        (np.arange(TARGET.height) + 0.5)[:, None], (np.arange(TARGET.width) + 0.5)[None, :]
    )
    assert np.hypot(rows - true_rows, columns - true_columns).max() <= 0.02


def test_aligned_grids_are_a_whole_shift():
    warp = plan(grid(UTM32, 599900.004, 5200050, 10, 120, 110), TARGET)
    assert warp.shift == (5, 10)
    assert plan(SOURCES["shifted"], TARGET).shift is None


def test_longitudes_of_one_crs_meet_whatever_turn_they_count():
    target = grid(WGS84, -179.0, 10.0, 0.01, 90, 70)
    for left in (181.0, -539.0):
        source = grid(WGS84, left, 10.0, 0.01, 90, 70)
        assert overlaps(source, target) and plan(source, target).shift == (0, 0)
    world = grid(WGS84, -180.0, 90.0, 1.0, 360, 180)
    assert plan(world, target).exact(np.array([0.0]), np.array([0.0]))[1][0] == pytest.approx(1.0)
    assert not overlaps(grid(WGS84, 20.0, 10.0, 0.01, 90, 70), target)


def test_no_more_than_the_source_is_averaged():
    """A raster of the finest pixels, in a corner of the target: its blocks would be larger than any array."""
    warp = plan(grid(UTM32, 600000, 5200000, 1e-12, 40, 30), TARGET)
    assert warp.factor == (30, 40)


def test_finer_pixels_are_averaged():
    warp = plan(grid(UTM32, 600000, 5200000, 10, 90, 70), grid(UTM32, 600000, 5200000, 30, 30, 23))
    assert warp.factor == (3, 3)
    rows, columns = warp.places(Window(0, 0, 23, 30))
    image = smooth(70, 90)[None]
    mean = bilinear(block_mean(image, 3, 3), rows / 3, columns / 3)[0]
    expected = image[0, :69].reshape(23, 3, 30, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_longitudes_beyond_180_meet():
    east = grid(WGS84, 0, 10, 1, 360, 20)  # 0..360
    west = grid(UTM32, 300000, 500000, 10000, 20, 20)  # 7 to 9 degrees east
    pacific = grid(rasterio.crs.CRS.from_epsg(32610).to_wkt(), 300000, 500000, 10000, 20, 20)  # -125
    for target in (west, pacific):
        assert overlaps(east, target)
        rows, columns = plan(east, target).places(target.whole)
        assert ((columns >= 0) & (columns < 360) & (rows >= 0) & (rows < 20)).all()


@pytest.mark.parametrize("left", [179.0, -181.0, -180.0])
def test_a_target_across_the_antimeridian_meets_longitudes_on_both_sides(left):
    """The last source is the whole globe, which ends there: no pixel lies at longitude 0 for that."""
    source = grid(WGS84, left, 1.0, 0.01, 36000 if left == -180 else 200, 200)
    fiji = rasterio.crs.CRS.from_epsg(32760).to_wkt()
    x, y = rasterio.warp.transform(WGS84, fiji, [180.0], [0.0])
    target = grid(fiji, x[0] - 50000, y[0] + 50000, 100, 1000, 1000)
    rows, columns = plan(source, target).places(target.whole)
    longitudes = left + 0.01 * columns
    assert ((columns >= 0) & (columns <= source.width) & (rows >= 0) & (rows <= 200)).all()
    assert np.abs((longitudes % 360) - 180).max() < 0.5
    exact = plan(source, target).exact(np.arange(1000)[:, None] + 0.5, np.arange(1000)[None, :] + 0.5)[1]
    off = (columns - exact + 18000) % 36000 - 18000
    assert np.abs(off).max() < 0.02


@pytest.mark.parametrize(("first", "left"), [(-180.0, 179.5), (-180.0, -180.5), (0.0, -0.5), (0.0, 359.5)])
@pytest.mark.parametrize("size", [0.01, 0.0125])
def test_the_ends_of_a_globe_meet_in_a_target_of_the_same_crs(first, left, size):
    source, target = grid(WGS84, first, 90.0, 0.01, 36000, 18000), grid(WGS84, left, 10.0, size, 80, 70)
    warp = plan(source, target)
    rows, columns = warp.places(target.whole)
    assert warp.shift is None and ((columns >= 0) & (columns < 36000)).all()
    expected = left + size * (np.arange(80) + 0.5)
    np.testing.assert_allclose((first + 0.01 * columns[0] - expected + 180) % 360, 180, atol=1e-6)
    np.testing.assert_allclose(90 - 0.01 * rows[:, 0], 10 - size * (np.arange(70) + 0.5), atol=1e-6)
    within = plan(source, grid(WGS84, 20.0, 10.0, 0.01, 80, 70))
    assert within.turn == 0 and within.shift is not None


def test_no_overlap_and_small_overlap():
    assert not overlaps(grid(UTM32, 700000, 5200000, 10, 50, 50), TARGET)
    assert overlaps(grid(UTM32, 600440, 5199660, 10, 1, 1), TARGET)
    assert not overlaps(grid(UTM32, 600440, 4199660, 10, 1, 1), TARGET)


def test_one_crs_alone_is_refused():
    with pytest.raises(ValueError, match="CRS"):
        plan(Grid(None, (1, 0, 0, 0, 1, 0), 5, 5), TARGET)


@pytest.mark.parametrize("off", [0, 37, 1000])
def test_a_pole_amid_the_target_does_not_say_how_many_longitudes_a_pixel_holds(off):
    """They all meet there: taken at the pole, means of a quarter of all longitudes were read everywhere."""
    polar = rasterio.crs.CRS.from_epsg(3995).to_wkt()
    target = grid(polar, off - 100e3, 100e3 - off, 1000, 200, 200)
    source = grid(WGS84, -180, 90, 0.01, 36000, 4000)
    longitudes = 0.5 * np.hypot(100e3, 100e3) * np.radians(0.01)  # metres of a source column, half way out
    assert plan(source, target).scale[1] == pytest.approx(1000 / longitudes, rel=0.5)
