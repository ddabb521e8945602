"""Which country a place lies in, offline: Natural Earth's 1:50m countries (public domain).

`countries.json` is made by `backend/datasets/countries.py`; its corners are rounded to about 10 km,
which is what a word in a prompt needs. Borders are Natural Earth's: who rules in fact.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEA = "Sea"
"""The region of places far from all land."""
NEAR = 0.5
"""Degrees (of a great circle) off the coast up to which water counts as the country's."""
_TABLE = Path(__file__).with_name("countries.json")


@dataclass(frozen=True)
class _Borders:
    """All edges of all rings, side by side.

    Attributes:
        names: of the countries. owner: (E,) index of each edge's country.
        x, y, u, v: (E,) degrees of its first corner and of its second one, which is exactly the next
            edge's first: a ray through a corner is counted once.
    """

    names: tuple[str, ...]
    owner: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]


def region(latitude: float, longitude: float) -> str:
    """Name of the country that holds the place or whose coast is near, else `SEA`."""
    longitude = (longitude + 180) % 360 - 180
    land = _borders()
    straddles = (land.y <= latitude) != (land.v <= latitude)
    x, y, u, v = (values[straddles] for values in (land.x, land.y, land.u, land.v))
    right = x + (latitude - y) / (v - y) * (u - x) > longitude
    crossings = np.bincount(land.owner[straddles][right], minlength=len(land.names))
    inside = np.flatnonzero(crossings % 2)
    if len(inside):
        return land.names[inside[0]]
    nearest, distance = _nearest(land, latitude, longitude)
    return nearest if distance <= NEAR else SEA


def regions() -> tuple[str, ...]:
    """All names that `region` gives, sorted; the last one is `SEA`."""
    return (*_borders().names, SEA)


def _nearest(land: _Borders, latitude: float, longitude: float) -> tuple[str, float]:
    """The country of the nearest edge and its distance in degrees, on the plane around the place."""
    squeeze = np.cos(np.radians(latitude))
    x, dx = ((land.x - longitude + 180) % 360 - 180) * squeeze, (land.u - land.x) * squeeze
    y, dy = land.y - latitude, land.v - land.y
    length = dx * dx + dy * dy
    share = np.clip(-(x * dx + y * dy) / np.where(length > 0, length, 1), 0, 1)
    distance = np.hypot(x + share * dx, y + share * dy)
    first = int(distance.argmin())
    return land.names[land.owner[first]], float(distance[first])


@functools.cache
def _borders() -> _Borders:
    table = json.loads(_TABLE.read_text("utf-8"))
    owner, starts, ends = [], [], []
    for index, rings in enumerate(table["countries"].values()):
        for ring in rings:
            corners = np.cumsum(np.reshape(ring, (-1, 2)), axis=0)
            starts.append(corners)
            ends.append(np.roll(corners, -1, axis=0))
            owner.append(np.full(len(corners), index))
    (x, y), (u, v) = ((np.concatenate(parts) * table["step"]).T for parts in (starts, ends))
    return _Borders(tuple(table["countries"]), np.concatenate(owner), x, y, u, v)
