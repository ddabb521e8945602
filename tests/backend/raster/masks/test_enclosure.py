"""Holes and hulls in strips against scipy and scikit-image on the whole array."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.measure import points_in_poly
from skimage.morphology import convex_hull_image
from terramend.backend.raster.masks.enclosure import Enclosure, hull_columns

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=30)
FLAGS = arrays.arrays(bool, SHAPES, elements=st.booleans())
SMOOTH = st.tuples(st.integers(2, 60), st.integers(2, 60), st.integers(0, 2**31), st.floats(0.2, 0.8)).map(
    lambda s: ndimage.uniform_filter(np.random.default_rng(s[2]).random(s[:2]), 3) < s[3]
)


def outside_in_strips(unobserved, rows):
    enclosure = Enclosure()
    cut = [unobserved[top : top + rows] for top in range(0, unobserved.shape[0], rows)]
    for strip in cut:
        enclosure.add(strip)
    is_outside = enclosure.outside()
    return np.concatenate([is_outside(number, strip) for number, strip in enumerate(cut)])


@settings(max_examples=200)
@given(st.one_of(FLAGS, SMOOTH), st.integers(1, 64))
def test_outside_is_what_filling_holes_leaves_open(unobserved, rows):
    expected = ~ndimage.binary_fill_holes(~unobserved)
    assert np.array_equal(outside_in_strips(unobserved, rows), expected)


def test_a_spiral_is_followed_through_all_strips():
    wall = np.ones((21, 21), bool)
    for ring in range(0, 10, 2):
        wall[ring, ring : 21 - ring] = False
        wall[ring : 21 - ring, 20 - ring] = False
        wall[20 - ring, ring : 21 - ring] = False
        wall[ring + 2 : 21 - ring, ring] = False
        wall[ring + 2, ring : ring + 3] = False
    assert np.array_equal(outside_in_strips(wall, 1), ~ndimage.binary_fill_holes(~wall))


def hull(observed):
    some = observed.any(axis=1)
    first = np.where(some, observed.argmax(axis=1), observed.shape[1])
    last = np.where(some, observed.shape[1] - 1 - observed[:, ::-1].argmax(axis=1), -1)
    left, right = hull_columns(first, last)
    columns = np.arange(observed.shape[1])
    return (columns >= left[:, None]) & (columns <= right[:, None])


@settings(max_examples=100)
@given(FLAGS)
def test_hull_is_the_convex_hull_of_pixel_centres(observed):
    found = hull(observed)
    assert not (observed & ~found).any()
    assert np.array_equal(hull(found), found)
    if (
        np.linalg.matrix_rank(np.argwhere(observed) - np.argwhere(observed)[:1]) == 2
        if observed.any()
        else False
    ):
        assert np.array_equal(found, convex_hull_image(observed, offset_coordinates=False))


def test_hull_of_a_turned_rectangle():
    corners = np.array([(3.0, 30.0), (20.0, 3.0), (57.0, 27.0), (40.0, 54.0)])
    grid = np.argwhere(np.ones((60, 60), bool))
    inside = points_in_poly(grid, corners).reshape(60, 60)
    striped = inside.copy()
    striped[::7] = False
    striped[::7, :2] = inside[::7, :2]
    assert (hull(inside) ^ inside).mean() < 0.01
    assert (hull(striped) & inside).sum() > 0.98 * inside.sum()


def test_hull_of_nothing():
    assert not hull(np.zeros((5, 6), bool)).any()
