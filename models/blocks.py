"""Blocks of a tile that a network runs on: what it sees, and the part of that which is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .base import Flags

Cut = tuple[slice, slice]
"""Rows and columns."""


def blocks(wanted: Flags, side: int, margin: int, tight: bool = False) -> Iterator[tuple[Cut, Cut, Cut]]:
    """(what the network sees, what is kept, the kept part of what it sees) of each block that is wanted.

    Args:
        wanted: (H, W), pixels that the network is to predict. side: of a block, in pixels.
        margin: pixels around what is kept that are seen, as far as there are any.
        tight: keep the box of the wanted pixels of a block instead of all of it.
    """
    for top in range(0, wanted.shape[0], side):
        for left in range(0, wanted.shape[1], side):
            part = wanted[top : top + side, left : left + side]
            if not part.any():
                continue
            kept = part if tight else np.ones_like(part)
            down = _side(kept.any(axis=1), top, wanted.shape[0], margin)
            across = _side(kept.any(axis=0), left, wanted.shape[1], margin)
            yield (down[0], across[0]), (down[1], across[1]), (down[2], across[2])


def _side(kept: Flags | np.bool_, start: int, length: int, margin: int) -> tuple[slice, slice, slice]:
    """The three slices of one side; `kept` are the block's lines from `start` on, of a tile's `length`."""
    lines = np.flatnonzero(kept)
    first, last = start + int(lines[0]), start + int(lines[-1]) + 1
    seen = max(first - margin, 0)
    return slice(seen, min(last + margin, length)), slice(first, last), slice(first - seen, last - seen)
