"""Growth against the distance transform of the whole array, and what its texts mean."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.crs import CRS
from scipy import ndimage
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.masks.growth import BRUSH, LARGEST, Growth, grow, parse_growth

METRES = Grid('LOCAL_CS["x",UNIT["metre",1]]', (30, 0, 0, 0, -30, 0), 100, 100)


def by_distance(flags, growth):
    if not flags.any() or growth.margin < 1:
        return flags
    units = (1 / max(growth.down, 1e-6), 1 / max(growth.across, 1e-6))
    return ndimage.distance_transform_edt(~flags, sampling=units) <= 1 + 1e-9


FLAGS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans())
SPARSE = st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1)).map(
    lambda s: np.random.default_rng(s[2]).random(s[:2]) > 0.995
)
RADII = st.one_of(st.floats(0, 25), st.integers(0, 25).map(float), st.integers(1, 400).map(math.sqrt))


@settings(max_examples=150)
@given(st.one_of(FLAGS, SPARSE), RADII)
def test_growth_is_the_distance_to_the_nearest_flag(flags, radius):
    growth = Growth(radius, radius)
    assert np.array_equal(grow(flags, growth), by_distance(flags, growth))


@settings(max_examples=60)
@given(SPARSE, st.floats(0.2, 30), st.floats(0.2, 30))
def test_ellipses_on_pixels_that_are_not_square(flags, down, across):
    growth = Growth(down, across)
    assert np.array_equal(grow(flags, growth), by_distance(flags, growth))


@pytest.mark.parametrize("radius", [BRUSH, BRUSH + 1, 57, LARGEST])
def test_a_point_becomes_a_disc(radius):
    side = 2 * radius + 5
    flags = np.zeros((side, side), bool)
    flags[radius + 2, radius + 2] = True
    rows, columns = np.mgrid[:side, :side] - (radius + 2)
    assert np.array_equal(grow(flags, Growth(radius, radius)), rows**2 + columns**2 <= radius**2)


@settings(max_examples=60)
@given(SPARSE, st.integers(0, 14), st.data())
def test_a_margin_makes_windows_exact(flags, radius, data):
    growth = Growth(radius, radius)
    top = data.draw(st.integers(0, flags.shape[0] - 1))
    bottom = data.draw(st.integers(top + 1, flags.shape[0]))
    first = max(top - growth.margin, 0)
    part = grow(flags[first : bottom + growth.margin], growth)[top - first : bottom - first]
    assert np.array_equal(part, grow(flags, growth)[top:bottom])


def test_no_growth_gives_the_flags_back():
    flags = np.eye(3, dtype=bool)
    assert np.array_equal(grow(flags, Growth(0.99, 0.99)), flags)


@pytest.mark.parametrize(
    ("text", "expected"), [("3px", 3), ("3", 3), ("0", 0), ("30m", 1), ("75m", 2.5), ("0.5px", 0.5)]
)
def test_texts(text, expected):
    assert parse_growth(text, METRES) == Growth(expected, expected)


def test_default():
    assert parse_growth(None, METRES, 2.0) == Growth(2, 2)


def test_metres_on_a_geographic_grid_are_an_ellipse():
    degree = 1 / 3600
    grid = Grid(CRS.from_epsg(4326).to_wkt(), (degree, 0, 10, 0, -degree, 60), 10, 10)
    growth = parse_growth("100m", grid)
    assert growth.down == pytest.approx(100 / 30.9, rel=0.01)
    assert growth.across == pytest.approx(growth.down / math.cos(math.radians(60)), rel=0.01)


def test_metres_on_a_web_map_are_those_on_the_ground():
    """At 60 degrees north its unit is half a metre; one of UTM is a metre."""
    northing = 6378137 * math.asinh(math.tan(math.radians(60)))
    for code, north, unit in ((3857, northing, 0.5), (3395, northing, 0.5), (32631, 6.65e6, 1)):
        grid = Grid(CRS.from_epsg(code).to_wkt(), (10, 0, 3e5, 0, -10, north), 9, 9)
        assert grid.pixel_size == pytest.approx((10 * unit, 10 * unit), rel=0.01)
        assert parse_growth("60m", grid).down == pytest.approx(6 / unit, rel=0.01)


def test_metres_need_a_pixel_size():
    with pytest.raises(TerramendError, match="in pixels"):
        parse_growth("30m", Grid(None, (1, 0, 0, 0, 1, 0), 5, 5))


def test_metres_are_units_of_the_transform_without_a_crs():
    assert parse_growth("30m", Grid(None, (15, 0, 0, 0, -15, 0), 5, 5)) == Growth(2, 2)


@pytest.mark.parametrize(
    ("text", "code"), [("9999px", "grow.far"), ("1e9m", "request.field"), ("-1", "request.field")]
)
def test_growth_that_cannot_be(text, code):
    with pytest.raises(TerramendError) as raised:
        parse_growth(text, METRES)
    assert raised.value.code == code
