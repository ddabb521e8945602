"""Bands by their centres: which of a tile a network reads, and the two of NDVI."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .base import Tile

FAR = 40.0
"""Nanometres beyond which a band is another band."""
RED, NEAR_INFRARED = (620.0, 690.0), (760.0, 900.0)
"""Nanometres between which a band counts as red or near infrared for NDVI."""


def matching(tile: Tile, wavelengths: Sequence[float]) -> list[int] | None:
    """The tile's bands nearest to `wavelengths` (nm), in their order; None where one is too far away.

    No band serves two: a panchromatic one is not both blue and green.
    Of a tile that knows no centre all bands as they come, if there are as many; else None.
    """
    known = np.asarray(tile.wavelengths, float)
    if not np.isfinite(known).any():
        return list(range(len(tile.image))) if len(tile.image) == len(wavelengths) else None
    chosen: list[int] = []
    for wanted in wavelengths:
        distance = np.where(np.isfinite(known), np.abs(known - wanted), np.inf)
        distance[chosen] = np.inf
        if distance.min() > FAR:
            return None
        chosen.append(int(distance.argmin()))
    return chosen


def by_number(wavelengths: Sequence[float], count: int) -> tuple[float, ...]:
    """What `matching` takes `count` bands without centres for: `wavelengths` in their order, or nothing."""
    return tuple(wavelengths) if len(wavelengths) == count else ()


def band_near(wavelengths: Sequence[float], low: float, high: float) -> int | None:
    """Index of the band between `low` and `high` nanometres that is nearest their middle: B08, not B07."""
    inside = [i for i, centre in enumerate(wavelengths) if low <= centre <= high]
    return min(inside, key=lambda i: abs(wavelengths[i] - (low + high) / 2), default=None)


def red_and_near_infrared(wavelengths: Sequence[float]) -> tuple[int, int] | None:
    """Indices of the two bands of NDVI, None where one is not there."""
    red, near = band_near(wavelengths, *RED), band_near(wavelengths, *NEAR_INFRARED)
    return None if red is None or near is None else (red, near)


def ndvi(picture: NDArray[np.floating], red: int, near: int) -> NDArray[np.floating]:
    """(...) normalised difference of two bands of a (B, ...) array, NaN where their sum is not positive."""
    total = picture[near] + picture[red]
    return np.asarray((picture[near] - picture[red]) / np.where(total > 1e-6, total, np.nan))
