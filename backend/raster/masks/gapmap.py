"""The gaps of a whole scene, in a temporary file that is read by window.

Order of the making: masks are read and grown strip by strip (exact across strips: each is
read with the growth's margin), united, joined with the holes that nodata leaves in the
footprint, restricted to the extent, and written. Memory does not grow with the scene.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from ....models.base import Flags
from ...request import Mask
from ...watch import Watch
from ..closing import Closing
from ..grid import Grid, Window
from ..raster import Raster, telling
from ..whole import close_whole
from .extent import read_extent
from .footprint import SCRATCH, Footprint, find_footprint, strips
from .growth import Growth, parse_growth
from .growth import grow as grown
from .kinds import FILL
from .layers import MaskStack, open_masks
from .polygons import Polygons

VALID, GAP, OUTSIDE = 0, 1, 2
"""Codes: observed and kept; to be filled; neither observed nor asked for."""
VALIDITY = ("zero", "nodata")
"""Kinds that say what is valid, not what hides it."""
CELL = 64
"""Pixels: side of the cells whose gaps are counted."""

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class MaskUse:
    """What became of a mask: the kind it was read as, its growth in pixels, the share that it marks.

    `marked` is counted before growth, over the whole grid (and bands, for a mask per band).
    """

    path: str
    kind: str
    growth: float
    marked: float


class GapMap(Closing):
    """Codes `VALID`, `GAP`, `OUTSIDE` of every sample of a target; made by `build_gap_map`.

    A context manager that removes its file at the end. Reading is safe from several threads.

    Attributes:
        grid: of the target. bands: number of bands of the target. planes: of codes, 1 where bands share them.
        gap_counts, footprint_counts: samples per band that are gaps; that are gaps or valid.
        gap_samples, footprint_samples: the same of all bands that can be filled.
        fraction, fractions: share of gaps in the footprint, of these bands; per band.
        cells: (rows, columns) int: gap pixels (in any band) of each `CELL` squared cell.
        masks: the masks that were read, those of the target's own product too.
        area: the extent that gaps are restricted to, or None.
    """

    def __init__(
        self, path: Path, target: Raster, counts: _Counts, masks: tuple[MaskUse, ...], area: Polygons | None
    ) -> None:
        self.path, self.grid, self.bands, self.cells = path, target.grid, len(target.bands), counts.cells
        self.masks, self.area, self.planes = masks, area, len(counts.gaps)
        repeat = self.bands if self.planes == 1 else 1
        gaps, valid = tuple(counts.gaps.tolist()) * repeat, tuple(counts.valid.tolist()) * repeat
        counted = telling(target.bands) or tuple(range(self.bands))
        self.gap_counts = gaps
        self.footprint_counts = tuple(g + v for g, v in zip(gaps, valid, strict=True))
        self.fractions = tuple(g / max(f, 1) for g, f in zip(gaps, self.footprint_counts, strict=True))
        self.gap_samples, self.footprint_samples = self.count(counted)
        self.fraction = self.gap_samples / max(self.footprint_samples, 1)
        self._cumulated = np.pad(counts.cells.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        self._lock = threading.Lock()
        self._file = rasterio.open(path)

    def count(self, bands: Iterable[int]) -> tuple[int, int]:
        """Gap samples, and gap or valid samples, of some bands (0-based)."""
        chosen = list(bands)
        return sum(self.gap_counts[i] for i in chosen), sum(self.footprint_counts[i] for i in chosen)

    def read(self, window: Window) -> Codes:
        """(B, h, w) uint8 codes; read-only where all bands share them."""
        with self._lock:
            codes: Codes = self._file.read(window=window.ranges)
        if codes.shape[0] == self.bands:
            return codes
        return np.broadcast_to(codes, (self.bands, *codes.shape[1:]))

    def any_gap(self, window: Window) -> bool:
        """Whether a gap may lie in the window: False is certain, True is right to `CELL` pixels."""
        top, left = window.row // CELL, window.column // CELL
        bottom = -(-(window.row + window.height) // CELL)
        right = -(-(window.column + window.width) // CELL)
        c = self._cumulated
        return bool(c[bottom, right] - c[top, right] - c[bottom, left] + c[top, left])

    def close(self) -> None:
        """Close and remove the file."""
        with self._lock:
            self._file.close()
            self.path.unlink(missing_ok=True)


def build_gap_map(
    target: Raster, masks: tuple[Mask, ...], *, grow: str | None, classes: tuple[str, ...],
    cloud_threshold: float | None, fill_swath_edges: bool, extent: str | None, directory: Path, watch: Watch,
    partner: Grid | None = None, whole: bool = False, own: bool = False,
) -> GapMap:  # fmt: skip
    """Find every gap of a target.

    A sample is a gap where a mask marks it, or where it is nodata inside the footprint: that
    of its own band where another band was observed, or a hole enclosed by observed pixels
    (with `fill_swath_edges`: within their convex hull). Nodata beyond is outside, unless a
    mask of clouds marks it (before growth): then it was asked for. Masks of validity (`zero`,
    `nodata`) mark the outside as well as the gaps, so they do not ask for it. Masked samples
    beyond the extent are no gaps, but no evidence either: outside.

    Args:
        masks: empty: those that belong to the target (`target.masks`), else nodata alone.
        grow: `3px` or `30m` for all masks (and nodata, where no other mask is given or it is
            named); None: the default of each kind, 0 for nodata.
        classes: classes that count as gap where a mask has classes.
        cloud_threshold: percent from which a cloud probability is a gap; None: 40.
        extent: `W,S,E,N` in the target's CRS, a polygon file, or None.
        directory: existing folder for the temporary files.
        partner: grid of the raster that the target was cut from, with which masks without a CRS pair.
        whole: what was observed is the gap (inside the extent, and inside `masks` where some are
            given): all that may change where thin cloud is removed. The rest is as it is.
        own: whether the masks that belong to the target count beside `masks`.

    Raises:
        TerramendError: `mask.*`, `polygons.*`, `grow.*`, `extent.*`, `raster.*`, `run.cancelled`.
    """
    grid = target.grid
    watch.stage("footprint")
    area = None if extent is None else read_extent(extent, grid, watch)
    named_nodata = any(mask.kind == "nodata" for mask in masks)
    masks = in_force(target, masks, own=own, whole=whole)
    with open_masks(
        masks, partner or grid, grid, bands=len(target.bands), grow=grow, classes=classes,
        cloud_threshold=cloud_threshold, watch=watch,
    ) as stack:  # fmt: skip
        nodata_growth = parse_growth(grow, grid) if named_nodata or not stack.layers else Growth()
        missing = _missing_by_masks(target, stack)
        found = find_footprint(target, missing, hull=fill_swath_edges, directory=directory, watch=watch)
        with found as footprint:
            path = directory / f"gaps-{uuid.uuid4().hex}.tif"
            builder = _Builder(target, stack, footprint, nodata_growth, area, path, watch, whole)
            try:
                gap_map = builder.build()
            except BaseException:
                builder.path.unlink(missing_ok=True)
                raise
            left = footprint.open_share * (1 - builder.asked / max(builder.open, 1))
            if left > 0.005 and not whole:
                watch.notice("mask.open-nodata", percent=round(100 * left, 1))
    if not whole:
        _say_what_was_found(gap_map, target, watch)
    return gap_map


def widened(
    gap_map: GapMap,
    target: Raster,
    cut: list[Window],
    more: Callable[[Window], Flags],
    directory: Path,
    watch: Watch,
) -> GapMap:
    """A target's map with further gaps: valid pixels inside the extent of which `more` says so.

    Args:
        cut: strips that begin at multiples of `CELL` rows. more: (h, w) flags of one of them.
        directory: existing folder for the temporary file.

    Raises:
        TerramendError: what `more` raises; `run.cancelled`.
    """
    planes = gap_map.planes

    def codes(strip: Window) -> Codes:
        found = gap_map.read(strip)[:planes].copy()
        asked = more(strip)
        if gap_map.area is not None:
            asked = asked & gap_map.area.inside(strip)
        found[(found == VALID) & asked] = GAP
        return found

    path = directory / f"gaps-{uuid.uuid4().hex}.tif"
    try:
        counts = _write(path, gap_map.grid, planes, cut, codes, watch)
        return GapMap(path, target, counts, gap_map.masks, gap_map.area)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def in_force(target: Raster, masks: tuple[Mask, ...], *, own: bool, whole: bool = False) -> tuple[Mask, ...]:
    """The masks that count: those named, and the target's `own` on request or where none is named."""
    return (*masks, *target.masks) if own or not (masks or whole) else masks


def _missing_by_masks(target: Raster, stack: MaskStack) -> Callable[[Window], Flags] | None:
    """What masks know of pixels without observation, where it is asked for or the target cannot tell."""
    layers = [layer for layer in stack.layers if layer.has_fill]
    silent = not target.zero_fill and all(
        band.nodata is None and np.dtype(band.dtype).kind != "f" and band.role != "alpha"
        for band in target.bands
    )
    layers = [layer for layer in layers if silent or layer.kind == "nodata"]
    if not layers:
        return None

    def missing(window: Window) -> Flags:
        found = np.zeros((1, window.height, window.width), bool)
        for layer in layers:
            found = found | (layer.bits(window) & np.uint8(FILL) != 0)
        return found

    return missing


@dataclass(frozen=True)
class _Counts:
    """Of each plane of codes: gaps and valid pixels; `cells` as in `GapMap`."""

    gaps: NDArray[np.int64]
    valid: NDArray[np.int64]
    cells: NDArray[np.int32]


def _write(
    path: Path, grid: Grid, planes: int, cut: list[Window], codes_of: Callable[[Window], Codes], watch: Watch
) -> _Counts:
    """Write the codes (planes, h, w) of strips that begin at multiples of `CELL` rows, and count them."""
    profile = SCRATCH | {"width": grid.width, "height": grid.height, "count": planes}
    gaps, valid = np.zeros(planes, np.int64), np.zeros(planes, np.int64)
    cells = np.zeros((-(-grid.height // CELL), -(-grid.width // CELL)), np.int32)
    columns = np.arange(0, grid.width, CELL)
    with rasterio.open(path, "w", **profile) as file:
        for strip in cut:
            codes = codes_of(strip)
            if codes.any():
                file.write(codes, window=strip.ranges)
            is_gap = codes == GAP
            gaps += np.count_nonzero(is_gap, axis=(1, 2))
            valid += np.count_nonzero(codes == VALID, axis=(1, 2))
            flat = is_gap[0] if planes == 1 else is_gap.any(axis=0)
            if flat.any():
                rows = np.arange(0, strip.height, CELL)
                across = np.add.reduceat(flat, columns, axis=1, dtype=np.int32)
                first = strip.row // CELL
                cells[first : first + rows.size] = np.add.reduceat(across, rows, axis=0)
            watch.advance()
        close_whole(file, sparse=True)
    return _Counts(gaps, valid, cells)


class _Builder:
    """Says what the codes of a strip are, and what became of the masks."""

    def __init__(
        self, target: Raster, stack: MaskStack, footprint: Footprint, nodata_growth: Growth,
        area: Polygons | None, path: Path, watch: Watch, whole: bool,
    ) -> None:  # fmt: skip
        self.whole = whole
        self.target, self.stack, self.footprint = target, stack, footprint
        self.nodata_growth, self.area, self.path, self.watch = nodata_growth, area, path, watch
        self.planes = len(target.bands) if footprint.per_band or stack.planes > 1 else 1
        self.marked = [0] * len(stack.layers)
        self.open, self.asked = 0, 0  # pixels of open nodata, and those of them that a mask asks for

    def build(self) -> GapMap:
        grid = self.target.grid
        margin = max(self.stack.margin, self.nodata_growth.margin)
        cut = list(strips(grid, self.planes + 8, least=4 * margin))
        self.watch.stage("gaps", len(cut))
        counts = _write(self.path, grid, self.planes, cut, self._codes, self.watch)
        return GapMap(self.path, self.target, counts, self._uses(), self.area)

    def _uses(self) -> tuple[MaskUse, ...]:
        size = self.target.grid.width * self.target.grid.height
        return tuple(
            MaskUse(
                layer.path,
                layer.kind,
                round(max(layer.growth.down, layer.growth.across), 3),
                marked / size / layer.planes,
            )
            for layer, marked in zip(self.stack.layers, self.marked, strict=True)
        )

    def _codes(self, strip: Window) -> Codes:
        """(planes, h, w) codes of a strip."""
        shape = (self.planes, strip.height, strip.width)
        gap = np.zeros(shape, bool)
        asked = np.zeros(shape[1:], bool)
        for number, layer in enumerate(self.stack.layers):
            window = strip.grown(self.stack.margin_of(layer), self.target.grid)
            rows, columns = strip.within(window)
            bits = layer.bits(window)
            here = self.stack.marked(layer, bits)[:, rows, columns]
            self.marked[number] += int(np.count_nonzero(here))
            if layer.kind not in VALIDITY:
                asked |= here.any(axis=0)
            gap |= self.stack.gaps(layer, bits)[:, rows, columns]
        if self.whole:
            return self._observed(strip, gap)
        window = strip.grown(self.nodata_growth.margin, self.target.grid)
        inner = strip.within(window)
        found = self.footprint.read(window)
        codes = gap.view(np.uint8)
        if found is not None:
            nodata, outside = found
            for plane in range(nodata.shape[0]):
                part = grown(nodata[plane] & ~outside, self.nodata_growth)[inner]
                if nodata.shape[0] == 1:
                    gap |= part
                else:
                    gap[plane] |= part
            beyond = outside[inner]
            self.open += int(np.count_nonzero(beyond))
            self.asked += int(np.count_nonzero(beyond & asked))
            codes[:, beyond & ~asked] = OUTSIDE
        if self.area is not None:
            codes[(codes == GAP) & ~self.area.inside(strip)] = OUTSIDE
        return codes

    def _observed(self, strip: Window, marked: Flags) -> Codes:
        """Codes where all that was observed may change; `marked` by masks, where there are some."""
        wanted = marked if self.stack.layers else np.ones_like(marked)
        if self.area is not None:
            wanted = wanted & self.area.inside(strip)
        codes = wanted.astype(np.uint8)
        found = self.footprint.read(strip)
        if found is not None:
            codes[np.broadcast_to(found[0], codes.shape)] = OUTSIDE
        return codes


def _say_what_was_found(gap_map: GapMap, target: Raster, watch: Watch) -> None:
    """Notices on masks that mark nothing, and on targets without a valid pixel."""
    for mask in gap_map.masks:
        if not mask.marked and mask.kind != "nodata":
            watch.notice("mask.nothing", path=mask.path, kind=mask.kind)
    if not gap_map.footprint_samples:
        watch.notice("target.empty", name=target.name)
    elif gap_map.gap_samples == gap_map.footprint_samples:
        watch.notice("mask.everything", name=target.name)
