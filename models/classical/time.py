"""Filling from other dates alone, pixel by pixel: copy the nearest, or draw a line between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Floats, Prediction, Reference, Source, Tile
from ..holdout import CLASSES, ErrorTable
from .common import finish, observed, spread

_UNKNOWN_DAYS = 1 << 20  # a date that is not known counts as the farthest


def _by_distance(references: tuple[Reference, ...]) -> list[int]:
    """Indices of the references, nearest date first, later ones after earlier ones."""
    key = [_UNKNOWN_DAYS if r.days is None else abs(r.days) for r in references]
    return sorted(range(len(references)), key=lambda k: (key[k], k))


def copy_nearest(
    references: tuple[Reference, ...], bands: int, shape: tuple[int, int]
) -> tuple[Floats, NDArray[np.int16]]:
    """(B, H, W) values of the nearest clear date, NaN where none is clear, and (H, W) its index.

    A reference with fewer bands than the target is not used: bands must correspond.
    """
    values = np.full((bands, *shape), np.nan, np.float32)
    index = np.full(shape, -1, np.int16)
    for k in _by_distance(references):
        if len(references[k].image) < bands:
            continue
        image = references[k].image[:bands]
        take = (index < 0) & np.isfinite(image).all(0)
        values[:, take] = image[:, take]
        index[take] = k
    return values, index


def between(
    references: tuple[Reference, ...], bands: int, shape: tuple[int, int]
) -> tuple[Floats, NDArray[np.int16]]:
    """As `copy_nearest`, on the line between the nearest clear date before and the one after.

    Where only one side is clear its value is copied.
    """
    before = tuple(r for r in references if r.days is not None and r.days <= 0)
    after = tuple(r for r in references if r.days is not None and r.days > 0)
    days = np.array([0 if r.days is None else r.days for r in references], np.float32)
    where = {id(r): k for k, r in enumerate(references)}
    sides = []
    for side in (before, after):
        values, index = copy_nearest(side, bands, shape)
        number = np.array([where[id(r)] for r in side] + [-1], np.int16)[index]  # -1 stays -1
        sides.append((values, number))
    (early, first), (late, second) = sides
    start, end = -days[first], days[second]
    share = start / np.maximum(start + end, 1)
    values = early + share * (late - early)
    single = np.where(first >= 0, early, late)
    both = (first >= 0) & (second >= 0)
    values = np.where(both, values, single).astype(np.float32)
    index = np.where((second >= 0) & ((first < 0) | (end < start)), second, first)
    rest, other = copy_nearest(references, bands, shape)  # dates that are not known
    missing = index < 0
    return np.where(missing, rest, values), np.where(missing, other, index).astype(np.int16)


@dataclass(frozen=True)
class Temporal:
    """A method that reads other dates at the same pixel.

    Attributes:
        linear: draw a line between the dates before and after, else copy the nearest.
    """

    linear: bool

    def _values(self, tile: Tile) -> tuple[Floats, NDArray[np.int16]]:
        bands, *shape = tile.image.shape
        method = between if self.linear else copy_nearest
        return method(tile.references, bands, (shape[0], shape[1]))

    def prepare(self, overview: Tile) -> ErrorTable:
        """Errors of the method where the target is clear."""
        values, _ = self._values(overview)
        squares = (values - observed(overview)).astype(np.float64) ** 2
        # Nothing is taken from the surroundings, so distance to valid data does not matter.
        rms = spread(overview)
        for band, layer in enumerate(squares):
            common = layer[np.isfinite(layer)]
            if len(common):
                rms[band] = np.sqrt(common.mean())
        return ErrorTable(np.repeat(rms[:, None], CLASSES, 1))

    def predict(self, tile: Tile, state: ErrorTable) -> Prediction:
        """Other dates' values in the gaps; NaN where no date is clear."""
        values, index = self._values(tile)
        return finish(tile, values, state.std(tile.gaps), Source.REFERENCE, index)


def create_copy(quality: str = "default", seed: int = 0) -> Temporal:
    """Registry entry of `copy`."""
    return Temporal(linear=False)


def create_time_linear(quality: str = "default", seed: int = 0) -> Temporal:
    """Registry entry of `time-linear`."""
    return Temporal(linear=True)
