"""Which bands of another date show what the bands to fill show: methods that copy go by their order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..products.roles import measured_by
from ..raster import Band, telling

NEAR = 0.05
"""Share of a wavelength by which bands of two sensors that mean one colour differ at most."""


def likes(target: Sequence[Band], chosen: Sequence[int], other: Sequence[Band]) -> tuple[int, ...] | None:
    """Of each chosen band the other date's band that shows the same; None where one has none.

    By wavelength, by name, or by place where a date has as many bands as the target and names do not tell.
    Night is not day and EVI is not NDVI, though each may be its file's only band.

    Args:
        target: all bands of the raster to fill. chosen: 0-based, those that are filled.
        other: of the other date, in the order in which they are read.
    """
    found: list[int] = []
    for number in chosen:
        left = [i for i in range(len(other)) if i not in found]
        like = _like(target[number], [other[i] for i in left])
        if like is None:
            return _by_place(target, chosen, other)
        found.append(left[like])
    return tuple(found)


def order(alike: tuple[int, ...] | None, count: int) -> tuple[int, ...]:
    """All `count` bands of a date, those that `likes` found first; as they are where it found None."""
    first = alike or ()
    return (*first, *(i for i in range(count) if i not in first))


def _by_place(target: Sequence[Band], chosen: Sequence[int], other: Sequence[Band]) -> tuple[int, ...] | None:
    """The same for files of as many bands of which one does not say which they are."""
    places = telling(target)
    said = [[math.isfinite(b.wavelength) for b in bands] for bands in (other, [target[i] for i in chosen])]
    if all(map(any, said)) or len(places) != len(other) or not set(chosen) <= set(places):
        return None
    found = tuple(places.index(i) for i in chosen)
    for own, its in ((target[i], other[place]) for i, place in zip(chosen, found, strict=True)):
        one, two = measured_by(own.description), measured_by(its.description)
        if one - two and two - one:
            return None
    return found


def _like(band: Band, others: Sequence[Band]) -> int | None:
    """The place of the band nearest in wavelength, or of the same name where one's is not known."""
    off = [abs(other.wavelength - band.wavelength) for other in others]
    near = [i for i, distance in enumerate(off) if distance <= NEAR * band.wavelength]
    if near:
        return min(near, key=lambda i: (off[i], _name(others[i]) != _name(band), i))
    if not _name(band):
        return None
    named = [i for i, o in enumerate(others) if _name(o) == _name(band) and math.isnan(off[i])]
    return named[0] if named else None


def _name(band: Band) -> str:
    """A band's name in one form (B4, B04, SR_B4), empty where the file gives none."""
    if band.description == f"Band {band.index}":
        return ""
    return re.sub(r"^(?:sr_|toa_)?b(?:and)?[ _]?0*(\d)", r"b\1", band.description.strip().lower())
