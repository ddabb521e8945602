"""The one function behind every door: `fill(request, watch) -> result`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import device
from .errors import TerramendError
from .filling import compose
from .filling.choose import named
from .filling.fill_grid import Tally, Writers, fill_grid
from .filling.method import Method, make_method
from .filling.opening import Inputs, open_grid, open_inputs
from .filling.process import computing
from .filling.views import Views
from .raster.gdal import cache_within
from .raster.masks.gapmap import GapMap
from .raster.metadata import Metadata, provenance_metadata, read_metadata, std_metadata
from .raster.outputs import Outputs, working_folder
from .raster.products.fill_tag import memory_of
from .raster.provenance import Origin, describe_inputs, marked
from .raster.raster import Raster, telling
from .raster.scene.fill_bands import class_bands, opaque, say_left
from .raster.scene.references import Reference
from .raster.scene.scene import Scene
from .raster.scene.unchanged import unchanged
from .raster.writer import GeoTiffWriter, is_cog, parse_options
from .request import FillRequest, FillResult, request_hash, validate
from .version import VERSION
from .watch import Watch


@dataclass(frozen=True)
class Paths:
    """Where the outputs of one grid go; the last two only where asked for."""

    main: str
    std: str | None
    provenance: str | None

    def each(self) -> list[str]:
        """Those that are written, the main file first."""
        return [path for path in (self.main, self.std, self.provenance) if path]


@dataclass(frozen=True)
class Filled:
    """What happened on one grid; `unit` is that of errors.

    `gaps` counts the samples that were to be filled or cleared, `footprint` the valid ones too.
    """

    method: Method
    tally: Tally
    gaps: int
    footprint: int
    references: tuple[dict[str, Any], ...]
    unit: str


def fill(
    request: FillRequest,
    watch: Watch,
    opening: Callable[[FillRequest, Watch], Inputs] = open_inputs,
) -> FillResult:
    """Fill the gaps of a target and write the outputs; see the request for what can be asked.

    Only gaps change: every sample that was valid is copied bit by bit. The outputs appear
    whole at the end, or not at all.

    Raises:
        TerramendError: what is wrong with request, inputs or environment; `run.cancelled`.
    """
    validate(request)
    options = parse_options(request.creation_options)
    named(request)
    if request.device == "cuda":
        device.check(request.device)
    with computing(), cache_within(request.memory_limit), ExitStack() as stack:
        watch.stage("open")
        inputs = opening(request, watch)
        paths = output_paths(request, inputs.targets)
        pictures = [path for path in (request.weights_map, request.trajectory) if path]
        views = Views((inputs.targets[0].grid.height, inputs.targets[0].grid.width)) if pictures else None
        each = [p for part in paths for p in part.each()]
        outputs = Outputs(each, inputs.names, request.overwrite, pictures)
        stack.callback(outputs.discard)
        cog = is_cog(options)
        clear = request.mode == "clear"
        pairs = zip(inputs.targets, paths, strict=True)
        outputs.need(sum(_bytes(*pair, cog=cog, clear=clear) for pair in pairs))
        folder = stack.enter_context(working_folder(request.tmp))
        files = describe_inputs(inputs.names, request.hash_inputs)
        filled = []
        with unchanged(inputs.files):
            for number, part in enumerate(paths):
                one = open_grid(request, inputs, number, folder, watch)
                with inputs.part(number, watch), one as (scene, gap_map):
                    run = _Run(request, inputs, number, scene, gap_map, files, outputs, part, watch, views)
                    filled.append(run.fill())
        _refuse_unread(request, inputs, filled)
        _say_nothing(request, inputs, filled, watch)
        _say_smooth(filled, watch)
        if views is not None:
            _save_views(request, views, outputs)
        watch.stage("save")
        watch.check()  # from here on the run is done
        outputs.commit()
        watch.finish()
    return _result(request, paths, filled, watch)


@dataclass(frozen=True)
class _Run:
    """One grid of the target on its way."""

    request: FillRequest
    inputs: Inputs
    number: int
    scene: Scene
    gap_map: GapMap
    files: Mapping[Path, Mapping[str, Any]]
    outputs: Outputs
    paths: Paths
    watch: Watch
    views: Views | None

    @property
    def target(self) -> Raster:
        return self.inputs.targets[self.number]

    def fill(self) -> Filled:
        """Predict, blend and write under temporary names."""
        scene, watch = self.scene, self.watch
        first = self.inputs.first_band(self.number)
        say_left(self.request, self.target, first, self.gap_map, watch)
        kept = read_metadata(self.target)
        recipe = self._recipe(kept)
        gaps, footprint = self.gap_map.count([*scene.fill_bands, *recipe.class_bands])
        predicted, _ = self.gap_map.count(scene.fill_bands)
        overview = scene.overview if predicted else None
        tell = self.views.add if self.views is not None and self.number == 0 else None
        method = make_method(self.request, scene, overview, watch, tell=tell)
        writers = self._writers(kept, self._origin(method, gaps / max(footprint, 1)), method.allowed.workers)
        try:
            masked = self.target.bands[0].path if kept.has_mask else None
            tally = fill_grid(scene, method, recipe, writers, watch, masked)
            if tally.misread:
                value = f"{recipe.nodata:g}"
                watch.notice("output.nodata", count=tally.misread, name=self.target.name, value=value)
            watch.stage("write")
            watch.check()
            for writer in writers.each():
                writer.close()
        finally:
            for writer in writers.each():
                writer.abandon()
        used = tuple(
            {"name": r.name, "date": _day(r.date), "days": r.days, "bands": len(r.bands)}
            for r in scene.references
        )
        return Filled(method, tally, gaps, footprint, used, scene.unit)

    def _origin(self, method: Method, fraction: float) -> Origin:
        dates = [{"name": self.target.name, "date": _day(self.scene.date)}]
        dates += [{"name": r.name, "date": _day(r.date)} for r in self.scene.references]
        return Origin(
            self.request,
            method.row.name,
            method.reason,
            tuple(one.to_json() for one in method.tried),
            method.device,
            method.provider,
            method.weights_sha256,
            method.state_sha256,
            fraction,
            tuple(dates),
            _credits(self.inputs.targets, self.scene.sources),
            marked(self.files, self.inputs.unused(self.request, self.scene.sources)),
        )

    def _recipe(self, kept: Metadata) -> compose.Recipe:
        classes = class_bands(self.target, self.request.bands, self.inputs.first_band(self.number))
        nodata, to_nodata = kept.nodata, self.request.unfilled == "nodata"
        if to_nodata and nodata is None:
            if np.dtype(kept.dtype).kind != "f":
                raise TerramendError("output.unfilled", path=self.target.name)
            nodata = math.nan
        return compose.Recipe(
            self.target,
            self.scene.fill_bands,
            classes,
            kept.dtype,
            nodata,
            to_nodata,
            tuple(band.scale for band in kept.bands),
            tuple(opaque(band) for band in self.target.bands if band.role == "alpha"),
            self.request.mode == "clear",
        )

    def _writers(self, kept: Metadata, origin: Origin, threads: int) -> Writers:
        tags, memory = origin.tags(), memory_of(replace(self.target, date=self.scene.date))
        options = parse_options(self.request.creation_options)

        def writer(path: str, metadata: Metadata, **more: str) -> GeoTiffWriter:
            temporary = self.outputs.temporary(path)
            return GeoTiffWriter(temporary, self.target.grid, metadata, {**tags, **more}, options, threads)

        std, provenance = self.paths.std, self.paths.provenance
        return Writers(
            writer(self.paths.main, kept, **memory),
            writer(std, std_metadata(kept)) if std else None,
            writer(provenance, provenance_metadata(kept)) if provenance else None,
        )


def _save_views(request: FillRequest, views: Views, outputs: Outputs) -> None:
    """The pictures that were asked for, of the finest grid, under their temporary names."""
    for path, draw in ((request.weights_map, views.weights), (request.trajectory, views.trajectory)):
        if path:
            outputs.temporary(path).write_bytes(draw())


def output_paths(request: FillRequest, targets: Sequence[Raster]) -> list[Paths]:
    """OUTPUT.tif for the finest grid, OUTPUT_20m.tif and so on for the others; extras alike."""
    paths, taken = [], set()
    for number, target in enumerate(targets):
        ending = ""
        if number:
            ending = f"_{target.grid.pixel_size[0]:.0f}m"
            if ending in taken:
                ending = f"{ending}_{number + 1}"
            taken.add(ending)
        names = (request.output, request.std, request.provenance)
        paths.append(Paths(*(_ended(name, ending) for name in names)))  # type: ignore[arg-type]
    return paths


def _ended(name: str | None, ending: str) -> str | None:
    if not name or not ending:
        return name
    path = Path(name)
    return str(path.with_name(f"{path.stem}{ending}{path.suffix}"))


def _bytes(target: Raster, paths: Paths, *, cog: bool, clear: bool) -> int:
    """Space that the outputs of a grid can take: not compressed, as noise would be."""
    pixels = target.grid.width * target.grid.height
    main = sum(np.dtype(band.dtype).itemsize for band in target.bands)
    share = 1 if clear else 0.3  # mostly zeros, where only gaps are filled
    std = 4 * len(target.bands) * share if paths.std else 0
    provenance = 0.2 if paths.provenance else 0
    twice = 2 if cog else 1  # a COG is copied from a plain file
    return int(pixels * (main + std + provenance) * twice)


def _refuse_unread(request: FillRequest, inputs: Inputs, filled: Sequence[Filled]) -> None:
    """Where nothing was done, for the network reads bands that no grid has; of a product one grid may do.

    Raises:
        TerramendError: `model.bands-chosen`, `model.bands`, `model.lacks`.
    """
    method, name = filled[0].method, inputs.targets[0].name
    changed = any(part.tally.gaps for part in filled)
    unchanged = request.mode == "clear" and any(part.gaps for part in filled) and not changed
    lacking = all(part.method.lacks and part.tally.unfilled == part.tally.gaps for part in filled)
    chosen = bool(request.bands) and len(request.bands) < sum(len(telling(t.bands)) for t in inputs.targets)
    if chosen and (unchanged or lacking):
        raise TerramendError("model.bands-chosen", model=method.row.name, name=name)
    if unchanged:
        raise TerramendError("model.bands", model=method.row.name, name=name)
    if lacking:
        needs = ", ".join(f"{centre:.0f} nm" for centre in method.lacks)
        raise TerramendError("model.lacks", model=method.row.name, name=name, needs=needs)


def _say_nothing(request: FillRequest, inputs: Inputs, filled: Sequence[Filled], watch: Watch) -> None:
    """Where no grid had a gap; some of a product may have none, or none of the bands that were asked for."""
    if any(part.tally.gaps for part in filled):
        return
    if request.mode == "clear":
        watch.notice("clear.nothing", name=inputs.targets[0].name)
    else:
        watch.notice("fill.nothing")


def _say_smooth(filled: Sequence[Filled], watch: Watch) -> None:
    """Which part of the fill must be smooth, where that is more than a hundredth."""
    pixels = sum(part.tally.pixels for part in filled)
    smooth = sum(part.tally.smooth for part in filled)
    if smooth > 0.01 * pixels:
        watch.notice("fill.smooth", percent=f"{100 * smooth / pixels:.0f}")


def _credits(targets: Sequence[Raster], references: Sequence[Reference]) -> tuple[str, ...]:
    rasters = [*targets, *(raster for reference in references for raster, _ in reference.parts)]
    return tuple(dict.fromkeys(raster.credits for raster in rasters if raster.credits))


def _day(date: Any) -> str | None:
    return None if date is None else date.isoformat()


def _result(
    request: FillRequest, paths: Sequence[Paths], filled: Sequence[Filled], watch: Watch
) -> FillResult:
    gaps = sum(part.tally.gaps for part in filled)
    known = sum(part.tally.known for part in filled)
    footprint = sum(part.footprint for part in filled)
    stated = known and request.mode == "fill"  # a spread under thin cloud was held against no error
    main, *_ = filled
    return FillResult(
        request_hash=request_hash(request),
        outputs=tuple(part.main for part in paths),
        std=paths[0].std,
        provenance=paths[0].provenance,
        model=main.method.row.name,
        model_reason=main.method.reason,
        quality=request.quality,
        weights_sha256=main.method.weights_sha256,
        device=main.method.device,
        seed=request.seed,
        gap_samples=gaps,
        gap_fraction=gaps / max(footprint, 1),
        unfilled_samples=sum(part.tally.unfilled for part in filled),
        expected_error=math.sqrt(sum(part.tally.variance for part in filled) / known) if stated else None,
        references=main.references,
        notices=tuple(notice.to_json() for notice in watch.notices),
        seconds={name: round(seconds, 3) for name, seconds in watch.seconds.items()},
        workers=main.method.allowed.workers,
        software_version=VERSION,
        tried=tuple(one.to_json() for one in main.method.tried),
        stds=tuple(part.std for part in paths if part.std),
        provenances=tuple(part.provenance for part in paths if part.provenance),
        pictures=tuple(path for path in (request.weights_map, request.trajectory) if path),
        unit=main.unit,
        reasons=tuple(one.to_json() for one in main.method.reasons),
    )
