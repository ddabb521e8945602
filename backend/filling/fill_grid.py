"""Fills one grid of a target: tiles are read, predicted, blended and written at the same time."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ...models import threads
from ...models.base import Prediction, Source, Tile
from ..flow import in_order
from ..raster.gdal import open_dataset
from ..raster.grid import Grid, Window
from ..raster.masks.gapmap import GAP, GapMap
from ..raster.mosaic import Block, Mosaic, Piece
from ..raster.scene.scene import Scene
from ..raster.tiles import TilePlace, TilePlan
from ..raster.writer import GeoTiffWriter
from ..watch import Watch
from . import compose
from .method import Method
from .process import give_memory_back

COPY_COST, FILL_COST = 1, 10
"""Units of progress of a core that is copied, and of a tile that is predicted."""

TIDY = 4
"""Predicted tiles after which freed memory goes back: its fragments would grow with the scene."""

ALIGN = 16
"""Predicted windows start and end at multiples of this, so that block statistics line up."""


@dataclass(frozen=True)
class Writers:
    """Where a grid's outputs go; the last two only where asked for."""

    main: GeoTiffWriter
    std: GeoTiffWriter | None
    provenance: GeoTiffWriter | None

    def each(self) -> Iterator[GeoTiffWriter]:
        """Those that exist."""
        yield from (writer for writer in (self.main, self.std, self.provenance) if writer)


@dataclass
class Tally:
    """What a grid's fill did, counted in raster order: samples, but `pixels` filled and those `smooth`.

    `misread` are valid, and equal the output's nodata, where bands declare different values.
    """

    gaps: int = 0
    unfilled: int = 0
    pixels: int = 0
    smooth: int = 0
    variance: float = 0.0
    known: int = 0
    misread: int = 0

    def add(self, done: compose.Composed, block: Block | None) -> None:
        """Count one core."""
        self.gaps += int(done.gaps.sum()) + int(done.class_gaps.sum())
        self.unfilled += int((done.gaps & ~done.filled).sum()) + int((done.class_gaps & ~done.classed).sum())
        if block is not None:
            said = block.std[done.filled]
            said = said[np.isfinite(said)]
            self.variance += float((said.astype(np.float64) ** 2).sum())
            self.known += said.size
            put = done.filled.any(axis=0)
            self.pixels += int(put.sum())
            self.smooth += int((block.source[put] == Source.SURROUNDINGS).sum())


@dataclass
class _Read:
    """What the reading thread hands on: a core's samples and, where gaps are, a tile."""

    place: TilePlace
    stored: list[NDArray[Any]]
    codes: NDArray[np.uint8] | None
    classed: NDArray[np.bool_]  # (C, h, w) gaps of class bands that `stored` has classes for
    mask: NDArray[np.bool_] | None
    tile: Tile | None
    around: Window | None  # what the tile covers
    used: Window | None  # the part of it that is blended


@dataclass
class _Said:
    """The same after prediction."""

    read: _Read
    piece: Piece | None


def fill_grid(
    scene: Scene,
    method: Method,
    recipe: compose.Recipe,
    writers: Writers,
    watch: Watch,
    masked: str | None = None,
) -> Tally:
    """Fill every gap of a scene and write its outputs, core by core.

    Args:
        scene: where tiles come from; read in one thread of this function.
        method: predicts tiles, in as many threads as it is allowed.
        masked: GDAL name of the target when its own validity mask is to be kept.

    Raises:
        TerramendError: `run.cancelled`, or what reading, predicting or writing say.
    """
    plan, allowed = method.plan, method.allowed
    costs = [_cost(scene.gap_map, place) for place in plan.tiles()]
    watch.stage("fill", sum(costs))
    idle = max(allowed.readers - costs.count(FILL_COST), 0)  # threads without a tile help with the others'
    mosaic, tally, predicted = Mosaic(plan, len(recipe.fill_bands)), Tally(), 0

    def work(read: _Read) -> _Said:
        piece = None
        if read.tile is not None and read.around is not None and read.used is not None:
            said = helped.copy().run(method.predict, read.tile)
            piece = _cut(said, read.around, read.used, read.tile)
            read.tile = None
        return _Said(read, piece)

    with contextlib.ExitStack() as stack:
        stack.enter_context(threads.allowed(1 + idle, watch.check))
        helped = contextvars.copy_context()
        reading = _read(scene, plan, recipe, writers, masked)
        flow = in_order(reading, work, allowed.workers, allowed.in_flight, watch.check)
        for said in stack.enter_context(contextlib.closing(flow)):
            place = said.read.place
            block = mosaic.add(place, said.piece)
            _write(recipe, writers, said.read, block, tally)
            watch.advance(_cost(scene.gap_map, place))
            predicted += said.piece is not None
            if said.piece is not None and predicted % TIDY == 0:
                give_memory_back()
    return tally


def _cost(gap_map: GapMap, place: TilePlace) -> int:
    return FILL_COST if gap_map.any_gap(place.cover) else COPY_COST


def _read(
    scene: Scene, plan: TilePlan, recipe: compose.Recipe, writers: Writers, masked: str | None
) -> Iterator[_Read]:
    """Read everything, tile by tile; runs in the reading thread."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_dataset(masked)) if masked else None
        always = writers.std is not None or writers.provenance is not None
        for place in plan.tiles():
            tile = around = used = codes = None
            if scene.gap_map.any_gap(place.cover) and recipe.fill_bands:
                used = _where(scene.gap_map, place.cover, recipe.fill_bands)
                if used is not None:
                    around = _aligned(used.grown(plan.context, plan.grid), plan.grid)
                    tile = scene.tile(around)
            if always or scene.gap_map.any_gap(place.core):
                codes = scene.gap_map.read(place.core)
            stored = scene.stored(place.core)
            classed = np.zeros((len(recipe.class_bands), *stored[0].shape), bool)
            if codes is not None and not recipe.clear:  # else classes are no gaps, but observed
                _fill_classes(scene, recipe, place.core, codes, stored, classed)
            yield _Read(place, stored, codes, classed, _mask(source, place.core), tile, around, used)


def _where(gap_map: GapMap, cover: Window, bands: tuple[int, ...]) -> Window | None:
    """The smallest window that holds all gaps of a cover."""
    gaps = (gap_map.read(cover)[list(bands)] == GAP).any(axis=0)
    rows, columns = np.flatnonzero(gaps.any(axis=1)), np.flatnonzero(gaps.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    return Window(cover.row + top, cover.column + left, height, width)


def _aligned(window: Window, grid: Grid) -> Window:
    """The window widened to multiples of `ALIGN`, inside the grid."""
    top, left = window.row // ALIGN * ALIGN, window.column // ALIGN * ALIGN
    bottom = min(-(-(window.row + window.height) // ALIGN) * ALIGN, grid.height)
    right = min(-(-(window.column + window.width) // ALIGN) * ALIGN, grid.width)
    return Window(top, left, bottom - top, right - left)


def _mask(source: DatasetReader | None, core: Window) -> NDArray[np.bool_] | None:
    return None if source is None else source.dataset_mask(window=core.ranges) > 0


def _fill_classes(
    scene: Scene,
    recipe: compose.Recipe,
    core: Window,
    codes: NDArray[np.uint8],
    stored: list[NDArray[Any]],
    classed: NDArray[np.bool_],
) -> None:
    """Class bands that were asked for: gaps take the most frequent class around them, if there is any."""
    wanted = [(place, band) for place, band in enumerate(recipe.class_bands) if (codes[band] == GAP).any()]
    if not wanted:
        return
    around = core.grown(compose.CLASS_REACH, scene.grid)
    wide_codes, wide = scene.gap_map.read(around), scene.stored(around)
    for place, band in wanted:
        stored[band], classed[place] = compose.classes(wide[band], wide_codes[band], core.within(around))


def _cut(said: Prediction, around: Window, used: Window, tile: Tile) -> Piece:
    """The part of a prediction that is blended, without the context."""
    rows, columns = used.within(around)
    part = Prediction(
        said.mean[:, rows, columns].copy(),
        said.std[:, rows, columns].copy(),
        said.source[rows, columns].copy(),
        said.reference[rows, columns].copy(),
    )
    ages = tuple(None if r.days is None else abs(r.days) for r in tile.references)
    return Piece(used, part, ages)


def _write(recipe: compose.Recipe, writers: Writers, read: _Read, block: Block | None, tally: Tally) -> None:
    core, codes = read.place.core, read.codes
    if codes is not None and recipe.clear:
        codes = compose.changed(codes, recipe, block)
    tally.misread += compose.misread(recipe, read.stored, codes)
    if codes is None:
        writers.main.write(core, compose.copied(recipe, read.stored), read.mask)
        return
    done = compose.compose(recipe, read.stored, codes, read.classed, block)
    tally.add(done, block)
    mask = None if read.mask is None else read.mask | done.restored
    writers.main.write(core, done.samples, mask)
    if writers.std is not None:
        writers.std.write(core, compose.deviation(recipe, codes, done, block))
    if writers.provenance is not None:
        writers.provenance.write(core, compose.sources(recipe, codes, done, block))
