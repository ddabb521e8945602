"""Coregistration: dates that lie off by whole pixels are found on the scene, and moved before it is learnt.

Orthorectified images of one sensor are often a pixel apart, of two sensors more. Slopes among the
features (`features`) stand for what is left, below half a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Floats, Tile
from ...planes import concat, everywhere, masked, sampled
from ...threads import each

REACH = 8  # pixels that a date may lie off
_COARSE = 2  # every so many pixels are tried first
_SAMPLE, _LEAST = 6000, 500  # pixels that are compared, and fewer of which prove nothing
_AROUND = 9  # pixels a side of the mean that is taken off: shapes are compared, not brightness
_BETTER = 0.87  # share of the unexplained variance that may be left, or the date stays (train)
_ALIKE = 0.3  # correlation below which two pictures do not show the same shapes
_PAIRS = 5  # bands that must agree
_COMMON = 0.7  # share of the compared pixels that must be clear in the moved date too

Offset = tuple[int, int]
"""Rows and columns in scene pixels: what the target shows at (y, x), the date shows at (y, x) plus it."""


def offsets(overview: Tile) -> tuple[Offset, ...]:
    """How far each reference lies off. What is seen at a reduced size only is taken as it lies."""
    looks = overview.detail or ((overview,) if overview.step == 1 else ())
    if not looks or min(looks[0].image.shape[1:]) < 4 * REACH:
        return ((0, 0),) * len(overview.references)
    target, inner = concat([look.image for look in looks]), np.zeros(looks[0].image.shape[1:], bool)
    inner[REACH:-REACH, REACH:-REACH] = True
    places = sampled(everywhere(target) & concat([inner] * len(looks)), _SAMPLE)

    def one(index: int) -> Offset:
        image = concat([look.references[index].image for look in looks])
        return _offset(target, image, places, len(looks))

    return tuple(each(one, range(len(overview.references))))


def moved(tile: Tile, found: Sequence[Offset]) -> Tile:
    """The tile (and its windows at full size) with each reference moved back by its offset.

    Beyond its edge a reference shows its last pixel.
    """
    if not any(rows or columns for rows, columns in found):
        return tile
    references = tuple(
        replace(reference, image=_shifted(reference.image, rows / tile.step, columns / tile.step))
        for reference, (rows, columns) in zip(tile.references, found, strict=True)
    )
    return replace(tile, references=references, detail=tuple(moved(look, found) for look in tile.detail))


def _shifted(image: Floats, rows: float, columns: float) -> Floats:
    height, width = image.shape[1:]
    down = np.clip(np.arange(height) + round(rows), 0, height - 1)
    across = np.clip(np.arange(width) + round(columns), 0, width - 1)
    return image[:, down[:, None], across] if round(rows) or round(columns) else image


def _offset(target: Floats, image: Floats, places: NDArray[np.intp], pieces: int) -> Offset:
    """Offset of an image (K, H, W) at which its shapes are most like the target's (B, H, W).

    `places` (n,) are flat, `REACH` from the edges of the `pieces` that lie side by side.
    """
    bands = _pairs(target, image, places)

    def pair(number: int) -> _Pair:
        band, other = bands[number]
        return _Pair(_shapes(target[band], pieces), _shapes(image[other], pieces), places)

    first = pair(0)
    if first.common < _LEAST:  # moved a little, it may have just enough
        return 0, 0
    tried = range(-REACH, REACH + 1, _COARSE)
    y, x = max(((y, x) for y in tried for x in tried), key=lambda at: first.alike(*at))
    y, x = max(_around(y, x), key=lambda at: first.alike(*at))
    if (y, x) == (0, 0) or first.alike(y, x) < _ALIKE:
        return 0, 0
    compared = [first, *map(pair, range(1, len(bands)))]

    def left(at: Offset) -> float:
        return float(np.mean([1 - one.alike(*at) ** 2 for one in compared]))

    y, x = min(_around(y, x), key=left)
    certain = first.alike(y, x) >= _ALIKE and max(abs(y), abs(x)) < REACH
    return (y, x) if certain and left((y, x)) < _BETTER * left((0, 0)) else (0, 0)


def _around(y: int, x: int) -> list[Offset]:
    """An offset and its neighbours."""
    rows, columns = (range(max(v - 1, -REACH), min(v + 1, REACH) + 1) for v in (y, x))
    return [(y, x) for y in rows for x in columns]


def _pairs(target: Floats, image: Floats, places: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Bands of the target and the image to compare: the pair that correlates best, then some of the others.

    Others must agree, because bands that were enlarged from large pixels repeat theirs at wrong places.
    Equal numbers of bands go one to one.
    """
    bands, others = (planes.reshape(len(planes), -1)[:, places] for planes in (target, image))
    same = len(bands) == len(others)
    pairs = [(b, c) for b in range(len(bands)) for c in ([b] if same else range(len(others)))]
    best = max(pairs, key=lambda pair: _correlation(bands[pair[0]], others[pair[1]], _LEAST))
    some = [pairs[place] for place in np.linspace(0, len(pairs) - 1, min(_PAIRS, len(pairs))).astype(int)]
    return [best, *(pair for pair in some if pair != best)]


class _Pair:
    """Shapes of a band of the target and one of a date, compared at the same places."""

    def __init__(self, target: Floats, date: Floats, places: NDArray[np.intp]) -> None:
        self._wanted, self._date = target.ravel()[places], date.ravel()
        self._places, self._width = places, date.shape[1]
        self.common = int(np.isfinite(self._date[places]).sum())  # places that are clear in both
        self._least = max(_LEAST, _COMMON * self.common)
        self._known: dict[Offset, float] = {}

    def alike(self, rows: int, columns: int) -> float:
        """|r| at an offset."""
        if (rows, columns) not in self._known:
            there = self._date[self._places + rows * self._width + columns]
            self._known[rows, columns] = _correlation(self._wanted, there, self._least)
        return self._known[rows, columns]


def _correlation(first: Floats, second: Floats, least: float) -> float:
    """|Pearson's r| of samples (n,) where both are finite; 0 of fewer than `least`, and of constant ones."""
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < max(least, 2):
        return 0.0
    a, b = first[known].astype(np.float64), second[known].astype(np.float64)
    a -= a.mean()
    b -= b.mean()
    power = float(np.sqrt((a @ a) * (b @ b)))
    return abs(float(a @ b)) / power if power > 0 else 0.0


def _shapes(plane: Floats, pieces: int) -> Floats:
    """A plane (H, W) of `pieces` side by side without the mean around each pixel; NaN stays."""

    def one(part: Floats) -> Floats:
        known = np.isfinite(part)
        around = (_AROUND, _AROUND)
        mean, share = (cv2.boxFilter(p, -1, around) for p in (masked(part, known), known.astype(np.float32)))
        return np.subtract(part, mean / np.maximum(share, np.float32(1e-3)), dtype=np.float32)

    return concat([one(np.ascontiguousarray(part)) for part in np.split(plane, pieces, axis=-1)])
