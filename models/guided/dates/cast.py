"""Shadow far from the gaps: clouds cast it elsewhere, all of them the same way and about as far.

So what is dark, where a mask marks the clouds but not their shadow, has the shape of the gaps, moved by some
rows and columns. Ground that is dark by itself fits the gaps no better than it fits their mirror images.

Source: clouds and their shadows are matched by shape as in Fmask (Zhu, Woodcock 2012), but without the sun.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats

_FIT = 0.5  # correlation of what is dark with the gaps, moved, at least (train)
_BEYOND = 0.1  # and by so much more than with their mirror images (train: in none of 2017 clear cases)
_CLEARLY = 0.2  # or by so much more, however well it agrees (1659 clear cases: at most 0.12; `clearly` 0.18)
_SIDE = 512  # pixels a side beyond which the maps are made smaller first
_REACH = 100  # pixels of these that a shadow may lie off, each way; half of a smaller scene
_LEAST, _LITTLE, _MOST = 200, 0.02, 0.9  # pixels, and shares of what is seen, that moved gaps must meet
_DARK, _HALF = 30, 0.5  # pixels of shadow without which nothing is said, and the share that is too much

Doubles = NDArray[np.float64]


def found(
    gaps: Sequence[Flags], dark: Sequence[Flags], known: Sequence[Flags], clearly: bool = False
) -> float:
    """By how much what is dark fits the gaps better than their mirror images; 0 if it is not their shadow.

    Arguments of `fit`; `clearly`: of what may well be dark by itself it takes more to be sure.
    """
    here = fit(gaps, dark, known)
    if here < _CLEARLY:
        return 0.0
    ways = (np.flipud, np.fliplr, lambda gap: gap[::-1, ::-1])
    more = here - max(fit([mirror(gap) for gap in gaps], dark, known) for mirror in ways)
    sure = more >= _CLEARLY or (not clearly and here >= _FIT and more >= _BEYOND)
    return more if sure else 0.0


def fit(gaps: Sequence[Flags], dark: Sequence[Flags], known: Sequence[Flags]) -> float:
    """How well what is dark agrees with the gaps moved as suits it best: correlation (phi) of two flags.

    Args:
        gaps, dark, known: (H, W) of each look at the scene: the clouds, what is as dark as their shadow, and
            where that can be seen. Looks are of one size.

    Returns:
        At most 1; 0 where too little is seen.
    """
    factor = -(-max(gaps[0].shape) // _SIDE)
    seen = [_smaller(one, factor) for one in known]
    shade = [_smaller(one & there, factor) for one, there in zip(dark, known, strict=True)]
    meets, agrees = _moved([_smaller(one, factor) for one in gaps], seen, shade)
    all_seen, all_dark = (float(sum(one.sum() for one in part)) for part in (seen, shade))
    enough = (meets >= max(_LEAST / factor**2, _LITTLE * all_seen)) & (meets <= _MOST * all_seen)
    if not enough.any() or not _DARK / factor**2 <= all_dark <= _HALF * all_seen:
        return 0.0
    meets, agrees = meets[enough], agrees[enough]
    above = agrees * all_seen - all_dark * meets
    return float((above / np.sqrt(all_dark * (all_seen - all_dark) * meets * (all_seen - meets))).max())


def _smaller(flags: Flags, factor: int) -> Floats:
    """Means of so many pixels a side."""
    rows, columns = (-(-size // factor) for size in flags.shape)
    return np.asarray(cv2.resize(flags.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA))


def _moved(gaps: Sequence[Floats], seen: Sequence[Floats], dark: Sequence[Floats]) -> tuple[Doubles, Doubles]:
    """Pixels that gaps meet when moved each way, and how many of these are dark; of all looks together."""
    from scipy import fft  # slow to load

    reach = min(_REACH, min(gaps[0].shape) // 2)
    size = [fft.next_fast_len(side + reach, real=True) for side in gaps[0].shape]
    ways = np.arange(-reach, reach + 1)
    met, agreed = np.zeros((2, len(ways), len(ways)))
    for gap, *parts in zip(gaps, seen, dark, strict=True):
        spectrum = np.conj(fft.rfft2(gap, size))
        for total, part in zip((met, agreed), parts, strict=True):
            total += fft.irfft2(fft.rfft2(part, size) * spectrum, size)[np.ix_(ways, ways)]
    return met, agreed
