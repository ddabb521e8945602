"""Where a large scene is seen at full size, beside its overview: to try methods there, and to learn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ....models.base import Flags, Tile
from ....models.planes import everywhere
from ..grid import Grid, Window

SIDE, WINDOWS = 256, 8
"""Pixels a side of a window, and how many there are at most."""

SHARE = 20
"""The windows together are at most this part of the scene: seeing them costs little beside filling."""

SEEN = 0.05
"""A window shows a date in which it shares this part with the target."""

_KNOWN = 0.3  # part of a window that should be valid


def windows(overview: Tile, grid: Grid, most: int = WINDOWS) -> list[Window]:
    """At most `most` windows apart from each other, as cloudy as the scene, with valid pixels to learn from.

    Each is chosen for the dates that no earlier one shows, too: a date of the neighbouring orbit covers a
    part of the scene only.
    """
    height, width = min(SIDE, grid.height), min(SIDE, grid.width)
    rows, columns = _starts(grid.height), _starts(grid.width)
    gap, known = np.any(overview.gaps, axis=0), np.all(overview.valid, axis=0)

    def share(flags: Flags) -> NDArray[np.float64]:
        return _shares(flags, rows // overview.step, columns // overview.step, height, width, overview.step)

    off = np.abs(share(gap) - max(float(gap.mean()), 0.05)) + 2 * np.maximum(_KNOWN - share(known), 0)
    dates = len(overview.references)
    shown = np.zeros((dates, *off.shape), bool)
    for one, reference in zip(shown, overview.references, strict=True):
        np.greater_equal(share(known & everywhere(reference.image)), SEEN, out=one)
    count = number(grid, most)
    spread = int(np.sqrt(grid.height * grid.width / count)) // 2  # half of what an even spread would have
    missing, free = np.ones(dates, bool), np.ones(off.shape, bool)
    chosen: list[Window] = []
    while len(chosen) < count and free.any():
        cost = np.where(free, off - shown[missing].sum(0) / max(dates, 1), np.inf)
        r, c = np.unravel_index(int(cost.argmin()), cost.shape)
        chosen.append(Window(int(rows[r]), int(columns[c]), height, width))
        missing &= ~shown[:, r, c]
        free &= (np.abs(rows - rows[r]) >= max(height, spread))[:, None] | (
            np.abs(columns - columns[c]) >= max(width, spread)
        )
    return chosen


def number(grid: Grid, most: int = WINDOWS) -> int:
    """How many windows a grid has, unless they would lie too close."""
    return int(np.clip(grid.height * grid.width // (SHARE * SIDE**2), 1, most))


def _starts(length: int) -> NDArray[np.intp]:
    """First rows (or columns) of windows: the whole length, at most 33 of them, the last one flush."""
    last = max(length - SIDE, 0)
    step = max(SIDE // 2, -(-last // 32))
    return np.unique([*range(0, last + 1, step), last])


def _shares(
    flags: Flags, rows: NDArray[np.intp], columns: NDArray[np.intp], height: int, width: int, step: int
) -> NDArray[np.float64]:
    """(rows, columns) share of true flags in windows of a size in scene pixels, at first rows and columns."""
    sums = cv2.integral(flags.view(np.uint8), sdepth=cv2.CV_64F)
    down, across = -(-height // step), -(-width // step)
    lower, right = np.minimum(rows + down, flags.shape[0]), np.minimum(columns + across, flags.shape[1])
    total = sums[lower][:, right] - sums[rows][:, right] - sums[lower][:, columns] + sums[rows][:, columns]
    return np.asarray(total / np.outer(lower - rows, right - columns))
