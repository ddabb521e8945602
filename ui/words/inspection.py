"""What the backend found out, in the dock's words."""

from __future__ import annotations

import html
import re
from typing import Any, Mapping, Optional

from ...backend.request import figure, metres
from ..tr import tr
from .messages import duration, reason_sentence


def estimate(found: Mapping[str, Any], told: Optional[Mapping[str, Any]] = None) -> str:
    """The line above the buttons, as HTML: how much would be filled, and how well.

    Args:
        found: result of the backend's `inspect`.
        told: result of the backend's `expect`, once it is known.
    """
    if not found["gap_fraction"]:
        text = tr("No gaps were found: nothing would be filled.")
        return text if found["masks"] else text + " " + tr("Choose a mask of the clouds, or polygons.")
    nothing = not (found["references"] or found["dem"] or found["sar"])
    if found["gap_fraction"] == 1 and nothing and found["model"] in ("guided", "majority"):
        return tr("<b>Every pixel is a gap</b>, so nothing can be filled: choose other dates of this place.")
    share = percent({**found, **(told or {})}["gap_fraction"])  # what masks missed is found by the latter
    if told and told["expected_error"] is not None:
        text = tr("<b>{share} of the scene would be filled</b>, expected error about ± {error}.")
        text = text.format(share=share, error=error_words(told))
    else:
        text = tr("<b>{share} of the scene would be filled</b>.").format(share=share)
    return f"{text} {plain(reason_sentence(told or found))} ({found['model']})"


def error_words(result: Mapping[str, Any], which: str = "expected_error") -> str:
    """An error that a result holds, with what it is in."""
    unit = result.get("unit", "reflectance")
    error = figure(result[which], unit)
    if unit == "values":
        return tr("{error} (the file's own values)").format(error=error)
    if unit == "kilokelvin":
        return tr("{error} K").format(error=error)
    return tr("{error} reflectance").format(error=error)


def plain(sentence: str) -> str:
    """A sentence as HTML: of a file a<b>.tif that would show a.tif."""
    return html.escape(sentence, quote=False)


def literal(text: str) -> str:
    """A text for a tip or a question box: they read as HTML what looks like it, as a<b>.tif does."""
    return f"<qt>{plain(text)}</qt>".replace("\n", "<br>") if "<" in text else text


def facts(found: Mapping[str, Any]) -> str:
    """The line under the target: what it is."""
    grid, count = found["grid"], len(found["bands"])
    parts = [
        _sensor(found["sensor"]),
        found["date"] or tr("date unknown"),
        tr("{width} × {height} px").format(width=grid["width"], height=grid["height"]),
        metres(grid["pixel_size"][0]),
        tr("1 band") if count == 1 else tr("{count} bands").format(count=count),
    ]
    return " · ".join(str(part) for part in parts if part)


def _sensor(code: str) -> str:
    """The name of a sensor that the backend calls `sentinel2` or `landsat8`."""
    return re.sub(r"^([a-z]+)(\d+)$", lambda parts: f"{parts[1].capitalize()}-{parts[2]}", code)


def outcome(result: Mapping[str, Any]) -> str:
    """What a fill did, in one line.

    Args:
        result: `backend.request.FillResult` as JSON.
    """
    if not result["gap_samples"]:
        return tr("There was nothing to fill.")
    text, error = tr("Filled {share} in {time} ({model})."), ""
    if result.get("expected_error") is not None:
        text = tr("Filled {share} in {time} ({model}), expected error ± {error}.")
        error = error_words(result)
    text = text.format(
        share=percent(result["gap_fraction"]),
        time=duration(sum(result["seconds"].values())),
        model=result["model"],
        error=error,
    )
    if result["unfilled_samples"]:
        share = result["unfilled_samples"] / result["gap_samples"]
        text += " " + tr("{share} of the gaps could not be filled.").format(share=percent(share))
    return text


def mask_made(result: Mapping[str, Any]) -> str:
    """What a gap mask holds."""
    return tr("{share} of the scene would be filled.").format(share=percent(result["gap_fraction"]))


def percent(fraction: float) -> str:
    """A share as people say it."""
    value = 100 * fraction
    if value == 0:
        return "0 %"
    return tr("less than 0.1 %") if value < 0.1 else f"{value:.1f} %"
