"""The accuracy check as one HTML file: figures and pictures, nothing to load."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..models.base import Floats
from .messages.units import WORDS, rows
from .request import figure

MOST = 480
"""Pixels of a picture's longer side."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem .5rem .5rem 0}
img{image-rendering:pixelated;width:14rem}figcaption,p.small{opacity:.75;font-size:13px}
@media (prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}}
"""


@dataclass(frozen=True)
class Sample:
    """Pictures of one tile: (1 or 3, h, w) truth, hidden samples, truth with the fill pasted in."""

    truth: Floats
    hidden: NDArray[np.bool_]
    filled: Floats


def write_report(path: Path, result: Mapping[str, Any], samples: Sequence[Sample]) -> None:
    """Write the report of `accuracy.accuracy`'s result."""
    table = "".join(
        f"<tr><td>{html.escape(str(name))}</td>"
        + "".join(f"<td>{_cell(figures[key], form, own)}</td>" for key, form in COLUMNS.values())
        + "</tr>"
        for name, figures, own in rows(result)
    )
    heads = "".join(f"<th>{head}</th>" for head in COLUMNS)
    pictures = "".join(_pictures(sample) for sample in samples)
    unfilled = result["unfilled_samples"]
    left = f" {unfilled} hidden samples could not be filled and are not in the table." if unfilled else ""
    target = html.escape(result["target"])
    notices = "".join(f"<p class=small>{html.escape(notice['message'])}</p>" for notice in result["notices"])
    said = (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Accuracy check: {target}</title>"
        f"<style>{STYLE}</style><h1>Accuracy check: {target}</h1>"
        f"<p>Method <b>{html.escape(result['model'])}</b>, quality {result['quality']}: "
        f"{html.escape(result['model_reason'])} Valid pixels were hidden under "
        f"{html.escape(result['hidden_under'])}, filled, and compared with what had been there.{left}</p>"
        f"<table><tr><th></th>{heads}</tr>{table}</table>"
        f"<p class=small>Errors are in {WORDS[result['unit']]} (NDVI: in NDVI). A good 90 % interval holds "
        "the truth in about 90 of 100 samples. Real gaps can be harder: a cloud's rim and shadow may be left "
        "unmasked. Purple in the pictures: the scene's own gaps, and in the first what was hidden "
        "besides.</p>"
        f"{_expected(result)}{notices}{pictures}</html>"
    )
    path.write_text(said, encoding="utf-8")


def _expected(result: Mapping[str, Any]) -> str:
    """What the check says of the real gaps."""
    if result["expected_after"] is None:
        return ""
    before, after = (figure(result[key], result["unit"]) for key in ("expected_before", "expected_after"))
    return (
        f"<p>Expected error in the scene's gaps: <b>{before}</b> before this check, "
        f"as the method states it; <b>{after}</b> after it, times what was found here "
        "over what was stated here.</p>"
    )


COLUMNS = {
    # What is shown and how: "" and "+" are errors, in their unit.
    "samples": ("samples", "d"),
    "RMSE": ("rmse", ""),
    "bias": ("bias", "+"),
    "mean absolute error": ("mae", ""),
    "expected error": ("expected_error", ""),
    "in 50 % interval": ("coverage_50", ".1%"),
    "in 90 % interval": ("coverage", ".1%"),
}


def _cell(value: float | None, form: str, unit: str) -> str:
    if value is None:
        return "–"
    return figure(value, unit, form) if form in ("", "+") else format(value, form)


def _pictures(sample: Sample) -> str:
    known = sample.truth[np.isfinite(sample.truth)]
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    span = max(float(high - low), 1e-6)
    error = np.abs(sample.filled - sample.truth).max(axis=0, keepdims=True)
    shown = {
        "hidden": (np.where(sample.hidden, np.nan, sample.truth) - low) / span,
        "filled": (sample.filled - low) / span,
        "truth": (sample.truth - low) / span,
        "error (white: a quarter of the contrast)": error / span * 4,
    }
    return "".join(
        f"<figure><img alt='{name}' src='data:image/png;base64,{_png(image)}'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name, image in shown.items()
    )


def _png(image: NDArray[np.floating[Any]]) -> str:
    """(1 or 3, h, w) in 0..1 as base64 PNG; NaN is magenta."""
    shown = np.repeat(image, 3, axis=0) if len(image) == 1 else image
    pixels = (np.clip(np.nan_to_num(shown), 0, 1) * 255).astype(np.uint8)
    pixels[:, np.isnan(shown).any(axis=0)] = np.array([[200], [0], [200]], np.uint8)
    picture: NDArray[Any] = np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))  # OpenCV: blue first
    scale = MOST / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
