"""What fits into memory: how the scene is read and learnt, and how many tiles may be on their way at once.

Cores and memory never change the tiles themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..device import cores
from ..errors import TerramendError
from ..raster.gdal import CACHE, SHARE, cache_bytes
from ..raster.tiles import TilePlan, plan_tiles

PROCESS = 160e6
"""Bytes of a run without pixels: interpreter, libraries, and what lies between arrays."""

WRITE = 135e6
"""Bytes more while tiles are blended and written, and what they freed has not gone back yet."""

AHEAD = 1
"""Tiles that wait, read but not predicted or predicted but not written, besides those in work."""

READ = 16
"""Bytes a sample while an overview is read: as it is stored, as reflectance, and its mean."""

LEARN, LEARN_EACH = 45, 3.6
"""Float32 planes that a regression holds while it learns from what it sees, and how many for each plane of it
(measured on `guided`)."""

LOOK_EACH = 3.0
"""The same for each plane where a method does not regress."""


@dataclass(frozen=True)
class Sight:
    """What a method sees of a scene before it predicts.

    Attributes:
        pixels: of the overview and of its windows at full size. strip: of the scene, read at once.
        bands: to fill. dates: bands of each date. guides: planes of terrain and radar.
        kept: whether all of it stays for the tiles, as of a scene that is seen at full size.
        regresses: whether the method does, from what it sees.
    """

    pixels: int
    strip: int
    bands: int
    dates: tuple[int, ...]
    guides: int
    kept: bool
    regresses: bool

    @property
    def planes(self) -> int:
        """Float32 planes of what is seen."""
        return self.bands + sum(self.dates) + self.guides

    @property
    def seen_bytes(self) -> float:
        """Bytes of what is seen."""
        return 4.0 * self.pixels * self.planes

    @property
    def kept_bytes(self) -> float:
        """Bytes of it that stay for the tiles."""
        return self.seen_bytes if self.kept else 0.0

    @property
    def reading_bytes(self) -> float:
        """Bytes that one thread holds while it reads one source of the overview."""
        return float(READ * self.strip * max(self.bands, self.guides, *self.dates, 1))

    def least(self) -> float:
        """Gigabytes of a limit under which it can be read by one thread, and learnt."""
        base, each = (LEARN, LEARN_EACH) if self.regresses else (0, LOOK_EACH)
        learning = 4.0 * self.pixels * (base + each * self.planes)
        return max(_limit(self.seen_bytes + self.reading_bytes), (PROCESS + learning) / 1e9)


@dataclass(frozen=True)
class Budget:
    """`workers` tiles in prediction at once, `in_flight` between reading and writing.

    `readers` threads see the scene before, and share the work on few tiles.
    """

    workers: int
    in_flight: int
    readers: int


def budget(plan: TilePlan, sight: Sight, jobs: int, memory_limit: float | None, model: str) -> Budget:
    """What the request's `jobs` (0: all cores) and `memory_limit` (GB) allow.

    Raises:
        TerramendError: where the limit does not hold one tile and what the method must see before:
            `memory.dates` where fewer dates would mend it, else `memory.limit`.
    """
    readers = jobs or cores()
    workers = min(readers, plan.rows * plan.columns)
    in_flight = workers + AHEAD
    if memory_limit is not None:
        _check(plan, sight, memory_limit, model)
        free = min(memory_limit, 1e9) * 1e9 - PROCESS - cache_bytes(memory_limit)  # 1e300 means no limit
        readers = min(readers, max(int((free - sight.seen_bytes) // sight.reading_bytes), 1))
        in_flight = min(in_flight, max(int((free - WRITE - sight.kept_bytes) // plan.tile_bytes), 1))
    return Budget(min(workers, in_flight), in_flight, readers)


def _check(plan: TilePlan, sight: Sight, memory_limit: float, model: str) -> None:
    """Raise unless a limit holds what is seen, and one tile."""
    need = _least(plan, sight)
    if need <= memory_limit:
        return
    said = f"{need + 0.05:.1f}"  # rounded up
    fitting = [one.dates for cut, one in _fewer(plan, sight) if _least(cut, one) <= memory_limit]
    if not fitting:
        raise TerramendError("memory.limit", need=said, model=model)
    raise TerramendError(
        "memory.dates", need=said, model=model, count=len(sight.dates), fits=len(fitting[-1])
    )


def _least(plan: TilePlan, sight: Sight) -> float:
    """Gigabytes of a limit under which the scene is seen, and filled tile by tile."""
    return max(sight.least(), _limit(WRITE + sight.kept_bytes + plan.tile_bytes))


def _fewer(plan: TilePlan, sight: Sight) -> Iterator[tuple[TilePlan, Sight]]:
    """The same scene with its first other date, its first two and so on, but not all."""
    for count in range(1, len(sight.dates)):
        channels = plan.channels - sum(sight.dates[count:])
        yield plan_tiles(plan.grid, channels, plan.context), replace(sight, dates=sight.dates[:count])


def _limit(pixels: float) -> float:
    """Gigabytes of the least limit that leaves so many bytes beside the process and GDAL's cache."""
    need = PROCESS + pixels
    return (need + min(need / (SHARE - 1), CACHE)) / 1e9
