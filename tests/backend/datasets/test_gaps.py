"""Gap shapes: reproducible, of the size that was asked for, grown and turned as told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from terramend.backend.datasets import gaps
from terramend.backend.datasets.gaps import Gap

SHAPE = (96, 80)


@given(st.floats(0.1, 0.6), st.integers(0, 2**31 - 1))
@settings(max_examples=15)
def test_a_blob_is_one_piece_of_its_size(fraction: float, seed: int) -> None:
    made = gaps.make(Gap("blob", seed, fraction), SHAPE)
    assert made.mean() == pytest.approx(fraction, abs=0.01)
    assert ndimage.label(made, np.ones((3, 3)))[1] == 1
    np.testing.assert_array_equal(made, gaps.make(Gap("blob", seed, fraction), SHAPE))


def test_scattered_pixels_have_their_share() -> None:
    assert gaps.make(Gap("random", 5, 0.3), (300, 300)).mean() == pytest.approx(0.3, abs=0.01)


def test_stripes_repeat_every_33_lines() -> None:
    made = gaps.make(Gap("stripes", 1), (132, 1))[:, 0]
    np.testing.assert_array_equal(made[:33], made[33:66])
    assert 0 < made.mean() < 0.5


def test_a_cloud_is_zoomed_turned_cut_and_grown() -> None:
    mask = np.zeros((40, 48), bool)
    mask[20, 10] = True
    made = gaps.make(Gap("cloud", row=30, column=10, zoom=2), (30, 30), mask)
    expected = np.zeros((30, 30), bool)
    expected[10:12, 10:12] = True
    np.testing.assert_array_equal(made, gaps.grown(expected))
    assert gaps.grown(expected).sum() > expected.sum()
    upright = gaps.laid(mask, Gap("cloud", turn=1), (48, 40))
    assert np.argwhere(upright).mean(0) == pytest.approx([37, 20])  # a quarter turn of (20, 10)
    mirrored = gaps.laid(mask, Gap("cloud", turn=4), (40, 48))
    assert np.argwhere(mirrored).mean(0) == pytest.approx([20, 37])


def test_growing_is_euclidean() -> None:
    point = np.zeros((9, 9), bool)
    point[4, 4] = True
    grown = gaps.grown(point, 2)
    assert grown[4, 6] and grown[2, 4] and not grown[2, 2]
    assert gaps.grown(point, 0) is point


def test_a_cloud_without_a_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a mask"):
        gaps.make(Gap("cloud"), SHAPE)
