"""The page of an experiment's report, one HTML file with its tables and pictures; and the tables' cells."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.bootstrap import by_place, interval
from ..raster.outputs import write_whole

Known = tuple[list[float], list[str]]
"""Values, all finite, and the place of each."""

STYLE = """
body { font: 16px sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
td, th { padding: .2rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
"""


def page(title: str, parts: Sequence[str], path: Path) -> None:
    """Write a self-contained page."""
    body = "\n".join(parts)
    name = html.escape(title)
    head = f"<!doctype html><meta charset=utf-8><title>{name}</title><style>{STYLE}</style>"
    write_whole(path, f"{head}<h1>{name}</h1>{body}")


def image(path: Path, caption: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    words = html.escape(caption)
    shown = f"<img src='data:image/png;base64,{data}' alt='{words}'>"
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of text."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(str(c))}</th>" for c in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def known(numbers: Mapping[str, Sequence[Any]], metric: str, keep: Sequence[bool] | None = None) -> Known:
    """The finite values of a metric among `runs.Numbers`, of the cases to `keep` (None: of all)."""
    values, places = numbers[metric], numbers["place"]
    kept = [True] * len(values) if keep is None else keep
    pairs = [(v, p) for v, p, here in zip(values, places, kept, strict=True) if here and np.isfinite(v)]
    return [value for value, _ in pairs], [place for _, place in pairs]


def cell(seeds: Sequence[Known], digits: int) -> str:
    """`mean [low, high] +- spread`: over places, the 95 % interval of the first seed, the spread over seeds.

    One place has no interval, one seed no spread. Empty where the first seed has no value.
    """
    if not seeds or not seeds[0][0]:
        return ""
    means, (low, high) = [by_place(*values) for values in seeds], interval(*seeds[0])
    text = f"{np.mean(means):.{digits}f}"
    if np.isfinite(low):
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text + (f" +- {np.std(means, ddof=1):.{digits}f}" if len(means) > 1 else "")


def between(low: float, high: float, digits: int) -> str:
    """The interval of a gain in a sentence; of one place there is none."""
    return f"[{low:+.{digits}f}, {high:+.{digits}f}]" if np.isfinite(low) else "at one place"
