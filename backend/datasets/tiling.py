"""Tiles that overlap, and splits that do not: a region is in training or in testing as a whole.

AlignDiff cuts its regions into tiles of 512 pixels with half an overlap and splits 80 to 20. Drawn tile
by tile, such a split shows the network three quarters of what it is tested on; so regions are split
here, and regions that share ground go together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..raster.grid import Window

SIZE, OVERLAP = 512, 0.5
TEST = 0.2
"""Share of the regions that is held back."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


def tiles(height: int, width: int, size: int = SIZE, overlap: float = OVERLAP) -> list[Window]:
    """Windows of `size` that cover a raster, neighbours overlapping by at least `overlap`.

    The last ones end at the edge; a side shorter than `size` is one window of its length.

    Raises:
        ValueError: a size below 1, an overlap outside 0 to less than 1.
    """
    if size < 1 or not 0 <= overlap < 1:
        raise ValueError("a tile is at least one pixel, and tiles overlap by 0 to less than 1")
    sides = [_starts(length, size, overlap) for length in (height, width)]
    return [
        Window(row, column, min(size, height), min(size, width)) for row in sides[0] for column in sides[1]
    ]


def _starts(length: int, size: int, overlap: float) -> list[int]:
    step = max(1, int(size * (1 - overlap)))
    return [*range(0, max(length - size, 0), step), max(length - size, 0)]


def groups(regions: Mapping[str, Bounds | None]) -> list[list[str]]:
    """Names of regions that share ground, directly or through others; sorted. None: nowhere known."""
    names = sorted(regions)
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for index, one in enumerate(names):
        for other in names[:index]:
            if _overlap(regions[one], regions[other]):
                leader[find(one)] = find(other)
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(find(name), []).append(name)
    return list(found.values())


def split(regions: Mapping[str, Bounds | None], test: float = TEST, seed: int = 0) -> dict[str, str]:
    """`train` or `val` of every region: at least `test` of them are held back, groups whole.

    With two groups or more, at least one is on each side.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """
    if not 0 < test < 1:
        raise ValueError("the share that is held back lies between 0 and 1")
    parts = groups(regions)
    held: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(parts))[:-1]:
        if len(held) >= test * len(regions):
            break
        held.update(parts[index])
    return {name: "val" if name in held else "train" for name in sorted(regions)}


def _overlap(one: Bounds | None, other: Bounds | None) -> bool:
    if one is None or other is None:
        return False
    apart = max(one[1], other[1]) >= min(one[3], other[3])
    shift = round((one[0] - other[0]) / 360) * 360  # east of 180 is west of -180
    return not apart and max(one[0], other[0] + shift) < min(one[2], other[2] + shift)
