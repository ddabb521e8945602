"""The report of the AlignDiff experiment: tables, findings, figure 7, pictures."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.bootstrap import by_place, interval
from ..evaluation.cases import Sample
from ..evaluation.membrane import membrane
from ..evaluation.pictures import Colour
from ..training import pictures
from .aligndiff_rows import HOLE, Numbers
from .report import image, page, table

SHOWN = ("harmonic", "guided", "copy", "AlignDiff", "AlignDiff without adapter")
"""Rows of the pictures."""
COLUMNS = ("psnr", "ssim", "rmse", "mae", "sam", "lpips", "full.psnr", "full.ssim")
DIGITS = {"psnr": 2, "sam": 2}
Rows = Mapping[str, list[Numbers]]


def write(told: Mapping[str, Rows], losses: Mapping[str, float], out: Path) -> None:
    """Write report.html, report.json, rows.csv and the figures; print tables and findings."""
    out.mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    stored: dict[str, Any] = {"autoencoder": dict(losses)}
    lines: list[Sequence[str]] = []
    for task, rows in told.items():
        kinds = list(dict.fromkeys(next(iter(rows.values()))[0]["kind"]))
        for kind in kinds:
            head, body = comparison(rows, kind)
            parts += [f"<h2>Task {task}, gaps: {kind}</h2>", _caption(rows, kind), table(head, body)]
            lines += [[f"task {task}, {kind}"], head, *body]
            stored[f"task{task}.{kind}"] = {"head": head, "rows": body}
        head, body = per_band(rows, kinds[0])
        parts += [
            f"<h2>Task {task}, {kinds[0]}, per band: without and with the adapter</h2>",
            table(head, body),
        ]
        lines += [[f"task {task}, per band"], head, *body]
        found = findings(rows)
        parts += [f"<p>{html.escape(text)}</p>" for text in found]
        lines += [[text] for text in found]
        stored[f"task{task}.findings"] = found
        shares(rows, out / f"shares{task}.png")
        parts.append(image(out / f"shares{task}.png", "single pixels: PSNR and RMSE over the share hidden"))
        picture = out / f"task{task}.png"
        if picture.exists():
            parts.append(image(picture, "rows: cases; columns: truth, gap, " + ", ".join(_shown(rows))))
    if losses:
        head, body = ["band", "RMSE"], [[name, f"{value:.4f}"] for name, value in losses.items()]
        parts += ["<h2>The autoencoder alone, in reflectance</h2>", table(head, body)]
        lines += [["autoencoder alone"], head, *body]
    page("AlignDiff on the pack", parts, out / "report.html")
    (out / "report.json").write_text(json.dumps(stored, indent=1), "utf-8")
    _csv(told, out / "rows.csv")
    for line in lines:
        print(" | ".join(str(cell) for cell in line))


def _shown(rows: Rows) -> list[str]:
    return [name for name in rows if name in SHOWN]


def _caption(rows: Rows, kind: str) -> str:
    numbers = next(iter(rows.values()))[0]
    places = [p for p, k in zip(numbers["place"], numbers["kind"], strict=True) if k == kind]
    return (
        f"<p>{len(places)} gaps at {len(set(places))} places. Hidden pixels alone (reflectance, range 1), "
        "except in columns called full. Means over bands, gaps and places; in brackets the 95 % interval "
        "over places; after +- the spread over seeds.</p>"
    )


def _of(numbers: Numbers, metric: str, kind: str) -> tuple[list[float], list[str]]:
    kept = [
        (value, place)
        for value, place, k in zip(numbers[metric], numbers["place"], numbers["kind"], strict=True)
        if k == kind and np.isfinite(value)
    ]
    return [value for value, _ in kept], [place for _, place in kept]


def _cell(seeds: Sequence[Numbers], metric: str, kind: str) -> str:
    if not _of(seeds[0], metric, kind)[0]:
        return ""
    means = [by_place(*_of(numbers, metric, kind)) for numbers in seeds]
    low, high = interval(*_of(seeds[0], metric, kind))
    digits = DIGITS.get(metric.rpartition(".")[2], 4)
    text = f"{np.mean(means):.{digits}f}"
    if np.isfinite(low):
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text + (f" +- {np.std(means, ddof=1):.{digits}f}" if len(means) > 1 else "")


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


def findings(rows: Rows) -> list[str]:
    """AlignDiff against its own ablations and against the classical rows, paired by gap."""
    if "AlignDiff" not in rows:
        return []
    others = [name for name in rows if name != "AlignDiff"]
    kinds = dict.fromkeys(rows["AlignDiff"][0]["kind"])
    return [gain(rows["AlignDiff"], rows[name], name, kind) for kind in kinds for name in others]


def gain(ours: Sequence[Numbers], theirs: Sequence[Numbers], other: str, kind: str) -> str:
    """One sentence: PSNR gained over another row, in pairs, over places and seeds."""
    pairs = [(a, theirs[min(index, len(theirs) - 1)]) for index, a in enumerate(ours)]
    values = np.mean(
        [np.subtract(_of(a, "psnr", kind)[0], _of(b, "psnr", kind)[0]) for a, b in pairs], axis=0
    )
    places = _of(ours[0], "psnr", kind)[1]
    low, high = interval(list(values), places)
    word = "better" if low > 0 else "worse" if high < 0 else "not to be told apart"
    return (
        f"{kind}: AlignDiff against {other}: {by_place(list(values), places):+.2f} dB "
        f"[{low:+.2f}, {high:+.2f}]: {word}."
    )


def shares(rows: Rows, path: Path) -> None:
    """Figure 7: PSNR and RMSE of single-pixel gaps over the share that is hidden."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, seeds in rows.items():
        numbers = seeds[0]
        kept = [i for i, kind in enumerate(numbers["kind"]) if kind == "random"]
        steps = sorted({round(numbers["share"][i], 1) for i in kept})
        for axis, metric in zip(axes, ("psnr", "rmse"), strict=True):
            means = [
                np.mean([numbers[metric][i] for i in kept if round(numbers["share"][i], 1) == s])
                for s in steps
            ]
            axis.plot(steps, means, marker="o", label=name)
            axis.set(xlabel="share of pixels hidden", ylabel=metric)
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


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
            shown = colour.stretched(each)[:, :size, :size]
            canvas[:, : shown.shape[1], : shown.shape[2]] = shown
            sheet.append(canvas)
    if sheet:
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.grid(np.stack(sheet), path, columns=2 + len(methods), scale=1)


def _csv(told: Mapping[str, Rows], path: Path) -> None:
    """Every number of every gap, one a line."""
    with path.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink)
        writer.writerow(["task", "method", "seed", "case", "place", "kind", "share", "number", "value"])
        for task, rows in told.items():
            for name, seeds in rows.items():
                for seed, numbers in enumerate(seeds):
                    about = zip(numbers["place"], numbers["kind"], numbers["share"], strict=True)
                    for case, (place, kind, share) in enumerate(about):
                        for key, values in numbers.items():
                            if key not in ("place", "kind", "share"):
                                line = [
                                    task,
                                    name,
                                    seed,
                                    case,
                                    place,
                                    kind,
                                    f"{share:.3f}",
                                    key,
                                    values[case],
                                ]
                                writer.writerow(line)
