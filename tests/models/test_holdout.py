"""Pseudo-gaps: shaped like the gap, of valid pixels, and never too many of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.holdout import (
    LEAST,
    ErrorTable,
    _parts,
    distance_class,
    distance_to_valid,
    error_table,
    over_distance,
    pseudo_gap,
)


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


@pytest.mark.parametrize(("size", "shaped"), [(LEAST, True), (LEAST - 1, False)])
def test_a_gap_of_few_pixels_is_too_small_a_shape(size, shaped):
    gap = np.zeros((64, 64), bool)
    gap[1, :size] = True
    hidden = pseudo_gap(~gap, gap)
    assert hidden is not None and (hidden.sum() == size) == shaped
    assert shaped or hidden.sum() > 900  # blocks


@pytest.mark.parametrize("shape", [(5, 6), (2, 2), (64, 33)])
def test_a_shape_that_hides_too_much_is_tried_on_each_half_and_each_quarter(shape):
    whole, *halves = _parts(shape)
    assert whole.all() and len(halves) == 8
    for cut in (halves[:2], halves[2:4], halves[4:]):
        assert (np.sum(cut, axis=0) == 1).all()
        sizes = [part.sum() for part in cut]
        assert min(sizes) > 0 and max(sizes) - min(sizes) <= max(shape)


def test_errors_change_with_distance_without_steps():
    """Steps at the edges of the classes of distance would draw rings into the uncertainty layer."""
    rows, columns = np.indices((101, 101))
    gap = np.hypot(rows - 50, columns - 50) < 45
    rms = np.array([[0.01, 0.02, 0.04, 0.03], [0.3, 0.2, 0.1, 0.4]], np.float32)
    std = ErrorTable(rms).std(np.stack([gap, gap]))
    line = std[:, 50, 6:51]
    np.testing.assert_allclose(line[:, 0], rms[:, 0], rtol=0.02)
    np.testing.assert_allclose(line[:, -1], rms[:, 3], rtol=1e-5)
    far = np.abs(np.diff(line[:, 8:], axis=1)).max(1)
    assert (far < 0.15 * np.abs(np.diff(rms[:, 2:]))[:, 0]).all()
    assert np.isnan(std[:, ~gap]).all()


def test_a_table_says_its_values_in_the_middles_of_classes_and_a_line_over_logarithms_between():
    table = np.array([[0.1, 0.2, 0.4, 0.3], [1.0, 3.0, 2.0, 5.0]], np.float32)
    np.testing.assert_allclose(
        over_distance(table, np.array([1, 2.6, 8.6, 28], np.float32)), table, rtol=1e-5
    )
    between = np.sqrt([1 * 2.6, 2.6 * 8.6, 8.6 * 28]).astype(np.float32)
    np.testing.assert_allclose(over_distance(table, between), (table[:, 1:] + table[:, :-1]) / 2, rtol=1e-5)
    ends = over_distance(table, np.array([0, 500], np.float32))
    np.testing.assert_allclose(ends, table[:, [0, 3]], rtol=1e-5)


@pytest.mark.parametrize("step", [1, 4])
def test_errors_are_tabled_by_distance_and_never_fall_with_it(step):
    """Of a wide gap and of single pixels, a part of which is hidden."""
    distances = np.array([1, np.sqrt(2), 2, 4, 5, 16, 17, 90])
    assert distance_class(distances).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    gaps = np.zeros((40, 60), bool)
    gaps[2:14, 2:50] = gaps[20:38:3, 2:50:3] = True
    hidden = gaps.copy()
    hidden[:, 40:] = False
    random = np.random.default_rng(5)
    error = random.standard_normal((3, 40, 60)).astype(np.float32)
    depth = np.minimum(np.arange(12) + 1, 12 - np.arange(12))  # rows of the wide gap, where its ends are far
    error[:, 2:14, 8:44] *= depth[:, None]
    error[1] = np.nan
    at = distance_to_valid(gaps) * step
    error[2, at < 4.5] *= 9  # what is further off cannot be less
    rms = error_table(error, hidden, gaps, np.array([7, 8, 9], np.float32), step).rms
    expected = []
    for low, high in ((0, 1.5), (1.5, 4.5), (4.5, 16.5), (16.5, np.inf)):
        chosen = hidden & (at >= low) & (at < high)
        expected.append(np.sqrt(np.mean(error[0, chosen] ** 2)) if chosen.sum() >= 16 else None)
    known = [k for k, value in enumerate(expected) if value is not None]
    assert known == ([0, 1, 2] if step == 1 else [1, 2, 3])
    filled = [expected[min(known, key=lambda j: abs(j - k))] for k in range(4)]
    np.testing.assert_allclose(rms[0], np.maximum.accumulate(filled), rtol=1e-5)
    np.testing.assert_array_equal(rms[1], 8)  # nothing hidden was predicted
    assert (np.diff(rms[2]) >= 0).all() and rms[2, 3] > 5
