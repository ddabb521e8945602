"""What an evaluation leaves behind: report.html (self-contained), rows.csv, summary.json."""

from __future__ import annotations

import base64
import csv
import datetime
import importlib.util
import json
import math
import os
import platform
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..protocol import finite
from ..raster.outputs import write_whole, written
from ..terminal import counted
from ..version import VERSION
from ..watch import Watch
from .metrics import LEVELS
from .pictures import case_pictures
from .run import Results
from .tables import (
    HEADS,
    KIND_TITLES,
    NOTE,
    REMARKS,
    TITLES,
    Line,
    Table,
    cell,
    cells,
    idle,
    missed,
    pooled,
    sentences,
    verdict,
)

COLUMNS = (
    "track", "kind", "case", "dataset", "place", "method", "group", "share", "psnr", "rmse", "mae", "bias",
    "sam", "ssim", "lpips", "seam", "sharp", "ndvi", "width90", "crps", "rank", "std_share", "unfilled",
    "seconds", "mpx", "note",
)  # fmt: skip
SHOWN = ("T1", "T4", "series", "S-DEM", "S", "R", "P")
"""Tracks with pictures, of their real clouds."""


def write(results: Results, made: Sequence[Table], out: Path, watch: Watch) -> Path:
    """Write all three files; figures are left out, with a notice, where matplotlib is missing."""
    _csv(results, out / "rows.csv")
    told = json.dumps(summary(results, made), indent=1, default=_plain)
    write_whole(out / "summary.json", told + "\n")
    drawn = importlib.util.find_spec("matplotlib") is not None
    if not drawn:
        watch.notice("evaluate.skipped", name="the report's figures", package="matplotlib")
    path = out / "report.html"
    watch.stage("report", len(made))
    write_whole(path, _html(results, made, drawn, watch))
    watch.finish()
    return path


def _csv(results: Results, path: Path) -> None:
    with written(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(f"hit{round(100 * level)}" for level in LEVELS), "bands", "band_rmse"])
        for row in results.rows:
            hits = row.get("hits", [""] * len(LEVELS))
            names = ";".join(name for name, _ in row.get("bands", ()))
            bands = ";".join(f"{value:.5f}" for value in row.get("band_rmse", ()))
            writer.writerow([*(row.get(name, "") for name in COLUMNS), *hits, names, bands])


def _plain(value: object) -> object:
    return value.__dict__ if hasattr(value, "__dict__") else str(value)


def summary(results: Results, made: Sequence[Table]) -> dict[str, Any]:
    """Tables and what they were measured with, as JSON values."""
    return {
        "version": VERSION,
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "split": results.recipe.split,
        "seed": results.recipe.seed,
        "cases": len({row["case"] for row in results.rows}),
        "settings": {method.name: dict(method.settings) for method in results.methods if method.settings},
        "quicker_and_better": verdict(made),
        "pooled": [one.__dict__ for one in pooled(made, results)],
        "tables": [finite(_table(table)) for table in made],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _table(table: Table) -> dict[str, Any]:
    head = {"track": table.track, "kind": table.kind, "cases": table.cases, "places": table.places}
    return {**head, "best_peer": table.best, "methods": [_line(line) for line in table.lines]}


def _line(line: Line) -> dict[str, Any]:
    return {
        "method": line.method, "group": line.group, "cases": line.cases, **line.numbers,
        "band_rmse": line.bands,
        "ranked": line.ranked,
        "coverage": {f"{level:g}": value for level, value in line.coverage.items()},
        "seconds_per_mpx": line.seconds, "megabytes_per_mpx": line.megabytes, "over": line.over,
        "least": line.least,
        "gains": [gain.__dict__ for gain in line.against],
    }  # fmt: skip


_STYLE = """body{font:14px system-ui,sans-serif;margin:2em auto;max-width:1180px;color:#222}
table{border-collapse:collapse;font-size:12px;margin:.5em 0}td,th{padding:2px 7px;text-align:right}
td:first-child,th:first-child{text-align:left}tr.ours{background:#e3f1ea}tr.best{background:#f3ead9}
tr.oracle{color:#888}thead{border-bottom:1px solid #999}figure{display:inline-block;margin:4px;font-size:11px}
figure img{width:150px;image-rendering:pixelated;display:block}
h2{margin-top:2em}h3{font-size:1em}svg{max-width:100%;height:auto}"""


def _html(results: Results, made: Sequence[Table], drawn: bool, watch: Watch) -> str:
    told = summary(results, ())
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Terramend evaluation</title>",
        f"<style>{_STYLE}</style><h1>Terramend evaluation, {escape(results.recipe.split)}</h1>",
        f"<p>Terramend {told['version']}, {told['made']}, {escape(told['machine']['processor'])}, "
        f"{counted(told['cases'], 'case')}. {escape(NOTE)}</p>",
    ]
    if verdict(made):
        parts.append(f"<p><b>{escape(verdict(made))}</b></p>")
    parts += [f"<p>{escape(line)}</p>" for line in (*sentences(pooled(made, results)), *idle(results))]
    ours = [method.name for method in results.methods if method.group == "ours"]
    names = [name for name, _ in HEADS]
    for table in made:
        watch.advance()
        title = f"{table.track}: {TITLES[table.track]}; {KIND_TITLES[table.kind]}"
        size = f"{counted(table.cases, 'case')}, {counted(table.places, 'place')}"
        parts.append(f"<h2>{title}</h2><p>{size}</p>")
        parts += [_rows(table, names, cells), _bands(table)]
        below = [REMARKS.get(table.track, ""), *missed(table)]
        parts += [f"<p>{escape(told)}</p>" for told in below if told]
        best = _best_of(table, ours)
        if drawn and best and table.best:
            parts += _figures(results, table, best)
        if best and table.best and table.kind in ("cloud", "own") and table.track in SHOWN:
            parts += _examples(results, table, best)
    if drawn:
        from . import plots

        stated = [line.method for table in made for line in table.lines if line.coverage]
        parts += ["<h2>Intervals</h2>", *(plots.reliability(made, name) for name in ours if name in stated)]
    return "\n".join([*parts, "</html>\n"])


def _best_of(table: Table, ours: Sequence[str]) -> str:
    return next((line.method for line in table.lines if line.method in ours), "")


def _rows(table: Table, heads: Sequence[str], texts: Callable[[Line], Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("method", *heads))
    body = "".join(_row(line, table, texts(line)) for line in table.lines)
    return f"<table><thead><tr>{head}</tr></thead>{body}</table>"


def _row(line: Line, table: Table, texts: Sequence[str]) -> str:
    kind = "best" if line.method == table.best else line.group
    return (
        f"<tr class='{kind}'>"
        + "".join(f"<td>{escape(text)}</td>" for text in (line.title, *texts))
        + "</tr>"
    )


def _bands(table: Table) -> str:
    names = list(dict.fromkeys(name for line in table.lines for name in line.bands))
    rows = _rows(table, names, lambda line: [cell(line.bands.get(name, math.nan), 4) for name in names])
    return f"<details><summary>RMSE of each band</summary>{rows}</details>" if len(names) > 1 else ""


def _figures(results: Results, table: Table, best: str) -> list[str]:
    from . import plots

    made = [plots.gains(results, table, best)]
    if any(math.isfinite(line.seconds) for line in table.lines):
        made.append(plots.pareto(table))
    peers = [line.method for line in table.lines if line.group in ("space", "time")][:4]
    if table.kind in ("random", "cloud"):
        made.append(plots.missing(results, table, [best, *peers]))
    return made


def _examples(results: Results, table: Table, best: str) -> list[str]:
    """The case of median gain and the one with the lowest, so that nobody sees only successes."""
    levels: dict[str, dict[str, float]] = {}
    for row in results.rows:
        if (row["track"], row["kind"]) == (table.track, table.kind) and "psnr" in row:
            levels.setdefault(row["case"], {})[row["method"]] = row["psnr"]
    gains = sorted(
        (found[best] - found[table.best], case)
        for case, found in levels.items()
        if best in found and table.best in found
    )
    cases = {case.name: case for case in results.recipe.cases}
    parts = []
    for word, (gain, name) in {"median": gains[len(gains) // 2], "lowest": gains[0]}.items():
        parts.append(f"<h3>{word} gain, {gain:+.2f} dB: {escape(name)}</h3>")
        for picture in case_pictures(cases[name], table.track, results.root, table.best, best):
            data = base64.b64encode(picture.png).decode()
            parts.append(
                f"<figure><img src='data:image/png;base64,{data}' alt=''>"
                f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
            )
    return parts
