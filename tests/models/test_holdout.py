"""Pseudo-gaps: shaped like the gap, of valid pixels, and never too many of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.holdout import distance_to_valid, pseudo_gap


@settings(max_examples=60)
@given(st.integers(4, 70), st.integers(4, 70), st.floats(0, 1), st.integers(0, 9))
def test_only_some_of_what_is_valid_is_hidden(height, width, share, seed):
    random = np.random.default_rng(seed)
    gap = random.random((height, width)) < share
    valid = ~gap & (random.random((height, width)) < 0.95)
    hidden = pseudo_gap(valid, gap)
    if hidden is not None:
        assert not (hidden & ~valid).any()
        assert 24 <= hidden.sum() <= 0.35 * valid.sum()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.6])
def test_scattered_gaps_are_tried_on_scattered_pixels_however_many_they_are(share):
    gap = np.random.default_rng(1).random((160, 200)) < share
    hidden = pseudo_gap(~gap, gap)
    assert hidden is not None and hidden.sum() > 0.1 * (~gap).sum()
    met = distance_to_valid(gap | hidden)[hidden].mean()
    assert met < 1.5 * distance_to_valid(gap)[gap].mean()


def test_a_large_gap_is_tried_on_a_large_one():
    """Half a scene under one cloud: what is hidden of the rest lies as far from valid pixels as can be."""
    rows, columns = np.indices((128, 128))
    gap = np.hypot(rows - 64, columns - 40) < 56
    hidden = pseudo_gap(~gap, gap)
    assert hidden is not None
    assert distance_to_valid(gap | hidden)[hidden].max() > 12


def test_without_a_gap_blocks_are_hidden():
    hidden = pseudo_gap(np.ones((64, 64), bool), np.zeros((64, 64), bool))
    assert hidden is not None and hidden.mean() == 0.25
