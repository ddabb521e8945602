"""The membrane against a sparse LU solve and against functions that it must reproduce."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.classical.membrane import cascade, solve


def direct(image: np.ndarray) -> np.ndarray:
    """Laplace's equation with free edges by sparse LU in float64."""
    height, width = image.shape
    unknown = ~np.isfinite(image)
    number = np.full(image.shape, -1)
    number[unknown] = np.arange(unknown.sum())
    count = int(unknown.sum())
    matrix = scipy.sparse.lil_matrix((count, count))
    right = np.zeros(count)
    for y, x in np.argwhere(unknown):
        row = number[y, x]
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= v < height and 0 <= u < width):
                continue
            matrix[row, row] += 1
            if unknown[v, u]:
                matrix[row, number[v, u]] -= 1
            else:
                right[row] += image[v, u]
    out = image.astype(np.float64)
    out[unknown] = scipy.sparse.linalg.spsolve(matrix.tocsc(), right)
    return out


@given(
    height=st.integers(3, 30),
    width=st.integers(3, 30),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 999),
)
@settings(max_examples=40)
def test_agrees_with_sparse_lu(height, width, share, seed):
    random = np.random.default_rng(seed)
    image = random.random((height, width)).astype(np.float32)
    image[random.random((height, width)) < share] = np.nan
    image[0, 0] = 0.5  # at least one is known
    made = solve(image, tolerance=1e-6, cycles=60)
    np.testing.assert_allclose(made, direct(image), atol=2e-5)


def test_agrees_with_sparse_lu_on_one_large_gap():
    y, x = np.mgrid[:97, :81]
    image = (0.2 + 0.1 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)
    image[np.hypot(y - 45, x - 40) < 36] = np.nan
    np.testing.assert_allclose(solve(image, tolerance=1e-6), direct(image), atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 40), (37, 53)])
def test_reproduces_planes_exactly(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = (0.1 + 0.003 * x - 0.002 * y).astype(np.float32)
    image = plane.copy()
    image[8:-8, 6:-9] = np.nan
    np.testing.assert_allclose(solve(image, tolerance=1e-7, cycles=60), plane, atol=3e-6)


def test_keeps_known_pixels_and_their_range():
    random = np.random.default_rng(3)
    image = random.random((50, 61)).astype(np.float32)
    known = random.random(image.shape) < 0.2
    hidden = np.where(known, image, np.float32(np.nan))
    for method in (cascade, solve):
        made = method(hidden)
        np.testing.assert_array_equal(made[known], image[known])
        assert image[known].min() - 1e-4 <= made.min() and made.max() <= image[known].max() + 1e-4


def test_without_any_known_pixel_nothing_is_invented():
    empty = np.full((9, 8), np.nan, np.float32)
    assert np.isnan(solve(empty)).all()
    full = np.ones((4, 5), np.float32)
    np.testing.assert_array_equal(solve(full), full)


@pytest.mark.parametrize("shape", [(16, 16), (17, 16), (16, 33), (19, 35)])
def test_a_constant_stays_at_odd_edges_too(shape):
    image = np.full(shape, 0.7, np.float32)
    image[np.random.default_rng(2).random(shape) < 0.8] = np.nan
    image[0, 0] = 0.7
    for method in (cascade, solve):
        np.testing.assert_allclose(method(image), 0.7, rtol=1e-5)


def test_a_few_cycles_solve_a_gap_of_any_size_and_the_start_is_near_where_holes_are_scattered():
    y, x = np.mgrid[:257, :271]
    truth = (0.2 + 0.1 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)
    for radius in (20, 110):
        image = np.where(np.hypot(y - 128, x - 135) < radius, np.float32(np.nan), truth)
        exact = solve(image, tolerance=1e-7, cycles=100)
        assert np.abs(solve(image, tolerance=1e-9, cycles=3) - exact).max() < 0.02 * truth.std()
        np.testing.assert_allclose(solve(image, tolerance=1e-9, cycles=8), exact, atol=1e-3 * truth.std())
    image = np.where(np.random.default_rng(0).random(truth.shape) < 0.7, np.float32(np.nan), truth)
    assert (cascade(image) - solve(image, tolerance=1e-7)).std() < 0.02 * truth.std()
