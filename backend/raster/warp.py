"""Where the pixels of one grid lie on another.

GDAL's warper approximates coordinates and chooses its kernel by the window it is asked for, so that a
pixel's value depends on how a scene was cut into tiles. Here a value depends on the two grids and the
pixel alone: coordinates come from a lattice at fixed places, weights and sums have one fixed order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio.crs
from affine import Affine
from numpy.typing import NDArray

from .grid import Grid, Window, to_crs

Places = NDArray[np.floating[Any]]
"""Positions in pixels, in float64."""

SNAP = 0.01
"""Source pixels by which grids may miss each other and still count as aligned."""
TOLERANCE = 0.02
"""Largest error of interpolated coordinates, in source pixels."""


@dataclass(frozen=True)
class Warp:
    """From target pixels to source pixels, both counted from the corner of pixel (0, 0).

    Attributes:
        affine: target (column, row) to source (column, row) where one CRS serves both; else None.
        spacing: target pixels between lattice nodes where the CRSs differ.
        turn: source columns of a full turn of longitude, 0 where the source's columns are none, or one
            CRS serves both and the target does not reach over an end of the source to its other one.
        about: source column of the target's middle; the others lie within half a turn of it until they
            are brought to the source, so that no step of longitude runs through the target.
        scale: source pixels per target pixel, down and across, as at most places of the target.
    """

    source: Grid
    target: Grid
    affine: Affine | None
    spacing: int = 1
    turn: float = 0.0
    about: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    @property
    def factor(self) -> tuple[int, int]:
        """The scale rounded down, at least 1 and at most the whole source."""
        sizes = self.source.height, self.source.width
        down, across = (max(1, min(int(s + 0.05), n)) for s, n in zip(self.scale, sizes, strict=True))
        return down, across

    @property
    def shift(self) -> tuple[int, int] | None:
        """Whole source rows and columns by which aligned grids are apart, or None."""
        a = self.affine
        if a is None or (a.a, a.b, a.d, a.e) != (1, 0, 0, 1) or a.c % 1 or a.f % 1 or self.turn:
            return None
        return int(a.f), int(a.c)

    def places(self, window: Window) -> tuple[Places, Places]:
        """Source rows and columns of the centres of the window's pixels.

        Returns:
            Two arrays that broadcast to (height, width); NaN where there is no such place.
        """
        rows = np.arange(window.row, window.row + window.height) + 0.5
        columns = np.arange(window.column, window.column + window.width) + 0.5
        if self.affine is None:
            down, across = self._interpolated(window)
            return down, self._met(across)
        a = self.affine
        if a.b == 0 and a.d == 0:
            return (rows * a.e + a.f)[:, None], self._met(columns * a.a + a.c)[None, :]
        return (
            (rows * a.e)[:, None] + (columns * a.d)[None, :] + a.f,
            self._met((rows * a.b)[:, None] + (columns * a.a)[None, :] + a.c),
        )

    def _interpolated(self, window: Window) -> tuple[Places, Places]:
        """Places between nodes that lie at the centres of every `spacing`-th target pixel."""
        step = self.spacing
        first_row, first_column = window.row // step, window.column // step
        last_row = -(-(window.row + window.height - 1) // step)
        last_column = -(-(window.column + window.width - 1) // step)
        node_rows = np.arange(first_row, max(last_row, first_row + 1) + 1) * step + 0.5
        node_columns = np.arange(first_column, max(last_column, first_column + 1) + 1) * step + 0.5
        nodes = self._unbroken(node_rows[:, None], node_columns[None, :])
        rows = np.arange(window.row, window.row + window.height) / step - first_row
        columns = np.arange(window.column, window.column + window.width) / step - first_column
        return _between(nodes[0], rows, columns), _between(nodes[1], rows, columns)

    def exact(self, rows: Places, columns: Places) -> tuple[Places, Places]:
        """Source rows and columns of target positions, without approximation."""
        down, across = self._unbroken(rows, columns)
        return down, self._met(across)

    def _met(self, across: Places) -> Places:
        """Source columns by the turn of longitude that the source lies in: 0..360 meets -180..180."""
        return _within(across, self.source.width / 2, self.turn)

    def _unbroken(self, rows: Places, columns: Places) -> tuple[Places, Places]:
        """The same as `exact`, columns by the turn of the target's middle."""
        rows, columns = np.broadcast_arrays(rows, columns)
        if self.affine is not None:
            across, down = _apply(self.affine, columns, rows)
            return np.asarray(down), np.asarray(across)
        x, y = _apply(self.target.affine, columns, rows)
        x, y = _transform(self.target, self.source, x, y)
        with np.errstate(invalid="ignore"):
            across, down = _apply(~self.source.affine, x, y)
        return np.asarray(down), _within(np.asarray(across), self.about, self.turn)


def plan(source: Grid, target: Grid) -> Warp:
    """How to bring `source` onto `target`. Two grids without CRS share one unnamed plane.

    Raises:
        ValueError: only one of them has a CRS.
    """
    if (source.crs is None) != (target.crs is None):
        raise ValueError("one grid has a CRS and the other has none")
    if source.crs == target.crs or _crs(source) == _crs(target):
        source = _same_turn(source, target)
        warp = Warp(source, target, _snapped(~source.affine @ target.affine, target))
        return _with_scale(_across_ends(warp))
    return _with_scale(_lattice(_turned(Warp(source, target, None))))


def around(
    rows: Places, columns: Places, height: int, width: int, reach: tuple[float, float] = (1, 1)
) -> Window | None:
    """The window of a raster's pixels within `reach`, down and across, of places; None if all lie outside."""
    with np.errstate(invalid="ignore"):
        down = rows[(rows >= -reach[0]) & (rows < height + reach[0])]
        across = columns[(columns >= -reach[1]) & (columns < width + reach[1])]
    if not down.size or not across.size:
        return None
    top, left = max(int(down.min() - reach[0]), 0), max(int(across.min() - reach[1]), 0)
    bottom = min(int(down.max() + reach[0]) + 1, height)
    right = min(int(across.max() + reach[1]) + 1, width)
    return Window(top, left, bottom - top, right - left)


def overlaps(source: Grid, target: Grid) -> bool:
    """Whether the two grids share any ground, judged at 33 x 33 places of each."""
    for one, other in ((source, target), (target, source)):
        warp = plan(one, other)
        rows = np.linspace(0.5, other.height - 0.5, 33)[:, None]
        columns = np.linspace(0.5, other.width - 0.5, 33)[None, :]
        down, across = warp.exact(rows, columns)
        with np.errstate(invalid="ignore"):
            if ((down >= 0) & (down < one.height) & (across >= 0) & (across < one.width)).any():
                return True
    return False


def _with_scale(warp: Warp) -> Warp:
    """The warp with its local scale: the median of nine places, as one may be a pole; 1 where none tells."""
    shares = np.array([0.25, 0.5, 0.75])
    rows, columns = np.meshgrid(warp.target.height * shares, warp.target.width * shares, indexing="ij")
    here = warp._unbroken(rows, columns)
    below, beside = warp._unbroken(rows + 1, columns), warp._unbroken(rows, columns + 1)
    with np.errstate(invalid="ignore"):
        found = np.array([abs(b - a) + abs(c - a) for a, b, c in zip(here, below, beside, strict=True)])
    known = np.isfinite(found).all(axis=0)
    if not known.any():
        return warp
    down, across = np.median(found[:, known], axis=1)
    return replace(warp, scale=(float(down), float(across)))


def _snapped(affine: Affine, target: Grid) -> Affine:
    """Coefficients rounded to whole numbers where that moves no pixel by more than `SNAP`."""
    extents = (target.width, target.height, 1.0, target.width, target.height, 1.0)
    pairs = zip(tuple(affine)[:6], extents, strict=True)
    return Affine(*(float(round(c)) if abs(c - round(c)) * n < SNAP else c for c, n in pairs))


def _same_turn(source: Grid, target: Grid) -> Grid:
    """The source moved by full turns of longitude next to the target: 0..360 meets -180..180."""
    if not source.geographic:
        return source
    here, there = (grid.affine @ (grid.width / 2, grid.height / 2) for grid in (target, source))
    turn = 360.0 * round((here[0] - there[0]) / 360.0)
    a, b, c, d, e, f = source.transform
    return Grid(source.crs, (a, b, c + turn, d, e, f), source.width, source.height) if turn else source


def _across_ends(warp: Warp) -> Warp:
    """The warp with a turn where the target reaches over an end of a source that goes on at its other one."""
    a = warp.source.affine
    if warp.affine is None or a.b or a.d or not warp.source.geographic:
        return warp
    height, width, turn = warp.target.height, warp.target.width, 360.0 / abs(a.a)
    columns = [(warp.affine @ corner)[0] for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    first, last = min(columns), max(columns)
    over = last > warp.source.width + SNAP and last - turn > SNAP
    under = first < -SNAP and first + turn < warp.source.width - SNAP
    return replace(warp, turn=turn) if over or under else warp


def _turned(warp: Warp) -> Warp:
    """The warp with the turn that the source's columns count, where they are longitudes."""
    if not warp.source.geographic or warp.source.affine.b or warp.source.affine.d:
        return warp
    middle = warp.exact(np.array([warp.target.height / 2]), np.array([warp.target.width / 2]))[1][0]
    about = float(middle) if math.isfinite(middle) else warp.source.width / 2
    return replace(warp, turn=360.0 / abs(warp.source.affine.a), about=about)


def _within(columns: Places, middle: float, turn: float) -> Places:
    """Columns moved by whole turns to within half a one of `middle`."""
    if not turn:
        return columns
    with np.errstate(invalid="ignore"):
        return np.asarray(columns - turn * np.round((columns - middle) / turn))


def _lattice(warp: Warp) -> Warp:
    """The widest spacing whose interpolated places are right to `TOLERANCE` source pixels."""
    height, width = warp.target.height, warp.target.width
    spacing = 32
    while spacing > 1:
        candidate = replace(warp, spacing=spacing)
        worst = 0.0
        for row in {int(height * i / 4) for i in range(5)}:
            for column in {int(width * i / 4) for i in range(5)}:
                corner = Window(row // spacing * spacing, column // spacing * spacing, spacing, spacing)
                guess = candidate._interpolated(corner)
                rows = np.arange(corner.row, corner.row + spacing) + 0.5
                columns = np.arange(corner.column, corner.column + spacing) + 0.5
                truth = warp._unbroken(rows[:, None], columns[None, :])
                off = np.hypot(guess[0] - truth[0], guess[1] - truth[1])
                worst = max(worst, float(np.max(off, initial=0.0, where=np.isfinite(off))))
        if worst <= TOLERANCE:
            return candidate
        spacing //= 2
    return replace(warp, spacing=1)


def _apply(a: Affine, columns: Places, rows: Places) -> tuple[Places, Places]:
    """An affine transform of many positions."""
    return a.a * columns + a.b * rows + a.c, a.d * columns + a.e * rows + a.f


def _between(nodes: Places, rows: Places, columns: Places) -> Places:
    """Bilinear interpolation of lattice nodes at fractional node positions."""
    top = np.minimum(rows.astype(np.intp), nodes.shape[0] - 2)
    left = np.minimum(columns.astype(np.intp), nodes.shape[1] - 2)
    down, across = (rows - top)[:, None], (columns - left)[None, :]
    along = nodes[top] * (1 - down) + nodes[top + 1] * down
    return np.asarray(along[:, left] * (1 - across) + along[:, left + 1] * across)


def _transform(a: Grid, b: Grid, x: Places, y: Places) -> tuple[Places, Places]:
    source, target = _crs(a), _crs(b)
    try:
        xs, ys = to_crs(source, target, x.ravel(), y.ravel())
    except ValueError:  # coordinates that the CRS cannot have
        xs = ys = np.full(x.size, np.inf)
    return xs.reshape(x.shape), ys.reshape(x.shape)


def _crs(grid: Grid) -> Any:
    return rasterio.crs.CRS.from_wkt(grid.crs)
