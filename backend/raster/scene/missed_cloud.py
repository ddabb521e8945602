"""Missed cloud: valid pixels around and inside the gaps that disagree with what the other dates show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ....models.base import Flags, Floats, Reference, Tile
from ....models.planes import sampled
from ....models.threads import each
from ...watch import Watch

WIDTH = 3
"""Overview pixels around a gap that count as its rim."""
FAR_OFF = 4.0
"""Robust standard deviations from which a pixel disagrees."""
LEAST = 60
"""Pixels that rim and rest need at least, for the comparison to mean something."""
SAMPLE = 50_000
"""Pixels away from the gaps that are enough to compare with."""
SUSPECT = 0.1
"""Share of disagreeing rim pixels from which missed cloud is suspected."""
SPECKS, ODD = 5, 0.3
"""Single pixels inside gaps that are judged at least, and the share of them that raises suspicion."""


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
    gaps: Flags = np.asarray(overview.gaps.any(axis=0))
    if not overview.references or not gaps.any():
        return None
    # Of a coarse pixel beside a gap the target shows what is not gap, the other dates all of it.
    beside = 0 if overview.step == 1 else 1
    near, at = (_grown(gaps, pixels) for pixels in (beside + WIDTH, beside))
    share = _disagreeing(overview, valid & near & ~at, valid & ~near, LEAST)
    return None if share is None else max(share, 0.0)


def say_specks(looks: Sequence[Tile], growth: float, watch: Watch) -> None:
    """A notice where single valid pixels inside gaps look like cloud, which fills are drawn to.

    Args:
        looks: the scene at full size, or windows of it. growth: pixels by which masks are grown already.
    """
    shares = [share for look in looks if (share := specks_share(look)) is not None]
    if shares and max(shares) > ODD:
        watch.notice("mask.specks", percent=round(100 * max(shares)), grow=math.ceil(growth + 1))


def specks_share(look: Tile) -> float | None:
    """The share of valid pixels enclosed by gaps, single or in pairs, that disagree as `missed_share` has it.

    Returns:
        A share of at most 1, or None without references or where there are too few of them.
    """
    if not look.references:
        return None
    valid = look.valid.all(axis=0)
    gaps: Flags = np.asarray(look.gaps.any(axis=0))
    closed = cv2.morphologyEx(gaps.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return _disagreeing(look, valid & closed, valid & ~_grown(gaps, WIDTH), SPECKS)


def _disagreeing(overview: Tile, near: Flags, far: Flags, least: int) -> float | None:
    """The share of pixels that disagree with the reference that explains the target best, less the usual one.

    Args:
        near: (H, W) whose share it is. far: (H, W) what it is usual for. least: how many must be compared.
    """
    around, away = np.flatnonzero(near), sampled(far, SAMPLE)
    target_around, target_away = (_brightness(overview.image, places) for places in (around, away))

    def judge(reference: Reference) -> tuple[float, float] | None:
        """What a reference leaves unexplained, and the share that disagrees with it."""
        other_around, other_away = (_brightness(reference.image, places) for places in (around, away))
        rim, rest = np.isfinite(other_around), np.isfinite(other_away)
        if np.count_nonzero(rim) < least or np.count_nonzero(rest) < LEAST:
            return None
        x, y = other_away[rest], target_away[rest]
        spread_x, middle_x, middle_y = float(np.var(x)), x.mean(), y.mean()
        slope = float(np.mean((x - middle_x) * (y - middle_y))) / spread_x if spread_x > 0 else 0.0
        off_rest = y - (slope * (x - middle_x) + middle_y)
        off_rim = target_around[rim] - (slope * (other_around[rim] - middle_x) + middle_y)
        spread = 1.4826 * float(np.median(np.abs(off_rest))) + 1e-6
        return spread, _beyond(off_rim, spread) - _beyond(off_rest, spread)

    found = [one for one in each(judge, overview.references) if one is not None]
    return min(found, key=lambda one: one[0])[1] if found else None


def _grown(gaps: Flags, pixels: int) -> Flags:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(gaps.astype(np.uint8), np.asarray(kernel, np.uint8)) > 0)


def _brightness(image: Floats, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n,) means over the bands at some pixels; NaN where a band is."""
    return np.asarray(image.reshape(len(image), -1)[:, places].mean(axis=0, dtype=np.float64))


def _beyond(off: NDArray[np.floating], spread: float) -> float:
    return float(np.mean(np.abs(off) > FAR_OFF * spread))
