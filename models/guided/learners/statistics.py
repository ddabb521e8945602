"""Block statistics: second moments of [1, features, targets] per cell of the scene's grid.

All that a weighted least squares fit needs, summed once per cell; windows of any size are
then sums of cells, so the cost is linear in pixels whatever the gap's size. Cells lie at
absolute positions, so that neighbouring tiles sum the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...threads import each

CELL = 16
LEVEL = 0.01  # variance of the level that a cell's errors share, of that of a pixel's own error (train)


@dataclass(frozen=True)
class Cells:
    """A grid of square cells over a tile, aligned to the scene.

    Attributes:
        size: pixels per side. rows, columns: number of cells.
        top, left: scene pixel of the first cell's corner; at or before the tile's first pixel.
    """

    size: int
    rows: int
    columns: int
    top: int
    left: int

    def coarse(self, factor: int) -> Cells:
        """Cells `factor` times as large over the same area (a whole number of them)."""
        return Cells(factor * self.size, self.rows // factor, self.columns // factor, self.top, self.left)


def cells_over(row: int, column: int, height: int, width: int, size: int = CELL, multiple: int = 1) -> Cells:
    """Cells that cover a tile, aligned to multiples of `size * multiple`, `multiple` at a time."""
    unit = size * multiple
    top, left = row // unit * unit, column // unit * unit
    rows = -(-(row + height - top) // unit) * multiple
    columns = -(-(column + width - left) // unit) * multiple
    return Cells(size, rows, columns, top, left)


def to_cells(mask: Flags, cells: Cells, row: int, column: int) -> Flags:
    """(rows, columns) bool: cells that hold a true pixel of the tile's mask."""
    padded = np.zeros((cells.rows * cells.size, cells.columns * cells.size), bool)
    y, x = row - cells.top, column - cells.left
    padded[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    blocks = padded.reshape(cells.rows, cells.size, cells.columns, cells.size)
    return np.asarray(np.any(blocks, axis=(1, 3)))


def grow(mask: Flags, radius: int) -> Flags:
    """The mask dilated by a square of `radius` cells."""
    if radius <= 0 or not mask.any():
        return mask
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


@dataclass(frozen=True)
class Moments:
    """Weighted sums of products, (rows, columns, n) packed upper triangles of q x q.

    The order of variables is 1, features, targets.
    """

    cells: Cells
    packed: Floats
    variables: int

    def total(self) -> NDArray[np.float64]:
        """(q, q) moments of all cells together, summed in float64."""
        return unpack(self.packed.sum((0, 1), dtype=np.float64)[None], self.variables)[0]

    def level_free(self) -> Moments:
        """Moments for generalised least squares, where the errors of a cell share a level.

        The rim carries such levels into a gap, so that coefficients need not explain them: the inverse of
        the errors' covariance takes a part of the cell's mean out of each of its samples.

        Source: the random effects model of panel data (Wallace and Hussain 1969).
        """
        sums = self.packed[..., : self.variables]  # the first row: of 1 with everything
        first, second = np.triu_indices(self.variables)
        share = LEVEL / (1 + LEVEL * sums[..., :1])
        out = np.empty_like(self.packed)

        def one_row(r: int) -> None:
            np.subtract(self.packed[r], share[r] * sums[r][:, first] * sums[r][:, second], out=out[r])

        each(one_row, range(len(out)))
        return replace(self, packed=out)

    def coarse(self, factor: int) -> Moments:
        """Sums of `factor` x `factor` cells."""
        rows, columns, channels = self.packed.shape
        blocks = self.packed.reshape(rows // factor, factor, columns // factor, factor, channels)
        return Moments(self.cells.coarse(factor), blocks.sum((1, 3)), self.variables)

    def window(self, sigma: float) -> Moments:
        """Sums in a Gaussian window of peak weight 1 and standard deviation `sigma` cells."""
        radius = int(np.ceil(2.7 * sigma))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
        rows, columns, channels = self.packed.shape
        out = np.empty_like(self.packed)
        one = np.ones(1, np.float32)
        border = cv2.BORDER_CONSTANT  # nothing beyond the edge
        # OpenCV filters lines of any width: channels side by side count as columns.
        flat = cv2.sepFilter2D(self.packed.reshape(rows, -1), -1, one, kernel, borderType=border)
        lines = flat.reshape(rows, columns, channels)

        def one_row(r: int) -> None:
            out[r] = cv2.sepFilter2D(lines[r], -1, one, kernel, borderType=border)

        each(one_row, range(rows))
        return Moments(self.cells, out, self.variables)


def without_levels(
    samples: NDArray[np.float64], weight: Floats, cell: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Samples (F, N) with a part of the means of their cells taken out: `level_free`, sample by sample.

    Least squares on the result, weighed by `weight` (N,), are those generalised least squares. `cell` (N,)
    says which samples share a level. A constant among the samples is one of them.
    """
    _, cell = np.unique(cell, return_inverse=True)
    total = np.bincount(cell, weight)
    sums = np.stack([np.bincount(cell, weight * sample) for sample in samples])
    part = (1 - 1 / np.sqrt(1 + LEVEL * total)) / np.maximum(total, 1e-9)
    return samples - (part * sums)[:, cell]


def unpack(packed: np.ndarray, variables: int) -> np.ndarray:
    """(n, q, q) symmetric matrices from (n, q (q + 1) / 2) upper triangles."""
    upper = np.triu_indices(variables)
    index = np.empty((variables, variables), np.intp)
    index[upper] = np.arange(len(upper[0]))
    index.T[upper] = index[upper]
    return np.take(packed, index.ravel(), axis=1).reshape(len(packed), variables, variables)


def side_by_side(strip: Floats, size: int, chosen: Flags) -> Floats:
    """(n, P, lines * size) pixels of the `chosen` blocks of a strip (P, lines, blocks * size)."""
    count, lines, width = strip.shape
    blocks = strip.reshape(count, lines, width // size, size).transpose(2, 0, 1, 3)
    if not chosen.all():
        blocks = blocks[chosen]
    return np.ascontiguousarray(blocks).reshape(len(blocks), count, lines * size)


def moments(
    features: Floats,
    targets: Floats,
    weight: Floats,
    cells: Cells,
    row: int,
    column: int,
    needed: Flags | None = None,
) -> Moments:
    """Second moments per cell.

    Args:
        features: (P, H, W), finite. targets: (B, H, W), read where `weight` is above 0.
        weight: (H, W) >= 0, the weight of a pixel's squared residual.
        cells: the grid. row, column: the tile's position. needed: cells to sum (default all).
    """
    count, height, width = features.shape
    bands = len(targets)
    variables = 1 + count + bands
    upper = np.triu_indices(variables)
    flat_upper = upper[0] * variables + upper[1]
    packed = np.zeros((cells.rows, cells.columns, len(flat_upper)), np.float32)
    used = to_cells(weight > 0, cells, row, column)
    if needed is not None:
        used &= needed
    root = np.sqrt(weight)
    size, x = cells.size, column - cells.left

    def one_row(r: int) -> None:
        first = max(cells.top + r * size - row, 0)
        last = min(cells.top + (r + 1) * size - row, height)
        strip = np.zeros((variables, last - first, cells.columns * size), np.float32)
        inside = strip[:, :, x : x + width]
        scale = root[first:last]
        inside[0] = scale
        np.multiply(features[:, first:last], scale, out=inside[1 : 1 + count])
        np.multiply(targets[:, first:last], scale, out=inside[1 + count :], where=scale > 0)
        left = side_by_side(strip, size, used[r])
        products = left @ left.transpose(0, 2, 1)
        packed[r, used[r]] = products.reshape(len(left), -1)[:, flat_upper]

    each(one_row, [r for r in range(cells.rows) if used[r].any()])
    return Moments(cells, packed, variables)
