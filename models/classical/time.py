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


@dataclass(frozen=True)
class Line:
    """What lies between the nearest clear dates before and after, pixel by pixel.

    Attributes:
        values: (B, H, W), NaN where no date is clear.
        index: (H, W) the nearer of the two dates, -1 without any.
        span: (H, W) days by which the variance grows of a random walk that both dates tie: a b / (a + b), a
            and b days from them (Brownian bridge); the distance to a date that is alone; NaN where not known.
    """

    values: Floats
    index: NDArray[np.int16]
    span: Floats


def between(references: tuple[Reference, ...], bands: int, shape: tuple[int, int]) -> Line:
    """As `copy_nearest`, on the line between the nearest clear date before and the one after.

    Where only one side is clear its value is copied; where neither is, that of a date that is not known.
    """
    days = np.array([np.nan if r.days is None else r.days for r in references], np.float32)
    sides = []
    for which in (days <= 0, days > 0, np.isnan(days)):
        numbers = np.flatnonzero(which)
        values, index = copy_nearest(tuple(references[k] for k in numbers), bands, shape)
        sides.append((values, np.append(numbers, -1).astype(np.int16)[index]))  # -1 stays -1
    (early, first), (late, second), (rest, other) = sides
    days = np.append(days, np.float32(np.nan))  # of -1
    start, end = np.abs(days[first]), np.abs(days[second])
    both = (first >= 0) & (second >= 0)
    with np.errstate(invalid="ignore"):
        whole = start + end
        values = np.where(both, early + start / whole * (late - early), np.where(first >= 0, early, late))
        span = np.where(both, start * end / whole, np.fmax(start, end))
    index = np.where((second >= 0) & ((first < 0) | (end < start)), second, first)
    missing = index < 0
    values, index = np.where(missing, rest, values), np.where(missing, other, index)
    return Line(values.astype(np.float32), index.astype(np.int16), span.astype(np.float32))


@dataclass(frozen=True)
class Temporal:
    """A method that reads other dates at the same pixel.

    Attributes:
        linear: draw a line between the dates before and after, else copy the nearest.
    """

    linear: bool

    def _values(self, tile: Tile) -> tuple[Floats, NDArray[np.int16]]:
        bands, *shape = tile.image.shape
        if not self.linear:
            return copy_nearest(tile.references, bands, (shape[0], shape[1]))
        line = between(tile.references, bands, (shape[0], shape[1]))
        return line.values, line.index

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
