"""How good would a fill be here? Hides valid pixels of the scene, fills them, and compares."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.bands import ndvi, red_and_near_infrared
from ..models.base import Floats, Prediction, Tile
from .accuracy_report import Sample, write_report
from .errors import TerramendError
from .filling.choose import named
from .filling.holdout_scene import HoldoutScene, choose_shape
from .filling.method import Method, make_method
from .filling.opening import Inputs, open_grid, open_inputs
from .filling.process import computing
from .flow import in_order
from .raster.gdal import cache_within
from .raster.grid import Window
from .raster.outputs import Outputs, working_folder
from .raster.raster import Band, telling
from .raster.scene.scene import Scene
from .raster.scene.unchanged import unchanged
from .raster.tiles import TilePlace
from .request import FillRequest, validate
from .watch import Watch

MOST_TILES = 24
"""Tiles that are tried on one grid, spread over the scene: enough for steady figures."""

HALF_WIDTHS = {"coverage_50": 0.67449, "coverage": 1.64485}
"""Standard deviations from the mean to the ends of the 50 and 90 % intervals of a normal law."""


def accuracy(request: FillRequest, watch: Watch, html: str | None = None) -> dict[str, Any]:
    """Hide cloud-shaped parts of the valid pixels, fill them as the request says, and compare.

    Args:
        request: of the fill that is to be judged; its outputs are not written, `overwrite` is the report's.
        html: path of a report with figures and pictures, or None.

    Returns:
        JSON: `target` (name), `rmse`, `bias`, `mae` (in `unit`), `coverage` and `coverage_50` (shares of
        the truth inside the 90 and 50 % intervals, None where the method gives no deviation),
        `expected_error` (RMSE as stated for the hidden samples), `expected_before` and `expected_after` (RMSE
        in the scene's real gaps, as the method states it, and times found over stated error of the hidden
        samples; None where not known), `ndvi` (the same figures, or None), `bands` (the same for each),
        `samples`, `unfilled_samples`, `hidden_under`, `unit`, `model`, `model_reason`, `reasons` (it as
        notices), `tried` (what `auto` measured), `quality`, `notices`.

    Raises:
        TerramendError: as a fill; `accuracy.nothing` where nothing can be hidden, `model.band` where only
            class bands were asked for.
    """
    validate(request)
    named(request)
    with computing(), cache_within(request.memory_limit), contextlib.ExitStack() as stack:
        watch.stage("open")
        inputs = open_inputs(request, watch)
        report = Outputs([], inputs.names, request.overwrite, reports=[html]) if html else None
        if report:
            stack.callback(report.discard)
        folder = stack.enter_context(working_folder(request.tmp))
        checks = []
        with unchanged(inputs.files):
            for number, target in enumerate(inputs.targets):
                if request.bands and not _asked(request, inputs, number):
                    continue
                if not request.bands and not telling(target.bands):
                    continue
                one = open_grid(request, inputs, number, folder, watch)
                with inputs.part(number, watch), one as (scene, _):
                    checks.append(_check(request, scene, watch))
        if not checks:
            raise _only_classes(request, inputs)
        result = {"target": inputs.targets[0].name, **_result(request, checks, watch)}
        if report and html:
            write_report(report.temporary(html), result, [c.sample for c in checks if c.sample])
            report.commit()
        watch.finish()
    return result


@dataclass
class Errors:
    """Sums over hidden samples of one band (or of NDVI), in float64 and in fixed order."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    absolute: float = 0.0
    sure: int = 0
    variance: float = 0.0
    inside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HALF_WIDTHS, 0))

    def add(self, error: Floats, std: Floats | None = None) -> None:
        """Count errors and, where finite, their predicted standard deviations."""
        exact = error.astype(np.float64)
        self.count += exact.size
        self.total += float(exact.sum())
        self.squares += float((exact**2).sum())
        self.absolute += float(np.abs(exact).sum())
        if std is not None:
            known = np.isfinite(std)
            size, spread = np.abs(exact[known]), std[known].astype(np.float64)
            self.state(spread)
            for name, width in HALF_WIDTHS.items():
                self.inside[name] += int((size <= width * spread).sum())

    def state(self, std: NDArray[Any]) -> None:
        """Count standard deviations, all finite."""
        exact = std.astype(np.float64)
        self.sure += exact.size
        self.variance += float((exact**2).sum())

    def merged(self, other: Errors) -> Errors:
        """The sums of both."""
        inside = {name: self.inside[name] + other.inside[name] for name in self.inside}
        pairs = ("count", "total", "squares", "absolute", "sure", "variance")
        return Errors(**{name: getattr(self, name) + getattr(other, name) for name in pairs}, inside=inside)

    def figures(self) -> dict[str, Any]:
        """RMSE, bias, mean absolute error, coverage; None where nothing was counted."""
        n, sure = self.count, self.sure
        return {
            "samples": n,
            "rmse": math.sqrt(self.squares / n) if n else None,
            "bias": self.total / n if n else None,
            "mae": self.absolute / n if n else None,
            "expected_error": math.sqrt(self.variance / sure) if sure else None,
            **{name: count / sure if sure else None for name, count in self.inside.items()},
        }


@dataclass
class Check:
    """What was found on one grid; of `gaps`, the real ones, only the stated deviations are known.

    `unit`: of the errors.
    """

    method: Method
    bands: tuple[Band, ...]
    errors: list[Errors]
    ndvi: Errors
    gaps: Errors
    unfilled: int
    under: str
    unit: str
    sample: Sample | None


@dataclass(frozen=True)
class _Work:
    place: TilePlace
    around: Window
    tile: Tile
    hidden: NDArray[np.bool_]
    truth: Floats


def _check(request: FillRequest, scene: Scene, watch: Watch) -> Check:
    shape, under = choose_shape(scene, request.seed)
    seen = HoldoutScene(scene, shape)
    method = make_method(request, scene, seen.overview, watch, lambda window: seen.pair(window)[0])
    places = list(method.plan.tiles())
    steps = max(len(places) / MOST_TILES, 1.0)
    chosen = [places[int(i * steps)] for i in range(min(len(places), MOST_TILES))]
    watch.stage("check", len(chosen))
    bands = tuple(scene.bands[i] for i in scene.fill_bands)
    check = Check(method, bands, [Errors() for _ in bands], Errors(), Errors(), 0, under, scene.unit, None)

    def read() -> Iterator[_Work]:
        for place in chosen:
            around = place.core.grown(method.plan.context, scene.grid)
            yield _Work(place, around, *seen.pair(around))

    def work(item: _Work) -> tuple[_Work, Prediction | None]:
        inner = item.place.core.within(item.around)
        return item, method.predict(item.tile) if item.hidden[(..., *inner)].any() else None

    flow = in_order(read(), work, method.allowed.workers, method.allowed.in_flight, watch.check)
    most = 0
    with contextlib.closing(flow):
        for item, said in flow:
            if said is not None:
                size = _compare(check, item, said)
                if size > most:
                    most, check.sample = size, _sample(check, item, said)
            watch.advance()
    if not most:
        raise TerramendError("accuracy.nothing", name=scene.target.name)
    return check


def _compare(check: Check, item: _Work, said: Prediction) -> int:
    """Count the errors of one tile's core; returns the number of compared samples."""
    core = (..., *item.place.core.within(item.around))
    hidden, truth, mean, std = item.hidden[core], item.truth[core], said.mean[core], said.std[core]
    known = hidden & np.isfinite(mean)
    stated = std[item.tile.gaps[core] & ~hidden]
    check.gaps.state(stated[np.isfinite(stated)])
    check.unfilled += int((hidden & ~known).sum())
    for band, errors in enumerate(check.errors):
        put = known[band]
        errors.add((mean[band] - truth[band])[put], std[band][put])
    pair = red_and_near_infrared([band.wavelength for band in check.bands])
    if pair:
        put = known[list(pair)].all(axis=0)
        wrong = ndvi(mean[:, put], *pair) - ndvi(truth[:, put], *pair)
        check.ndvi.add(wrong[np.isfinite(wrong)])
    return int(known.sum())


def _sample(check: Check, item: _Work, said: Prediction) -> Sample:
    """Pictures of the tile where most was hidden."""
    visible = sorted(
        range(len(check.bands)),
        key=lambda i: (math.isnan(check.bands[i].wavelength), check.bands[i].wavelength),
    )[:3]
    chosen = visible[::-1] if len(visible) == 3 else visible[:1]
    filled = np.where(item.hidden & np.isfinite(said.mean), said.mean, item.truth)
    return Sample(item.truth[chosen], item.hidden[chosen], filled[chosen])


def _result(request: FillRequest, checks: list[Check], watch: Watch) -> dict[str, Any]:
    pooled, ndvi, gaps, bands = Errors(), Errors(), Errors(), []
    for check in checks:
        ndvi, gaps = ndvi.merged(check.ndvi), gaps.merged(check.gaps)
        for band, errors in zip(check.bands, check.errors, strict=True):
            pooled = pooled.merged(errors)
            bands.append({"band": band.description or f"band {band.index}", **errors.figures()})
    first = checks[0]
    return {
        **pooled.figures(),
        "ndvi": ndvi.figures() if ndvi.count else None,
        "bands": bands,
        **_in_gaps(pooled, gaps),
        "unfilled_samples": sum(check.unfilled for check in checks),
        "hidden_under": first.under,
        "unit": first.unit,
        "model": first.method.row.name,
        "model_reason": first.method.reason,
        "reasons": [one.to_json() for one in first.method.reasons],
        "tried": [one.to_json() for one in first.method.tried],
        "quality": request.quality,
        "notices": [notice.to_json() for notice in watch.notices],
    }


def _in_gaps(hidden: Errors, gaps: Errors) -> dict[str, Any]:
    """The error to expect in the real gaps, as the method states it and as the hidden samples correct it."""
    before = math.sqrt(gaps.variance / gaps.sure) if gaps.sure else None
    after = None
    if before is not None and hidden.variance > 0:
        after = before * math.sqrt(hidden.squares / hidden.count / (hidden.variance / hidden.sure))
    return {"expected_before": before, "expected_after": after}


def _asked(request: FillRequest, inputs: Inputs, number: int) -> bool:
    """Whether the request names a band of this grid that can be predicted."""
    first, bands = inputs.first_band(number), inputs.targets[number].bands
    asked = [b - 1 - first for b in request.bands if 0 <= b - 1 - first < len(bands)]
    return any(bands[i].role != "class" for i in asked)


def _only_classes(request: FillRequest, inputs: Inputs) -> TerramendError:
    """Classes are filled by majority: no method states how sure it is of them."""
    band = request.bands[0]
    known = [known for target in inputs.targets for known in target.bands][band - 1]
    return TerramendError("model.band", band=band, description=known.description, role=known.role)
