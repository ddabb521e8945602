"""Cloud and shadow that the target's mask left: else they would be learnt from, and carried in, as ground.

Valid pixels beside gaps are compared with those further off, block by block. Where they are more like cloud,
or like shadow, they are not learnt from, nor filled: they stay as they are. So does shadow far from the gaps,
which has their shape (`cast`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats, Tile
from ...planes import concat, masked
from . import cast
from .spectra import Filter, filters

_HALF = 0.5  # of a pixel: what edges lie beyond the pixels' centres
_RINGS = (0.5, 2.5, 4.5, 6.5, 8.5)  # pixels from a gap: edges of the rings that may hold cloud or shadow
_FAR = (10.5, 20.5)  # of those that they are compared with
_MORE = 1.0  # robust deviations of ground by which a ring stands out, at least (train)
_SURE = 0.99  # how certain it is that the first ring stands out at all
_TAIL = 8.0  # robust deviations beyond which all counts alike
_BLOCK, _LEAST, _BLOCKS = 32, 8, 3  # pixels a side; pixels of a ring and blocks without which nothing is said
_LEFT = 0.3  # share of the valid pixels that must be left
_SIDE, _DARK = 5, 1.0  # a pixel is in shadow where the mean of so many pixels a side is so dark (train)


@dataclass(frozen=True)
class Fringe:
    """What lies beside gaps.

    Attributes:
        cloud, shadow: how many pixels from gaps they reach; 0 for not at all. cast: whether there is shadow
            elsewhere too. dark: tells shadow from ground.
    """

    cloud: int
    shadow: int
    cast: bool
    dark: Filter


def learn(overview: Tile) -> Fringe | None:
    """What the scene at full size, or its windows, show beside gaps; None where nothing stands out."""
    looks = overview.detail or (() if overview.step > 1 else (overview,))
    if not looks or not overview.gaps.any():
        return None
    away = [_away(np.any(look.gaps, axis=0)) for look in looks]
    found = filters(looks, [one > _FAR[0] for one in away])
    if found is None:
        return None
    distance, block = concat(away), concat([_blocks(one.shape, place) for place, one in enumerate(away)])
    there = distance > _RINGS[0]
    most = next((int(k) for k in _RINGS[:0:-1] if (distance > k).sum() >= _LEFT * there.sum()), 0)

    def width(parts: list[Floats]) -> int:
        value = concat(parts)
        known = np.isfinite(value)
        return min(_width(known, distance, block, masked(np.clip(value, -_TAIL, _TAIL), known)), most)

    bright, dark, plain = ([one.of(look) for look in looks] for one in found)
    cloud, shadow = width(bright), width(dark)
    gaps = [one <= _RINGS[0] for one in away]

    def far(darkness: list[Floats], clearly: bool) -> float:
        known = [np.isfinite(one) for one in darkness]
        return cast.found(gaps, [_shade(one) for one in darkness], known, clearly)

    matched, plainly = far(dark, clearly=False), far(plain, clearly=True)
    if not (cloud or shadow or matched or plainly):
        return None
    return Fringe(cloud, shadow, matched + plainly > 0, found[2] if plainly > matched else found[1])


def hidden(tile: Tile, fringe: Fringe | None) -> Tile:
    """The tile (and its windows at full size) as if what lies in the fringe were gaps too."""
    if fringe is None:
        return tile
    if tile.step > 1:  # coarse pixels are wider
        return replace(tile, detail=tuple(hidden(look, fringe) for look in tile.detail))
    away = [_away(gap) for gap in tile.gaps]
    near = np.stack([distance <= fringe.cloud + _HALF for distance in away])
    if fringe.shadow or fringe.cast:
        shade, reach = _shade(fringe.dark.of(tile)), np.inf if fringe.cast else fringe.shadow + _HALF
        near |= np.stack([shade & (distance <= reach) for distance in away])
    return tile.hiding(near)


def _shade(darkness: Floats) -> Flags:
    """(H, W) whether the mean of known values around a pixel is large."""
    known = np.isfinite(darkness)
    values = masked(np.clip(darkness, -_TAIL, _TAIL), known)
    total = cv2.boxFilter(values, -1, (_SIDE, _SIDE), normalize=False)
    count = cv2.boxFilter(known.astype(np.float32), -1, (_SIDE, _SIDE), normalize=False)
    return np.asarray(total > _DARK * np.maximum(count, 1))


def _width(there: Flags, distance: Floats, block: NDArray[np.intp], value: Floats) -> int:
    """How many pixels from the gaps `value` stands out where it is known; 0 for none."""
    far = _sums(there & (distance > _FAR[0]) & (distance <= _FAR[1]), block, value)
    found = 0
    for near, edge in zip(_RINGS, _RINGS[1:], strict=False):
        ring = _sums(there & (distance > near) & (distance <= edge), block, value)
        more, error, blocks = _excess(ring, far)
        if more < _MORE or (not found and more <= _bound(blocks) * error):
            break
        found = int(edge)
    return found


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
