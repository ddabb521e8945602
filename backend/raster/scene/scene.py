"""The scene: all that is known of one place at one time, read by windows on the target's grid."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....models import threads
from ....models.base import About, Floats, Tile
from ....models.base import Reference as TileReference
from ....models.registry import find
from ...errors import Notice
from ...request import FillRequest, Mask
from ...watch import Together, Watch
from ..closing import Closing
from ..gdal import FilePool
from ..grid import Grid, Window
from ..masks.gapmap import GAP, OUTSIDE, VALID, GapMap
from ..raster import Band, Raster, is_reflectance
from ..reader import RasterReader
from ..resample import block_any, block_mean
from .correspond import likes, order
from .fill_bands import fill_bands, known_bands, unit_of
from .guides import open_guide
from .magnitude import other_degrees, times
from .reference_gaps import ReferenceGaps, open_gaps
from .references import LEFT_OUT, Reference
from .sar import SarReader
from .terrain import TerrainReader

SIDE = 1024
"""Most pixels a side of an overview."""

STRIP = 2_000_000
"""Scene samples of a band that an overview holds at once at full size."""


@dataclass(frozen=True)
class ReferenceInfo:
    """One reference of a scene, in the order of `Tile.references`.

    Attributes:
        days: its date minus the target's, None if one of them is unknown.
        bands: what its image holds, in order. alike: whether the first of them show what the fill bands show.
        masks: of its gaps, with the kinds as which they are read.
    """

    name: str
    date: datetime.date | None
    days: int | None
    bands: tuple[Band, ...]
    alike: bool
    masks: tuple[Mask, ...]


class Scene(Closing):
    """What fill reads from. A context manager; one thread reads at a time.

    Attributes:
        grid, target, bands: the target's; bands in output order.
        fill_bands: 0-based indices into `bands` of those that are predicted. unit: of their errors.
        references: of each date that is used. sources: what they are read from, in the same order.
        left_out: why dates of a folder or list that were opened are not used, each by itself.
        date, sun: of the target; the request's over the file's.
        gap_map: whole-scene gap codes, one per band of the target.
        about: where, when and which bands. has_terrain, has_sar: whether tiles carry them.
    """

    def __init__(
        self,
        target: Raster,
        fill_bands: tuple[int, ...],
        references: tuple[Reference, ...],
        alike: tuple[tuple[int, ...] | None, ...],
        reference_gaps: tuple[ReferenceGaps | None, ...],
        dem: Raster | None,
        sar: Raster | None,
        gap_map: GapMap,
        mode: str,
        watch: Watch,
        opened: ExitStack,
        files: FilePool,
        repeated: bool,
        left_out: tuple[Notice, ...],
    ) -> None:
        self.target, self.grid, self.bands = target, target.grid, target.bands
        self.fill_bands, self.gap_map = fill_bands, gap_map
        self.unit = unit_of(target, fill_bands)
        self.date, self.sun = target.date, target.sun
        orders = tuple(order(first, len(r.bands)) for first, r in zip(alike, references, strict=True))
        names = tuple(target.bands[i].description for i in fill_bands)
        self.about = About(self.grid.centre, self.date, names)
        self.has_terrain, self.has_sar = dem is not None, sar is not None
        self.references = tuple(
            ReferenceInfo(
                r.name,
                r.date,
                (r.date - target.date).days if r.date and target.date else None,
                tuple(r.bands[i] for i in bands),
                first is not None,
                gaps.masks if gaps is not None else (),
            )
            for r, bands, first, gaps in zip(references, orders, alike, reference_gaps, strict=True)
        )
        self.sources, self.left_out = references, left_out
        self._orders, self._reference_gaps = orders, reference_gaps
        self._dem, self._sar, self._mode, self._watch = dem, sar, mode, watch
        self._repeated = repeated
        self._stack, self._files = opened, files
        self._full = self._readers(self.grid)
        self._whole: Tile | None = None

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    def rest(self) -> None:
        """Close the files of target and dates until they are read again: GDAL lets go of their blocks."""
        self._files.close()

    def take(self, gap_map: GapMap) -> None:
        """Read with other gaps of the target from now on."""
        self.gap_map, self._whole = gap_map, None

    @property
    def wavelengths(self) -> tuple[float, ...]:
        """Nanometres of each fill band, NaN where unknown."""
        return tuple(self.bands[i].wavelength for i in self.fill_bands)

    @property
    def only_classes(self) -> bool:
        """Whether of its bands only those of classes are filled."""
        return not self.fill_bands and any(band.role == "class" for band in self.bands)

    def stored(self, window: Window) -> list[NDArray[Any]]:
        """The file's samples, one (h, w) array per band of `bands` in its own dtype."""
        return self._full.target.samples(window)

    def tile(self, window: Window) -> Tile:
        """All that is known in a window; gaps and what lies outside are NaN in the image.

        In `clear` mode the clouded values stay in the image and `gaps` marks what may change.
        """
        return self._read(window) if self._whole is None else self._whole.cut(*window.slices)

    def _read(self, window: Window) -> Tile:
        """A tile from the files."""
        return self._made(self._part(window, 1, 1, self._full), window)

    def _made(self, part: tuple[Any, ...], window: Window, step: int = 1) -> Tile:
        """The tile or overview of what `_part` reads."""
        image, gaps, references, terrain, sar = part
        pairs = zip(references, self.references, strict=True)
        down, across = self.grid.pixel_size
        return Tile(
            image=image,
            gaps=gaps,
            references=tuple(TileReference(seen, info.days, info.name, info.alike) for seen, info in pairs),
            terrain=terrain,
            sar=sar,
            pixel_size=(down * step, across * step),
            row=window.row,
            column=window.column,
            step=step,
            wavelengths=self.wavelengths,
            about=self.about,
        )

    def overview(self, max_side: int = SIDE, *, stage: str = "prepare") -> Tile:
        """The whole scene with pixels a power of two as large, at most `max_side` a side.

        A value is the mean of the observed samples under it, known where half of them are. It is read in
        strips, from the files' own overviews where they have some: memory does not grow with the scene. Of a
        large scene that takes long, so it is a `stage` of the watch.
        """
        step = overview_step(self.grid, max_side)
        if step == 1:
            if self._whole is None:  # as large as any overview: kept, so that no tile is read again
                self._watch.stage(stage)
                self._whole = self._read(self.grid.whole)
            return self._whole
        fine = step // 2
        parts, strips = [], list(self.strips(step))
        self._watch.stage(stage, len(strips))
        with ExitStack() as stack:
            readers = self._readers(self.grid.coarse(fine), stack)
            for window in strips:
                parts.append(self._part(window, fine, step // fine, readers))
                self._watch.advance()
        return self._made(_joined(parts), self.grid.whole, step)

    def strips(self, step: int) -> Iterator[Window]:
        """Full-width windows of whole overview rows."""
        return self.grid.strips(max(STRIP // (self.grid.width * step), 1) * step)

    def _part(self, window: Window, fine: int, more: int, readers: _Readers) -> tuple[Any, ...]:
        """A tile's planes, or a strip of the overview's: read at `fine`, gaps hidden, averaged `more` times.

        Sources are read side by side where the caller allows it.
        """
        row, column = window.row // fine, window.column // fine
        inner = Window(row, column, -(-window.height // fine), -(-window.width // fine))

        def mean(pixels: Floats) -> Floats:
            return block_mean(pixels, more, more)

        codes = self.gap_map.read(window)[list(self.fill_bands)]
        hidden = codes == OUTSIDE if self._mode == "clear" else codes != VALID

        def image() -> Floats:
            pixels = readers.target.reflectance(inner, self.fill_bands)
            pixels[block_any(hidden, fine, fine)] = np.nan
            return mean(pixels)

        def reference(place: int) -> Floats:
            pixels = readers.reference(place, inner)
            reference_gaps = self._reference_gaps[place]
            if reference_gaps is not None:
                pixels[:, block_any(reference_gaps(window)[None], fine, fine)[0]] = np.nan
            return mean(pixels)

        pixels, references, terrain, sar = readers.each(image, reference, inner)
        gaps = block_any(codes == GAP, fine * more, fine * more)
        if self._mode != "clear":
            gaps &= np.isnan(pixels)
        terrain = None if terrain is None else mean(terrain)
        sar = None if sar is None else mean(sar)
        return pixels, gaps, references, terrain, sar

    def _readers(self, grid: Grid, stack: ExitStack | None = None) -> _Readers:
        """Readers of everything on a grid of this scene's ground, closed with the stack."""
        enter = (stack or self._stack).enter_context
        return _Readers(
            target=enter(RasterReader(self.target, grid, self._files)),
            references=tuple(
                tuple((enter(RasterReader(raster, grid, self._files)), wanted) for raster, wanted in r.parts)
                for r in self.sources
            ),
            orders=self._orders,
            terrain=enter(TerrainReader(self._dem, grid, self.sun)) if self._dem else None,
            sar=enter(SarReader(self._sar, grid, self._watch, self._repeated)) if self._sar else None,
        )


@dataclass(frozen=True)
class _Readers:
    """Everything that a scene is read from, on one grid."""

    target: RasterReader
    references: tuple[tuple[tuple[RasterReader, tuple[int, ...]], ...], ...]
    orders: tuple[tuple[int, ...], ...]
    terrain: TerrainReader | None
    sar: SarReader | None

    def reference(self, place: int, window: Window) -> Floats:
        """All wanted bands of one reference in their order, (K, h, w)."""
        parts, bands = self.references[place], self.orders[place]
        if len(parts) == 1:
            ((reader, wanted),) = parts
            return reader.reflectance(window, [wanted[i] for i in bands])
        planes = [plane for reader, wanted in parts for plane in reader.reflectance(window, wanted)]
        return np.stack([planes[i] for i in bands])

    def each(
        self, target: Callable[[], Floats], reference: Callable[[int], Floats], window: Window
    ) -> tuple[Floats, tuple[Floats, ...], Floats | None, Floats | None]:
        """What `target` and `reference` (of each place) make, terrain and radar: side by side if allowed."""
        terrain, sar = self.terrain, self.sar
        jobs: list[Callable[[], Floats]] = [target]
        jobs += [partial(reference, place) for place in range(len(self.references))]
        jobs += [partial(terrain.read, window)] if terrain else []
        jobs += [partial(sar.read, window)] if sar else []
        made = iter(threads.each(lambda job: job(), jobs))
        image, references = next(made), tuple(next(made) for _ in self.references)
        return image, references, next(made) if terrain else None, next(made) if sar else None


def open_scene(
    request: FillRequest,
    target: Raster,
    references: tuple[Reference, ...],
    gap_map: GapMap,
    watch: Watch,
    first_band: int = 0,
) -> Scene:
    """The scene of one raster of the target's product.

    Args:
        target: on its own grid; the request's sun and date are in it already.
        references: of `references.open_references`, the same for every raster of the product.
        first_band: bands of the product before this raster's, as `request.bands` counts.

    Raises:
        TerramendError: `model.band`, `guide.apart`, and what opening masks and guides raises.
    """
    dem = open_guide(request.dem, target.grid, "--dem", watch) if request.dem else None
    if dem is not None and target.sun is None:
        watch.notice("scene.no-sun")
    sar = open_guide(request.sar, target.grid, "--sar", watch) if request.sar else None
    chosen = fill_bands(target, request.bands, first_band, watch)
    if request.mode == "fill":
        chosen = known_bands(target, chosen, first_band, gap_map, watch)
    with ExitStack() as opened, Together(watch) as told:
        files = FilePool()
        opened.callback(files.close)
        references, gaps = open_gaps(request, target, references, files, opened, told)
        row = find(request.model)
        alike = _alike(target, chosen, references, told)
        for first, reference in zip(alike, references, strict=True):
            if first is None and row is not None and row.copies:
                _say_unlike(reference, len(chosen), request.model, told)
        repeated = ("upsampling", "nearest") in request.settings
        return Scene(
            target, chosen, references, alike, gaps, dem, sar, gap_map, request.mode, watch,
            opened.pop_all(), files, repeated=repeated,
            left_out=tuple(notice for notice in told.notices if notice.code in LEFT_OUT),
        )  # fmt: skip


def _alike(
    target: Raster, chosen: tuple[int, ...], references: tuple[Reference, ...], watch: Watch
) -> tuple[tuple[int, ...] | None, ...]:
    """Of each date as `likes`, but None in other units: own values have no reflectance that both become."""
    found = [likes(target.bands, chosen, reference.bands) for reference in references]
    own = [target.bands[i] for i in chosen]
    if is_reflectance(own) or unit_of(target, chosen) != "values":
        return tuple(found)
    shown = [[date.bands[i] for i in first or ()] for first, date in zip(found, references, strict=True)]
    dates = [bands for bands in shown if bands]
    for place, (bands, reference) in enumerate(zip(shown, references, strict=True)):
        if bands and other_degrees(own, bands, dates):
            watch.notice("reference.degrees", name=reference.name)
        elif bands and (factor := times(own, bands, dates)) is not None:
            watch.notice("reference.units", name=reference.name, times=f"{factor:.3g}")
        else:
            continue
        found[place] = None
    return tuple(found)


def _say_unlike(reference: Reference, wanted: int, model: str, watch: Watch) -> None:
    """What a method that copies makes of a date whose bands are not those to fill."""
    count = len(reference.bands)
    if count < wanted:
        watch.notice("reference.bands-few", name=reference.name, count=count, wanted=wanted, model=model)
    else:
        watch.notice("reference.bands-unlike", name=reference.name, model=model)


def overview_step(grid: Grid, max_side: int = SIDE) -> int:
    """Scene pixels along a side of an overview's pixel: the least power of two that does."""
    step = 1
    while max(grid.height, grid.width) > max_side * step:
        step *= 2
    return step


def _joined(parts: list[Any]) -> Any:
    """Strips below each other; None and tuples of strips likewise."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], tuple):
        return tuple(_joined([part[i] for part in parts]) for i in range(len(parts[0])))
    return np.concatenate(parts, axis=1)
