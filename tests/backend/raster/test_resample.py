"""Values between pixels and of blocks of pixels, with what was not observed left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.backend.raster.resample import bilinear, block_any, block_mean, nearest


def test_bilinear_leaves_unobserved_neighbours_out():
    image = np.array([[[1, 2, np.nan, 4]]], np.float32)
    got = bilinear(image, np.array([[0.5]]), np.array([[0.5, 1.0, 1.9, 2.1, 2.9, 3.2, 4.0, -0.1]]))
    np.testing.assert_allclose(got[0, 0], [1, 1.5, 2, np.nan, np.nan, 4, np.nan, np.nan])


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_block_mean_counts_observed_samples(height, width, down, across, seed):
    rng = np.random.default_rng(seed)
    image = rng.random((2, height, width), np.float32)
    image[rng.random(image.shape) < 0.4] = np.nan
    got = block_mean(image, down, across)
    flags = block_any(np.isnan(image), down, across)
    for row in range(got.shape[1]):
        for column in range(got.shape[2]):
            block = image[:, row * down : (row + 1) * down, column * across : (column + 1) * across]
            for band in range(2):
                values = block[band][np.isfinite(block[band])]
                assert flags[band, row, column] == (values.size < block[band].size)
                if values.size and 2 * values.size >= block[band].size:
                    assert got[band, row, column] == pytest.approx(values.mean(), rel=1e-5)
                else:
                    assert np.isnan(got[band, row, column])


def test_nearest_keeps_dtype_and_marks_the_outside():
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    got = nearest(image, np.array([[0.2], [1.9]]), np.array([[0.0, 2.99, 3.0]]), 255)
    assert got.dtype == np.uint8
    assert got.tolist() == [[[0, 2, 255], [3, 5, 255]]]


def test_scattered_places_give_what_rows_and_columns_give():
    rng = np.random.default_rng(1)
    image = rng.random((2, 30, 40), np.float32)
    image[rng.random(image.shape) < 0.1] = np.nan
    rows, columns = rng.uniform(-1, 31, (25, 1)), rng.uniform(-1, 41, (1, 35))
    separable = bilinear(image, rows, columns)
    scattered = bilinear(image, np.broadcast_to(rows, (25, 35)), np.broadcast_to(columns, (25, 35)))
    np.testing.assert_allclose(separable, scattered, atol=1e-6)
    assert np.isfinite(separable).any() and np.isnan(separable).any()
