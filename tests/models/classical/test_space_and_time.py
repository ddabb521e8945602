"""Classical fills against their definitions."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio.fill
import scipy.interpolate
import scipy.ndimage
from terramend.models.base import Reference, Source, Tile
from terramend.models.classical.space import inverse_distance, linear, nearest
from terramend.models.registry import find


@pytest.fixture
def holed():
    y, x = np.mgrid[:40, :44]
    image = (0.2 + 0.01 * x - 0.004 * y).astype(np.float32)
    hidden = image.copy()
    hidden[10:25, 12:30] = np.nan
    return image, hidden


def test_linear_reproduces_a_plane(holed):
    image, hidden = holed
    np.testing.assert_allclose(linear(hidden), image, atol=1e-6)


def test_nearest_takes_the_nearest(holed):
    _, hidden = holed
    known = np.isfinite(hidden)
    made = nearest(hidden)
    points = np.argwhere(known)
    tree = scipy.interpolate.NearestNDInterpolator(points, hidden[known])
    gaps = np.argwhere(~known)
    distance = np.linalg.norm(gaps[:, None] - points[None], axis=2)
    for (y, x), d in zip(gaps, distance, strict=True):
        ties = hidden[tuple(points[d == d.min()].T)]
        assert made[y, x] in ties
    assert np.isfinite(tree(gaps)).all()


def test_inverse_distance_is_gdals(holed):
    _, hidden = holed
    known = np.isfinite(hidden)
    expected = rasterio.fill.fillnodata(np.where(known, hidden, 0), known.astype(np.uint8), 200.0)
    np.testing.assert_allclose(inverse_distance(hidden), np.where(known, hidden, expected), rtol=1e-5)


def dated(days, value, shape=(2, 8, 9), hole=None):
    image = np.full(shape, value, np.float32)
    if hole is not None:
        image[:, hole] = np.nan
    return Reference(image, days)


def test_copy_takes_the_nearest_clear_date():
    gaps = np.zeros((2, 8, 9), bool)
    gaps[:, 2:6, 2:6] = True
    hole = np.zeros((8, 9), bool)
    hole[2:4] = True
    tile = Tile(
        np.where(gaps, np.nan, 0.3).astype(np.float32),
        gaps,
        (dated(40, 0.4), dated(-5, 0.2, hole=hole), dated(None, 0.9)),
    )
    model = find("copy").create()
    made = model.predict(tile, model.prepare(tile))
    assert (made.mean[:, 2:4, 2:6] == np.float32(0.4)).all()
    assert (made.mean[:, 4:6, 2:6] == np.float32(0.2)).all()
    assert (made.reference[2:4, 2:6] == 0).all() and (made.reference[4:6, 2:6] == 1).all()
    assert (made.source[2:6, 2:6] == Source.REFERENCE).all()
    np.testing.assert_allclose(made.std[gaps], 0.1, atol=1e-6)  # it is 0.1 off where both are clear


@pytest.mark.parametrize("name", ["copy", "time-linear"])
def test_without_a_date_nothing_is_filled(name):
    gaps = np.zeros((2, 6, 6), bool)
    gaps[:, 2:4, 2:4] = True
    tile = Tile(np.where(gaps, np.nan, 0.3).astype(np.float32), gaps)
    model = find(name).create()
    made = model.predict(tile, model.prepare(tile))
    assert np.isnan(made.mean).all() and (made.reference == -1).all()
    assert (made.source[2:4, 2:4] == Source.UNFILLED).all()


def test_time_linear_draws_the_line_between_dates():
    gaps = np.ones((1, 3, 3), bool)
    image = np.full((1, 3, 3), np.nan, np.float32)
    tile = Tile(image, gaps, (dated(-10, 0.2, (1, 3, 3)), dated(30, 0.6, (1, 3, 3))))
    model = find("time-linear").create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_allclose(made.mean, 0.3, atol=1e-6)
    assert (made.reference == 0).all()
    one_sided = replace(tile, references=tile.references[1:])
    np.testing.assert_allclose(model.predict(one_sided, model.prepare(one_sided)).mean, 0.6, atol=1e-6)


@pytest.mark.parametrize("name", ["harmonic", "linear", "guided"])
def test_a_gap_wider_than_the_tile_is_bounded_alike_in_neighbours(name):
    y, x = np.mgrid[:120, :120]
    truth = (0.2 + 0.001 * x + 0.0005 * y + 0.03 * np.sin(x / 15)).astype(np.float32)[None]
    gaps = np.zeros(truth.shape, bool)
    gaps[:, 20:100, 20:100] = True
    image = np.where(gaps, np.nan, truth).astype(np.float32)
    whole = Tile(image, gaps)
    model = find(name).create()
    state = model.prepare(whole)
    parts = []
    for column in (0, 40):  # tiles that overlap by 40 columns, both cut through the gap
        cut = np.s_[:, :, column : column + 80]
        parts.append(model.predict(Tile(image[cut], gaps[cut], column=column), state).mean)
    left, right = parts[0][:, :, 40:], parts[1][:, :, :40]
    middle = np.s_[:, 20:100, 18:22]
    assert np.nanmax(np.abs(left[middle] - right[middle])) < 0.02


def test_linear_is_interpolation_on_the_triangles_of_the_rim():
    rng = np.random.default_rng(5)
    image = rng.normal(size=(40, 50)).astype(np.float32)
    image[scipy.ndimage.gaussian_filter(rng.normal(size=image.shape), 2) > 0.05] = np.nan
    for values in (image, 2 * image):  # the second time with triangles that are kept
        known = np.isfinite(values)
        rim = known & scipy.ndimage.binary_dilation(~known, np.ones((3, 3), bool))
        theirs = scipy.interpolate.LinearNDInterpolator(np.argwhere(rim), values[rim])(np.argwhere(~known))
        inside = np.isfinite(theirs)
        assert inside.mean() > 0.8
        np.testing.assert_allclose(linear(values)[~known][inside], theirs[inside], atol=1e-4)


def test_the_mean_is_that_of_what_is_observed_and_as_sure_as_that_is_spread():
    random = np.random.default_rng(3)
    image = random.normal([[[0.2]], [[0.5]], [[0.1]]], [[[0.02]], [[0.05]], [[0.1]]], (3, 30, 33)).astype(
        np.float32
    )
    gaps = random.random(image.shape) < 0.3
    gaps[2] = True
    tile, model = Tile(np.where(gaps, np.float32(np.nan), image), gaps), find("mean").create()
    made = model.predict(tile, model.prepare(tile))
    for band in (0, 1):
        seen, gap = image[band][~gaps[band]], gaps[band]
        np.testing.assert_allclose(made.mean[band][gap], seen.mean(), rtol=1e-5)
        np.testing.assert_allclose(made.std[band][gap], seen.std(), rtol=1e-4)
    assert np.isnan(made.mean[2]).all() and np.isnan(made.std[2]).all()


def test_in_noise_the_nearest_pixel_errs_by_root_two_of_its_spread():
    random = np.random.default_rng(4)
    truth = (0.3 + 0.04 * random.standard_normal((1, 120, 130))).astype(np.float32)
    gaps = np.broadcast_to(
        scipy.ndimage.gaussian_filter(random.standard_normal(truth.shape[1:]), 3) > 0.04, truth.shape
    )
    tile, model = Tile(np.where(gaps, np.float32(np.nan), truth), gaps.copy()), find("nearest").create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_allclose(made.std[gaps], 0.04 * np.sqrt(2), rtol=0.1)


@pytest.mark.parametrize("method", [nearest, linear, inverse_distance])
def test_without_any_known_pixel_and_without_a_gap_nothing_changes(method):
    for image in (
        np.full((7, 9), np.nan, np.float32),
        np.random.default_rng(1).random((7, 9)).astype(np.float32),
    ):
        np.testing.assert_array_equal(method(image), image)


@pytest.mark.parametrize("line", [np.s_[3, :], np.s_[:, 4], (range(7), range(7)), ([3, 2], [4, 4])])
def test_beside_a_line_of_known_pixels_there_are_no_triangles(line):
    image = np.full((7, 9), np.nan, np.float32)
    image[line] = np.arange(image[line].size)
    np.testing.assert_array_equal(linear(image), nearest(image))


@pytest.mark.parametrize("name", ["copy", "time-linear"])
def test_a_date_is_read_where_all_bands_of_the_target_are_there(name):
    gaps = np.ones((2, 3, 4), bool)
    shape = (3, 3, 4)
    best = dated(-5, 0.2, shape)
    best.image[1, 0] = np.nan  # a band is missing in the first line
    best.image[2] = np.nan  # the target has no third
    fewer = dated(-1, 0.9, (1, 3, 4))
    tile = Tile(np.full((2, 3, 4), np.nan, np.float32), gaps, (fewer, dated(-40, 0.6, shape), best))
    model = find(name).create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_array_equal(made.mean[:, 0], np.float32(0.6))
    np.testing.assert_array_equal(made.mean[:, 1:], np.float32(0.2))
    assert made.reference[0].tolist() == [1] * 4 and (made.reference[1:] == 2).all()


def test_on_a_line_between_dates_the_nearer_one_is_the_main_one():
    tile = Tile(
        np.full((1, 2, 2), np.nan, np.float32),
        np.ones((1, 2, 2), bool),
        (dated(-30, 0.2, (1, 2, 2)), dated(10, 0.6, (1, 2, 2))),
    )
    model = find("time-linear").create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_allclose(made.mean, 0.5, rtol=1e-6)
    assert (made.reference == 1).all()


@pytest.mark.parametrize("name", ["copy", "time-linear"])
def test_the_main_date_of_two_as_near_is_the_first_and_one_without_a_day_is_told(name):
    shape = (1, 2, 2)
    clear_above = dated(-10, 0.2, shape), dated(10, 0.6, shape)
    for reference in clear_above:
        reference.image[:, 1] = np.nan
    gaps = np.ones(shape, bool)
    tile = Tile(np.full(shape, np.nan, np.float32), gaps, (dated(None, 0.9, shape), *clear_above))
    model = find(name).create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_array_equal(made.reference, [[1, 1], [0, 0]])
    np.testing.assert_allclose(made.mean[0], [[0.2 if name == "copy" else 0.4] * 2, [0.9] * 2], rtol=1e-6)
