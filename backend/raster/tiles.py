"""How a grid is cut into tiles: cores that touch, covers that overlap, weights that sum to one.

A tile's *core* is a block of the output. Its *cover* reaches `overlap` pixels further right
and down, where it is cross-faded with the next tiles; its predictions are used in the whole
cover. The model sees `context` more pixels on every side. So each core is finished as soon
as its own tile arrives in raster order, and the mosaic carries two borders only.

The plan depends on the grid, the number of channels and the model's context: never on
memory limits or workers, which may not change a byte of the output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .grid import Grid, Window

BLOCK = 256
"""Side of the output files' blocks; cores are multiples of it, so each is written once."""

OVERLAP = 32
"""Pixels over which neighbouring tiles are cross-faded."""

WORKING_COPIES = 4
"""Arrays of the tile's size that a method holds for each channel, about (measured on `guided`)."""

WORKING_SET = 350e6
"""Bytes that one tile in work should stay near: what it sees around its core is work done twice."""

CORES = (1024, 768, 512, 256)


@dataclass(frozen=True)
class TilePlace:
    """One tile: `core` is written by it, `cover` is what it predicts. `column` counts tiles."""

    row: int
    column: int
    core: Window
    cover: Window


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a grid.

    Attributes:
        grid: the grid that is cut. core: side of a tile's core, a multiple of `BLOCK`.
        overlap: width of the cross-fade, at most half a core.
        context: further pixels around a cover that the model sees.
        channels: float32 planes of one tile's input and output.
    """

    grid: Grid
    core: int
    overlap: int
    context: int
    channels: int

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return math.ceil(self.grid.height / self.core)

    @property
    def columns(self) -> int:
        """Number of tile columns."""
        return math.ceil(self.grid.width / self.core)

    @property
    def tile_bytes(self) -> int:
        """Memory that one tile takes while it is predicted, in bytes (an estimate from above)."""
        side = self.core + self.overlap + 2 * self.context
        height, width = min(side, self.grid.height), min(side, self.grid.width)
        return height * width * self.channels * 4 * WORKING_COPIES

    def tiles(self) -> Iterator[TilePlace]:
        """All tiles in raster order."""
        reach = self.core + self.overlap
        for r in range(self.rows):
            for c in range(self.columns):
                top, left = r * self.core, c * self.core
                down, right = self.grid.height - top, self.grid.width - left
                core = Window(top, left, min(self.core, down), min(self.core, right))
                cover = Window(top, left, min(reach, down), min(reach, right))
                yield TilePlace(r, c, core, cover)

    def weights(self, tile: TilePlace) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights along the rows and columns of a tile's cover; their outer product fades it.

        At every pixel of the grid the weights of all covering tiles sum to one.
        """
        return (
            _fade(tile.cover.height, self.core, self.overlap, tile.row > 0),
            _fade(tile.cover.width, self.core, self.overlap, tile.column > 0),
        )


def _fade(length: int, core: int, overlap: int, rises: bool) -> NDArray[np.float32]:
    """Ramp up over the first `overlap` pixels when a tile lies before, down after the core."""
    t = (np.arange(overlap) + 0.5) / max(overlap, 1)
    ramp = (t * t * (3 - 2 * t)).astype(np.float32)  # smoothstep: no kink where the fade begins
    weights = np.ones(core + overlap, np.float32)
    if rises:
        weights[:overlap] = ramp
    weights[core:] = 1 - ramp
    return weights[:length]


def plan_tiles(grid: Grid, channels: int, context: int) -> TilePlan:
    """Choose the largest core whose tile stays near `WORKING_SET` bytes.

    Args:
        grid: what is to be cut.
        channels: float32 planes that belong to one pixel of a tile: bands (values, gaps,
            prediction, deviation), reference bands, terrain, radar.
        context: pixels around a cover that the model needs.
    """
    for core in CORES:
        plan = TilePlan(grid, core, OVERLAP, context, channels)
        if plan.tile_bytes <= WORKING_SET:
            break
    return plan
