"""Pseudo-gaps: hide observed pixels of the scene itself, to learn what an error is here.

The shape of the hidden part is the scene's own gap mask, flipped or shifted, so that the
errors measured there are those of gaps as large and as ragged as the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .base import Flags, Floats
from .planes import combine

CLASS_EDGES = (1.5, 4.5, 16.5)
"""Distances to valid data (pixels) between the classes 1, 2-4, 5-16 and beyond."""

CLASSES = len(CLASS_EDGES) + 1

_MIDDLES = np.log([1.0, 2.6, 8.6, 28.0])
"""Logarithms of the distances that stand for the classes."""

SHARE = 0.35
"""Of the observed pixels, at most so many are hidden."""
LEAST = 24
"""Pixels that a pseudo-gap has at least."""


def distance_to_valid(gaps: Flags) -> Floats:
    """(H, W) Euclidean distance in pixels of each gap pixel to the nearest other one; 0 outside gaps.

    Without any other pixel the distance is the array's diagonal.
    """
    if gaps.all():
        return np.full(gaps.shape, float(np.hypot(*gaps.shape)), np.float32)
    mask = np.ascontiguousarray(gaps, np.uint8)
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def distance_class(distance: Floats) -> NDArray[np.intp]:
    """Class index (0 to 3) of distances in pixels."""
    return np.digitize(distance, CLASS_EDGES)


def over_distance(table: Floats, distance: Floats) -> Floats:
    """(n, ...) what a table (n, 4) of the classes says at distances (...) in pixels.

    A line over the distance's logarithm from one class's middle to the next: steps at the edges of classes
    would show as rings.
    """
    place = np.log(np.maximum(distance, np.float32(1)))
    ramps = np.empty((CLASSES - 1, *distance.shape), np.float32)
    for ramp, first, last in zip(ramps, _MIDDLES, _MIDDLES[1:], strict=False):
        np.clip((place - np.float32(first)) / np.float32(last - first), 0, 1, out=ramp)
    out = np.empty((len(table), *distance.shape), np.float32)
    combine(np.diff(table, axis=1), ramps, out)
    out += table[:, :1].reshape(-1, *[1] * distance.ndim)
    return out


def _candidates(gap: Flags) -> list[Flags]:
    """The gap's shape elsewhere: mirrored, turned by 180 degrees, shifted, and at half size."""
    height, width = gap.shape
    shapes = [gap[:, ::-1], gap[::-1], gap[::-1, ::-1]]
    shapes += [
        np.roll(gap, (dy, dx), (0, 1))
        for dy, dx in (
            (height // 2, 0),
            (0, width // 2),
            (height // 2, width // 2),
            (height // 3, width // 3),
        )
    ]
    half = gap[::2, ::2]
    small = [np.tile(half, (2, 2))[:height, :width], np.tile(half[::-1, ::-1], (2, 2))[:height, :width]]
    return shapes + small


def _parts(shape: tuple[int, ...]) -> list[Flags]:
    """(H, W) all pixels; where a gap's shape hides too many of them, those of each half, of each quarter."""
    lower, right = (place >= size // 2 for place, size in zip(np.indices(shape), shape, strict=True))
    halves = [~lower, lower, ~right, right]
    return [np.ones(shape, bool), *halves, *(down & across for down in halves[:2] for across in halves[2:])]


def pseudo_gap(valid: Flags, gap: Flags) -> Flags | None:
    """(H, W) part of `valid` to hide, shaped like `gap` elsewhere; None if nothing fits.

    At most `SHARE` of the valid pixels are hidden, and at least `LEAST` pixels.
    """
    most = SHARE * int(valid.sum())
    best: Flags | None = None
    count = LEAST - 1
    shapes = [shape & valid for shape in _candidates(gap)] if gap.any() else []
    for part in _parts(gap.shape):
        for shape in shapes:
            hidden = shape & part
            size = int(hidden.sum())
            if count < size <= most:
                best, count = hidden, size
        if count > most / 3:  # less may be no more than a rim of the gap, which proves little
            break
    if best is None and most:
        # The gap fits nowhere whole: keep blocks of its complement's checkerboard instead.
        side = max(2, min(valid.shape) // 8)
        rows, columns = np.indices(valid.shape)
        hidden = valid & (rows // side % 2 == 1) & (columns // side % 2 == 1)
        if LEAST <= hidden.sum() <= most:
            best = hidden
    return best


@dataclass(frozen=True)
class ErrorTable:
    """RMS errors met in pseudo-gaps, (B, 4): per band and class of distance, NaN if none."""

    rms: NDArray[np.float32]

    def std(self, gaps: Flags, step: int = 1) -> Floats:
        """(B, H, W) standard deviation at the gaps (NaN elsewhere), by distance to valid data."""
        out = np.full(gaps.shape, np.nan, np.float32)
        last: tuple[Flags, Floats] | None = None
        for band, gap in enumerate(gaps):
            if not gap.any():
                continue
            if last is None or not np.array_equal(last[0], gap):
                last = gap, distance_to_valid(gap)[gap] * np.float32(step)
            out[band][gap] = over_distance(self.rms[band : band + 1], last[1])[0]
        return out


def error_table(
    error: Floats, hidden: Flags, gaps: Flags, spread: NDArray[np.float32], step: int = 1
) -> ErrorTable:
    """Tabulate errors (B, H, W) at `hidden` (H, W), a part of all open `gaps` (H, W).

    Classes not met take a neighbouring one's value; errors never fall with distance.
    `spread` (B,), the standard deviation of the band, stands in where nothing was hidden.
    """
    classes = distance_class(distance_to_valid(gaps) * step)
    rms = np.full((len(error), CLASSES), np.nan, np.float32)
    for k in range(CLASSES):
        chosen = hidden & (classes == k)
        if chosen.sum() >= 16:
            squares = error[:, chosen].astype(np.float64) ** 2
            seen = np.isfinite(squares)
            count = seen.sum(1)
            mean = np.where(seen, squares, 0).sum(1) / np.maximum(count, 1)
            rms[:, k] = np.where(count > 0, np.sqrt(mean), np.nan)
    for row, fallback in zip(rms, spread, strict=True):
        known = np.flatnonzero(np.isfinite(row))
        if not len(known):
            row[:] = fallback
            continue
        nearest = known[np.abs(np.arange(CLASSES)[:, None] - known).argmin(1)]
        row[:] = np.maximum.accumulate(row[nearest])
    return ErrorTable(rms)
