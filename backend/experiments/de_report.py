"""The report of the Diffusion Enhancement experiment: tables, findings, pictures."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..raster.outputs import write_whole
from ..training import pictures
from ..training.pairs import Pair
from .cost import SIDE, THREADS, Cost
from .de_rows import REFERENCE, Method
from .report import SIGNS, cell, image, known, page, paired, table
from .runs import Numbers

PAPER = {
    "DE, noise predictor (paper)": (174, 3.5),
    "DE, one step (paper)": (259, 5.1),
    "msda-cr (paper)": (50, 1.2),
    "mprnet (paper)": (141, 3.0),
    "cvae (paper)": (37, 0.71),
    "spa-gan (paper)": (17, 0.98),
    "amgan-cr (paper)": (49, 0.79),
}
"""GMAC and seconds of the released networks, measured before on two quiet cores (one 256 x 256 image)."""


_MEASURED = (
    f"<p>Median of three passes; torch with {THREADS} threads, as served with one. Processor seconds are "
    "those of all threads; other work on the machine lengthens seconds, not them.</p>"
)


def write(
    rows: Mapping[str, list[Numbers]],
    gaps: Mapping[str, list[Numbers]],
    costs: Mapping[str, Cost],
    out: Path,
    budget: str = "",
) -> None:
    """Write report.html and report.json, and print tables and findings; `budget` says what was trained."""
    out.mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    told: dict[str, Any] = {}
    if rows:
        head, body, findings = _pairs(rows)
        told["pairs"] = {"head": head, "rows": body, "findings": findings}
        told["budget"] = {"words": budget}
        parts += ["<h2>Real cloudy and clear pairs</h2>", _caption(rows), f"<p>{html.escape(budget)}</p>"]
        parts.append(table(head, body))
        parts += [f"<p>{html.escape(line)}</p>" for line in findings]
        picture = out / "pairs.png"
        if picture.exists():
            parts.append(image(picture, "rows: pairs; columns: cloudy, each method, clear"))
    if gaps:
        head, body, findings = _gaps(gaps)
        told["gaps"] = {"head": head, "rows": body, "findings": findings}
        parts += ["<h2>Gaps over a guided prior</h2>", _tracks(gaps), table(head, body)]
        parts += [f"<p>{html.escape(line)}</p>" for line in findings]
    if costs:
        head, body = _costs(costs)
        told["speed"] = {name: asdict(found) for name, found in costs.items()}
        parts += [f"<h2>Cost of one {SIDE} x {SIDE} image</h2>", _MEASURED, table(head, body)]
        told["speed_table"] = {"head": head, "rows": body}
    page("Diffusion Enhancement and its reference", parts, out / "report.html")
    write_whole(out / "report.json", json.dumps(told, indent=1))
    for part in told.values():
        if "head" in part:
            for line in [part["head"], *part["rows"], *([text] for text in part.get("findings", ()))]:
                print(" | ".join(str(cell) for cell in line))


def _caption(rows: Mapping[str, list[Numbers]]) -> str:
    pairs = len(next(iter(rows.values()))[0]["place"])
    places = len(set(next(iter(rows.values()))[0]["place"]))
    return (
        f"<p>{pairs} pairs of {places} places. Values 0..1 as networks see them; hole: clouded pixels. "
        "Means over places; in brackets the 95 % interval over places; after +- the spread over seeds.</p>"
    )


def _cell(seeds: Sequence[Numbers], metric: str) -> str:
    told = [known(numbers, metric) for numbers in seeds if metric in numbers]
    return cell(told, 2 if metric.endswith("psnr") else 4)


def _pairs(rows: Mapping[str, list[Numbers]]) -> tuple[list[str], list[list[str]], list[str]]:
    metrics = list(dict.fromkeys(n for seeds in rows.values() for n in seeds[0] if n != "place"))
    body = [[name, *(_cell(seeds, metric) for metric in metrics)] for name, seeds in rows.items()]
    findings = []
    for other in (name for name in rows if name == "fixed W = .5" or name.endswith(REFERENCE)):
        for metric in (m for m in metrics if m in rows["DE"][0] and m in rows[other][0]):
            findings.append(finding(rows["DE"], rows[other], other, metric))
    return ["method", *metrics], body, findings


def finding(ours: Sequence[Numbers], theirs: Sequence[Numbers], other: str, metric: str) -> str:
    """DE's gain over another row, paired by image, over seeds and places."""
    what = f"{metric}, DE against {other}"
    found = paired(ours, theirs, metric, sign=SIGNS[metric.rpartition(".")[2]])
    if found is None:
        return f"{what}: no case."
    better = sum(value > 0 for value in found.seeds)
    return (
        f"{what}: gain {found.mean:+.4f} {found.between(4)}, positive with {better} of {len(found.seeds)} "
        f"seeds: {found.verdict('DE is better', 'DE is worse')}."
    )


def _tracks(gaps: Mapping[str, list[Numbers]]) -> str:
    seen = next(iter(gaps.values()))[0]["track"]
    counts = ", ".join(f"{track}: {seen.count(track)}" for track in dict.fromkeys(seen))
    return (
        f"<p>Cloud-shaped gaps of val ({counts}). S: no other date; T1: one; T4: four. Reflectance, in the "
        "gaps; intervals and spreads as above; findings pair the cases of all seeds.</p>"
    )


def _of_track(seeds: Sequence[Numbers], track: str) -> list[Numbers]:
    here = [index for index, t in enumerate(seeds[0]["track"]) if t == track]
    return [{name: [values[i] for i in here] for name, values in numbers.items()} for numbers in seeds]


def _gaps(gaps: Mapping[str, list[Numbers]]) -> tuple[list[str], list[list[str]], list[str]]:
    tracks, metrics = list(dict.fromkeys(next(iter(gaps.values()))[0]["track"])), ("psnr", "ssim")
    columns = [(track, metric) for track in tracks for metric in metrics]
    body = [
        [name, *(_cell(_of_track(seeds, track), metric) for track, metric in columns)]
        for name, seeds in gaps.items()
    ]
    findings = []
    for other in (name for name in gaps if name == "fixed W = .5" or name.endswith(REFERENCE)):
        for track, metric in columns:
            pair = _of_track(gaps["DE"], track), _of_track(gaps[other], track)
            findings.append(f"{track}: {finding(*pair, other, metric)}")
    return ["method", *(f"{track} {metric}" for track, metric in columns)], body, findings


def _costs(costs: Mapping[str, Cost]) -> tuple[list[str], list[list[str]]]:
    body = []
    for name, found in costs.items():
        gmac, seconds = PAPER.get(name, (None, None))
        ratio = (
            [f"{found.gmac / gmac:.2f}", f"{found.seconds / seconds:.2f}"] if gmac and seconds else ["", ""]
        )
        times = [f"{found.processor:.2f}", f"{found.seconds:.2f}"]
        body.append([name, f"{found.parameters:.2f}", f"{found.gmac:.1f}", *times, *ratio])
    head = ["network", "M parameters", "GMAC", "processor seconds", "seconds"]
    return [*head, "GMAC / released", "seconds / released"], body


def pairs(shown: Sequence[Pair], methods: Sequence[Method], path: Path) -> None:
    """A sheet of pairs (rows) and cloudy, methods, clear (columns); only for three bands or more."""
    rows = []
    for pair in shown:
        rows += [pair.cloudy, *(method.make(pair) for method in methods), pair.clear]
    if rows and len(rows[0]) >= 3 and len({row.shape for row in rows}) == 1:
        sheet = np.clip((np.stack([row[:3] for row in rows]) + 1) / 2, 0, 1).astype(np.float32)
        pictures.grid(sheet, path, columns=len(methods) + 2, scale=1)
