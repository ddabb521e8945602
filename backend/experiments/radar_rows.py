"""The rows of the Align-CR experiment: methods on clouded images with radar, and their numbers.

Two protocols, apart. *Full*: a method sees the clouded image and no mask, and every pixel counts, as
in the paper; methods that need a mask get it and paste what is clear. *Hole*: cloud is a known gap,
clear pixels are pasted for all, and hidden pixels alone count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ...models import registry
from ...models.align_cr import inputs
from ...models.base import Floats, Tile
from ...models.rivals.network import Remover
from ..datasets import landcover
from ..evaluation import metrics
from ..evaluation.methods import find
from ..training import radar, segmenter
from .radar_cases import Case
from .runs import Numbers

PROTOCOLS = ("full", "hole")
METRICS = ("psnr", "mae", "sam", "ssim")


@dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        name: in the tables. key: of all that its numbers depend on. seed: of its training.
        make: a case and a protocol to (6, H, W) reflectance.
    """

    name: str
    key: Any
    make: Callable[[Case, str], Floats]
    seed: int = 0


def classical() -> list[Method]:
    """Nothing; the registry's harmonic surface; `guided` without and with radar."""

    def filler(name: str, radar: bool) -> Callable[[Case, str], Floats]:
        row = registry.find(name)
        assert row is not None  # noqa: S101 (the table holds it)
        model = row.create()

        def make(case: Case, protocol: str) -> Floats:
            bands = case.bands
            gaps = np.broadcast_to(case.cloud, (len(bands), *case.cloud.shape)).copy()
            image = np.where(gaps, np.float32(np.nan), case.cloudy[bands])
            waves = tuple(inputs.SLOTS[band] for band in bands)
            tile = Tile(image, gaps, sar=case.sar if radar else None, wavelengths=waves)
            filled = model.predict(tile, model.prepare(tile)).mean
            out = case.cloudy.copy()
            # Where all is cloud there is nothing to lean on: half of full scale, as far from all as it gets.
            out[bands] = np.where(gaps, np.where(np.isfinite(filled), filled, 0.5), image)
            return out

        return make

    version = find("guided").version()  # of its code and harmonic's
    return [
        Method("do nothing", ["nothing"], lambda case, _: case.cloudy),
        Method("harmonic surface", ["harmonic", version], filler("harmonic", False)),
        Method("guided", ["guided", "alone", version], filler("guided", False)),
        Method("guided with radar", ["guided", version], filler("guided", True)),
    ]


def network(name: str, model: Remover, key: Any, seed: int = 0, blind: bool = False) -> Method:
    """A trained network under both protocols; `blind`: radar is withheld from it."""

    @torch.no_grad()
    def make(case: Case, protocol: str) -> Floats:
        hole = protocol == "hole"
        gap = case.cloud if hole else np.zeros_like(case.cloud)
        image = inputs.start(np.where(gap, np.float32(np.nan), case.cloudy)) if hole else case.cloudy
        given = torch.from_numpy(inputs.stack(image, gap, None if blind else case.sar))[None]
        out = np.asarray(model(radar.fitted(model, given))[0].clamp(0, 1).numpy(), np.float32)
        return np.where(gap, out, case.cloudy) if hole else out

    return Method(name, [name, key, blind], make, seed)


def turned(name: str, method: Method) -> Method:
    """A method that is given radar turned by half a circle, which says as much, but of other places."""

    def make(case: Case, protocol: str) -> Floats:
        sar = None if case.sar is None else case.sar[:, ::-1, ::-1].copy()
        return method.make(replace(case, sar=sar), protocol)

    return Method(name, [name, method.key], make, method.seed)


def measured(
    method: Method, chosen: Sequence[Case], judge: torch.nn.Module | None, bands: int = 4
) -> Numbers:
    """Numbers of a method on every case; NaN where there is nothing to score.

    Args:
        judge: finds land cover in the result; its confusion with the truth's classes is kept flat.
    """
    numbers: Numbers = {"place": [], "level": [], "made": [], "fine": []}
    for case in chosen:
        about: dict[str, Any] = {
            "place": case.place, "level": case.level, "made": case.made, "fine": case.fine
        }  # fmt: skip
        for key, value in about.items():
            numbers[key].append(value)
        for protocol in PROTOCOLS:
            made = method.make(case, protocol)
            row = _scores(made, case, protocol)
            for metric, value in row.items():
                numbers.setdefault(f"{protocol}.{metric}", []).append(value)
            if protocol == "full":
                numbers.setdefault("confusion", []).append(_judged(made, case, judge, bands))
    return numbers


def _scores(made: Floats, case: Case, protocol: str) -> dict[str, float]:
    slots = case.bands
    truth, found = case.clear[slots], made[slots]
    scored = np.asarray(case.known[slots].all(0))
    if protocol == "hole":
        scored = scored & case.cloud
    row = dict.fromkeys(METRICS, float("nan"))
    for name in landcover.NAMES:
        row |= {f"mae.{name}": float("nan"), f"sam.{name}": float("nan")}
    if not scored.any():
        return row
    error = found[:, scored] - truth[:, scored]
    row |= {
        "psnr": metrics.psnr(error),
        "mae": metrics.mae(error),
        "sam": metrics.sam(found[:, scored], truth[:, scored]),
        "ssim": metrics.ssim(found, truth, scored),
    }
    for index, name in enumerate(landcover.NAMES if case.classes is not None else ()):
        here = scored & (case.classes == index)
        if here.any():
            row[f"mae.{name}"] = metrics.mae(found[:, here] - truth[:, here])
            row[f"sam.{name}"] = metrics.sam(found[:, here], truth[:, here])
    return row


def _judged(made: Floats, case: Case, judge: torch.nn.Module | None, bands: int) -> list[int]:
    """The judge's classes of a result against the rule's of the clear image, flat."""
    count = len(landcover.RULED)
    if judge is None or not set(range(bands)) <= set(case.bands):
        return [0] * count**2
    truth = landcover.by_rule(case.clear)
    return [int(v) for v in landcover.confusion(segmenter.classes(judge, made, bands), truth, count).ravel()]
