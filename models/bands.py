"""Which bands of a tile a network reads that knows bands by their centres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Tile

FAR = 40.0
"""Nanometres beyond which a band is another band."""


def matching(tile: Tile, wavelengths: Sequence[float]) -> list[int] | None:
    """The tile's bands nearest to `wavelengths` (nm), in their order; None where one is too far away.

    Of a tile that knows no centre all bands as they come, if there are as many; else None.
    """
    known = np.asarray(tile.wavelengths, float)
    if not np.isfinite(known).any():
        return list(range(len(tile.image))) if len(tile.image) == len(wavelengths) else None
    chosen = []
    for wanted in wavelengths:
        distance = np.where(np.isfinite(known), np.abs(known - wanted), np.inf)
        if distance.min() > FAR:
            return None
        chosen.append(int(distance.argmin()))
    return chosen
