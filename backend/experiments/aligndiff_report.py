"""The report of the AlignDiff experiment: tables, findings, figure 7, pictures."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.cases import Sample
from ..evaluation.membrane import membrane
from ..evaluation.pictures import Colour
from ..raster.outputs import write_whole, written
from ..training import pictures
from .aligndiff_rows import HOLE
from .report import SIGNS, Known, cell, image, known, page, paired, table
from .runs import Numbers

SHOWN = ("harmonic", "guided", "copy", "palette", "lama", "AlignDiff", "AlignDiff without adapter")
"""Rows of the pictures."""
COLUMNS = ("psnr", "ssim", "rmse", "mae", "sam", "lpips", "off", "full.psnr", "full.ssim")
DIGITS = {"psnr": 2, "sam": 2}
Rows = Mapping[str, list[Numbers]]


def write(task: str, rows: Rows, apart: Rows, losses: Mapping[str, float], out: Path) -> None:
    """Write report.html, report.json, rows.csv and the figures; print tables and findings.

    Args:
        apart: bands one by one and together, on the bands that both know; or nothing.
        losses: of the autoencoder alone, by band.
    """
    out.mkdir(parents=True, exist_ok=True)
    kinds = list(dict.fromkeys(next(iter(rows.values()))[0]["kind"]))
    tables = {f"gaps: {kind}": comparison(rows, kind) for kind in kinds}
    tables[f"{kinds[0]}, per band: without and with the adapter"] = per_band(rows, kinds[0])
    tables[f"{kinds[0]}, PSNR by place"] = per_place(rows, kinds[0])
    tables |= {f"{kind}, PSNR by the share hidden": per_share(rows, kind) for kind in kinds}
    if apart:
        tables[f"{kinds[0]}, four bands one by one and together"] = comparison(apart, kinds[0])
    tables["the autoencoder alone, in reflectance"] = (
        ["band", "RMSE"],
        [[name, f"{value:.4f}"] for name, value in losses.items()],
    )
    told = findings(rows)
    if {"together", "one by one"} <= set(apart):
        told.append(
            gain(apart["together"], apart["one by one"], "bands together", "one by one", kinds[0], "sam")
        )
    parts = [_caption(rows, kinds)]
    for title, (head, body) in tables.items():
        parts += [f"<h2>{html.escape(title)}</h2>", table(head, body)]
    parts += ["<h2>Findings</h2>", *(f"<p>{html.escape(text)}</p>" for text in told)]
    shares(rows, out / "shares.png")
    parts.append(image(out / "shares.png", "PSNR and RMSE over the share hidden, by kind of gap"))
    if (out / "pictures.png").exists():
        words = "rows: cases; columns: truth, gap, " + ", ".join(_shown(rows))
        parts.append(image(out / "pictures.png", words))
    page(f"AlignDiff on the pack, task {task}", parts, out / "report.html")
    stored = {title: {"head": head, "rows": body} for title, (head, body) in tables.items()}
    write_whole(out / "report.json", json.dumps({**stored, "findings": told}, indent=1))
    _csv(task, rows, out / "rows.csv")
    for title, (head, body) in tables.items():
        for line in [[title], head, *body]:
            print(" | ".join(str(cell) for cell in line))
    print("\n".join(told))


def _shown(rows: Rows) -> list[str]:
    return [name for name in rows if name in SHOWN]


def _caption(rows: Rows, kinds: Sequence[str]) -> str:
    numbers = next(iter(rows.values()))[0]
    counts = ", ".join(f"{numbers['kind'].count(kind)} of kind {kind}" for kind in kinds)
    return (
        f"<p>Gaps: {counts}, at {len(set(numbers['place']))} places. Hidden pixels alone (reflectance, range "
        "1), except in columns called full. Means over bands, gaps and places; in brackets the 95 % interval "
        "over places; after +- the spread over seeds. Rivals have one seed and saw as many samples as "
        "AlignDiff after its autoencoder. AlignDiff without adapter is the plain ControlNet.</p>"
    )


def _of(numbers: Numbers, metric: str, kind: str) -> Known:
    return known(numbers, metric, [k == kind for k in numbers["kind"]])


def _cell(seeds: Sequence[Numbers], metric: str, kind: str) -> str:
    digits = next((DIGITS[part] for part in metric.split(".") if part in DIGITS), 4)
    return cell([_of(numbers, metric, kind) for numbers in seeds], digits)


def comparison(rows: Rows, kind: str) -> tuple[list[str], list[list[str]]]:
    """The paper's tables 2 and 3: every method, every number."""
    columns = [c for c in COLUMNS if any(c in seeds[0] for seeds in rows.values())]
    body = [[name, *(_cell(seeds, metric, kind) for metric in columns)] for name, seeds in rows.items()]
    return ["method", *columns], body


def per_band(rows: Rows, kind: str) -> tuple[list[str], list[list[str]]]:
    """The paper's table 1: each band, and brightness, without and with the adapter."""
    pair = [name for name in ("AlignDiff without adapter", "AlignDiff") if name in rows]
    names = {key.partition(".")[2] for name in pair for key in rows[name][0] if key.startswith("psnr.")}
    body = []
    for band in [*sorted(names), ""]:
        cells = [
            _cell(rows[name], f"{metric}.{band}" if band else metric, kind)
            for name in pair
            for metric in HOLE
        ]
        body.append([band or "mean", *cells])
    for name in pair:
        made, truth = (_cell(rows[name], key, kind) for key in ("brightness", "brightness of the truth"))
        body.append([f"brightness, {name}", made, f"truth {truth}"])
    return ["band", *(f"{metric}, {name}" for name in pair for metric in HOLE)], body


def per_place(rows: Rows, kind: str) -> tuple[list[str], list[list[str]]]:
    """PSNR of every method (columns) at every place: where a DEM or another date helps."""
    first = next(iter(rows.values()))[0]
    places = dict.fromkeys(p for p, k in zip(first["place"], first["kind"], strict=True) if k == kind)
    body = []
    for place in places:
        cells = []
        for seeds in rows.values():
            means = []
            for numbers in seeds:
                values, at = _of(numbers, "psnr", kind)
                means.append(np.mean([v for v, p in zip(values, at, strict=True) if p == place]))
            more = f" +- {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
            cells.append(f"{np.mean(means):.2f}{more}")
        body.append([place, *cells])
    return ["place", *rows], body


def per_share(rows: Rows, kind: str) -> tuple[list[str], list[list[str]]]:
    """The paper's figure 7 in numbers: mean PSNR of every method by the share that is hidden, to a tenth."""
    steps = _shares(rows, kind)
    body = [
        [name, *(f"{np.mean([_at(one, 'psnr', kind, step) for one in seeds]):.2f}" for step in steps)]
        for name, seeds in rows.items()
    ]
    return ["method", *(f"{step:.0%}" for step in steps)], body


def _shares(rows: Rows, kind: str) -> list[float]:
    """Shares hidden in gaps of a kind, to a tenth."""
    first = next(iter(rows.values()))[0]
    pairs = zip(first["share"], first["kind"], strict=True)
    return sorted({round(share, 1) for share, k in pairs if k == kind})


def _at(numbers: Numbers, metric: str, kind: str, step: float) -> float:
    """Mean of a number over gaps of a kind that hide about a share."""
    found = zip(numbers[metric], numbers["kind"], numbers["share"], strict=True)
    return float(np.mean([value for value, k, share in found if k == kind and round(share, 1) == step]))


def findings(rows: Rows) -> list[str]:
    """AlignDiff against its own ablations and against every other row, paired by gap."""
    if "AlignDiff" not in rows:
        return []
    ours = rows["AlignDiff"]
    kinds = list(dict.fromkeys(ours[0]["kind"]))
    told = [
        gain(ours, rows[name], "AlignDiff", name, kind)
        for kind in kinds
        for name in rows
        if name != "AlignDiff"
    ]
    before = rows.get("AlignDiff without adapter")
    if before:
        told += [
            gain(ours, before, "AlignDiff", "without adapter", kinds[0], metric) for metric in ("rmse", "off")
        ]
    harmonic = [rows.get(name) for name in rows if name.startswith("AlignDiff over harmonic")]
    if len(harmonic) == 2 and harmonic[0] and harmonic[1]:
        told += [
            gain(harmonic[0], harmonic[1], "over harmonic, AlignDiff", "withheld", kind) for kind in kinds
        ]
    return told


UNITS = {
    "psnr": ("PSNR", "dB", 2),
    "rmse": ("RMSE", "in reflectance", 4),
    "sam": ("SAM", "degrees", 2),
    "off": ("brightness off by", "in reflectance", 4),
}
"""Word, unit and digits of what `gain` compares."""


def gain(
    ours: Sequence[Numbers], theirs: Sequence[Numbers], name: str, other: str, kind: str, metric: str = "psnr"
) -> str:
    """One sentence: a difference to another row, in pairs, over places and seeds."""
    what, (word, unit, digits), sign = f"{kind}: {name} against {other}", UNITS[metric], SIGNS[metric]
    found = paired(ours, theirs, metric, [k == kind for k in ours[0]["kind"]])
    if found is None:
        return f"{what}: {word} of no gap is known."
    above, below = ("better", "worse")[::sign]
    better = sum(sign * value > 0 for value in found.seeds)
    return (
        f"{what}: {word} {found.mean:+.{digits}f} {unit} {found.between(digits)}, better with {better} of "
        f"{len(found.seeds)} seeds: {found.verdict(above, below, 'not to be told apart')}."
    )


def shares(rows: Rows, path: Path) -> None:
    """Figure 7: PSNR and RMSE over the share that is hidden, one row of plots a kind of gap."""
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(next(iter(rows.values()))[0]["kind"]))
    figure = Figure((12, 4 * len(kinds)), layout="constrained")
    axes = figure.subplots(len(kinds), 2, squeeze=False)
    for line, kind in zip(axes, kinds, strict=True):
        steps = _shares(rows, kind)
        for axis, metric in zip(line, ("psnr", "rmse"), strict=True):
            for number, (name, seeds) in enumerate(rows.items()):
                values, style = [_at(seeds[0], metric, kind, s) for s in steps], "-" if number < 10 else "--"
                axis.plot(steps, values, style, color=f"C{number % 10}", marker="o", label=name)
            axis.set(xlabel=f"share of pixels hidden ({kind})", ylabel=metric)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    pictures.chart(figure, path)


def pictures_of(
    samples: Sequence[Sample], methods: Mapping[str, Callable[[Sample], Any]], path: Path
) -> None:
    """Truth, gap and methods (columns) of a few cases (rows), in colours stretched as the truth is."""
    size = 192
    sheet = []
    for sample in samples:
        colour = Colour(sample)
        gap = np.where(sample.tile.gaps, np.float32(np.nan), sample.tile.image)
        images = [sample.truth, gap]
        for fill in methods.values():
            picture = np.where(sample.tile.gaps, fill(sample)[0], sample.tile.image)
            images.append(membrane(picture, np.asarray(~np.isfinite(picture).all(0))))
        for each in images:
            canvas = np.ones((3, size, size), np.float32)
            shown = colour(each)[:, :size, :size]
            canvas[:, : shown.shape[1], : shown.shape[2]] = shown
            sheet.append(canvas)
    if sheet:
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.grid(np.stack(sheet), path, columns=2 + len(methods), scale=1)


def _csv(task: str, rows: Rows, path: Path) -> None:
    """Every number of every gap, one a line."""
    with written(path) as part, part.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink)
        writer.writerow(["task", "method", "seed", "case", "place", "kind", "share", "number", "value"])
        for name, seeds in rows.items():
            for seed, numbers in enumerate(seeds):
                about = zip(numbers["place"], numbers["kind"], numbers["share"], strict=True)
                for case, (place, kind, share) in enumerate(about):
                    for key, values in numbers.items():
                        if key in ("place", "kind", "share"):
                            continue
                        value = values[case]
                        writer.writerow([task, name, seed, case, place, kind, f"{share:.3f}", key, value])
