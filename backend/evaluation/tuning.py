"""Choosing each peer's settings on train, so that nobody loses for want of tuning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ..raster.outputs import write_whole
from ..watch import Watch
from .cases import Case, Recipe
from .methods import PEERS, spelled
from .run import run_evaluate
from .tables import Table, tables

TRACKS = {"space": ("S",), "time": ("T1", "T4", "series")}
"""Tracks in which a group of peers is tuned, on real cloud shapes, each track with the same weight."""


MOST = 24
"""Places that take part a track: more would not change the choice."""


def tune(recipe: Recipe, root: Path, out: Path, jobs: int, watch: Watch) -> dict[str, dict[str, object]]:
    """The setting of each peer's grid with the highest PSNR on one cloud case a place.

    Returns:
        name -> `settings` and `psnr`, what every setting reached (mean over tracks, dB).
    """
    chosen: dict[str, dict[str, object]] = {}
    for group, tracks in TRACKS.items():
        peers = [method for method in PEERS if method.group == group and method.grid]
        names = [spelled(method.name, settings) for method in peers for settings in method.grid]
        few = replace(recipe, cases=_few(recipe, tracks))
        results = run_evaluate(few, root, out, tracks=tracks, methods=names, jobs=jobs, watch=watch)
        made = tables(results)
        for method in peers:
            reached = {
                spelled(method.name, settings): _level(made, spelled(method.name, settings))
                for settings in method.grid
            }
            best = max(method.grid, key=lambda settings: reached[spelled(method.name, settings)])
            chosen[method.name] = {"settings": dict(best), "psnr": reached}
    return chosen


def _few(recipe: Recipe, tracks: tuple[str, ...]) -> tuple[Case, ...]:
    """The first cloud case of at most `MOST` places of each track, evenly taken."""
    kept: dict[str, Case] = {}
    for track in tracks:
        first: dict[tuple[str, str], Case] = {}
        for case in recipe.cases:
            if case.gap.kind == "cloud" and track in case.tracks:
                first.setdefault((case.dataset, case.place), case)
        found = list(first.values())
        step = max(len(found) / MOST, 1)
        for index in range(min(len(found), MOST)):
            case = found[int(index * step)]
            kept[case.name] = case
    return tuple(kept.values())


def _level(made: list[Table], name: str) -> float:
    found = [line.numbers["psnr"] for table in made for line in table.lines if line.method == name]
    return round(sum(found) / len(found), 3) if found else float("-inf")


def save(chosen: dict[str, dict[str, object]], path: Path) -> None:
    """Write `tuned.json`."""
    write_whole(path, json.dumps(chosen, indent=1) + "\n")
