"""Terrain channels against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.backend.evaluation.terrain import channels


def test_a_slope_towards_the_sun() -> None:
    y, x = np.mgrid[:20, :20]
    east = (-x * 10 * np.tan(np.radians(30))).astype(np.float32)  # falls towards the east at 30 degrees
    made = channels(east, (10.0, 10.0), (90.0, 60.0))
    assert made is not None
    inner = made[:, 2:-2, 2:-2]
    np.testing.assert_allclose(inner[1], np.radians(30), atol=1e-5)
    np.testing.assert_allclose(inner[2], 1.0, atol=1e-5)  # the sun stands on its normal
    south = channels((-y * 10 * np.tan(np.radians(20))).astype(np.float32), (10.0, 10.0), (180.0, 70.0))
    assert south is not None and south[2, 10, 10] == pytest.approx(1.0, abs=1e-5)


def test_flat_ground_and_no_sun() -> None:
    made = channels(np.full((5, 5), 7.0, np.float32), (30.0, 30.0), (140.0, 30.0))
    assert made is not None
    np.testing.assert_allclose(made[2], 0.5, atol=1e-6)
    dark = channels(np.full((5, 5), 7.0, np.float32), (30.0, 30.0), None)
    assert dark is not None and np.isnan(dark[2]).all()
    assert channels(None, (10.0, 10.0), None) is None
