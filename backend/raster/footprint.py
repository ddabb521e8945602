"""Where a raster was observed: nodata per band, holes in it, and what lies outside.

Nodata that is enclosed by observed pixels is a hole, thus a gap; nodata that reaches the
raster's edge is outside. Stripes that are open to the edge, as those of Landsat 7 without
its scan line corrector, count as holes when asked: then the footprint is the convex hull
of the observed pixels. Everything is done in strips, so memory is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from ..watch import Watch
from .gdal import open_dataset
from .grid import Grid, Window
from .raster import Raster

Flags = NDArray[np.bool_]

SCRATCH = {
    "driver": "GTiff", "dtype": "uint8", "tiled": True, "blockxsize": 256, "blockysize": 256,
    "compress": "deflate", "zlevel": 1, "interleave": "band", "sparse_ok": True, "bigtiff": "if_safer",
    "transform": Affine(2, 0, 0, 0, -2, 0),
}  # fmt: skip
"""Profile of temporary files: quick, small where a value fills whole tiles."""


def strips(grid: Grid, bytes_per_pixel: int, least: int = 0) -> Iterator[Window]:
    """Whole-width windows of a multiple of 64 rows, about 64 MiB each, at least `least` rows."""
    rows = max((1 << 26) // (grid.width * max(bytes_per_pixel, 1)), least, 64) // 64 * 64
    for row in range(0, grid.height, rows):
        yield Window(row, 0, min(rows, grid.height - row), grid.width)


class NodataReader:
    """Which samples of a raster were not observed; reads in one thread.

    Declared nodata, NaN, zero in every optical band (`zero_fill`), an alpha band's zero and a
    mask stored with the file. Class, QA and alpha bands follow the others.
    """

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._files = {band.path: open_dataset(band.path) for band in raster.bands}
        roles = [band.role for band in raster.bands]
        measured = [i for i, role in enumerate(roles) if role not in ("class", "qa", "alpha")]
        self.measured = measured or list(range(len(roles)))
        """Bands whose nodata counts, 0-based."""
        self._optical = [i for i, role in enumerate(roles) if role == "optical"]
        self._alpha = [i for i, role in enumerate(roles) if role == "alpha"]
        self._hidden = [
            path for path, file in self._files.items() if _has_stored_mask(file.mask_flag_enums[0])
        ]

    @property
    def possible(self) -> bool:
        """Whether any sample can be nodata at all; if not, nothing needs to be read."""
        bands = self._raster.bands
        return bool(
            self._alpha
            or self._hidden
            or (self._raster.zero_fill and self._optical)
            or any(_can_be_nodata(bands[i].dtype, bands[i].nodata) for i in self.measured)
        )

    def read(self, window: Window) -> Flags:
        """(B, h, w) bool: not observed; all True where no measured band was observed."""
        bands = self._raster.bands
        missing = np.zeros((len(bands), window.height, window.width), bool)
        zero = np.ones(missing.shape[1:], bool) if self._raster.zero_fill and self._optical else None
        for i in self.measured:
            needs_zero = zero is not None and i in self._optical
            if not needs_zero and not _can_be_nodata(bands[i].dtype, bands[i].nodata):
                continue
            values = self._files[bands[i].path].read(bands[i].index, window=window.ranges)
            if values.dtype.kind == "f":
                missing[i] = ~np.isfinite(values)
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
        missing |= _all(missing[self.measured])
        return missing

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def _all(planes: NDArray[Any]) -> Flags:
    """(h, w): set in every plane of (B, h, w)."""
    return np.asarray(np.all(planes, axis=0))


def _has_stored_mask(flags: list[MaskFlags]) -> bool:
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def _can_be_nodata(dtype: str, nodata: float | None) -> bool:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return True
    if nodata is None or not float(nodata).is_integer():
        return False
    limits = np.iinfo(kind)
    return limits.min <= nodata <= limits.max


@dataclass
class Footprint:
    """Nodata and outside of a scene, kept in a temporary file.

    Attributes:
        per_band: whether bands differ in their nodata.
        open_share: share of the hull that is nodata open to the edge (0 if it counts as hole).
    """

    path: Path | None
    bands: int
    per_band: bool
    open_share: float
    _file: rasterio.io.DatasetReader | None = None

    def __enter__(self) -> Footprint:
        if self.path is not None:
            self._file = rasterio.open(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def read(self, window: Window) -> tuple[Flags, Flags] | None:
        """Nodata (B or 1, h, w) and outside (h, w); None where all is observed."""
        if self._file is None:
            return None
        packed = self._file.read(window=window.ranges)
        if not packed.any():
            return None
        nodata = np.unpackbits(packed[:-1], axis=0, count=self.bands).view(np.bool_)
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
    bands = len(raster.bands)
    reader = NodataReader(raster)
    try:
        if not reader.possible and also_missing is None:
            return Footprint(None, bands, False, 0.0)
        return _Finder(raster.grid, reader, also_missing, directory, watch).find(bands, hull)
    finally:
        reader.close()


class _Finder:
    """The two passes over a scene: what is missing, then what of it lies outside."""

    def __init__(
        self,
        grid: Grid,
        reader: NodataReader,
        also: Callable[[Window], Flags] | None,
        directory: Path,
        watch: Watch,
    ) -> None:
        self.grid, self.reader, self.also, self.watch = grid, reader, also, watch
        self.path = directory / "footprint.tif"

    def find(self, bands: int, hull: bool) -> Footprint:
        first = np.full(self.grid.height, self.grid.width)
        last = np.full(self.grid.height, -1)
        labels = _Labels()
        planes = -(-bands // 8)
        profile = SCRATCH | {"width": self.grid.width, "height": self.grid.height, "count": planes + 1}
        per_band, some = False, False
        measured = self.reader.measured
        cut = list(strips(self.grid, bands + 8))
        with rasterio.open(self.path, "w", **profile) as file:
            for strip in cut:
                self.watch.check()
                missing = self._missing(strip)
                unobserved = _all(missing[measured])
                rows = slice(strip.row, strip.row + strip.height)
                first[rows], last[rows] = _ends(~unobserved)
                labels.add(unobserved)
                if missing.any():
                    some = True
                    per_band = per_band or bool((missing != unobserved).any())
                    packed = np.packbits(missing, axis=0)
                    file.write(packed, list(range(1, planes + 1)), window=strip.ranges)
        if not some:
            self.path.unlink()
            return Footprint(None, bands, False, 0.0)
        left, right = hull_columns(first, last)
        is_outside = labels.outside()
        opened = inside = 0
        with rasterio.open(self.path, "r+") as file:
            for number, strip in enumerate(cut):
                self.watch.check()
                packed = file.read(list(range(1, planes + 1)), window=strip.ranges)
                unobserved = _all(np.unpackbits(packed, axis=0, count=bands)[measured])
                beyond = _beyond(strip, left, right)
                outside = unobserved & beyond if hull else is_outside(number, unobserved)
                inside += int(beyond.size - np.count_nonzero(beyond))
                opened += int(np.count_nonzero(outside & ~beyond))
                if outside.any():
                    file.write(outside.view(np.uint8), planes + 1, window=strip.ranges)
        return Footprint(self.path, bands, per_band, opened / max(inside, 1))

    def _missing(self, strip: Window) -> Flags:
        missing = self.reader.read(strip)
        if self.also is not None:
            missing |= self.also(strip)
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


def hull_columns(
    first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right border of the convex hull of observed pixel centres, per row.

    Args:
        first, last: first and last observed column of each row; last < first where none is.

    Returns:
        Columns (fractional) per row; left > right in rows outside the hull.
    """
    rows = np.flatnonzero(last >= first)
    left, right = np.full(first.size, np.inf), np.full(first.size, -np.inf)
    if not rows.size:
        return left, right
    within = np.arange(rows[0], rows[-1] + 1)
    lower = _lower_hull(rows, first[rows])
    upper = _lower_hull(rows, -last[rows])
    # A millionth of a pixel of slack, so that rounding excludes no corner of the hull.
    left[within] = np.interp(within, rows[lower], first[rows][lower]) - 1e-6
    right[within] = np.interp(within, rows[upper], last[rows][upper]) + 1e-6
    return left, right


def _lower_hull(x: NDArray[np.int64], y: NDArray[np.int64]) -> list[int]:
    """Indices of the points of the lower convex hull (Andrew's monotone chain); x ascends."""
    chain: list[int] = []
    for i in range(x.size):
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) > (y[b] - y[a]) * (x[i] - x[a]):
                break
            chain.pop()
        chain.append(i)
    return chain


class _Labels:
    """Connected unobserved pixels (by edges) across strips: which of them reach the raster's edge."""

    def __init__(self) -> None:
        self._parent: list[int] = [0]  # node 0: outside
        self._base: list[int] = []
        self._bottom: NDArray[np.int64] | None = None

    def add(self, unobserved: Flags) -> None:
        """Take the next strip."""
        self._base.append(len(self._parent) - 1)
        count, labels = _components(unobserved)
        self._parent.extend(range(len(self._parent), len(self._parent) + count - 1))
        if count == 1:
            self._bottom = np.zeros(unobserved.shape[1], np.int64)
            return
        base = self._base[-1]
        edges = [labels[:, 0], labels[:, -1]]
        top = np.where(labels[0], labels[0].astype(np.int64) + base, 0)
        if self._bottom is None:
            edges.append(labels[0])
        else:
            both = (top > 0) & (self._bottom > 0)
            for pair in np.unique(np.stack([top[both], self._bottom[both]]), axis=1).T.tolist():
                self._unite(*pair)
        for label in np.unique(np.concatenate(edges)).tolist():
            if label:
                self._unite(label + base, 0)
        self._bottom = np.where(labels[-1], labels[-1].astype(np.int64) + base, 0)

    def outside(self) -> Callable[[int, Flags], Flags]:
        """After the last strip: a function of a strip's number and pixels that marks the outside."""
        if self._bottom is not None:
            for node in np.unique(self._bottom).tolist():
                if node:
                    self._unite(node, 0)
        reaches = np.array([self._root(node) == 0 for node in range(len(self._parent))])

        def is_outside(number: int, unobserved: Flags) -> Flags:
            count, labels = _components(unobserved)
            table = np.zeros(count, bool)
            base = self._base[number]
            table[1:] = reaches[base + 1 : base + count]
            return table[labels]

        return is_outside

    def _root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _unite(self, one: int, other: int) -> None:
        a, b = self._root(one), self._root(other)
        self._parent[max(a, b)] = min(a, b)


def _components(flags: Flags) -> tuple[int, NDArray[np.int32]]:
    """Number of labels (with 0, the background) and labels of 4-connected flagged pixels."""
    if not flags.any():
        return 1, np.zeros(flags.shape, np.int32)
    count, labels = cv2.connectedComponents(flags.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return count, labels.astype(np.int32, copy=False)
