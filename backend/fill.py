"""The one function behind every door: `fill(request, watch) -> result`."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rasterio.enums import ColorInterp
from threadpoolctl import threadpool_limits

from ..models.base import digest
from . import compose
from .budget import budget
from .choose import Facts, choose, create, named
from .device import resolve
from .errors import TerramendError
from .fill_grid import Tally, Writers, fill_grid
from .flow import patiently
from .raster.gapmap import GapMap, build_gap_map
from .raster.metadata import BandMetadata, Metadata, read_metadata
from .raster.outputs import Outputs, working_folder
from .raster.products import open_product
from .raster.provenance import Origin, describe_inputs
from .raster.raster import Raster
from .raster.references import Reference, open_references
from .raster.scene import Scene, open_scene
from .raster.siblings import find_references
from .raster.tiles import plan_tiles
from .raster.writer import GeoTiffWriter, parse_options
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
    """What happened on one grid."""

    tally: Tally
    gap_fraction: float
    footprint: int
    model: str
    reason: str
    weights_sha256: str | None
    device: str
    workers: int
    scene_references: tuple[dict[str, Any], ...]


def fill(request: FillRequest, watch: Watch) -> FillResult:
    """Fill the gaps of a target and write the outputs; see the request for what can be asked.

    Only gaps change: every sample that was valid is copied bit by bit. The outputs appear
    whole at the end, or not at all.

    Raises:
        TerramendError: what is wrong with request, inputs or environment; `run.cancelled`.
    """
    validate(request)
    parse_options(request.creation_options)
    named(request)
    device, _ = resolve(request.device) if request.device == "cuda" else ("cpu", "")
    with _one_thread_each(), ExitStack() as stack:
        watch.stage("open")
        targets = open_product(
            request.target,
            radiometry=request.radiometry,
            crs=request.target_crs,
            nodata=request.target_nodata,
            date=request.date,
            sun=request.sun,
            watch=watch,
        )
        _check_bands(request, targets)
        references = _references(request, targets[0], watch)
        paths = output_paths(request, targets)
        inputs = _input_names(request, targets, references)
        outputs = Outputs([path for part in paths for path in part.each()], inputs, request.overwrite)
        stack.callback(outputs.discard)
        outputs.need(sum(_bytes(target, part) for target, part in zip(targets, paths, strict=True)))
        folder = stack.enter_context(working_folder(Path(request.tmp or tempfile.gettempdir())))
        origin = describe_inputs(inputs, request.hash_inputs)
        filled, first_band = [], 0
        for target, part in zip(targets, paths, strict=True):
            run = _Run(request, target, references, first_band, origin, outputs, part, folder, device, watch)
            filled.append(run.fill())
            first_band += len(target.bands)
        watch.stage("save")
        watch.check()  # from here on the run is done
        outputs.commit()
        watch.finish()
    return _result(request, paths, filled, watch)


@dataclass(frozen=True)
class _Run:
    """One grid of the target on its way."""

    request: FillRequest
    target: Raster
    references: tuple[Reference, ...]
    first_band: int
    inputs: tuple[dict[str, Any], ...]
    outputs: Outputs
    paths: Paths
    folder: Path
    device: str
    watch: Watch

    def fill(self) -> Filled:
        request, watch = self.request, self.watch
        watch.stage("gaps")
        with (
            build_gap_map(
                self.target,
                request.gaps,
                grow=request.grow,
                classes=request.classes,
                cloud_threshold=request.cloud_threshold,
                fill_swath_edges=request.fill_swath_edges,
                extent=request.extent,
                directory=self.folder,
                watch=watch,
            ) as gap_map,
            open_scene(request, self.target, self.references, gap_map, watch, self.first_band) as scene,
        ):
            return self._fill(scene, gap_map)

    def _fill(self, scene: Scene, gap_map: GapMap) -> Filled:
        request, watch = self.request, self.watch
        facts = Facts(len(scene.references), scene.has_terrain, scene.has_sar)
        row, reason = choose(request, facts)
        model = create(row, request)
        gaps, footprint = _gaps_of(gap_map, scene.fill_bands)
        if not gaps:
            watch.notice("fill.nothing")
        plan = plan_tiles(scene.grid, _channels(scene), row.context)
        allowed = budget(plan, request.jobs, request.memory_limit, row.name)
        state = None
        if gaps:
            watch.stage("prepare")
            overview = scene.overview()
            state = patiently(lambda: model.prepare(overview), watch.check)
            del overview
        kept = read_metadata(self.target)
        recipe = self._recipe(scene, kept)
        device = getattr(model, "device", "cpu")
        weights = getattr(model, "weights_sha256", None)
        fraction = gaps / max(footprint, 1)
        origin = Origin(
            request,
            row.name,
            reason,
            device,
            weights,
            digest(state),
            fraction,
            {"target": _day(scene.date), **{r.name: _day(r.date) for r in scene.references}},
            _credits(self.target, self.references),
            self.inputs,
        )
        writers = self._writers(kept, origin, allowed.workers)
        try:
            tally = fill_grid(
                scene,
                plan,
                recipe,
                lambda tile: model.predict(tile, state),
                writers,
                allowed.workers,
                allowed.in_flight,
                watch,
                self.target.bands[0].path if kept.has_mask else None,
            )
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
        return Filled(tally, fraction, footprint, row.name, reason, weights, device, allowed.workers, used)

    def _recipe(self, scene: Scene, kept: Metadata) -> compose.Recipe:
        asked = {number - 1 - self.first_band for number in self.request.bands}
        wanted = tuple(i for i, band in enumerate(scene.bands) if band.role == "class" and i in asked)
        to_nodata = self.request.unfilled == "nodata"
        if to_nodata and kept.nodata is None:
            if np.dtype(kept.dtype).kind != "f":
                raise TerramendError("output.unfilled", path=self.target.name)
            nodata: float | None = math.nan
        else:
            nodata = kept.nodata
        return compose.Recipe(
            self.target,
            scene.fill_bands,
            wanted,
            kept.dtype,
            nodata,
            to_nodata,
            tuple(band.scale for band in kept.bands),
            self.request.mode == "clear",
        )

    def _writers(self, kept: Metadata, origin: Origin, threads: int) -> Writers:
        tags = origin.tags()
        options = parse_options(self.request.creation_options)

        def writer(path: str, metadata: Metadata) -> GeoTiffWriter:
            temporary = self.outputs.temporary(path)
            return GeoTiffWriter(temporary, self.target.grid, metadata, tags, options, threads)

        std, provenance = self.paths.std, self.paths.provenance
        return Writers(
            writer(self.paths.main, kept),
            writer(std, _std_metadata(kept)) if std else None,
            writer(provenance, _provenance_metadata(kept)) if provenance else None,
        )


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


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """BLAS and OpenCV compute in the calling thread only: tiles are the parallel work.

    So the bytes do not depend on the number of cores, and cores are not fought over.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)


def _check_bands(request: FillRequest, targets: Sequence[Raster]) -> None:
    count = sum(len(target.bands) for target in targets)
    beyond = [band for band in request.bands if band > count]
    if beyond:
        raise TerramendError("model.no-band", band=beyond[0], count=count, name=targets[0].name)
    if not request.bands and not any(band.role == "optical" for t in targets for band in t.bands):
        raise TerramendError("model.no-bands", name=targets[0].name)


def _references(request: FillRequest, target: Raster, watch: Watch) -> tuple[Reference, ...]:
    found = find_references(request.references_from, target, watch) if request.references_from else ()
    return open_references(request, target, watch, found)


def _input_names(
    request: FillRequest, targets: Sequence[Raster], references: Sequence[Reference]
) -> list[str]:
    """Everything that the run reads, in a fixed order, without repeats."""
    names = list(request.target)
    for raster in [*targets, *(part for r in references for part, _ in r.parts)]:
        names += [band.path for band in raster.bands]
        names += [mask.path for mask in raster.masks]
    masks = [*request.gaps, *(m for r in request.references for m in r.masks)]
    masks += [mask for r in references for mask in r.masks]
    names += [r.path for r in request.references] + [mask.path for mask in masks]
    names += [name for name in (request.references_from, request.dem, request.sar, request.extent) if name]
    return list(dict.fromkeys(name for name in names if name))


def _bytes(target: Raster, paths: Paths) -> int:
    """Space that the outputs of a grid can take: not compressed, as noise would be."""
    pixels = target.grid.width * target.grid.height
    main = sum(np.dtype(band.dtype).itemsize for band in target.bands)
    std = 4 * len(target.bands) * 0.3 if paths.std else 0  # mostly zeros
    provenance = 0.2 if paths.provenance else 0
    return int(pixels * (main + std + provenance))


def _channels(scene: Scene) -> int:
    """Float planes of a tile: input, prediction and deviation per band, references, guides."""
    bands = 4 * len(scene.fill_bands)
    references = sum(len(reference.bands) for reference in scene.references)
    return max(bands + references + 3 * scene.has_terrain + 2 * scene.has_sar, 1)


def _gaps_of(gap_map: GapMap, bands: Sequence[int]) -> tuple[int, int]:
    """Gap and footprint samples of the bands that are filled."""
    return sum(gap_map.gap_counts[i] for i in bands), sum(gap_map.footprint_counts[i] for i in bands)


def _credits(target: Raster, references: Sequence[Reference]) -> tuple[str, ...]:
    lines = [target.credits, *(raster.credits for r in references for raster, _ in r.parts)]
    return tuple(dict.fromkeys(line for line in lines if line))


def _day(date: Any) -> str | None:
    return None if date is None else date.isoformat()


def _std_metadata(kept: Metadata) -> Metadata:
    bands = tuple(
        replace(band, scale=1.0, offset=0.0, colour=ColorInterp.undefined, colormap=None, tags={})
        for band in kept.bands
    )
    return replace(
        kept, bands=bands, tags=_place_only(kept), dtype="float32", nodata=math.nan, has_mask=False
    )


def _provenance_metadata(kept: Metadata) -> Metadata:
    def band(description: str, unit: str | None) -> BandMetadata:
        return BandMetadata(description, unit, 1.0, 0.0, ColorInterp.undefined, None, {})

    bands = (band("source of the pixel", None), band("age of the main reference", "days"))
    return replace(kept, bands=bands, tags=_place_only(kept), dtype="uint8", nodata=255, has_mask=False)


def _place_only(kept: Metadata) -> dict[str, dict[str, str]]:
    """Of the target's tags the one that says what the georeference refers to."""
    point = kept.tags.get("", {}).get("AREA_OR_POINT")
    return {"": {"AREA_OR_POINT": point}} if point else {}


def _result(
    request: FillRequest, paths: Sequence[Paths], filled: Sequence[Filled], watch: Watch
) -> FillResult:
    gaps = sum(part.tally.gaps for part in filled)
    known = sum(part.tally.known for part in filled)
    footprint = sum(part.footprint for part in filled)
    main, *_ = filled
    return FillResult(
        request_hash=request_hash(request),
        outputs=tuple(part.main for part in paths),
        std=paths[0].std,
        provenance=paths[0].provenance,
        model=main.model,
        model_reason=main.reason,
        quality=request.quality,
        weights_sha256=main.weights_sha256,
        device=main.device,
        seed=request.seed,
        gap_samples=gaps,
        gap_fraction=gaps / max(footprint, 1),
        unfilled_samples=sum(part.tally.unfilled for part in filled),
        expected_error=sum(part.tally.deviation for part in filled) / known if known else None,
        references=main.scene_references,
        notices=tuple(notice.to_json() for notice in watch.notices),
        seconds={name: round(seconds, 3) for name, seconds in watch.seconds.items()},
        workers=main.workers,
        software_version=VERSION,
    )
