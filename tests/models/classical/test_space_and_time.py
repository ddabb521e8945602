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
