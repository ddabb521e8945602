"""`terramend experiment aligndiff-task1` and `-task2`: the paper's tables and figure 7 on data at hand.

Task 1 fills one date alone with a DEM, task 2 with one other date. All methods see the same stored gaps:
cloud shapes, and single pixels at 10 to 50 %. Our own stages and the rivals are trained first where they are
missing (or our stages are named with `--runs`); rows are kept by the hash of what they depend on.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.aligndiff.model import FILES
from ...models.aligndiff.network import STAGES
from ...models.weights import configuration
from ..errors import TerramendError
from ..evaluation import cases
from ..evaluation.command import RECIPES
from ..evaluation.methods import find
from ..evaluation.perceptual import checked
from ..failure import reason
from ..training.patches import nearest
from ..watch import Watch
from . import aligndiff_report, aligndiff_runs
from .aligndiff_rows import Looks, measured, roundtrip
from .runs import Numbers, cached, configured

TRACKS = {"1": "S-DEM", "2": "T1"}
KINDS = ("cloud", "random")
CLASSICAL = {"1": "mean,harmonic,guided", "2": "harmonic,copy,guided"}
GUIDANCE = 0.5
"""Of the row that samples under guidance (`sampling.generate`)."""
Stages = dict[str, Path]


@dataclass(frozen=True)
class Line:
    """A row of the tables.

    Attributes:
        name: in the table. method: as evaluate's `--methods`. bare: the DEM (task 1) or the other date
            (task 2) is withheld. seed: of its training. waves: nanometres of the bands that are looked
            at; empty: all.
    """

    name: str
    method: str
    bare: bool = False
    seed: int = 0
    waves: tuple[float, ...] = ()


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train what is missing, measure what is new, write the report.

    Raises:
        TerramendError: a method that is none, no cases, or data that are not theirs: before it trains.
    """
    task = options.experiment[-1]
    recipe = cases.load(options.cases or RECIPES / "val.json")
    root = options.data / recipe.split
    cases.verify(recipe, root)
    chosen = chosen_cases(recipe, TRACKS[task], options.each)
    if not any(case.gap.kind == KINDS[0] for case in chosen):
        path = str(options.cases or RECIPES / "val.json")
        raise TerramendError("experiment.cases", path=path, track=TRACKS[task], kind=KINDS[0])
    with configured(options.config):
        aligndiff_runs.check(options)
    for name in filter(None, options.also.split(",")):
        find(name)
    looks = Looks(checked(options.lpips)) if options.lpips else None
    runs = _runs(options, watch)
    lines = _lines(task, runs, options, watch)

    def numbers(line: Line) -> Numbers:
        fitting = [case for case in chosen if not line.waves or _shows(case, root, line.waves)]
        names = [[case.name, TRACKS[task]] for case in fitting]
        weights, version = _weights(line), find(line.method).version()
        key = [line.method.replace(_folder(line), ""), line.bare, line.waves, version, weights, names]
        make = _measuring(line, TRACKS[task], fitting, root, looks)
        found = cached(options.out / "rows", [*key, str(options.lpips or "")], make)
        watch.advance()
        return found

    spectral = [] if options.runs or task == "2" else _spectral(runs, options, watch)
    watch.stage("rows", len(lines) + len(spectral))
    rows: dict[str, list[Numbers]] = {}
    for line in lines:
        rows.setdefault(line.name, []).append(numbers(line))
    apart = {line.name: [numbers(line)] for line in spectral}
    out = options.out / f"task{task}"
    _pictures(task, [line for line in lines if line.seed == 0], chosen, root, out)
    losses = roundtrip(runs[0][1]["diffusion"], recipe, root)
    aligndiff_report.write(task, rows, apart, losses, out)
    watch.finish()


def chosen_cases(recipe: cases.Recipe, track: str, each: int) -> list[cases.Case]:
    """At most `each` clouds a place, and single pixels at 10 to 50 % in the first `each` places."""
    clouds: dict[str, int] = {}
    pixels: dict[str, set[float]] = {}
    found = []
    for case in recipe.cases:
        if track not in case.tracks or case.gap.kind not in KINDS:
            continue
        place = f"{case.dataset}/{case.place}"
        if case.gap.kind == "cloud":
            clouds[place] = clouds.get(place, 0) + 1
            if clouds[place] <= each:
                found.append(case)
        elif place in pixels or len(pixels) < each:
            shares = pixels.setdefault(place, set())
            if case.gap.fraction not in shares:
                shares.add(case.gap.fraction)
                found.append(case)
    return found


def _shows(case: cases.Case, root: Path, waves: Sequence[float]) -> bool:
    """Whether a case's place has all the bands."""
    known = cases.place_at(root, case.dataset, case.place).wavelengths
    return bool(known) and nearest(known, waves) is not None


def _runs(options: argparse.Namespace, watch: Watch) -> list[tuple[int, Stages]]:
    """Seed and the folders of its stages."""
    if options.runs:
        folders = {stage: options.runs / stage for stage in STAGES}
        for stage in STAGES[1:]:  # said before anything is measured
            try:
                configuration(folders[stage], *FILES)
            except ValueError as error:
                raise TerramendError(
                    "training.start", path=str(folders[stage]), name="aligndiff", why=reason(error)
                ) from None
        return [(0, folders)]
    return [(seed, aligndiff_runs.ours(options, seed, watch)) for seed in range(options.seeds)]


def _lines(
    task: str, runs: Sequence[tuple[int, Stages]], options: argparse.Namespace, watch: Watch
) -> list[Line]:
    names = [*CLASSICAL[task].split(","), *filter(None, options.also.split(","))]
    lines = [Line(name, name) for name in names]
    if not options.runs:
        for name, folder in aligndiff_runs.rivals(options, task, watch).items():
            lines.append(Line(name, f"{name}@{options.quality}?weights={folder}"))
    what = "DEM" if task == "1" else "other date"
    for seed, folders in runs:
        adapted, before = (_ours(folders[stage], options.quality) for stage in ("adapter", "diffusion"))
        lines += [
            Line("AlignDiff", adapted, seed=seed),
            Line(f"AlignDiff, {what} withheld", adapted, True, seed),
            Line("AlignDiff without adapter", before, seed=seed),
        ]
        if "plain" in folders and task == "1":
            lines.append(
                Line("AlignDiff trained without DEM", _ours(folders["plain"], options.quality), True, seed)
            )
        harmonic = f"{adapted}&prior=harmonic"
        lines += [
            Line("AlignDiff over harmonic", harmonic, seed=seed),
            Line(f"AlignDiff over harmonic, {what} withheld", harmonic, True, seed),
        ]
    led = f"{_ours(runs[0][1]['adapter'], options.quality)}&guidance={GUIDANCE}"
    return [*lines, Line("AlignDiff, drawn to the surroundings' statistics", led)]


def _spectral(runs: Sequence[tuple[int, Stages]], options: argparse.Namespace, watch: Watch) -> list[Line]:
    """Blue, green, red and near infrared one by one and together, both without adapter."""
    folder = aligndiff_runs.together(options, runs[0][1]["autoencoder"], watch)
    return [
        Line("guided", "guided", waves=aligndiff_runs.VISIBLE),
        Line("one by one", _ours(runs[0][1]["diffusion"], options.quality), waves=aligndiff_runs.VISIBLE),
        Line("together", _ours(folder, options.quality), waves=aligndiff_runs.VISIBLE),
    ]


def _ours(folder: Path, quality: str) -> str:
    return f"aligndiff@{quality}?weights={folder}"


def _folder(line: Line) -> str:
    return line.method.partition("weights=")[2].partition("&")[0]


def _weights(line: Line) -> str:
    folder = _folder(line)
    files = sorted(Path(folder).glob("*.onnx")) if folder else []
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() if files else ""


def _measuring(
    line: Line, track: str, chosen: Sequence[cases.Case], root: Path, looks: Looks | None
) -> Callable[[], Numbers]:
    def sample(case: cases.Case) -> cases.Sample:
        made = cases.sample(case, track, root)
        return narrowed(made, line.waves) if line.waves else made

    return lambda: measured(filler(line), sample, chosen, looks)


def narrowed(sample: cases.Sample, waves: Sequence[float]) -> cases.Sample:
    """A sample of some bands alone, those nearest to `waves`."""
    bands = nearest(sample.tile.wavelengths, waves) or []
    references = tuple(replace(r, image=r.image[bands]) for r in sample.tile.references)
    tile = replace(
        sample.tile,
        image=sample.tile.image[bands],
        gaps=sample.tile.gaps[bands],
        references=references,
        wavelengths=tuple(sample.tile.wavelengths[band] for band in bands),
        about=replace(sample.tile.about, bands=tuple(sample.bands[band] for band in bands)),
    )
    names = tuple(sample.bands[band] for band in bands)
    return replace(sample, tile=tile, truth=sample.truth[bands], original=sample.original[bands], bands=names)


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
    aligndiff_report.pictures_of(samples, methods, out / "pictures.png")
