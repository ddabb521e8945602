"""Helpers of planes, against NumPy's own ways and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.planes import bilinear, concat, copy_where, masked


@pytest.mark.parametrize("weights", [np.float32, np.float64])
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_bilinear_finds_any_plane_and_holds_it_outside(weights, height, width, seed):
    random = np.random.default_rng(seed)
    down, across, level = random.standard_normal(3)
    rows, columns = np.mgrid[:height, :width]
    plane = (down * rows + across * columns + level).astype(np.float32)
    y, x = random.uniform(-2, height + 1, 20), random.uniform(-2, width + 1, 20)
    expected = down * np.clip(y, 0, height - 1) + across * np.clip(x, 0, width - 1) + level
    np.testing.assert_allclose(bilinear(plane, y, x, weights), expected, atol=1e-4)
    both = bilinear(np.stack([plane, -plane], axis=-1), y, x, weights)
    np.testing.assert_allclose(both, np.stack([expected, -expected], axis=-1), atol=1e-4)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
def test_masks_choose_pixels(height, width, seed):
    random = np.random.default_rng(seed)
    values, out = random.random((2, height, width), np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    where = random.random(values.shape) < 0.5
    np.testing.assert_array_equal(masked(values, where), np.where(where, values, 0))
    expected = np.where(where, values, out)
    np.testing.assert_array_equal(copy_where(values, where, out), expected)
    np.testing.assert_array_equal(out, expected)  # in place


def test_arrays_lie_side_by_side():
    parts = [np.full((2, 3, width), width) for width in (1, 4)]
    assert concat(parts).shape == (2, 3, 5) and (concat(parts)[..., 0] == 1).all()
    assert concat(parts[:1]) is parts[0]
