"""Where a raster was observed: nodata per band, holes in it, and what lies outside.

Nodata that is enclosed by observed pixels is a hole, thus a gap; nodata that reaches the
raster's edge is outside. Stripes that are open to the edge, as those of Landsat 7 without
its scan line corrector, count as holes when asked: then the footprint is the convex hull
of the observed pixels. Everything is done in strips, so memory is bounded.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ....models.base import Flags
from ...watch import Watch
from ..closing import Closing
from ..gdal import has_stored_mask, open_dataset
from ..grid import Grid, Window
from ..raster import Raster, holds, measured
from ..whole import close_whole
from .enclosure import Enclosure, hull_columns

Border = tuple[NDArray[np.float64], NDArray[np.float64]]
"""First and last column inside the hull, per row."""

SCRATCH = {
    "driver": "GTiff", "dtype": "uint8", "tiled": True, "blockxsize": 256, "blockysize": 256,
    "compress": "deflate", "zlevel": 1, "interleave": "band", "sparse_ok": True, "bigtiff": "if_safer",
    "transform": Affine(2, 0, 0, 0, -2, 0),
}  # fmt: skip
"""Profile of temporary files: quick, small where a value fills whole tiles."""


def strips(grid: Grid, bytes_per_pixel: int, least: int = 0) -> Iterator[Window]:
    """Whole-width windows of a multiple of 64 rows, about 32 MiB each, at least `least` rows."""
    return grid.strips(max((1 << 25) // (grid.width * max(bytes_per_pixel, 1)), least, 64) // 64 * 64)


class NodataReader(Closing):
    """Which samples of a raster were not observed; reads in one thread.

    Declared nodata, NaN, zero in every optical band (`zero_fill`), an alpha band's zero and a
    mask stored with the file. Class, QA and alpha bands follow the others.
    """

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._files = {band.path: open_dataset(band.path) for band in raster.bands}
        roles = [band.role for band in raster.bands]
        counted = [i for i, role in enumerate(roles) if role not in ("class", "qa", "alpha")]
        self.counted = counted or list(range(len(roles)))
        """Bands whose nodata counts, 0-based."""
        self._optical = [i for i, role in enumerate(roles) if role == "optical"]
        self._alpha = [i for i, role in enumerate(roles) if role == "alpha"]
        self._hidden = [path for path, file in self._files.items() if has_stored_mask(file)]

    @property
    def possible(self) -> bool:
        """Whether any sample can be nodata at all; if not, nothing needs to be read."""
        bands = self._raster.bands
        return bool(
            self._alpha
            or self._hidden
            or (self._raster.zero_fill and self._optical)
            or any(_can_be_nodata(bands[i].dtype, bands[i].nodata) for i in self.counted)
        )

    def read(self, window: Window) -> Flags:
        """(B, h, w) bool: samples that were not observed."""
        bands = self._raster.bands
        missing = np.zeros((len(bands), window.height, window.width), bool)
        zero = np.ones(missing.shape[1:], bool) if self._raster.zero_fill and self._optical else None
        for i in self.counted:
            needs_zero = zero is not None and i in self._optical
            if not needs_zero and not _can_be_nodata(bands[i].dtype, bands[i].nodata):
                continue
            values = self._files[bands[i].path].read(bands[i].index, window=window.ranges)
            if values.dtype.kind == "f":
                missing[i] = ~measured(values)
            nodata = bands[i].nodata
            if nodata is not None and not math.isnan(nodata):
                missing[i] |= values == nodata
            if needs_zero and zero is not None:
                zero &= values == 0
        for i in self._alpha:
            missing |= self._files[bands[i].path].read(bands[i].index, window=window.ranges) == 0
        for path in self._hidden:
            missing |= self._files[path].read_masks(1, window=window.ranges) == 0
        if zero is not None:
            missing |= zero
        return missing

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def _all(planes: NDArray[Any]) -> Flags:
    """(h, w): set in every plane of (B, h, w)."""
    return np.asarray(np.all(planes, axis=0))


def _can_be_nodata(dtype: str, nodata: float | None) -> bool:
    if np.dtype(dtype).kind == "f":
        return True
    return nodata is not None and holds(dtype, nodata)


class Footprint(Closing):
    """Nodata and outside of a scene, kept in a temporary file; a context manager.

    Attributes:
        per_band: whether bands differ in their nodata.
        open_share: share of the hull that is nodata open to the edge (0 if it counts as hole).
    """

    def __init__(self, path: Path | None, bands: int, per_band: bool, open_share: float) -> None:
        self.per_band, self.open_share = per_band, open_share
        self._path, self._bands = path, bands
        self._file: DatasetReader | None = None if path is None else rasterio.open(path)

    def close(self) -> None:
        """Close and remove the file."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def read(self, window: Window) -> tuple[Flags, Flags] | None:
        """Nodata (B or 1, h, w) and outside (h, w); None where all is observed."""
        if self._file is None:
            return None
        packed = self._file.read(window=window.ranges)
        if not packed.any():
            return None
        nodata = np.unpackbits(packed[:-1], axis=0, count=self._bands).view(np.bool_)
        return nodata if self.per_band else nodata[:1], packed[-1].view(np.bool_)


def find_footprint(
    raster: Raster,
    also_missing: Callable[[Window], Flags] | None,
    *,
    hull: bool,
    directory: Path,
    watch: Watch,
) -> Footprint:
    """Find nodata, holes and outside of a raster.

    Args:
        also_missing: pixels that a mask says were not observed, or None.
        hull: whether nodata inside the hull of the observed pixels is a hole.
        directory: for the temporary file.
    """
    with NodataReader(raster) as reader:
        if not reader.possible and also_missing is None:
            return Footprint(None, len(raster.bands), False, 0.0)
        return _Finder(raster, reader, also_missing, directory, watch).find(hull)


class _Finder:
    """Two passes over a scene: what is missing, then what of it lies outside."""

    def __init__(
        self, raster: Raster, reader: NodataReader, also: Callable[[Window], Flags] | None, directory: Path,
        watch: Watch,
    ) -> None:  # fmt: skip
        self.grid, self.bands = raster.grid, len(raster.bands)
        self.reader, self.also, self.watch = reader, also, watch
        self.path = directory / f"footprint-{uuid.uuid4().hex}.tif"
        self.planes = -(-self.bands // 8)  # a bit for each band
        self.strips = list(strips(self.grid, self.bands + 8))

    def find(self, hull: bool) -> Footprint:
        self.watch.stage("footprint", 2 * len(self.strips))
        try:
            some, per_band, enclosure, border = self._note_missing()
            if some:
                open_share = self._mark_outside(enclosure, border, hull)
                return Footprint(self.path, self.bands, per_band, open_share)
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        self.path.unlink()
        return Footprint(None, self.bands, False, 0.0)

    def _note_missing(self) -> tuple[bool, bool, Enclosure, Border]:
        """Write what is missing; whether there is any, whether bands differ, and what encloses it."""
        first = np.full(self.grid.height, self.grid.width)
        last = np.full(self.grid.height, -1)
        enclosure, some, per_band = Enclosure(), False, False
        size = {"width": self.grid.width, "height": self.grid.height, "count": self.planes + 1}
        with rasterio.open(self.path, "w", **SCRATCH, **size) as file:
            for strip in self.strips:
                missing = self._missing(strip)
                unobserved = _all(missing[self.reader.counted])
                rows = slice(strip.row, strip.row + strip.height)
                first[rows], last[rows] = _ends(~unobserved)
                enclosure.add(unobserved)
                if missing.any():
                    some = True
                    per_band = per_band or bool((missing != unobserved).any())
                    packed = np.packbits(missing, axis=0)
                    file.write(packed, list(range(1, self.planes + 1)), window=strip.ranges)
                self.watch.advance()
            close_whole(file, sparse=True)
        return some, per_band, enclosure, hull_columns(first, last)

    def _mark_outside(self, enclosure: Enclosure, border: Border, hull: bool) -> float:
        """Write what lies outside; returns the share of the hull that does."""
        is_outside = enclosure.outside()
        opened = inside = 0
        with rasterio.open(self.path, "r+") as file:
            for number, strip in enumerate(self.strips):
                packed = file.read(list(range(1, self.planes + 1)), window=strip.ranges)
                missing = np.unpackbits(packed, axis=0, count=self.bands)
                unobserved = _all(missing[self.reader.counted])
                beyond = _beyond(strip, *border)
                outside = unobserved & beyond if hull else is_outside(number, unobserved)
                inside += beyond.size - int(np.count_nonzero(beyond))
                opened += int(np.count_nonzero(outside & ~beyond))
                if outside.any():
                    file.write(outside.view(np.uint8), self.planes + 1, window=strip.ranges)
                self.watch.advance()
            close_whole(file, sparse=True)
        return opened / max(inside, 1)

    def _missing(self, strip: Window) -> Flags:
        missing = self.reader.read(strip)
        if self.also is not None:
            missing |= self.also(strip)
        missing |= _all(missing[self.reader.counted])  # the other bands follow
        return missing


def _ends(observed: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last observed column of each row (width and -1 where there is none)."""
    width = observed.shape[1]
    some = observed.any(axis=1)
    first = np.where(some, observed.argmax(axis=1), width)
    last = np.where(some, width - 1 - observed[:, ::-1].argmax(axis=1), -1)
    return first, last


def _beyond(strip: Window, left: NDArray[np.float64], right: NDArray[np.float64]) -> Flags:
    columns = np.arange(strip.width)
    rows = slice(strip.row, strip.row + strip.height)
    return (columns < left[rows, None]) | (columns > right[rows, None])
