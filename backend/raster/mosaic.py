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

    def cut(self, window: Window) -> _Sums:
        """A copy of the part inside `window`."""
        rows, columns = window.within(self.window)
        planes = (self.weight, self.mean, self.std_weight, self.std, self.lead, self.source, self.age)
        return _Sums(window, *(plane[..., rows, columns].copy() for plane in planes))  # type: ignore[arg-type]


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
        self._right = None
        if piece is None and above is None and left is None:
            return None
        sums = _Sums.empty(tile.cover, self._bands)
        for part in (above, left, self._weighted(tile, piece) if piece is not None else None):
            if part is not None:
                sums.add(part)
        self._carry(tile, sums)
        return _finish(sums.cut(tile.core))

    def _weighted(self, tile: TilePlace, piece: Piece) -> _Sums:
        """The piece as weighted sums over its own window."""
        rows, columns = self._plan.weights(tile)
        inside = piece.window.within(tile.cover)
        fade = rows[inside[0], None] * columns[None, inside[1]]
        said = piece.prediction
        known, sure = np.isfinite(said.mean), np.isfinite(said.std)
        sure &= known
        weight, std_weight = fade * known, fade * sure
        lead = np.where(known.any(axis=0), fade, np.float32(0))
        return _Sums(
            piece.window,
            weight,
            weight * np.where(known, said.mean, np.float32(0)),
            std_weight,
            std_weight * np.where(sure, said.std, np.float32(0)),
            lead,
            said.source.astype(np.uint8, copy=False),
            _ages(said.reference, piece.ages),
        )

    def _carry(self, tile: TilePlace, sums: _Sums) -> None:
        """Keep what later tiles of this row and the next will add to."""
        core, cover = tile.core, tile.cover
        wider, taller = cover.width - core.width, cover.height - core.height
        if wider > 0:
            right = Window(cover.row, core.column + core.width, cover.height, wider)
            self._right = _kept(sums.cut(right))
        if taller > 0:  # without the right border: that goes on through the next tile
            below = _kept(sums.cut(Window(core.row + core.height, cover.column, taller, core.width)))
            if below is not None:
                self._below[tile.column] = below


def _kept(sums: _Sums) -> _Sums | None:
    return sums if sums.weight.any() else None


def _ages(reference: NDArray[np.int16], ages: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Days of the main reference per pixel; -1 looks up the last entry: none."""
    table = [NO_AGE if days is None else min(days, NO_AGE - 1) for days in ages]
    return np.array([*table, NO_AGE], np.uint8)[reference]


def _finish(sums: _Sums) -> Block | None:
    """Divide the sums by their weights: tiles that could not say anything do not count."""
    if not sums.weight.any():
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(sums.weight > 0, sums.mean / sums.weight, np.float32(np.nan))
        # Neighbouring tiles err together, so the mean of their deviations is the honest sum.
        std = np.where(sums.std_weight > 0, sums.std / sums.std_weight, np.float32(np.nan))
    return Block(mean, std, sums.source, sums.age)
