"""Choosing each peer's settings on train, so that nobody loses for want of tuning."""

from __future__ import annotations

import json
from pathlib import Path

from ..watch import Watch
from .cases import Recipe
from .methods import PEERS, spelled
from .run import run_evaluate
from .tables import Table, tables

TRACKS = {"space": ("S",), "time": ("T1", "T4", "series")}
"""Tracks in which a group of peers is tuned, on real cloud shapes, each track with the same weight."""


def tune(recipe: Recipe, root: Path, out: Path, jobs: int, watch: Watch) -> dict[str, dict[str, object]]:
    """The setting of each peer's grid with the highest PSNR on one cloud case of every place.

    Returns:
        name -> `settings` and `psnr`, what every setting reached (mean over tracks, dB).
    """
    chosen: dict[str, dict[str, object]] = {}
    for group, tracks in TRACKS.items():
        peers = [method for method in PEERS if method.group == group and method.grid]
        names = [spelled(method.name, settings) for method in peers for settings in method.grid]
        results = run_evaluate(
            recipe, root, out, tracks=tracks, methods=names, jobs=jobs, quick=True, watch=watch
        )
        made = tables(results)
        for method in peers:
            reached = {
                spelled(method.name, settings): _level(made, spelled(method.name, settings))
                for settings in method.grid
            }
            best = max(method.grid, key=lambda settings: reached[spelled(method.name, settings)])
            chosen[method.name] = {"settings": dict(best), "psnr": reached}
    return chosen


def _level(made: list[Table], name: str) -> float:
    found = [line.numbers["psnr"] for table in made for line in table.lines if line.method == name]
    return round(sum(found) / len(found), 3) if found else float("-inf")


def save(chosen: dict[str, dict[str, object]], path: Path) -> None:
    """Write `tuned.json`."""
    path.write_text(json.dumps(chosen, indent=1) + "\n")
