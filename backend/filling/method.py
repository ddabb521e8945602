"""The method of a run: chosen, put on its device, and taught by the scene."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...models import threads
from ...models.bands import matching
from ...models.base import (
    Movable,
    Observable,
    Ordered,
    Prediction,
    Reconstructor,
    SamplerStep,
    Tile,
    digest,
    findings,
)
from ...models.registry import Row
from ..device import on_torch, where
from ..errors import Notice, TerramendError, together
from ..flow import run_cancellable
from ..raster.grid import Window
from ..raster.scene import detail
from ..raster.scene.copies import say_copies
from ..raster.scene.empty_inputs import say_blank
from ..raster.scene.missed_cloud import say_missed, say_specks
from ..raster.scene.offsets import say_moved
from ..raster.scene.scene import STRIP, Scene, overview_step
from ..raster.tiles import TilePlan, plan_tiles
from ..request import FillRequest
from ..watch import Watch
from .budget import Budget, Sight, budget
from .choose import choose, create, facts_of, say_unused, tried_reason, used
from .process import give_memory_back
from .trial import WINDOWS, Tried, candidates, compare, shown


@dataclass(frozen=True)
class Method:
    """A chosen reconstructor that has seen the scene.

    Attributes:
        row, reasons: what was chosen and why. predict: for one tile; safe in threads.
        plan: the scene's tiles. allowed: how many of them at once.
        device: where it computes. provider, weights_sha256: of its network in ONNX Runtime, or None.
        state_sha256: of what it learned from the whole scene.
        tried: what `auto` measured on hidden pixels before it chose; empty where nothing was.
        lacks: nanometres of the bands that it reads together, where the scene lacks one; else empty.
    """

    row: Row
    reasons: tuple[Notice, ...]
    predict: Callable[[Tile], Prediction]
    plan: TilePlan
    allowed: Budget
    device: str
    provider: str | None
    weights_sha256: str | None
    state_sha256: str
    tried: tuple[Tried, ...] = ()
    lacks: tuple[float, ...] = ()

    @property
    def reason(self) -> str:
        """Why it was chosen, in English."""
        return together(self.reasons)


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
        TerramendError: `model.*`, `memory.*`, `run.cancelled`.
    """
    facts = facts_of(scene)
    row, reason = choose(request, facts)
    say_unused(row, request, facts, watch)
    reasons: tuple[Notice, ...] = (reason,)
    model = _created(row, request, facts.references > 0, tell)
    _say_order(model, request.mode, scene, watch)
    plan = plan_tiles(scene.grid, _channels(scene), getattr(model, "context", row.context))
    allowed = budget(plan, _sight(scene, row), request.jobs, request.memory_limit, row.name)
    state, way = None, None
    tried: tuple[Tried, ...] = ()
    lacks: tuple[float, ...] = ()
    if overview is not None:
        aside = threads.allowed(allowed.readers, watch.check)  # while a scene is learnt no tile waits
        ways = candidates(facts.references, facts.terrain, facts.sar)
        trying = request.model == "auto" and request.mode == "fill" and len(ways) > 1
        leans = used(row, facts)
        seen, tiles = aside(_seen)(scene, overview, read or scene.tile, leans, trying, watch)
        scene.rest()
        reads = getattr(model, "wavelengths", ())
        lacks = reads if matching(seen, reads) is None else ()
        give_memory_back()  # what reading held, and below what the trial did, is more than learning wants
        if trying:
            tried = run_cancellable(aside(lambda: compare(model, ways, tiles)), watch.check)
            reasons = tried_reason(reason, tried, scene.unit)
            way = next((one.way for one in tried if one.chosen), None)
            seen = way.shown(seen) if way else seen
            if isinstance(model, Movable) and not seen.references:
                model = model.on(None)
            give_memory_back()
        state = run_cancellable(aside(lambda: model.prepare(seen)), watch.check)
        _say_learnt(state, scene, watch)
        if findings(state).logarithms:
            reasons = (*reasons, Notice("reason.logarithms"))
        del seen, tiles
        give_memory_back()
    stoppable = threads.allowed(1, watch.check)  # between two steps, where it goes in steps
    return Method(
        row,
        reasons,
        stoppable(lambda tile: model.predict(way.shown(tile) if way else tile, state)),
        plan,
        allowed,
        *where(model),
        getattr(model, "weights_sha256", None),
        digest(state),
        tried,
        lacks,
    )


def _created(
    row: Row, request: FillRequest, dates: bool, tell: Callable[[SamplerStep], None] | None
) -> Reconstructor:
    """The method on its device; `dates`: whether there is another date."""
    model = create(row, request)
    if isinstance(model, Movable):
        model = model.on(on_torch(request.device) if dates else None)
    if request.device == "cuda" and where(model)[0] != "cuda":
        raise TerramendError("model.device", model=row.name)
    if tell is None:
        return model
    if not isinstance(model, Observable):
        raise TerramendError("model.views", model=row.name)
    return model.observed(tell)


def _say_order(model: Reconstructor, mode: str, scene: Scene, watch: Watch) -> None:
    """A notice where a network that reads certain bands can only go by their number."""
    if not isinstance(model, Ordered) or any(map(math.isfinite, scene.wavelengths)):
        return
    if read := model.order(mode, len(scene.fill_bands)):
        order = ", ".join(f"{centre:.0f} nm" for centre in read)
        watch.notice("bands.order", name=scene.target.name, order=order)


def _seen(
    scene: Scene,
    overview: Callable[[], Tile],
    read: Callable[[Window], Tile],
    leans: frozenset[str],
    trying: bool,
    watch: Watch,
) -> tuple[Tile, tuple[Tile, ...]]:
    """The overview, with windows at full size where it is coarse, and the windows that ways are tried in."""
    tiles: tuple[Tile, ...] = ()
    seen = overview()
    watch.stage("learn")
    say_blank(shown(seen, leans), watch)
    say_copies(shown(seen, leans), watch)
    say_missed(seen, watch)
    if seen.step > 1:
        tiles = tuple(read(window) for window in detail.windows(seen, scene.grid))
    elif trying:
        tiles = tuple(read(window) for window in detail.windows(seen, scene.grid, WINDOWS))
    say_specks(tiles if seen.step > 1 else (seen,), _growth(scene), watch)
    return replace(seen, detail=tiles if seen.step > 1 else ()), tiles[:WINDOWS]


def _growth(scene: Scene) -> float:
    """Pixels by which the scene's masks are grown, which --grow replaces."""
    return max((mask.growth for mask in scene.gap_map.masks), default=0.0)


def _say_learnt(state: Any, scene: Scene, watch: Watch) -> None:
    """Notices of what a method found of the scene's dates and gaps."""
    found = findings(state)
    if found.offsets:
        say_moved([reference.name for reference in scene.references], found.offsets, watch)
    if found.line:
        watch.notice("fill.line", name=scene.target.name, percent=f"{100 * found.line:.0f}")
    if found.logarithms:
        watch.notice("fill.logarithms", name=scene.target.name)
    if found.cast:
        watch.notice("mask.cast-shadow")
    for code, pixels in (("mask.fringe", found.haze), ("mask.fringe-shadow", found.shadow)):
        if pixels:
            watch.notice(code, pixels=pixels, grow=math.ceil(_growth(scene) + pixels))


def _sight(scene: Scene, row: Row) -> Sight:
    """What will be seen of a scene, for what it takes of the memory."""
    grid, step = scene.grid, overview_step(scene.grid)
    pixels = math.ceil(grid.height / step) * math.ceil(grid.width / step)
    if step > 1:
        pixels += detail.number(grid) * min(detail.SIDE, grid.height) * min(detail.SIDE, grid.width)
    return Sight(
        pixels,
        min(grid.height * grid.width, STRIP),
        len(scene.fill_bands),
        tuple(len(reference.bands) for reference in scene.references),
        3 * scene.has_terrain + 2 * scene.has_sar,
        kept=step == 1,
        regresses=row.group not in ("space", "time"),
    )


def _channels(scene: Scene) -> int:
    """Float planes of a tile: input, gaps, prediction and deviation per band, references, guides."""
    bands = 4 * len(scene.fill_bands)
    references = sum(len(reference.bands) for reference in scene.references)
    return max(bands + references + 3 * scene.has_terrain + 2 * scene.has_sar, 1)
