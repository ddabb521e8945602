"""Haze at the edge of the gaps that the mask left: it would be carried into them as if it were ground.

Valid pixels beside gaps are compared with those further off, block by block. Where they are bluer than red
tells, in nearly all blocks, what lies as near as that is not learnt from, nor filled: it stays as it is.

Source: haze optimised transform (Zhang et al. 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Tile
from ..planes import concat
from . import robust

_RINGS = (0.5, 2.5, 4.5, 6.5)  # pixels from a gap: edges of the rings that may hold haze
_FAR = (9.5, 16.5)  # of those that they are compared with
_VISIBLE = 720.0  # nanometres below which a band shows haze
_BLUER = 0.75  # robust deviations by which the first ring is bluer, at least (train)
_SURE = 0.99  # how certain it is that it is bluer at all
_FADED = 1 / 3  # of the first ring: what is less hazy is taken for ground (train)
_TAIL = 8.0  # robust deviations beyond which all counts alike
_BLOCK, _LEAST, _BLOCKS = 32, 8, 3  # pixels a side; pixels of a ring and blocks without which nothing is said
_LEFT = 0.8  # share of the valid pixels that must be left


def width(overview: Tile) -> int:
    """Pixels around gaps that are hazy, as the scene at full size or its windows show; 0 for none."""
    looks = overview.detail or (() if overview.step > 1 else (overview,))
    if not looks:
        return 0
    gaps = [np.any(look.gaps, axis=0) for look in looks]
    valid = [np.all(look.valid, axis=0) for look in looks]
    haze = _haze(looks, valid)
    if haze is None:
        return 0
    away = [_away(gap) for gap in gaps]
    block = concat([_blocks(gap.shape, place) for place, gap in enumerate(gaps)])
    there, distance, value = concat(valid), concat(away), concat(haze)
    far = _sums(there & (distance > _FAR[0]) & (distance <= _FAR[1]), block, value)
    found = 0
    for near, edge in zip(_RINGS, _RINGS[1:], strict=False):
        ring = _sums(there & (distance > near) & (distance <= edge), block, value)
        more, error, blocks = _excess(ring, far)
        if not found:
            if more < _BLUER or more <= _bound(blocks) * error:
                return 0
            first = more
        elif more < _FADED * first:
            break
        found = int(edge)
    enough = _LEFT * np.count_nonzero(there)
    hazy = [int(edge) for edge in _RINGS[:0:-1] if edge <= found + 1]
    return next((k for k in hazy if np.count_nonzero(there & (distance > k)) >= enough), 0)


def hidden(tile: Tile, pixels: int) -> Tile:
    """The tile (and its windows at full size) as if so many pixels around its gaps were gaps too."""
    if not pixels:
        return tile
    if tile.step > 1:  # coarse pixels are wider than haze
        return replace(tile, detail=tuple(hidden(look, pixels) for look in tile.detail))
    return tile.hiding(np.stack([_away(gap) <= pixels for gap in tile.gaps]))


def _haze(looks: Sequence[Tile], valid: list[Flags]) -> list[Floats] | None:
    """(H, W) each: by how many robust deviations blue exceeds what red tells, 0 where unknown.

    None where the looks have no two visible bands. What grows and what is built lies on one line of blue on
    red, under clear sky; haze shifts it.
    """
    centres = np.array(looks[0].wavelengths)
    visible = np.flatnonzero(centres < _VISIBLE)
    if len(visible) < 2:
        return None
    order = visible[np.argsort(centres[visible])]
    blue, red = (
        np.concatenate([look.image[band][there] for look, there in zip(looks, valid, strict=True)])
        for band in (order[0], order[-1])
    )
    if len(red) < _LEAST:
        return None
    variance = red.var(dtype=np.float64)
    slope = float(((red - red.mean()) * (blue - blue.mean())).mean(dtype=np.float64) / (variance + 1e-12))
    left = blue - np.float32(slope) * red
    level = float(np.median(left))
    spread = robust.deviation(left - np.float32(level))
    out = []
    for look, there in zip(looks, valid, strict=True):
        said = (look.image[order[0]] - np.float32(slope) * look.image[order[-1]] - np.float32(level)) / spread
        out.append(np.where(there, np.clip(said, -_TAIL, _TAIL), 0).astype(np.float32))
    return out


def _away(gap: Flags) -> Floats:
    """(H, W) pixels to the nearest gap; far where there is none."""
    if not gap.any():
        return np.full(gap.shape, np.inf, np.float32)
    return np.asarray(
        cv2.distanceTransform((~gap).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32
    )


def _blocks(shape: tuple[int, ...], look: int) -> NDArray[np.intp]:
    """(H, W) number of each pixel's block; blocks of one look are those of no other."""
    rows, columns = (np.arange(size) // _BLOCK for size in shape)
    across = int(columns[-1]) + 1
    return look * (int(rows[-1]) + 1) * across + rows[:, None] * across + columns


def _sums(where: Flags, block: NDArray[np.intp], value: Floats) -> tuple[Floats, Floats]:
    """Of each block: number of pixels, and their mean (0 without)."""
    size = int(block.max()) + 1
    count = np.bincount(block[where], minlength=size)
    total = np.bincount(block[where], value[where], minlength=size)
    return count.astype(np.float32), np.asarray(total / np.maximum(count, 1), np.float32)


def _excess(ring: tuple[Floats, Floats], far: tuple[Floats, Floats]) -> tuple[float, float, int]:
    """By how much a ring exceeds what is far, the standard error from block to block, and of how many."""
    weight = np.minimum(ring[0], far[0])
    used = weight >= _LEAST
    count = int(np.count_nonzero(used))
    if count < _BLOCKS:
        return 0.0, 0.0, count
    weight, more = weight[used].astype(np.float64), (ring[1] - far[1])[used].astype(np.float64)
    mean = float((weight * more).sum() / weight.sum())
    error = float(np.sqrt((weight**2 * (more - mean) ** 2).sum()) / weight.sum())
    return mean, error, count


def _bound(blocks: int) -> float:
    """Standard errors within which chance stays: Student's quantile."""
    from scipy.special import stdtrit  # slow to load, and seldom wanted

    return float(stdtrit(blocks - 1, _SURE))
