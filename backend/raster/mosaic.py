"""Cross-fades overlapping tile predictions into finished blocks, with bounded memory.

Tiles arrive in raster order. Of each only the right border (for the next tile) and the
bottom border (for the next row of tiles) are carried on, as weighted sums; everything that
no later tile can touch leaves as a finished block. Sums are always added in the same order,
so the result does not depend on who predicted what first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.base import Prediction, Source
from .grid import Window
from .tiles import TilePlace, TilePlan

NO_AGE = 255
"""Age of a pixel whose main reference is none, or has no date."""


@dataclass(frozen=True)
class Piece:
    """A prediction and where it lies.

    Attributes:
        window: its place in the grid, inside the tile's cover.
        prediction: arrays of the window's size.
        ages: days between each reference and the target, absolute, None if unknown.
    """

    window: Window
    prediction: Prediction
    ages: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Block:
    """A finished core: blended values where any tile could say something.

    Attributes:
        mean, std: (B, h, w) float32 reflectance, NaN where unknown.
        source: (h, w) uint8 of `Source`, `UNFILLED` where no tile said anything.
        age: (h, w) uint8, days to the main reference (254: that or more, 255: none).
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    source: NDArray[np.uint8]
    age: NDArray[np.uint8]


@dataclass
class _Sums:
    """Weighted sums over a window, and the source and age that had the largest weight so far."""

    window: Window
    weight: NDArray[np.float32]  # (B, h, w), of the tiles that gave a value
    mean: NDArray[np.float32]
    std_weight: NDArray[np.float32]
    std: NDArray[np.float32]
    lead: NDArray[np.float32]  # (h, w), weight of the source that holds
    source: NDArray[np.uint8]
    age: NDArray[np.uint8]

    @classmethod
    def empty(cls, window: Window, bands: int) -> _Sums:
        shape = (window.height, window.width)
        weight, mean, std_weight, std = (np.zeros((bands, *shape), np.float32) for _ in range(4))
        lead = np.zeros(shape, np.float32)
        source = np.full(shape, Source.UNFILLED, np.uint8)
        return cls(window, weight, mean, std_weight, std, lead, source, np.full(shape, NO_AGE, np.uint8))

    def add(self, other: _Sums) -> None:
        """Add what `other` holds; it lies inside this window. Ties keep the earlier source."""
        rows, columns = other.window.within(self.window)
        for name in ("weight", "mean", "std_weight", "std"):
            getattr(self, name)[:, rows, columns] += getattr(other, name)
        wins = other.lead > self.lead[rows, columns]
        for name in ("lead", "source", "age"):
            np.copyto(getattr(self, name)[rows, columns], getattr(other, name), where=wins)

    def cut(self, zone: Window) -> _Sums | None:
        """The part inside a zone (views), or None."""
        window = self.window.meet(zone)
        if window is None:
            return None
        rows, columns = window.within(self.window)
        planes = (self.weight, self.mean, self.std_weight, self.std, self.lead, self.source, self.age)
        return _Sums(window, *(plane[..., rows, columns] for plane in planes))  # type: ignore[arg-type]


class Mosaic:
    """Blends the tiles of a plan; `add` them all, in raster order.

    Args:
        plan: the tiles. bands: number of predicted bands.
    """

    def __init__(self, plan: TilePlan, bands: int) -> None:
        self._plan = plan
        self._bands = bands
        self._right: _Sums | None = None
        self._below: dict[int, _Sums] = {}

    def add(self, tile: TilePlace, piece: Piece | None) -> Block | None:
        """Take the prediction of the next tile (None: nothing to predict) and finish its core.

        Returns:
            The core's block, or None when no tile said anything about it.
        """
        above, left = self._below.pop(tile.column, None), self._right
        self._carry(tile, piece, left)
        if piece is None and above is None and left is None:
            return None
        core, fade = tile.core, self._plan.overlap
        block = _blank(core, self._bands)
        if piece is not None:
            _paste(block, core, piece)
        head = min(fade, core.height) if tile.row else 0
        side = min(fade, core.width) if tile.column else 0
        zones = (
            Window(core.row, core.column, head, core.width),
            Window(core.row + head, core.column, core.height - head, side),
        )
        for zone in zones:  # elsewhere in the core this tile is alone
            sums = self._sum(zone, above, left, self._weighted(tile, piece, zone))
            if sums is not None:
                _finish(sums, block, core)
        return block

    def _carry(self, tile: TilePlace, piece: Piece | None, left: _Sums | None) -> None:
        """Keep what later tiles of this row and the next will add to."""
        core, cover = tile.core, tile.cover
        right = Window(cover.row, core.column + core.width, cover.height, cover.width - core.width)
        below = Window(core.row + core.height, core.column, cover.height - core.height, core.width)
        self._right = self._weighted(tile, piece, right)
        sums = self._sum(below, left, self._weighted(tile, piece, below))
        if sums is not None:  # its corner beyond the core travels with `right`
            self._below[tile.column] = sums

    def _weighted(self, tile: TilePlace, piece: Piece | None, zone: Window) -> _Sums | None:
        """The piece's part in a zone, as weighted sums; None where it knows nothing."""
        window = None if piece is None else piece.window.meet(zone)
        if piece is None or window is None:
            return None
        rows, columns = self._plan.weights(tile)
        inside, part = window.within(tile.cover), (..., *window.within(piece.window))
        fade = rows[inside[0], None] * columns[None, inside[1]]
        mean, std = piece.prediction.mean[part], piece.prediction.std[part]
        known = np.isfinite(mean)
        if not known.any():
            return None
        sure = np.isfinite(std) & known
        weight, std_weight = fade * known, fade * sure
        return _Sums(
            window,
            weight,
            weight * np.where(known, mean, np.float32(0)),
            std_weight,
            std_weight * np.where(sure, std, np.float32(0)),
            np.where(known.any(axis=0), fade, np.float32(0)),
            piece.prediction.source[part].astype(np.uint8),  # a copy: not the whole prediction
            _ages(piece.prediction.reference[part], piece.ages),
        )

    def _sum(self, zone: Window, *parts: _Sums | None) -> _Sums | None:
        """Parts of the sums inside a zone, added in the order given."""
        cut = [part.cut(zone) for part in parts if part is not None]
        found = [part for part in cut if part is not None]
        if not found:
            return None
        total = _Sums.empty(zone, self._bands)
        for part in found:
            total.add(part)
        return total


def _blank(core: Window, bands: int) -> Block:
    shape = (core.height, core.width)
    mean, std = (np.full((bands, *shape), np.nan, np.float32) for _ in range(2))
    return Block(mean, std, np.full(shape, Source.UNFILLED, np.uint8), np.full(shape, NO_AGE, np.uint8))


def _paste(block: Block, core: Window, piece: Piece) -> None:
    """The piece as it is; right wherever no other tile reaches."""
    window = piece.window.meet(core)
    if window is None:
        return
    there, part = (..., *window.within(core)), (..., *window.within(piece.window))
    said = piece.prediction
    known = np.isfinite(said.mean[part])
    block.mean[there] = said.mean[part]
    block.std[there] = np.where(known, said.std[part], np.float32(np.nan))
    some = known.any(axis=0)
    block.source[there] = np.where(some, said.source[part], np.uint8(Source.UNFILLED))
    block.age[there] = np.where(some, _ages(said.reference[part], piece.ages), np.uint8(NO_AGE))


def _finish(sums: _Sums, block: Block, core: Window) -> None:
    """Divide the sums by their weights: tiles that could not say anything do not count."""
    there = (..., *sums.window.within(core))
    with np.errstate(invalid="ignore", divide="ignore"):
        block.mean[there] = np.where(sums.weight > 0, sums.mean / sums.weight, np.float32(np.nan))
        # Neighbouring tiles err together, so the mean of their deviations is the honest sum.
        block.std[there] = np.where(sums.std_weight > 0, sums.std / sums.std_weight, np.float32(np.nan))
    block.source[there] = sums.source
    block.age[there] = sums.age


def _ages(reference: NDArray[np.int16], ages: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Days of the main reference per pixel; -1 looks up the last entry: none."""
    table = [NO_AGE if days is None else min(days, NO_AGE - 1) for days in ages]
    return np.array([*table, NO_AGE], np.uint8)[reference]
