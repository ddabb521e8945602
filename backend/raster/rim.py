"""Missed cloud: valid pixels around the gaps that disagree with what the other dates show."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.base import Tile
from ..watch import Watch

WIDTH = 3
"""Overview pixels around a gap that count as its rim."""
FAR_OFF = 4.0
"""Robust standard deviations from which a pixel disagrees."""
LEAST = 60
"""Pixels that rim and rest need at least, for the comparison to mean something."""
SUSPECT = 0.1
"""Share of disagreeing rim pixels from which missed cloud is suspected."""


def say_missed(overview: Tile, watch: Watch) -> None:
    """A notice where so many rim pixels disagree that the mask must have missed cloud or shadow."""
    missed = missed_share(overview)
    if missed is not None and missed > SUSPECT:
        watch.notice("mask.rim", percent=round(100 * missed))


def missed_share(overview: Tile) -> float | None:
    """The share of rim pixels that disagree with the references, beyond what is usual elsewhere.

    The target's mean over its bands is regressed on that of each reference over valid pixels away from the
    gaps; the reference that explains it best is the judge.

    Returns:
        A share from 0 to 1, or None without references, gaps or enough pixels.
    """
    valid = overview.valid.all(axis=0)
    gaps = overview.gaps.any(axis=0)
    if not overview.references or not gaps.any():
        return None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * WIDTH + 1, 2 * WIDTH + 1))
    near = cv2.dilate(np.asarray(gaps, np.uint8), np.asarray(kernel, np.uint8)).astype(bool)
    target = overview.image.mean(axis=0)
    best: tuple[float, float] | None = None
    for reference in overview.references:
        other = reference.image.mean(axis=0)
        both = valid & np.isfinite(other)
        rim, rest = both & near, both & ~near
        if min(np.count_nonzero(rim), np.count_nonzero(rest)) < LEAST:
            continue
        x, y = other[rest].astype(np.float64), target[rest].astype(np.float64)
        spread_x = float(np.var(x))
        slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread_x if spread_x > 0 else 0.0
        off = target - (slope * (other - x.mean()) + y.mean())
        spread = 1.4826 * float(np.median(np.abs(off[rest]))) + 1e-6
        share = _beyond(off[rim], spread) - _beyond(off[rest], spread)
        if best is None or spread < best[0]:
            best = (spread, share)
    return None if best is None else max(best[1], 0.0)


def _beyond(off: NDArray[np.floating], spread: float) -> float:
    return float(np.mean(np.abs(off) > FAR_OFF * spread))
