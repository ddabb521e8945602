"""The area that gaps are restricted to: bounds in the target's CRS, or a polygon file."""

from __future__ import annotations

import math

from ...errors import TerramendError
from ...watch import Watch
from ..grid import Grid
from .polygons import SUFFIXES, Polygons, box, read_polygons


def read_extent(text: str, grid: Grid, watch: Watch) -> Polygons:
    """The area that `W,S,E,N` or a polygon file means on a grid.

    Raises:
        TerramendError: `extent.text` or `extent.apart`, and those of `read_polygons`.
    """
    if any(suffix in text.lower() for suffix in SUFFIXES):
        area = read_polygons(text, grid, watch)
    else:
        area = box(*_bounds(text), grid)
    if not area.touches(grid.whole):
        raise TerramendError("extent.apart", extent=text)
    return area


def _bounds(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise TerramendError("extent.text", extent=text) from None
    if not all(map(math.isfinite, (west, south, east, north))) or west >= east or south >= north:
        raise TerramendError("extent.text", extent=text)
    return west, south, east, north
