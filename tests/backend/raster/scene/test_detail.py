"""Windows at full size beside an overview: few, apart, and of every date."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.scene import detail
from terramend.models.base import Reference, Tile


def grid(height, width):
    return Grid("", (10.0, 0, 0, 0, -10.0, 0), width, height)


def overview(height, width, step, dates=0):
    shape = (1, -(-height // step), -(-width // step))
    gaps = np.random.default_rng(height).random(shape) < 0.1
    image = np.where(gaps, np.nan, 0.1).astype(np.float32)
    references = tuple(Reference(np.full(shape, np.nan, np.float32)) for _ in range(dates))
    return Tile(image, gaps, references, step=step)


@given(st.integers(1, 6000), st.integers(1, 6000), st.sampled_from([8, 16]), st.integers(1, 8))
@settings(max_examples=60)
def test_windows_are_few_inside_and_apart(height, width, step, most):
    found = detail.windows(overview(height, width, step), grid(height, width), most)
    assert 1 <= len(found) <= most
    assert len(found) == 1 or len(found) * detail.SIDE**2 * detail.SHARE <= height * width
    for window in found:
        assert 0 <= window.row <= window.row + window.height <= height
        assert 0 <= window.column <= window.column + window.width <= width
        assert max(window.height, window.width) <= detail.SIDE
    for i, a in enumerate(found):
        for b in found[:i]:
            assert abs(a.row - b.row) >= a.height or abs(a.column - b.column) >= a.width
    assert found == detail.windows(overview(height, width, step), grid(height, width), most)


def test_every_date_is_shown_wherever_it_is():
    seen = overview(5000, 6000, 8, dates=4)
    corners = [np.s_[:, :90, :90], np.s_[:, :90, -90:], np.s_[:, -90:, :90], np.s_[:, 300:340, 300:340]]
    for reference, corner in zip(seen.references, corners, strict=True):
        reference.image[corner] = 0.2
    found = detail.windows(seen, grid(5000, 6000))
    for reference in seen.references:
        shares = []
        for w in found:
            part = np.s_[:, w.row // 8 : (w.row + w.height) // 8, w.column // 8 : (w.column + w.width) // 8]
            shares.append(np.isfinite(reference.image[part]).mean())
        assert max(shares) > detail.SEEN


def test_the_first_windows_are_as_cloudy_as_the_scene():
    gaps = np.zeros((1, 512, 512), bool)
    gaps[:, :256, 256:] = np.arange(256) % 10 < 3
    gaps[:, 256:, 256:] = np.arange(256) % 10 < 9  # 0, 30 and 90 % in quarters, 30 % of all
    seen = Tile(np.where(gaps, np.nan, 0.1).astype(np.float32), gaps, step=8)
    found = detail.windows(seen, grid(4096, 4096))
    assert len(found) >= 2
    for w in found[:2]:
        share = gaps[:, w.row // 8 : (w.row + w.height) // 8, w.column // 8 : (w.column + w.width) // 8]
        assert 0.2 < share.mean() < 0.4


@given(st.integers(0, 2**31), st.integers(3, 40), st.integers(3, 40))
def test_shares_are_means_of_windows(seed, height, width):
    random = np.random.default_rng(seed)
    flags = random.random((height, width)) < 0.4
    rows, columns = np.array([0, height // 2]), np.array([0, width // 3])
    found = detail._shares(flags, rows, columns, 5, 7, 2)
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            assert np.isclose(found[r, c], flags[row : row + 3, column : column + 4].mean())
