"""The page of an experiment's report, one HTML file with its tables and pictures; and the tables' cells."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.bootstrap import by_place, interval
from ..raster.outputs import write_whole

if TYPE_CHECKING:
    from .runs import Numbers  # the module needs torch

SIGNS = {"psnr": 1, "ssim": 1, "mae": -1, "rmse": -1, "sam": -1, "lpips": -1, "off": -1}
"""Whether more of a number is better."""
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


def known(numbers: Numbers, metric: str, keep: Sequence[bool] | None = None) -> Known:
    """The finite values of a metric, of the cases to `keep` (None: of all)."""
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


@dataclass(frozen=True)
class Gain:
    """What one row has over another, case by case: means over places.

    Attributes:
        mean: over seeds. low, high: its 95 % interval, NaN at one place. seeds: of each seed.
        places: how many there are.
    """

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]
    places: int

    def between(self, digits: int) -> str:
        """The interval and its places in a sentence; one place has none."""
        if self.places == 1:
            return "at one place"
        return f"[{self.low:+.{digits}f}, {self.high:+.{digits}f}] over {self.places} places"

    def verdict(self, above: str, below: str, neither: str = "no difference can be told") -> str:
        """The word for an interval that lies above zero, below it, or on both sides."""
        return above if self.low > 0 else below if self.high < 0 else neither


def paired(
    ours: Sequence[Numbers],
    theirs: Sequence[Numbers],
    metric: str,
    keep: Sequence[bool] | None = None,
    sign: int = 1,
) -> Gain | None:
    """`sign` times ours minus theirs, of the cases to `keep` (None: of all) that every seed of both knows.

    A row of one seed stands against every seed of the other. None where no case is left.
    """
    others = [*theirs] * len(ours) if len(theirs) == 1 else theirs
    each = [sign * np.subtract(a[metric], b[metric]) for a, b in zip(ours, others, strict=True)]
    kept = True if keep is None else np.asarray(keep, bool)
    used = np.asarray(np.isfinite(each).all(0) & kept, bool)
    if not used.any():
        return None
    places = [place for place, here in zip(ours[0]["place"], used, strict=True) if here]
    mean = list(np.mean(each, axis=0)[used])
    seeds = tuple(by_place(list(one[used]), places) for one in each)
    return Gain(by_place(mean, places), *interval(mean, places), seeds, len(set(places)))
