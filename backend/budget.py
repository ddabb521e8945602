"""How many tiles may be on their way at once: cores and memory, never the tiles themselves."""

from __future__ import annotations

from dataclasses import dataclass

from .device import cores
from .errors import TerramendError
from .raster.tiles import TilePlan

BASE = 350e6
"""Bytes that a run holds besides its tiles: the interpreter, GDAL's cache, the overview's state."""

AHEAD = 1
"""Tiles that wait, read but not predicted or predicted but not written, besides those in work."""


@dataclass(frozen=True)
class Budget:
    """`workers` tiles in prediction at once, `in_flight` between reading and writing."""

    workers: int
    in_flight: int


def budget(plan: TilePlan, jobs: int, memory_limit: float | None, model: str) -> Budget:
    """What the request's `jobs` (0: all cores) and `memory_limit` (GB) allow.

    Raises:
        TerramendError: `memory.tile` where the limit does not hold one tile.
    """
    workers = min(jobs or cores(), plan.rows * plan.columns)
    in_flight = workers + AHEAD
    if memory_limit is not None:
        fits = int((memory_limit * 1e9 - BASE) // plan.tile_bytes)
        if fits < 1:
            need = (BASE + plan.tile_bytes) / 1e9
            raise TerramendError("memory.tile", need=f"{need + 0.05:.1f}", model=model)
        in_flight = min(in_flight, fits)
    return Budget(min(workers, in_flight), in_flight)
