"""A mask raster on a grid, read by window as class bits.

A mask on the grid itself is read as it is. One on another grid is brought over by the
nearest pixel; where its pixels are finer, a pixel is marked if any of them is, so that no
cloud slips through. Where a mask does not reach, it marks nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ....models.base import Flags
from ...errors import TerramendError
from ...request import Mask
from ...watch import Watch
from ..gdal import FilePool
from ..grid import Grid, Window
from ..warp import Places, Warp, around, plan
from .detect import find_decoder
from .growth import Growth, parse_growth
from .kinds import Bits, Decoder

PIXELS = 1 << 25
"""Most mask pixels that are held at once."""
ALIKE = 1.15
"""Mask pixels a pixel up to which grids count as equally fine: UTM zones are turned a little."""


class RasterMask:
    """A mask raster on a grid. `cover` is the share of its partner on the grid that it covers."""

    def __init__(
        self, mask: Mask, files: FilePool, decoder: Decoder, source: Grid, partner: Grid, grid: Grid,
        grow: str | None,
    ) -> None:  # fmt: skip
        self.path, self.kind = mask.path, decoder.kind
        self.classes, self.has_fill = decoder.classes, decoder.has_fill
        self.planes = len(decoder.bands) if decoder.per_band else 1
        self._files, self._decoder = files, decoder
        self._source, self._warp = source, _plan(mask.path, source, grid)
        self.cover = 1.0 if self._warp is None else self._check_overlap(self._warp, partner, grid)
        self.growth = _growth(grow, decoder.growth, source, grid)

    def bits(self, window: Window) -> Bits:
        """(planes, h, w) class bits of a window of the grid."""
        if self._warp is None:
            return self._native(window)
        rows, columns = self._warp.places(window)
        down, across = (_steps(scale) for scale in self._warp.scale)
        cells = around(rows, columns, self._source.height, self._source.width, (down[-1], across[-1]))
        found = np.zeros((self.planes, window.height, window.width), np.uint8)
        if cells is None:
            return found
        if cells.height * cells.width > PIXELS and window.height > 1:
            return np.concatenate([self.bits(half) for half in window.halves()], axis=1)
        bits = np.pad(self._native(cells), ((0, 0), (0, 1), (0, 1)))  # the last row and column: outside
        lines = [_indexes(rows - cells.row + step, cells.height) for step in down]
        for step in across:
            beside = _indexes(columns - cells.column + step, cells.width)
            for line in lines:
                found |= bits[:, line, beside]
        return found

    def _native(self, window: Window) -> Bits:
        with self._files.lent(self.path) as dataset:
            values = dataset.read(list(self._decoder.bands), window=window.ranges)
        return self._decoder.decode(values)

    def _check_overlap(self, warp: Warp, partner: Grid, grid: Grid) -> float:
        """Share of the partner that the mask covers, by samples of the grid; an error where that is none."""
        covered = _inside(warp, grid)
        if not covered.any():
            raise TerramendError("mask.apart", path=self.path)
        own = None if partner.crs is None else _plan(self.path, partner, grid)
        seen = np.ones_like(covered) if own is None else _inside(own, grid)
        return float(covered[seen].mean()) if seen.any() else 1.0


def open_raster_mask(
    mask: Mask, partner: Grid, grid: Grid, bands: int, grow: str | None, threshold: float | None,
    watch: Watch, files: FilePool,
) -> RasterMask:  # fmt: skip
    """Open a mask; the arguments are those of `layers.open_masks`."""
    with files.lent(mask.path) as dataset:
        decoder = find_decoder(mask, dataset, bands=bands, threshold=threshold, watch=watch)
        decoder = decoder.tabulated(dataset.dtypes[decoder.bands[0] - 1])
        source = Grid.of(dataset)
    if source.crs is None or partner.crs is None:
        source = _paired(mask.path, source, partner, watch)
    elif not source.is_place:
        raise TerramendError("raster.placed", path=mask.path)
    layer = RasterMask(mask, files, decoder, source, partner, grid, grow)
    if layer.cover < 0.995:
        watch.notice("mask.partial", path=mask.path, percent=round(100 * layer.cover))
    return layer


def _paired(path: str, source: Grid, partner: Grid, watch: Watch) -> Grid:
    """The partner's geography for a mask of its size, where one of them has no CRS."""
    if source.same_as(partner):
        return partner
    if (source.width, source.height) != (partner.width, partner.height):
        raise TerramendError(
            "mask.size", path=path, width=source.width, height=source.height,
            partner_width=partner.width, partner_height=partner.height,
        )  # fmt: skip
    watch.notice("mask.paired", path=path)
    return partner


def _inside(warp: Warp, grid: Grid) -> Flags:
    """(64, 64) which of evenly spread places on a grid lie on the warp's source."""
    rows: Places = (np.arange(64) + 0.5) * grid.height / 64
    columns: Places = (np.arange(64) + 0.5) * grid.width / 64
    rows, columns = warp.exact(rows[:, None], columns[None, :])
    with np.errstate(invalid="ignore"):
        inside = (rows >= 0) & (rows < warp.source.height) & (columns >= 0) & (columns < warp.source.width)
    return np.asarray(inside)


def _plan(path: str, source: Grid, grid: Grid) -> Warp | None:
    """How to bring a mask onto a grid; None where it lies on it."""
    if source.same_as(grid):
        return None
    try:
        return plan(source, grid)
    except ValueError:
        raise TerramendError(
            "mask.size", path=path, width=source.width, height=source.height,
            partner_width=grid.width, partner_height=grid.height,
        ) from None  # fmt: skip


def _growth(grow: str | None, default: float, source: Grid, grid: Grid) -> Growth:
    """Asked-for growth is in pixels of the grid, default growth in pixels of the mask."""
    if grow is not None:
        return parse_growth(grow, grid, default)
    mask_size, size = math.sqrt(math.prod(source.pixel_size)), math.sqrt(math.prod(grid.pixel_size))
    ratio = mask_size / size if size else 1.0
    return parse_growth(None, grid, default * (1.0 if abs(ratio - 1) < 0.01 else ratio))


def _steps(scale: float) -> NDArray[np.float64]:
    """Places over one pixel of the grid, in mask pixels from its centre.

    At most a mask pixel apart, so that they meet every one whose centre lies in the pixel, however the two
    grids lie to each other. Up to `ALIKE` the nearest one stands for the pixel.
    """
    count = math.ceil(scale - 0.05) if scale > ALIKE else 1
    return ((np.arange(count) + 0.5) / count - 0.5) * scale


def _indexes(places: Places, size: int) -> NDArray[np.intp]:
    """The pixels that places fall into, -1 for those outside."""
    with np.errstate(invalid="ignore"):
        inside = (places >= 0) & (places < size)
    return np.where(inside, places, -1).astype(np.intp)
