"""A scene at half its size: what a quick look learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base import Floats, Tile
from ..planes import block_means, everywhere, masked, pad_to
from ..threads import each


def halved(overview: Tile) -> Tile:
    """The overview with pixels twice as large: means of the observed ones, where half of four are.

    A pixel is a gap where any of its four is and it is not known itself.
    """
    image = _means(overview.image)
    flags = np.stack([_any(gap) for gap in overview.gaps])
    down, across = overview.pixel_size
    return replace(
        overview,
        image=image,
        gaps=flags & ~np.isfinite(image),
        references=tuple(replace(r, image=_means(r.image)) for r in overview.references),
        terrain=None if overview.terrain is None else _means(overview.terrain),
        sar=None if overview.sar is None else _means(overview.sar),
        pixel_size=(2 * down, 2 * across),
        step=2 * overview.step,
    )


def _any(flags: np.ndarray) -> np.ndarray:
    return block_means(pad_to(flags.astype(np.float32), 2, repeat=False), 2) > 0


def _means(planes: Floats) -> Floats:
    """(n, H, W) to half size, rounded up; NaN where less than half of a block's pixels is known."""
    height, width = planes.shape[1:]
    cells = block_means(pad_to(np.ones((height, width), np.float32), 2, repeat=False), 2)

    def one(plane: Floats) -> Floats:
        known = everywhere([plane])
        total = block_means(pad_to(masked(plane, known), 2, repeat=False), 2)
        share = block_means(pad_to(known.astype(np.float32), 2, repeat=False), 2)
        share[2 * share < cells] = np.nan
        return total / share

    return np.stack(each(one, planes))
