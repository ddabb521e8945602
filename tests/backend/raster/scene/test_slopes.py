"""Slopes against Horn's kernels, and where heights are unknown."""

import numpy as np
import pytest
from scipy.ndimage import correlate
from terramend.backend.raster.scene.slopes import gradients, terrain

HORN = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8


@pytest.mark.parametrize("span", [1, 3])
def test_gradients_are_horns(span):
    height = np.random.default_rng(2).uniform(0, 900, (40, 31))
    kernel = np.zeros((2 * span + 1, 2 * span + 1))
    kernel[::span, ::span] = HORN / span
    per_row, per_column = gradients(height, span)
    inner = np.s_[span:-span, span:-span]
    np.testing.assert_allclose(per_column, correlate(height, kernel)[inner])
    np.testing.assert_allclose(per_row, correlate(height, kernel.T)[inner])


def test_unknown_lines_and_sides_are_made_up_for():
    rows, columns = np.mgrid[:9, :9].astype(np.float64)
    height = 3 * columns - 2 * rows
    height[4:, 4] = np.nan
    height[0] = np.nan
    per_row, per_column = gradients(height, 1)
    known = np.isfinite(height[1:-1, 1:-1])
    np.testing.assert_allclose(per_row[known], -2)
    np.testing.assert_allclose(per_column[known], 3)
    assert np.isnan(terrain(height[1:-1, 1:-1], per_column, per_row, (120.0, 30.0))[:, ~known]).all()


def test_a_lone_height_is_flat():
    height = np.full((3, 3), np.nan)
    height[1, 1] = 5.0
    assert gradients(height, 1) == (np.zeros((1, 1)), np.zeros((1, 1)))
