"""`terramend experiment de`: whether Diffusion Enhancement is better than its own reference.

The networks are trained on `train` with one small budget; those that are compared with their
own ablation (the reference, fixed weights, the whole) with several seeds. Then every row is
measured on `val`: real cloudy and clear pairs, and gaps over a guided prior. Training goes on
where it stopped, rows are kept by the hash of all they depend on.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.base import Reconstructor
from ...models.diffusion_enhancement import door
from ...models.diffusion_enhancement.fusion import LIMIT
from ...models.diffusion_enhancement.model import Networks
from ...models.diffusion_enhancement.network import STAGES, Enhancement
from ...models.rivals.network import NETWORKS, Remover
from ...models.weights import PACKAGED
from ..errors import TerramendError
from ..evaluation import cases
from ..evaluation.command import RECIPES
from ..evaluation.methods import find
from ..evaluation.perceptual import checked
from ..failure import reason
from ..training import de, removers
from ..training.pairs import PairBank, pair_bank
from ..training.recipe import load_config
from ..watch import Watch
from . import de_report, de_rows
from .cost import SIDE, Cost, cost, threads, timed
from .de_rows import (
    REFERENCE,
    Method,
    classical,
    enhanced,
    gap_measured,
    gap_rows,
    gap_samples,
    made_rows,
    measured,
    network,
)
from .options import named
from .runs import Numbers, cached, configured, trained, version

REAL = {"without": [], "haze": 0.0}
"""Data of the networks that are compared: all real pairs and nothing made; none of them is given away."""


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train what is missing, measure what is new, write the report.

    Raises:
        TerramendError: a part or network that is none, or data without pairs.
    """
    parts = named("--parts", options.parts, ("pairs", "gaps", "speed"), least=1)
    rivals = named("--rivals", options.rivals, tuple(NETWORKS))
    rows: dict[str, list[Numbers]] = {}
    gaps: dict[str, list[Numbers]] = {}
    with configured(options.config):
        budget = _budget(options)
    todo = _gap_cases(options) if "gaps" in parts else []
    fill = _fill(options.fill) if "gaps" in parts and options.fill is not None else None
    if "pairs" in parts:
        rows = _pairs(options, rivals, watch)
    if "gaps" in parts:
        gaps = _gaps(options, todo, fill, watch)
    costs = _costs(options.config) if "speed" in parts else {}
    de_report.write(rows, gaps, costs, options.out, budget)
    watch.finish()


def _budget(options: argparse.Namespace) -> str:
    """What was trained, in words."""
    if options.run is not None:
        return f"Nothing was trained: DE is {options.run}, with the reference beside it, one seed."
    size = options.config if "." not in options.config else "small"
    config = load_config("de", options.config)
    steps = [_steps(config[stage]["training"]["steps"], options) for stage in STAGES]
    reference = _steps(load_config(options.reference, size)["training"]["steps"], options)
    return (
        f"Trained on the real pairs of train alone: each cloud removal network {reference} steps, the stages "
        f"of DE {', '.join(map(str, steps))} steps. The reference, fixed weights and DE with {options.seeds} "
        "seeds, other rows with one."
    )


def _steps(steps: int, options: argparse.Namespace) -> int:
    return max(1, round(steps * options.budget))


def _pairs(options: argparse.Namespace, rivals: tuple[str, ...], watch: Watch) -> dict[str, list[Numbers]]:
    """Name of each row and its numbers, one a seed."""
    config = load_config("de", options.config)
    bands = config["data"]["wavelengths"]
    without = tuple(filter(None, options.without.split(",")))
    learned = pair_bank(options.data / "train", bands, without)
    seen = pair_bank(options.data / "val", bands, without)
    perceptual = checked(options.lpips) if options.lpips else None
    methods = classical(learned)
    if options.run is not None:
        methods += _finished(options)
    else:
        for name in (name for name in rivals if name != options.reference):
            run = _remover(name, options, 0, watch)
            methods.append(network(name, removers.load(run), run.name))
        for seed in range(options.seeds):
            run = _remover(options.reference, options, seed, watch)
            joint = _stages(load_config("de", options.config), run, options, seed, watch)
            methods += _rows(joint, removers.load(run), run.name, options, seed)
    rows: dict[str, list[Numbers]] = {}
    code = version("diffusion", "diffusion_enhancement", "rivals", recipes=("de", "noising", "removers"))
    watch.stage("rows", len(methods))
    for method in methods:
        key = [method.key, list(seen.names), str(options.lpips or "") if method.judged else "", code]
        numbers = cached(options.out / "rows", key, functools.partial(measured, method, seen, perceptual))
        rows.setdefault(method.name, []).append(numbers)
        watch.advance()
    _picture(methods, seen, options.out / "pairs.png")
    return rows


def _finished(options: argparse.Namespace) -> list[Method]:
    """Rows of a run as it is, over the reference's folder beside it (as weights lie that come along)."""
    folder = options.run.parent / options.reference
    reference = removers.load(folder)
    de.load(options.run)
    shas = [hashlib.sha256((run / file).read_bytes()).hexdigest() for run, file in (
        (folder, removers.WEIGHTS), (options.run, de.WEIGHTS))]  # fmt: skip
    return _rows(options.run, reference, shas[0], options, 0, "-".join(shas))  # DE begins from what it says


def _rows(
    joint: Path, reference: Remover, key: str, options: argparse.Namespace, seed: int, joint_key: str = ""
) -> list[Method]:
    """The reference and DE of one seed; the first seed has the ablations of the sampler too."""
    model, config = de.load(joint)

    def row(name: str, **settings: Any) -> Method:
        return enhanced(name, model, config, reference, joint_key or joint.name, seed=seed, **settings)

    name = options.reference
    methods = [
        network(name + REFERENCE, reference, key, seed, judged=True),
        row("fixed W = .5", weight=0.5, judged=True),
        row("DE", judged=True),
    ]
    if seed == 0:
        methods.append(row("diffusion alone", weight=0.0, limit=0.0))
        methods += [row(f"DE, limiting factor {v:g}", limit=v) for v in de_rows.LIMITS]
        methods += [row(f"DE, {steps} steps", steps=steps) for steps in de_rows.STEPS]
    return methods


def _remover(name: str, options: argparse.Namespace, seed: int, watch: Watch) -> Path:
    """Folder of a trained reference network."""
    size = options.config if "." not in options.config else "small"
    config = load_config(name, size, {"training.seed": str(seed)})
    config["data"] |= REAL
    config["training"]["steps"] = _steps(config["training"]["steps"], options)
    return trained(name, config, options, watch)


def _stages(config: dict[str, Any], run: Path, options: argparse.Namespace, seed: int, watch: Watch) -> Path:
    """Folder of the last stage, after training those that are missing."""
    folder = Path()
    if config["use"] == "clear":
        config["data"] |= REAL
    for stage in STAGES:
        schedule = config[stage]["training"]
        schedule = {**schedule, "seed": seed, "steps": _steps(schedule["steps"], options)}
        part = {**config[stage], "training": schedule}
        chosen = {**config, "stage": stage, "start": str(folder), "reference": str(run), stage: part}
        folder = trained("de", chosen, options, watch, stage)
    return folder


def _gap_cases(options: argparse.Namespace) -> list[tuple[cases.Case, str]]:
    """Cases of val and their tracks, whose data are there."""
    recipe = cases.load(RECIPES / "val.json")
    cases.verify(recipe, options.data / "val")
    return gap_samples(recipe, options.gap_places)


def _fill(folder: Path) -> Networks:
    """The networks of `--fill`."""
    try:
        return door.load(folder)
    except (ValueError, LookupError, TypeError) as error:
        raise TerramendError("training.start", path=str(folder), name="de", why=reason(error)) from None


def _gaps(
    options: argparse.Namespace, chosen: list[tuple[cases.Case, str]], fill: Networks | None, watch: Watch
) -> dict[str, list[Numbers]]:
    """Rows of gap filling by DE over `guided`, and their numbers, one a seed.

    Args:
        fill: networks that are there; none: they are trained.
    """
    networks = [fill] if fill is not None else []
    if fill is None:
        config = load_config("de", "fill")
        config["samples"] = {**config["samples"], "folder": str(options.out / "gap-samples")}
        folders = [_stages(config, Path("guided"), options, seed, watch) for seed in range(options.seeds)]
        networks = [door.load(folder) for folder in folders]
    root, rows = options.data / "val", dict[str, list[Numbers]]()
    made = made_rows()
    reference = made["guided" + REFERENCE]
    todo: list[tuple[str, Reconstructor, str]] = [(name, method, "") for name, method in made.items()]
    for seed, nets in enumerate(networks):
        own = gap_rows(nets, reference, first=seed == 0)
        todo += [(name, method, nets.weights_sha256) for name, method in own.items()]
    code = find("de").version()  # of guided, which all rows begin from, too
    watch.stage("gaps", len(todo))
    for name, method, sha in todo:
        key = [name, sha, code, [[case.name, track] for case, track in chosen]]
        numbers = cached(options.out / "gaps", key, functools.partial(gap_measured, method, chosen, root))
        rows.setdefault(name, []).append(numbers)
        watch.advance()
    return rows


def _costs(size: str) -> Mapping[str, Cost]:
    """Cost of every network, in its published and in our small layout, at one size."""
    found: dict[str, Cost] = {}
    layouts = [layout for layout in dict.fromkeys(("paper", size)) if "." not in layout]
    with threads():
        for layout in layouts:
            found |= _layout_costs(layout)
    if "small" in layouts:
        found["DE, 10 steps (small, as served)"] = _served(found["DE, 10 steps (small)"])
    return found


def _layout_costs(layout: str) -> dict[str, Cost]:
    found = {}
    config = load_config("de", layout)
    model, bands = Enhancement(de.layout(config)).eval(), config["network"]["bands"]
    image, t = torch.zeros(1, bands, SIDE, SIDE), torch.ones(1)
    predict = functools.partial(model.noise, image, t, image)
    found[f"DE, noise predictor ({layout})"] = cost(model.predictor, predict)
    step = cost(model, functools.partial(model, image, t, image, image))
    found[f"DE, one step ({layout})"] = step
    ten = (10 * part for part in (step.gmac, step.seconds, step.processor))
    found[f"DE, 10 steps ({layout})"] = Cost(step.parameters, *ten)
    for name in NETWORKS:
        rival = removers.built(load_config(name, layout)["network"]).eval()
        image = torch.zeros(1, rival.inputs, SIDE, SIDE)
        found[f"{name} ({layout})"] = cost(rival, functools.partial(rival, image))
    return found


def _served(as_torch: Cost) -> Cost:
    """The same ten steps by the weights that come along, as a fill takes them: ONNX Runtime, one thread."""
    networks = door.load(PACKAGED / "de-clear")
    image = np.zeros((len(networks.wavelengths), SIDE, SIDE), np.float32)
    run = functools.partial(networks.run, image, image, image[None], 10, LIMIT)
    return Cost(as_torch.parameters, as_torch.gmac, *timed(lambda: list(run())))


def _picture(methods: list[Method], bank: PairBank, path: Path) -> None:
    """A few pairs, and what the main rows make of them."""
    shown = [
        m for m in methods if m.seed == 0 and ("reference" in m.name or m.name in ("fixed W = .5", "DE"))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    de_report.pairs([bank.read(index) for index in range(0, len(bank.names), 4)], shown, path)
