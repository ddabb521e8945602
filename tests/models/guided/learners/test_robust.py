"""Robust weights, in closed forms."""

import numpy as np
import pytest
from terramend.models.guided.learners import robust

SHAPE = (30, 40)


def test_the_deviation_of_a_normal_law_is_its_own_and_outliers_hardly_move_it():
    values = 0.2 * np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    assert robust.deviation(values) == pytest.approx(0.2, rel=0.01)
    spoilt = values.copy()
    spoilt[:10_000] = 1e3
    assert robust.deviation(spoilt) == pytest.approx(0.2, rel=0.08)
    assert robust.deviation(np.zeros(5, np.float32)) > 0


def test_a_pixel_at_the_cut_counts_by_half_in_all_bands_and_less_in_one():
    left = np.where(np.indices(SHAPE)[1] % 2, 1, -1) * np.ones((2, 1, 1))
    spread = robust.deviation(np.ones(9, np.float32))
    left[:, 3, 3] = robust.CUT * spread
    left[0, 4, 4], left[1, 4, 4] = robust.CUT * spread, 0
    left[:, 5, 5] = 1e6
    weights = robust.cauchy(left.astype(np.float32), np.ones(SHAPE, bool))
    usual = 1 / (1 + 1 / (robust.CUT * spread) ** 2)
    np.testing.assert_allclose(weights[:3], usual, rtol=1e-5)
    assert weights[3, 3] == pytest.approx(0.5, rel=1e-5)
    assert weights[4, 4] == pytest.approx(2 / 3, rel=1e-5)  # half of the squares
    assert 0 <= weights[5, 5] < 1e-9


def test_what_is_not_valid_neither_counts_nor_is_judged():
    valid = np.ones(SHAPE, bool)
    valid[:10] = False
    left = np.ones((1, *SHAPE), np.float32)
    clean = robust.cauchy(left, valid)
    left[:, :10] = np.nan
    np.testing.assert_array_equal(robust.cauchy(left, valid), clean)
    assert (clean[:10] == 1).all() and (clean[10:] < 1).all()
    np.testing.assert_array_equal(robust.cauchy(left, np.zeros(SHAPE, bool)), np.ones(SHAPE, np.float32))


def test_large_pictures_are_weighed_pixel_by_pixel_like_small_ones():
    random = np.random.default_rng(2)
    left = random.standard_normal((2, 300, 700)).astype(np.float32)
    valid = random.random((300, 700)) < 0.7
    cut = [robust.CUT * robust.deviation(band[valid][:: int(valid.sum() / 20000)]) for band in left]
    expected = 1 / (1 + np.mean([(band / c) ** 2 for band, c in zip(left, cut, strict=True)], axis=0))
    np.testing.assert_allclose(robust.cauchy(left, valid), np.where(valid, expected, 1), rtol=1e-4)
