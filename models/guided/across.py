"""Bands that were observed tell of those that were not: of dead detectors of one band, of a damaged file.

Where a band has gaps in which other bands of the target are observed, these are read as another date is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..base import Reference, Tile
from ..planes import everywhere

_SHARE = 0.2  # of a band's gaps that another must show: at rims of clouds and stripes bands differ by less
_LEAST = 0.01  # of the scene, too: footprints' edges, by which bands differ by a few pixels, are less
_MOST = 4  # groups, each of which costs a look at the scene; bands with more kinds of gaps may be dates


@dataclass(frozen=True)
class Group:
    """Bands of the target of which the same others tell.

    Attributes:
        bands: their indices. others: indices of the bands that tell, those with like gaps together.
    """

    bands: tuple[int, ...]
    others: tuple[tuple[int, ...], ...]


def learn(overview: Tile) -> tuple[Group, ...]:
    """The groups that a scene and its windows at full size show; none where bands share their gaps.

    No band is in `others` of its own group: it is not observed in its gaps.
    """
    looks = [(look.gaps, look.valid) for look in (overview, *overview.detail)]
    least = max(_LEAST * sum(np.count_nonzero(np.any(gaps | valid, axis=0)) for gaps, valid in looks), 1)
    if sum(np.count_nonzero(gaps.any(0) & valid.any(0)) for gaps, valid in looks) < least:
        return ()
    missing = sum(gaps.sum(axis=(1, 2)) for gaps, _ in looks)
    shown = sum(
        np.array([[np.count_nonzero(gap & one) for one in valid] for gap in gaps]) for gaps, valid in looks
    )
    tells = (shown >= _SHARE * missing[:, None]) & (shown >= least)
    told: dict[tuple[int, ...], list[int]] = {}  # bands by the others that tell of them
    for band, others in enumerate(tells):
        told.setdefault(tuple(np.flatnonzero(others).tolist()), []).append(band)
    groups = []
    for others, bands in told.items():
        lots = (tuple(band for band in lot if band in others) for lot in told.values())
        if others:
            groups.append(Group(tuple(bands), tuple(lot for lot in lots if lot)))
    return tuple(groups) if len(groups) <= _MOST else ()


def seen(tile: Tile, group: Group) -> Tile:
    """The tile (and its windows at full size) of a group's bands alone; the others are its last references.

    Its gaps are those where any of these is observed.
    """
    bands = list(group.bands)
    others = tuple(
        Reference(np.where(tile.gaps[lot], np.float32(np.nan), tile.image[lot]), 0, alike=False, own=True)
        for lot in map(list, group.others)
    )
    there = np.any([everywhere(other.image) for other in others], axis=0)
    gaps = tile.gaps[bands]
    return replace(
        tile,
        image=np.where(gaps, np.float32(np.nan), tile.image[bands]),
        gaps=gaps & there,
        references=tile.references + others,
        wavelengths=tuple(tile.wavelengths[band] for band in bands) if tile.wavelengths else (),
        detail=tuple(seen(look, group) for look in tile.detail),
    )
