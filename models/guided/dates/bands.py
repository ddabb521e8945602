"""Bands of other dates that are hardly there: one of them would make all of its date useless.

A date is read where all of its bands are clear.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...base import Floats, Tile
from ...planes import everywhere

_LEAST = 0.1  # of what a date's clearest band shows: below it a band is hardly there

Bands = tuple[tuple[int, ...], ...]


def seen(overview: Tile) -> Bands:
    """Of each reference, the indices of the bands that are there."""
    return tuple(_seen(reference.image) for reference in overview.references)


def _seen(image: Floats) -> tuple[int, ...]:
    shares = np.array([np.count_nonzero(everywhere([plane])) for plane in image])
    return tuple(np.flatnonzero(shares >= _LEAST * shares.max()).tolist())


def shown(tile: Tile, bands: Bands) -> Tile:
    """The tile (and its windows at full size) with these bands of its references alone."""
    if all(len(kept) == len(r.image) for kept, r in zip(bands, tile.references, strict=True)):
        return tile
    references = tuple(
        r if len(kept) == len(r.image) else replace(r, image=r.image[list(kept)])
        for kept, r in zip(bands, tile.references, strict=True)
    )
    return replace(tile, references=references, detail=tuple(shown(look, bands) for look in tile.detail))
