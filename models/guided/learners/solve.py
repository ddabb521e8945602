"""Coefficients of local regressions: ridge towards the coarser scale's, interpolated between cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...planes import bilinear, combine
from ...ridge import ridge_weights
from ...threads import each
from .statistics import Cells, Moments, grow, side_by_side, to_cells, unpack

LINES = 32
"""Pixels a side up to which blocks are small, and rows of a larger one that are predicted at once."""


@dataclass(frozen=True)
class Field:
    """Regression coefficients at the centres of cells, (rows, columns, 1 + P, B) float32.

    The first coefficient is the intercept. Lengths are scene pixels.
    """

    values: Floats
    size: float
    top: float
    left: float

    @property
    def alike(self) -> bool:
        """Whether there is one set for all of the scene."""
        return self.values.shape[:2] == (1, 1)

    def at(self, y: NDArray[np.floating], x: NDArray[np.floating]) -> Floats:
        """(n, 1 + P, B) bilinear at scene positions (n,); constant beyond the outer centres."""
        v, u = (y - self.top) / self.size - 0.5, (x - self.left) / self.size - 0.5
        return np.asarray(bilinear(self.values, v, u, np.float32), np.float32)


def ridge(
    matrices: NDArray[np.floating], bands: int, penalty: NDArray[np.floating], prior: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(n, 1 + P, B) coefficients that minimise squared residuals + penalty x (change from prior)^2.

    Args:
        matrices: (n, q, q) moments of [1, features, targets]. penalty: (1 + P,) above 0.
        prior: (n or 1, 1 + P, B).
    """
    count = matrices.shape[-1] - bands
    right = matrices[:, :count, count:] + penalty[:, None] * prior
    return ridge_weights(matrices[:, :count, :count], right, penalty)


def linear(coefficients: Floats, features: Floats) -> Floats:
    """(B, H, W) what one set (1 + P, B), the intercept first, says of features (P, H, W)."""
    out = np.empty((coefficients.shape[1], *features.shape[1:]), np.float32)
    combine(np.ascontiguousarray(coefficients[1:].T), features, out)
    out += coefficients[0, :, None, None]
    return out


def refine(
    moments: Moments, sigma: float, parent: Field, penalty: Floats, bands: int, active: Flags, scale: int = 1
) -> Field:
    """Coefficients in Gaussian windows of `sigma` scene pixels at `active` cells, shrunk to the parent's.

    Cells that are not active keep the parent's coefficients. `scale` is scene pixels per pixel.
    """
    field = inherited(moments.cells, parent, scale)
    if active.any():
        window = moments.window(sigma / field.size)

        def one_row(r: int) -> None:
            here = active[r]
            matrices = unpack(window.packed[r, here], window.variables)
            field.values[r, here] = ridge(matrices, bands, penalty, field.values[r, here])

        each(one_row, np.flatnonzero(active.any(axis=1)).tolist())
    return field


def inherited(cells: Cells, parent: Field, scale: int = 1) -> Field:
    """The parent's coefficients at the centres of cells."""
    size = cells.size * scale
    rows, columns = np.nonzero(np.ones((cells.rows, cells.columns), bool))
    y, x = (rows + 0.5) * size + cells.top * scale, (columns + 0.5) * size + cells.left * scale
    values = parent.at(y, x).reshape(cells.rows, cells.columns, *parent.values.shape[2:])
    return Field(values, size, cells.top * scale, cells.left * scale)


def between(
    field: Field, where: Flags, row: int, column: int, scale: int = 1
) -> tuple[Cells, Flags, tuple[int, int]]:
    """The tile's blocks between four cell centres each, which hold a true pixel of `where`, and the first.

    They are the cells shifted by half a cell: block i lies between cells i - 1 and i.
    """
    size = round(field.size / scale)
    top, left = round(field.top / scale) - size // 2, round(field.left / scale) - size // 2
    first = (row - top) // size, (column - left) // size
    rows = -(-(row + where.shape[0] - top) // size) - first[0]
    columns = -(-(column + where.shape[1] - left) // size) - first[1]
    grid = Cells(size, rows, columns, top + first[0] * size, left + first[1] * size)
    return grid, to_cells(where, grid, row, column), first


def corners(field: Field, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """(n, 4 B, 1 + P) coefficients at the four corners of a field's blocks, in the order of `ramps`."""
    last_row, last_column = field.values.shape[0] - 1, field.values.shape[1] - 1
    above, below = np.maximum(rows - 1, 0), np.minimum(rows, last_row)
    before, behind = np.maximum(columns - 1, 0), np.minimum(columns, last_column)
    around = [field.values[r, c] for r in (above, below) for c in (before, behind)]
    return np.concatenate([corner.transpose(0, 2, 1) for corner in around], axis=1)


def ramps(size: int) -> Floats:
    """(4, size, size) bilinear weights of a block's corners."""
    ramp = ((np.arange(size) + 0.5) / size).astype(np.float32)
    v = ramp[:, None]
    return np.stack([(1 - v) * (1 - ramp), (1 - v) * ramp, v * (1 - ramp), v * ramp])


def apply(field: Field, features: Floats, where: Flags, row: int, column: int, scale: int = 1) -> Floats:
    """(B, H, W) predictions at least at `where`, NaN far from it; coefficients bilinear between cells.

    Pixels are handled in blocks between four cell centres: one small matrix product with the
    four corners' coefficients, then weights. `row` and `column` are in pixels of the features,
    each `scale` scene pixels wide.
    """
    if field.alike:
        out = linear(field.values[0, 0], features)
        np.copyto(out, np.float32(np.nan), where=~where)
        return out
    grid, wanted, (first_row, first_column) = between(field, where, row, column, scale)
    out = np.full((field.values.shape[-1], *features.shape[1:]), np.nan, np.float32)
    one_row = _large if grid.size > LINES else _small
    top, left = grid.top - row, grid.left - column

    def work(r: int) -> None:
        chosen = np.flatnonzero(wanted[r])
        coefficients = corners(field, np.full(len(chosen), first_row + r), first_column + chosen)
        one_row(features, coefficients, chosen, grid, top + r * grid.size, left, out)

    each(work, [r for r in range(grid.rows) if wanted[r].any()])
    return out


def _large(
    features: Floats,
    coefficients: Floats,
    chosen: NDArray[np.intp],
    grid: Cells,
    top: int,
    left: int,
    out: Floats,
) -> None:
    """A row of blocks whose strips fill the cache by themselves: multiplied where they lie."""
    count, height, width = features.shape
    size, weights = grid.size, ramps(grid.size)
    start, slopes = coefficients[:, :, :1], np.ascontiguousarray(coefficients[:, :, 1:])
    for place, block in enumerate(chosen.tolist()):
        x = left + block * size
        across = slice(max(x, 0), min(x + size, width))
        for first in range(max(top, 0), min(top + size, height), LINES):
            down = slice(first, min(first + LINES, top + size, height))
            there = out[:, down, across]
            parts = slopes[place] @ features[:, down, across].reshape(count, -1)
            parts += start[place]
            parts = parts.reshape(4, *there.shape)
            parts *= weights[:, None, first - top : down.stop - top, across.start - x : across.stop - x]
            parts.sum(axis=0, out=there)


def _small(
    features: Floats,
    coefficients: Floats,
    chosen: NDArray[np.intp],
    grid: Cells,
    top: int,
    left: int,
    out: Floats,
) -> None:
    """A row of blocks that are small: all in one product."""
    count, height, width = features.shape
    size, bands, weights = grid.size, len(out), ramps(grid.size)
    first, last = max(top, 0), min(top + size, height)
    lines = last - first
    wanted = np.zeros(grid.columns, bool)
    wanted[chosen] = True
    strip = np.zeros((1 + count, lines, grid.columns * size), np.float32)
    strip[0] = 1
    strip[1:, :, -left : width - left] = features[:, first:last]
    parts = coefficients @ side_by_side(strip, size, wanted)
    parts = parts.reshape(len(chosen), 4, bands, lines * size)
    parts *= weights[:, first - top : last - top].reshape(4, 1, lines * size)
    mixed = parts.sum(axis=1).reshape(len(chosen), bands, lines, size)
    line = np.full((bands, lines, grid.columns, size), np.nan, np.float32)
    line[:, :, chosen] = mixed.transpose(1, 2, 0, 3)
    out[:, first:last] = line.reshape(bands, lines, -1)[:, :, -left : width - left]


def near(where: Flags, cells: Cells, row: int, column: int, pixels: float) -> Flags:
    """Cells within about `pixels` of a true pixel."""
    return grow(to_cells(where, cells, row, column), int(np.ceil(pixels / cells.size)))
