"""`terramend evaluate --scene`: methods compared on the analyst's own scene, by the accuracy check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cli import Parser
from ..commands import request_options
from ..commands.fill import call, of_options
from ..errors import TerramendError
from ..filling.choose import named
from ..messages.units import WORDS
from ..request import QUALITIES, figure, from_json
from ..watch import Watch

DEFAULT = ("auto", "idw")
"""What is used, and GDAL's filling from the surroundings to see what it gains."""

NOTE = """before, after: the error to expect in the scene's real gaps, as the method states it, and times what
was found over what was stated on the hidden samples."""


def check(words: Sequence[str], methods: Sequence[str], watch: Watch) -> dict[str, Any]:
    """Hide, fill and compare with each of `methods` (`NAME` or `NAME@QUALITY`; default: `DEFAULT`).

    Args:
        words: `TARGET` and options, as `terramend accuracy` takes them.

    Returns:
        JSON: `scene`: a result of `accuracy.accuracy` for each method, with its `method`.

    Raises:
        TerramendError: as `accuracy` of any of them.
    """
    parser = Parser(prog="terramend evaluate --scene")
    request_options.add_arguments(parser, output=False)
    asked = request_options.fields(parser.parse_args(list(words)))
    if "model" in asked:
        raise TerramendError("command.option", option="--model", why="--methods names those to compare")
    requests = {name: _request(asked, name) for name in methods or DEFAULT}
    for request in requests.values():  # a slip shows before the first has run
        with of_options():
            named(from_json(request))
    return {
        "scene": [
            {"method": name, **call("accuracy", {"request": request}, watch)}
            for name, request in requests.items()
        ]
    }


def _request(asked: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The request for one method."""
    model, _, quality = name.partition("@")
    if quality and quality not in QUALITIES:
        raise TerramendError("command.option", option="--methods", why=f"{name!r} names no quality")
    return {**asked, "model": model, **({"quality": quality} if quality else {})}


def text(results: Sequence[dict[str, Any]]) -> str:
    """A table for people: what was found on hidden pixels, and what that says of the gaps."""
    first = results[0]
    unit = first["unit"]  # of the scene, so of every row
    heads = ("filled", "RMSE", "bias", "in 90 %", "before", "after")
    hidden = first["samples"] + first["unfilled_samples"]
    lines = [
        f"{hidden} samples hidden under {first['hidden_under']}; errors in {WORDS[unit]}, where filled.",
        " ".join([f"{'method':20}", *(f"{head:>8}" for head in heads)]),
    ]
    for row in results:
        inside = "-" if row["coverage"] is None else f"{row['coverage']:.1%}"
        filled = row["samples"] / (row["samples"] + row["unfilled_samples"])
        cells = [f"{filled:.1%}", figure(row["rmse"], unit), figure(row["bias"], unit, "+"), inside]
        expected = (row["expected_before"], row["expected_after"])
        cells += ["-" if error is None else figure(error, unit) for error in expected]
        lines.append(" ".join([f"{row['method']:20}", *(f"{cell:>8}" for cell in cells)]))
    lines += [f"{row['method']}: {row['model_reason']}" for row in results if row["method"] == "auto"]
    lines.append(NOTE)
    return "\n".join(lines)
