"""Values far below those of light are filled as those of light are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from terramend.models.base import Reference, Tile
from terramend.models.guided import model, small


def scene(times: float, seen: bool = True) -> Tile:
    """Two bands of about 1, and another date, times a factor; a gap in the middle."""
    rng = np.random.default_rng(4)
    planes = [cv2.GaussianBlur(rng.random((96, 96)), (0, 0), 4) for _ in range(4)]
    ground = np.stack([1 + 4 * (planes[0] - 0.5), 1 + 3 * (planes[1] - 0.5)])
    other = ground * 0.9 + 0.05 + 0.2 * (np.stack(planes[2:]) - 0.5)
    gaps = np.zeros(ground.shape, bool)
    gaps[:, 30:60, 30:70] = True
    if not seen:
        gaps[:] = True
    image = np.where(gaps, np.nan, ground).astype(np.float32) * np.float32(times)
    return Tile(image, gaps, (Reference(other.astype(np.float32) * np.float32(times), 16, "other"),))


def filled(tile: Tile):
    guided = model.create()
    return guided.predict(tile, guided.prepare(tile))


@pytest.mark.parametrize("power", [-20, -66])
def test_small_values_are_filled_as_others(power):
    plain, tiny = filled(scene(1)), filled(scene(2.0**power))
    np.testing.assert_array_equal(tiny.mean, plain.mean * np.float32(2.0**power))
    np.testing.assert_array_equal(tiny.std, plain.std * np.float32(2.0**power))


def test_what_is_small():
    assert small.learn(scene(1)) is None
    assert small.learn(scene(0)) is None
    named = scene(2.0**-20)
    assert small.learn(Tile(named.image, named.gaps, named.references, wavelengths=(560.0, 660.0))) is None
    for seen in (True, False):  # else as the other date says
        found = small.learn(scene(2.0**-20, seen))
        np.testing.assert_array_equal(found.own, [2.0**20] * 2)
        np.testing.assert_array_equal(found.others[0], [2.0**20] * 2)
