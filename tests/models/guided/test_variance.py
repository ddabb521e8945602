"""The mean square of residuals around a gap: what is near tells, far into wide gaps too."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.models.guided import residual


def two_halves() -> tuple[np.ndarray, np.ndarray]:
    """Residuals of 1 to the left and of 4 to the right, known on rims 16 pixels wide of a gap in each half."""
    signs = np.random.default_rng(3).choice([-1, 1], (240, 800)).astype(np.float32)
    signs[:, 400:] *= 4
    known = np.zeros((240, 800), np.float32)
    for left in (20, 420):
        known[20:220, left : left + 360] = 1
        known[36:204, left + 16 : left + 344] = 0
    return signs * known, known


def test_the_same_everywhere_is_the_same_everywhere() -> None:
    values, known = two_halves()
    out = residual.variance(np.sign(values), known, 9.0)
    assert out == pytest.approx(np.full(out.shape, 1 + residual.FLOOR), rel=1e-5)


def test_deep_in_a_gap_its_own_surroundings_tell_not_the_tiles() -> None:
    values, known = two_halves()
    out = residual.variance(values, known, 9.0)
    assert (values**2).sum() / known.sum() == pytest.approx(8.5)
    assert out[120, 40] == pytest.approx(1, rel=0.1) and out[120, 760] == pytest.approx(16, rel=0.1)
    assert out[120, 120] < 2.5 and out[120, 680] > 13  # 84 pixels from the nearest known one


def test_a_tile_that_knows_nothing_says_what_it_was_told() -> None:
    nothing = np.zeros((30, 40), np.float32)
    assert (residual.variance(nothing, nothing, 0.25) == 0.25).all()
