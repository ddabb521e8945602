"""Reading a raster by windows: stored samples, and reflectance on its own or another grid."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ...models.base import Floats
from .closing import Closing
from .gdal import FilePool, has_stored_mask
from .grid import Grid, Window
from .raster import Band, Raster, holds, measured
from .resample import bilinear, block_mean, nearest
from .warp import Warp, around, plan

CHUNK = 4_000_000
"""Source pixels of a band held at once while blocks are averaged."""


class RasterReader(Closing):
    """Samples of a raster's bands; a context manager that stays in one thread.

    Args:
        raster: what to read.
        grid: the grid that windows refer to; None: the raster's own. Optical values come
            there by averaging (where pixels are finer) and bilinear interpolation, class
            values by the nearest pixel. A pixel's value does not depend on the window.
        pool: open files to share with other readers; None: its own.

    Raises:
        ValueError: the raster or the grid has no CRS, the other has one.
    """

    def __init__(self, raster: Raster, grid: Grid | None = None, pool: FilePool | None = None) -> None:
        self.raster = raster
        self.grid = grid or raster.grid
        self._own, self._pool = pool is None, pool or FilePool()
        self._source = raster.grid
        self._overview: int | None = None
        self._warp: Warp | None = None
        if grid is not None and grid != raster.grid:
            self._warp = plan(raster.grid, grid)
            if min(self._warp.factor) >= 8:
                self._use_overview()

    def close(self) -> None:
        """Close the files."""
        if self._own:
            self._pool.close()

    def samples(self, window: Window) -> list[NDArray[Any]]:
        """Samples as they are in the file; on another grid those of the nearest pixel.

        Args:
            window: may reach over the raster's edge; nodata (else 0) stands there.

        Returns:
            One (h, w) array per band, each in its own dtype.
        """
        chosen = list(range(len(self.raster.bands)))
        return self._native(window, chosen) if self._warp is None else self._nearest(window, chosen)

    def reflectance(self, window: Window, bands: Sequence[int] | None = None) -> Floats:
        """Reflectance (B, h, w) float32; NaN where not observed or outside.

        Args:
            window: may reach over the edge.
            bands: 0-based; None: all.
        """
        chosen = list(range(len(self.raster.bands))) if bands is None else list(bands)
        if self._warp is None:
            return self._observed(window, chosen)
        if not chosen:
            return np.empty((0, window.height, window.width), np.float32)
        classes = [i for i in chosen if self.raster.bands[i].role in ("class", "qa")]
        smooth = [i for i in chosen if i not in classes]
        if not classes:
            return self._smooth(window, smooth)
        out = np.empty((len(chosen), window.height, window.width), np.float32)
        if smooth:
            out[[chosen.index(i) for i in smooth]] = self._smooth(window, smooth)
        for i, samples in zip(classes, self._nearest(window, classes), strict=True):
            to_reflectance(samples, self.raster.bands[i], out[chosen.index(i)])
        return out

    def _smooth(self, window: Window, chosen: list[int]) -> Floats:
        """Averaged to about the target's pixel size, then interpolated."""
        warp = cast(Warp, self._warp)  # callers look
        shift = warp.shift
        if shift is not None:
            moved = Window(window.row + shift[0], window.column + shift[1], window.height, window.width)
            return self._observed(moved, chosen)
        down, across = warp.factor
        rows, columns = warp.places(window)
        rows, columns = rows / down, columns / across
        blocks = around(rows, columns, -(-self._source.height // down), -(-self._source.width // across))
        out = (len(chosen), window.height, window.width)
        if blocks is None:
            return np.full(out, np.nan, np.float32)
        if blocks.height * blocks.width > 4 * CHUNK and window.height > 1:
            return np.concatenate([self._smooth(w, chosen) for w in window.halves()], axis=1)
        image = self._means(blocks, chosen, down, across)
        return bilinear(image, rows - blocks.row, columns - blocks.column)

    def _means(self, blocks: Window, chosen: list[int], down: int, across: int) -> Floats:
        """Means of source blocks, read in strips so that memory stays bounded."""
        if (down, across) == (1, 1):
            return self._observed(blocks, chosen)
        strips = []
        strip = max(1, CHUNK // (down * across * blocks.width))
        limit_row, limit_column = self._source.height, self._source.width
        left = blocks.column * across
        width = min(blocks.width * across, limit_column - left)
        for first in range(blocks.row, blocks.row + blocks.height, strip):
            last = min(first + strip, blocks.row + blocks.height)
            top = first * down
            part = Window(top, left, min(last * down, limit_row) - top, width)
            strips.append(block_mean(self._observed(part, chosen), down, across))
        return np.concatenate(strips, axis=1)

    def _nearest(self, window: Window, chosen: list[int]) -> list[NDArray[Any]]:
        if not chosen:
            return []
        warp = cast(Warp, self._warp)  # callers look
        rows, columns = warp.places(window)
        inner = around(rows, columns, self._source.height, self._source.width)
        fills = [_fill(self.raster.bands[i]) for i in chosen]
        if inner is None:
            return [
                np.full((window.height, window.width), fill, self.raster.bands[i].dtype)
                for i, fill in zip(chosen, fills, strict=True)
            ]
        if inner.height * inner.width > 4 * CHUNK and window.height > 1:
            first, second = (self._nearest(w, chosen) for w in window.halves())
            return [np.concatenate(pair) for pair in zip(first, second, strict=True)]
        rows, columns = rows - inner.row, columns - inner.column
        return [
            nearest(samples[None], rows, columns, fill)[0]
            for samples, fill in zip(self._native(inner, chosen), fills, strict=True)
        ]

    def _observed(self, window: Window, chosen: list[int]) -> Floats:
        """Reflectance of source pixels, NaN where they are not observed."""
        optical = [i for i, b in enumerate(self.raster.bands) if b.role == "optical"]
        alphas = [i for i, b in enumerate(self.raster.bands) if b.role == "alpha"]
        zeros = optical if self.raster.zero_fill else []
        wanted = list(dict.fromkeys([*chosen, *alphas, *zeros]))
        samples = dict(zip(wanted, self._native(window, wanted), strict=True))
        out = np.empty((len(chosen), window.height, window.width), np.float32)
        for place, i in enumerate(chosen):
            to_reflectance(samples[i], self.raster.bands[i], out[place])
        hidden = self._outside(window)
        if zeros:
            hidden |= np.logical_and.reduce([samples[i] == 0 for i in zeros])
        for i in alphas:
            hidden |= samples[i] == 0
        if hidden.any():
            out[:, hidden] = np.nan
        return out

    def _outside(self, window: Window) -> NDArray[np.bool_]:
        """Pixels outside the raster, or hidden by a mask that is stored with a file."""
        hidden = np.zeros((window.height, window.width), bool)
        inner = window.meet(self._source.whole)
        place = inner.within(window) if inner else None
        if place is None or hidden[place].shape != hidden.shape:
            outside = np.ones_like(hidden)
            if place is not None:
                outside[place] = False
            hidden |= outside
        if inner is not None and place is not None:
            for path in dict.fromkeys(band.path for band in self.raster.bands):
                with self._file(path) as file:
                    if has_stored_mask(file):
                        hidden[place] |= file.read_masks(1, window=inner.ranges) == 0
        return hidden

    def _native(self, window: Window, chosen: list[int]) -> list[NDArray[Any]]:
        """Samples of source pixels; nodata (else 0) outside."""
        inner = window.meet(self._source.whole)
        found: dict[int, NDArray[Any]] = {}
        by_path: dict[str, list[int]] = {}
        for i in chosen:
            by_path.setdefault(self.raster.bands[i].path, []).append(i)
        for path, members in by_path.items():
            block = None
            if inner is not None:
                indexes = [self.raster.bands[i].index for i in members]
                with self._file(path) as file:
                    block = file.read(indexes, window=inner.ranges)
            for place, i in enumerate(members):
                if block is not None and inner == window:
                    found[i] = block[place]
                    continue
                band = self.raster.bands[i]
                found[i] = np.full((window.height, window.width), _fill(band), band.dtype)
                if block is not None and inner is not None:
                    found[i][inner.within(window)] = block[place]
        return [found[i] for i in chosen]

    def _file(self, path: str) -> AbstractContextManager[DatasetReader]:
        return self._pool.lent(path, self._overview)

    def _levels(self, path: str) -> list[int]:
        with self._file(path) as file:
            return list(file.overviews(1))

    def _use_overview(self) -> None:
        """Read from the files' overviews where at least 4 x 4 of their pixels make one of ours."""
        warp = cast(Warp, self._warp)  # callers look
        if any(band.role in ("class", "qa", "alpha") for band in self.raster.bands):
            return
        most = min(warp.factor) // 4
        levels = [self._levels(path) for path in dict.fromkeys(b.path for b in self.raster.bands)]
        fitting = [g for g in levels[0] if g <= most and all(other == levels[0] for other in levels)]
        if not fitting:
            return
        self._overview = levels[0].index(max(fitting))
        with self._file(self.raster.bands[0].path) as file:
            width, height, driver = file.width, file.height, file.driver
        scale = (self._source.width / width, self._source.height / height)
        a, b, c, d, e, f = self._source.transform
        # The samples of a JPEG 2000 level lie on the first of the pixels that they stand for, not amid them.
        across, down = ((1 - s) / 2 if driver.startswith("JP2") else 0.0 for s in scale)
        c, f = c + a * across + b * down, f + d * across + e * down
        transform = (a * scale[0], b * scale[1], c, d * scale[0], e * scale[1], f)
        self._source = Grid(self._source.crs, transform, width, height)
        self._warp = plan(self._source, self.grid)


def to_reflectance(samples: NDArray[Any], band: Band, values: Floats) -> None:
    """Write a band's samples as reflectance to `values`, NaN at nodata."""
    values[...] = np.where(measured(samples), samples, np.nan) if samples.dtype.kind == "f" else samples
    values *= np.float32(band.gain)
    if band.bias:
        values += np.float32(band.bias)
    if band.nodata is None or np.isnan(band.nodata):
        return
    whole = samples.dtype.kind in "iu" and float(band.nodata).is_integer()
    missing = samples == (int(band.nodata) if whole else band.nodata)  # whole numbers compare faster
    if missing.any():
        values[missing] = np.nan


def _fill(band: Band) -> float | int:
    """What stands outside the raster: nodata where the dtype can hold it, else 0."""
    if band.nodata is None:
        return 0
    if np.dtype(band.dtype).kind == "f":
        return band.nodata
    return int(band.nodata) if holds(band.dtype, band.nodata) else 0
