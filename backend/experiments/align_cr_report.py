"""The report of the Align-CR experiment: the paper's tables 2 and 3 and figures 5 and 6, on other data."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import landcover
from ..evaluation.bootstrap import by_place, interval
from ..raster.outputs import write_whole
from ..training import pictures
from .align_cr_speed import REPORTED, STAND_IN, Speed
from .cost import SIDE as COST_SIDE
from .radar_cases import LEVELS, SIDE, Case
from .radar_rows import METRICS, PROTOCOLS, Method
from .report import Gain, cell, image, known, page, paired, table
from .runs import Numbers

DIGITS = {"psnr": 2, "mae": 4, "sam": 2, "ssim": 4}
OURS, BLIND, STIFF = "Align-CR", "Align-CR without radar", "Align-CR without alignment"
LONGER, WITHHELD, TURNED = "Align-CR, {steps} steps", ", radar withheld", ", radar turned over"
LAND = ("guided with radar", "guided")
Rows = Mapping[str, list[Numbers]]


def write(rows: Rows, truth: Numbers, speeds: Sequence[Speed], seen: str, out: Path) -> None:
    """Write report.html, report.json and the figures, and print tables and findings.

    Args:
        seen: a sentence on how many samples the rows were trained on.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    told: dict[str, Any] = {}

    def add(title: str, head: list[str], body: list[list[str]], note: str = "") -> None:
        told[title] = {"head": head, "rows": body}
        parts.extend([f"<h2>{html.escape(title)}</h2>", f"<p>{html.escape(note)}</p>", table(head, body)])
        for line in [[title], head, *body]:
            print(" | ".join(line))

    if rows:
        parts.append(f"<p>{html.escape(_caption(rows, seen))}</p>")
        for made, word in ((False, "real cloud"), (True, "made cloud")):
            for protocol in PROTOCOLS:
                head, body = _quality(rows, protocol, made)
                add(f"Table 2, {protocol}, {word}", head, body)
        add("Table 2, by land cover", *_by_class(rows), "Scenes with a map: Planet-CR's, full image.")
        add("Table 3", *_semantic(rows, truth), "Land cover found in the result, made and real cloud.")
        for protocol in PROTOCOLS:
            for metric in METRICS:
                add(f"Figure 5, {protocol}, {metric}", *_by_level(rows, f"{protocol}.{metric}"))
        add("Figure 6", *_lost(rows, truth), "Points of pixel accuracy lost against the clear image.")
        findings = _findings(rows)
        told["findings"] = findings
        parts += ["<h2>Findings</h2>", *(f"<p>{html.escape(line)}</p>" for line in findings)]
        print("\n".join(findings))
        figures(rows, truth, out)
        for protocol in PROTOCOLS:
            parts.append(
                image(out / f"figure5-{protocol}.png", f"figure 5: by level of made cloud, {protocol}")
            )
        parts.append(image(out / "figure6.png", "figure 6: pixel accuracy lost against the clear image"))
        if (out / "pictures.png").exists():
            parts.append(image(out / "pictures.png", "rows: real cases; columns: cloudy, each method, clear"))
    if speeds:
        add(f"Cost of one {COST_SIDE} x {COST_SIDE} image", *_costs(speeds))
    page("Align-CR, its parts and its rivals", parts, out / "report.html")
    told["speed"] = [asdict(found) for found in speeds]
    write_whole(out / "report.json", json.dumps(told, indent=1))


def _caption(rows: Rows, seen: str) -> str:
    first = next(iter(rows.values()))[0]
    places, made = len(set(first["place"])), sum(first["made"])
    return (
        f"{len(first['place'])} cases of {places} scenes, {made} of them under made cloud; centres of {SIDE} "
        f"pixels. {seen} Reflectance, range 1. Means over scenes; in "
        "brackets the 95 % interval over scenes; after +- the spread over seeds. Full: every pixel, no mask "
        "given. Hole: cloud is a known gap, hidden pixels alone."
    )


def _cell(seeds: Sequence[Numbers], metric: str, keep: Sequence[bool]) -> str:
    return cell([known(numbers, metric, keep) for numbers in seeds], DIGITS[metric.split(".")[1]]) or "-"


def _quality(rows: Rows, protocol: str, made: bool) -> tuple[list[str], list[list[str]]]:
    keep = [value == made for value in next(iter(rows.values()))[0]["made"]]
    body = [[name, *(_cell(seeds, f"{protocol}.{m}", keep) for m in METRICS)] for name, seeds in rows.items()]
    return ["method", *METRICS], body


def _by_class(rows: Rows) -> tuple[list[str], list[list[str]]]:
    keep = [True] * len(next(iter(rows.values()))[0]["place"])
    columns = [f"{metric}.{name}" for metric in ("mae", "sam") for name in landcover.NAMES]
    body = [
        [title, *(_cell(seeds, f"full.{column}", keep) for column in columns)]
        for title, seeds in rows.items()
    ]
    return ["method", *columns], body


def _pooled(seeds: Sequence[Numbers], level: int | None) -> tuple[float, float]:
    """Mean intersection over union and pixel accuracy of all cases of a level, mean over seeds."""
    count = len(landcover.RULED)
    found = []
    for numbers in seeds:
        matrices = [
            np.reshape(matrix, (count, count))
            for matrix, here in zip(numbers["confusion"], numbers["level"], strict=True)
            if level is None or here == level
        ]
        found.append(landcover.accuracy(np.sum(matrices, axis=0)) if matrices else (np.nan, np.nan))
    mean = np.mean(found, axis=0)
    return float(mean[0]), float(mean[1])


def _semantic(rows: Rows, truth: Numbers) -> tuple[list[str], list[list[str]]]:
    levels = [*range(len(LEVELS)), None]
    titles = [*LEVELS, "all"]
    body = []
    for name, seeds in {"cloud-free": [truth], **rows}.items():
        pairs = [_pooled(seeds, level) for level in levels]
        body.append([name, *(f"{100 * value:.1f}" for pair in pairs for value in pair)])
    return ["method", *(f"{title} {word}" for title in titles for word in ("mIoU", "PA"))], body


def _by_level(rows: Rows, column: str) -> tuple[list[str], list[list[str]]]:
    """Of a number by level of made cloud."""
    made = _made_levels(rows)
    body = [
        [name, *(_cell(seeds, column, [m and at == level for m, at in made]) for level in range(len(LEVELS)))]
        for name, seeds in rows.items()
    ]
    return ["method", *LEVELS], body


def _lost(rows: Rows, truth: Numbers) -> tuple[list[str], list[list[str]]]:
    """Points of pixel accuracy between the clear image and a result, by level of all cloud."""
    best = [_pooled([truth], level)[1] for level in range(len(LEVELS))]
    body = [
        [name, *(f"{100 * (best[level] - _pooled(seeds, level)[1]):.1f}" for level in range(len(LEVELS)))]
        for name, seeds in rows.items()
    ]
    return ["method", *LEVELS], body


def _findings(rows: Rows) -> list[str]:
    """Whether radar and alignment help, paired by case, over seeds and scenes."""
    less = (WITHHELD, TURNED)
    longer = [(name.removesuffix(end), name) for end in less for name in rows if name.endswith(end)]
    lines = []
    for ours, theirs in ((OURS, BLIND), *longer, LAND):
        if not {ours, theirs} <= rows.keys():
            continue
        for protocol in PROTOCOLS:
            column = f"{protocol}.psnr"
            for level, title in enumerate(LEVELS):
                keep = [m and at == level for m, at in _made_levels(rows)]
                what = f"radar, {ours} over {theirs}, {title} made cloud, {protocol}"
                lines.append(gain(rows[ours], rows[theirs], what, column, keep))
            lines.append(rise(rows[ours], rows[theirs], f"radar, {ours} over {theirs}, {protocol}", column))
    if {OURS, STIFF} <= rows.keys():
        for fine, title in ((True, "PlanetScope, 3 m"), (False, "Sentinel-2, 10 m")):
            keep = [value == fine for value in rows[OURS][0]["fine"]]
            for protocol in PROTOCOLS:
                what = f"alignment, {title}, {protocol}"
                lines.append(gain(rows[OURS], rows[STIFF], what, f"{protocol}.psnr", keep))
    return lines


def _made_levels(rows: Rows) -> list[tuple[bool, int]]:
    first = next(iter(rows.values()))[0]
    return list(zip(first["made"], first["level"], strict=True))


def rise(ours: Sequence[Numbers], theirs: Sequence[Numbers], what: str, metric: str) -> str:
    """A sentence on whether a gain grows with made cloud: its slope over levels, scene by scene."""
    apart = np.mean([np.subtract(a[metric], b[metric]) for a, b in zip(ours, theirs, strict=True)], axis=0)
    places, levels = np.asarray(ours[0]["place"]), np.asarray(ours[0]["level"])
    used = np.isfinite(apart) & np.asarray(ours[0]["made"])
    slopes = [
        float(np.polyfit(levels[here], apart[here], 1)[0])
        for here in ((places == place) & used for place in dict.fromkeys(places))
        if len(set(levels[here])) > 1
    ]
    if not slopes:
        return f"{what}: one level of cloud."
    between = interval(slopes, [str(number) for number in range(len(slopes))])
    found = Gain(float(np.mean(slopes)), *between, (), len(slopes))
    return (
        f"{what}, for each further fifth of cloud: {found.mean:+.2f} dB {found.between(2)}: "
        f"{found.verdict('grows with cloud', 'falls with cloud', 'no trend can be told')}."
    )


def gain(
    ours: Sequence[Numbers], theirs: Sequence[Numbers], what: str, metric: str, keep: Sequence[bool]
) -> str:
    """A sentence on the gain of one row over another, in dB."""
    found = paired(ours, theirs, metric, keep)
    if found is None:
        return f"{what}: no case."
    better = sum(value > 0 for value in found.seeds)
    return (
        f"{what}: {found.mean:+.2f} dB {found.between(2)}, positive with {better} of {len(found.seeds)} "
        f"seeds: {found.verdict('it helps', 'it harms')}."
    )


def figures(rows: Rows, truth: Numbers, out: Path) -> None:
    """Figure 5: quality by level of made cloud, each protocol. Figure 6: what is lost of pixel accuracy."""
    from matplotlib.figure import Figure

    for protocol in PROTOCOLS:
        figure = Figure((10, 7), layout="constrained")
        axes = figure.subplots(2, 2)
        for axis, metric in zip(axes.flat, METRICS, strict=True):
            for name, seeds in rows.items():
                values = []
                for level in range(len(LEVELS)):
                    keep = [m and at == level for m, at in _made_levels(rows)]
                    found = [known(numbers, f"{protocol}.{metric}", keep) for numbers in seeds]
                    values.append(np.mean([by_place(*f) for f in found]) if found[0][0] else np.nan)
                axis.plot(LEVELS, values, marker=".", label=name)
            axis.set(title=metric)
        axes.flat[0].legend(fontsize=6)
        pictures.chart(figure, out / f"figure5-{protocol}.png")
    figure = Figure((8, 4), layout="constrained")
    axis = figure.add_subplot()
    for name, *lost in _lost(rows, truth)[1]:
        axis.plot(LEVELS, [float(value) for value in lost], marker=".", label=name)
    axis.set(ylabel="points of pixel accuracy")
    axis.legend(fontsize=6)
    pictures.chart(figure, out / "figure6.png")


def picture(chosen: Sequence[Case], methods: Sequence[Method], path: Path) -> None:
    """True colours of some cases and of what methods make of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        np.nan_to_num(made[2::-1])
        for case in chosen
        for made in (case.cloudy, *(method.make(case, "full") for method in methods), case.clear)
    ]
    if rows:
        pictures.grid(np.clip(3 * np.stack(rows), 0, 1), path, columns=len(methods) + 2, scale=1)


def _costs(speeds: Sequence[Speed]) -> tuple[list[str], list[list[str]]]:
    """Ratios to the stand-in are of processor time, which other work on the machine does not stretch."""
    stand_in = next((s.processor for s in speeds if s.name == STAND_IN), None)
    body = []
    for found in speeds:
        reported = REPORTED.get(found.name)
        ratio = f"{found.processor / stand_in:.2f}" if stand_in else "-"
        theirs = f"{reported / REPORTED[STAND_IN]:.2f}" if reported else "-"
        numbers = [
            "-" if v is None else f"{v:.{d}f}"
            for v, d in ((found.parameters, 2), (found.gmac, 1), (found.differs, 5))
        ]
        body.append([found.name, f"{found.seconds:.2f}", f"{found.processor:.2f}", *numbers, ratio, theirs])
    head = ["network", "s", "processor s", "M parameters", "GMAC", "differs"]
    return [*head, f"over {STAND_IN}", "the same, reported"], body
