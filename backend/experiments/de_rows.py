"""The rows of the Diffusion Enhancement experiment: methods on real pairs and on gaps, and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...models import registry
from ...models.base import Floats, Reconstructor
from ...models.diffusion_enhancement.fusion import LIMIT
from ...models.diffusion_enhancement.model import Enhancer, Networks
from ...models.diffusion_enhancement.network import Enhancement
from ...models.rivals.network import Remover
from ..datasets.catalog import ground
from ..evaluation import cases, metrics
from ..evaluation.measure import row as gap_row
from ..evaluation.membrane import membrane
from ..evaluation.perceptual import Perceptual
from ..training import de
from ..training.pairs import Pair, PairBank
from .runs import Numbers

FILL_TRACKS = ("S", "T1", "T4")
REFERENCE = " (the reference)"
LIMITS = (0.0, 0.1, 0.3, 0.5)
STEPS = (5, 10, 50)


@dataclass(frozen=True)
class Method:
    """A row on pairs.

    Attributes:
        name: in the table. key: of all that its numbers depend on. seed: of its training.
        make: a pair to (C, H, W) in -1..1. judged: whether LPIPS is computed, which costs seconds an image.
    """

    name: str
    key: Any
    make: Callable[[Pair], Floats]
    seed: int = 0
    judged: bool = False


def classical(bank: PairBank) -> list[Method]:
    """Nothing; dark-object subtraction (Chavez 1988); mean and spread of the training set's clear images."""
    clear = np.stack([_moments(bank.read(index).clear) for index in range(len(bank.names))]).mean(0)

    def dark(pair: Pair) -> Floats:
        lowest = np.quantile(pair.cloudy, 0.01, axis=(1, 2), keepdims=True)
        return np.asarray(np.clip(pair.cloudy - (lowest + 1), -1, 1), np.float32)

    def match(pair: Pair) -> Floats:
        mean, spread = _moments(pair.cloudy)[..., None, None]
        wanted, wide = clear[..., None, None]
        return np.asarray(np.clip((pair.cloudy - mean) / spread * wide + wanted, -1, 1), np.float32)

    learned = list(bank.names)
    return [
        Method("do nothing", ["nothing"], lambda pair: pair.cloudy),
        Method("dark object subtraction", ["dark"], dark),
        Method("mean and spread of clear images", ["match", learned], match),
    ]


def _moments(image: Floats) -> NDArray[np.float64]:
    flat = image.reshape(len(image), -1).astype(np.float64)
    return np.stack([flat.mean(1), np.maximum(flat.std(1), 1e-3)])


def network(name: str, model: Remover, key: Any, seed: int = 0, judged: bool = False) -> Method:
    """A cloud removal network."""

    @torch.no_grad()
    def make(pair: Pair) -> Floats:
        out: Floats = model(torch.from_numpy(pair.cloudy)[None])[0].clamp(-1, 1).numpy()
        return out

    return Method(name, [name, key], make, seed, judged)


def enhanced(
    name: str,
    model: Enhancement,
    config: dict[str, Any],
    reference: Remover,
    key: Any,
    *,
    steps: int = 10,
    limit: float = LIMIT,
    weight: float | None = None,
    seed: int = 0,
    judged: bool = False,
) -> Method:
    """Diffusion Enhancement with its sampler's settings."""

    @torch.no_grad()
    def make(pair: Pair) -> Floats:
        given = torch.from_numpy(pair.cloudy)[None]
        drawn = {"condition": given, "reference": reference(given).clamp(-1, 1)}
        looks = de.sample(model, config, drawn, steps, limit=limit, weight=weight, seed=seed)
        return np.clip(looks[-1].sample[0], -1, 1)

    return Method(name, ["de", key, steps, limit, weight], make, seed, judged)


def measured(method: Method, bank: PairBank, perceptual: Perceptual | None) -> Numbers:
    """Full-image and cloud-only numbers of a method on every pair; values 0..1, range 1."""
    numbers: Numbers = {"place": []}
    for index in range(len(bank.names)):
        pair = bank.read(index)
        made, truth = (np.asarray((image + 1) / 2, np.float32) for image in (method.make(pair), pair.clear))
        regions = {"full": pair.known, "hole": pair.known & pair.cloud}
        numbers["place"].append(pair.place)
        for region, scored in regions.items():
            row = {"psnr": float("nan"), "ssim": float("nan"), "mae": float("nan"), "lpips": float("nan")}
            if scored.any():
                error = made[:, scored] - truth[:, scored]
                row |= {
                    "psnr": metrics.psnr(error),
                    "ssim": metrics.ssim(made, truth, scored),
                    "mae": metrics.mae(error),
                }
                if perceptual is not None and method.judged and region == "full" and len(made) >= 3:
                    row["lpips"] = perceptual(made[:3], truth[:3], scored)
            for metric, value in row.items():
                numbers.setdefault(f"{region}.{metric}", []).append(value)
    return {name: values for name, values in numbers.items() if name == "place" or not _empty(values)}


def _empty(values: Sequence[float]) -> bool:
    return bool(np.isnan(values).all())


@dataclass(frozen=True)
class Fixed:
    """Stands in for a weight allocator: the same W everywhere."""

    weight: float

    def run(self, _: None, inputs: dict[str, Floats]) -> list[Floats]:
        """As an ONNX session is asked."""
        return [np.full_like(inputs["sample"], self.weight)]


def made_rows() -> dict[str, Reconstructor]:
    """Rows of gap filling that learn nothing: a floor, a surface, and the reference."""
    rows = {}
    for name in ("mean", "harmonic", "guided"):
        row = registry.find(name)
        assert row is not None  # noqa: S101 (the table holds it)
        rows[name + (REFERENCE if name == "guided" else "")] = row.create()
    return rows


def gap_rows(networks: Networks, reference: Reconstructor, first: bool) -> dict[str, Enhancer]:
    """Rows of DE over a reference; `first`: the ablations of the sampler too."""
    plain = Enhancer(networks, reference, samples=2)

    def fixed(weight: float, limit: float) -> Enhancer:
        held = replace(networks, allocator=Fixed(weight))  # type: ignore[arg-type]
        return replace(plain, networks=held, limit=limit)

    rows = {"fixed W = .5": fixed(0.5, LIMIT), "DE": plain}
    if first:
        rows["diffusion alone"] = fixed(0.0, 0.0)
        rows |= {f"DE, limiting factor {v:g}": replace(plain, limit=v) for v in LIMITS}
        rows |= {f"DE, {steps} steps": replace(plain, steps=steps) for steps in STEPS}
    return rows


def gap_samples(recipe: cases.Recipe, most: int) -> list[tuple[cases.Case, str]]:
    """Cloud-shaped cases, spread over places, at most `most` a track."""
    found = []
    for track in FILL_TRACKS:
        chosen: dict[str, cases.Case] = {}
        for case in recipe.cases:
            if track in case.tracks and case.gap.kind == "cloud":
                chosen.setdefault(f"{case.dataset}/{case.place}", case)
        found += [(case, track) for case in list(chosen.values())[:most]]
    return found


def gap_measured(method: Reconstructor, chosen: Sequence[tuple[cases.Case, str]], data: Path) -> Numbers:
    """Numbers in the gaps (reflectance, range 1); where a method is silent a membrane closes the rest."""
    numbers: Numbers = {"place": [], "track": []}
    for case, track in chosen:

        def run(sample: cases.Sample) -> tuple[Floats, Floats]:
            found = method.predict(sample.tile, method.prepare(sample.tile))
            picture = np.where(sample.tile.gaps, found.mean, sample.tile.image)
            closed = membrane(picture, np.asarray(~np.isfinite(picture).all(0)))
            return np.asarray(closed, np.float32), found.std

        said = gap_row(run, cases.sample(case, track, data))
        numbers["place"].append(ground(case.dataset, case.place))
        numbers["track"].append(track)
        for metric in ("psnr", "ssim", "rmse"):
            numbers.setdefault(metric, []).append(said.get(metric, float("nan")))
    return numbers
