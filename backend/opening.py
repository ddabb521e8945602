"""From a request to open inputs: target, references, the scene of each grid, the method.

What filling and checking the accuracy have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from ..models import threads
from ..models.base import Movable, Observable, Prediction, Reconstructor, SamplerStep, Tile, digest, findings
from ..models.registry import Row
from .budget import Budget, budget
from .choose import Facts, choose, create, tried_reason
from .device import cores, on_torch, where
from .errors import TerramendError
from .flow import run_cancellable
from .inputs import named_inputs
from .process import give_memory_back
from .raster.detail import windows
from .raster.empty_inputs import say_blank
from .raster.gapmap import GapMap, build_gap_map
from .raster.grid import Grid, Window
from .raster.missed_cloud import say_missed
from .raster.offsets import say_moved
from .raster.polygons import is_vector
from .raster.products import open_product
from .raster.raster import Raster, telling
from .raster.references import Reference, open_references
from .raster.sar import say_partly
from .raster.scene import Scene, open_scene
from .raster.siblings import Folders, find_references, masks_beside
from .raster.tiles import TilePlan, plan_tiles
from .raster.unchanged import States, states
from .request import FillRequest, Mask
from .trial import WINDOWS, Candidate, Tried, candidates, compare
from .watch import Watch


@dataclass(frozen=True)
class Inputs:
    """What a request's paths turned out to be.

    Attributes:
        targets: one raster per resolution, the finest first. references: opened, in order.
        names: every file that is read, once, in a fixed order.
        files: what they were before anything was read of them.
        partners: grids that masks without a CRS pair with, where these are not the targets' own.
    """

    targets: tuple[Raster, ...]
    references: tuple[Reference, ...]
    names: tuple[str, ...]
    files: States
    partners: tuple[Grid, ...] = ()

    def first_band(self, number: int) -> int:
        """Bands before the `number`-th target, as `request.bands` counts them."""
        return sum(len(target.bands) for target in self.targets[:number])

    def span(self, number: int) -> tuple[float, float]:
        """Begin and end (0 to 1) of the `number`-th target's share of a run through all: of the samples."""
        samples = [len(target.bands) * target.grid.width * target.grid.height for target in self.targets]
        begin, end = sum(samples[:number]), sum(samples[: number + 1])
        return begin / sum(samples), end / sum(samples)


@dataclass(frozen=True)
class Method:
    """A chosen reconstructor that has seen the scene.

    Attributes:
        row, reason: what was chosen and why. predict: for one tile; safe in threads.
        plan: the scene's tiles. allowed: how many of them at once.
        device: where it computes. provider, weights_sha256: of its network in ONNX Runtime, or None.
        state_sha256: of what it learned from the whole scene.
        tried: what `auto` measured on hidden pixels before it chose; empty where nothing was.
    """

    row: Row
    reason: str
    predict: Callable[[Tile], Prediction]
    plan: TilePlan
    allowed: Budget
    device: str
    provider: str | None
    weights_sha256: str | None
    state_sha256: str
    tried: tuple[Tried, ...] = ()


def open_inputs(request: FillRequest, watch: Watch) -> Inputs:
    """Open target and references; a cancel does not wait for a server that is silent.

    Raises:
        TerramendError: what is wrong with a file, a band number or a pairing; `run.cancelled`.
    """
    return run_cancellable(lambda: _opened(request, watch), watch.check)


def _opened(request: FillRequest, watch: Watch) -> Inputs:
    asked, folders = states(named_inputs(request)), Folders()
    targets = open_product(
        request.target,
        radiometry=request.radiometry,
        crs=request.target_crs,
        nodata=request.target_nodata,
        date=request.date,
        sun=request.sun,
        watch=watch,
        folders=folders,
    )
    _check_bands(request, targets)
    if not request.gaps and not any(target.masks for target in targets):
        for mask in masks_beside(request.target, targets[0], folders)[:1]:
            watch.notice("mask.beside", path=mask.path, name=targets[0].name)
    if request.mode == "fill" and request.gaps and all(map(_drawn, request.gaps)):
        for mask in targets[0].masks[:1]:
            watch.notice("mask.own", path=mask.path, name=targets[0].name)
    found = find_references(request.references_from, targets[0], watch) if request.references_from else ()
    references = open_references(request, targets[0], watch, found, folders)
    names = _names(request, targets, references)
    return Inputs(targets, references, names, {**states(names), **asked})


def _drawn(mask: Mask) -> bool:
    """Whether a mask is polygons: of some clouds, more often than of all."""
    return mask.kind == "polygons" or (mask.kind == "auto" and is_vector(mask.path))


@contextmanager
def open_grid(
    request: FillRequest, inputs: Inputs, number: int, folder: Path, watch: Watch
) -> Iterator[tuple[Scene, GapMap]]:
    """Find the gaps of one of the targets and open its scene; `folder` takes temporary files."""
    target = inputs.targets[number]
    gaps = build_gap_map(
        target,
        request.gaps,
        grow=request.grow,
        classes=request.classes,
        cloud_threshold=request.cloud_threshold,
        fill_swath_edges=request.fill_swath_edges,
        extent=request.extent,
        directory=folder,
        watch=watch,
        partner=inputs.partners[number] if inputs.partners else None,
        whole=request.mode == "clear",
    )
    first = inputs.first_band(number)
    with gaps as gap_map, open_scene(request, target, inputs.references, gap_map, watch, first) as scene:
        yield scene, gap_map


def make_method(
    request: FillRequest,
    scene: Scene,
    overview: Callable[[], Tile] | None,
    watch: Watch,
    read: Callable[[Window], Tile] | None = None,
    tell: Callable[[SamplerStep], None] | None = None,
) -> Method:
    """Choose the method, check the memory, and let it see the whole scene.

    Args:
        overview: reads the whole scene, coarse; None: nothing will be predicted.
        read: reads a window of what `overview` shows; default: of the scene.
        tell: is told of the method's steps.

    Raises:
        TerramendError: `model.*`, `memory.tile`, `run.cancelled`.
    """
    facts = Facts(len(scene.references), scene.has_terrain, scene.has_sar)
    row, reason = choose(request, facts)
    model = create(row, request)
    if isinstance(model, Movable):
        model = model.on(on_torch(request.device) if facts.references else None)
    if request.device == "cuda" and where(model)[0] != "cuda":
        raise TerramendError("model.device", model=row.name)
    model = stoppable(model, watch.check)
    if request.mode == "clear":
        _say_order(model, scene, watch)
    if tell is not None:
        if not isinstance(model, Observable):
            raise TerramendError("model.views", model=row.name)
        model = model.observed(tell)
    plan = plan_tiles(scene.grid, _channels(scene), getattr(model, "context", row.context))
    allowed = budget(plan, request.jobs, request.memory_limit, row.name)
    state, way = None, None
    tried: tuple[Tried, ...] = ()
    if overview is not None:
        workers = request.jobs or cores()
        ways = candidates(facts.references, facts.terrain, facts.sar)
        trying = request.model == "auto" and request.mode == "fill" and len(ways) > 1
        seen, tiles = _seen(scene, overview, read or scene.tile, trying, workers, watch)
        if trying:
            tried = run_cancellable(lambda: _tried(model, ways, tiles, workers), watch.check)
            reason = tried_reason(reason, tried, scene.unit)
            way = next((one.way for one in tried if one.chosen), None)
            seen = way.shown(seen) if way else seen
            if isinstance(model, Movable) and not seen.references:
                model = model.on(None)
        state = run_cancellable(lambda: _prepared(model, seen, workers), watch.check)
        _say_learnt(state, scene, watch)
        del seen, tiles
        give_memory_back()
    return Method(
        row,
        reason,
        lambda tile: model.predict(way.shown(tile) if way else tile, state),
        plan,
        allowed,
        *where(model),
        getattr(model, "weights_sha256", None),
        digest(state),
        tried,
    )


def _say_order(model: Reconstructor, scene: Scene, watch: Watch) -> None:
    """A notice where a network that reads certain bands can only go by their number."""
    read = getattr(model, "wavelengths", ())
    if len(read) == len(scene.fill_bands) and not any(map(math.isfinite, scene.wavelengths)):
        order = ", ".join(f"{centre:.0f} nm" for centre in read)
        watch.notice("clear.order", name=scene.target.name, order=order)


def _seen(
    scene: Scene,
    overview: Callable[[], Tile],
    read: Callable[[Window], Tile],
    trying: bool,
    workers: int,
    watch: Watch,
) -> tuple[Tile, tuple[Tile, ...]]:
    """The overview, with windows at full size where it is coarse, and the windows that ways are tried in."""
    with threads.allowed(workers):
        seen = overview()
    watch.stage("learn")
    say_blank(seen, watch)
    say_missed(seen, watch)
    say_partly(seen, watch)
    tiles: tuple[Tile, ...] = ()
    with threads.allowed(workers):
        if seen.step > 1:
            tiles = tuple(read(window) for window in windows(seen, scene.grid))
        elif trying:
            tiles = tuple(read(window) for window in windows(seen, scene.grid, WINDOWS))
    return replace(seen, detail=tiles if seen.step > 1 else ()), tiles[:WINDOWS]


def _say_learnt(state: Any, scene: Scene, watch: Watch) -> None:
    """Notices of what a method found of the scene's dates and gaps."""
    found = findings(state)
    if found.offsets:
        say_moved([reference.name for reference in scene.references], found.offsets, watch)
    if found.haze:
        grown = max((mask.growth for mask in scene.gap_map.masks), default=0.0)  # which --grow replaces
        watch.notice("mask.fringe", pixels=found.haze, grow=math.ceil(grown + found.haze))


def stoppable(model: Reconstructor, check: Callable[[], None]) -> Reconstructor:
    """A method that works on one tile for long and has a field `proceed` calls `check` between its steps.

    The run itself stops without it; this ends the worker that is left behind too.
    """
    if is_dataclass(model) and hasattr(model, "proceed"):
        return replace(model, proceed=check)
    return model


def _prepared(model: Reconstructor, overview: Tile, workers: int) -> Any:
    with threads.allowed(workers):
        return model.prepare(overview)


def _tried(
    model: Reconstructor, ways: tuple[Candidate, ...], tiles: tuple[Tile, ...], workers: int
) -> tuple[Tried, ...]:
    with threads.allowed(workers):
        return compare(model, ways, tiles)


def _check_bands(request: FillRequest, targets: Sequence[Raster]) -> None:
    count = sum(len(target.bands) for target in targets)
    beyond = [band for band in request.bands if band > count]
    if beyond:
        raise TerramendError("model.no-band", band=beyond[0], count=count, name=targets[0].name)
    if not request.bands and not any(telling(target.bands) for target in targets):
        raise TerramendError("model.no-bands", name=targets[0].name)


def _names(
    request: FillRequest, targets: Sequence[Raster], references: Sequence[Reference]
) -> tuple[str, ...]:
    names = list(request.target)
    for raster in [*targets, *(part for r in references for part, _ in r.parts)]:
        names += [band.path for band in raster.bands]
        names += [mask.path for mask in raster.masks]
    names += [mask.path for r in references for mask in r.masks]
    return tuple(dict.fromkeys(name for name in [*names, *named_inputs(request)] if name))


def _channels(scene: Scene) -> int:
    """Float planes of a tile: input, gaps, prediction and deviation per band, references, guides."""
    bands = 4 * len(scene.fill_bands)
    references = sum(len(reference.bands) for reference in scene.references)
    return max(bands + references + 3 * scene.has_terrain + 2 * scene.has_sar, 1)
