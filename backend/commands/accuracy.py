"""`terramend accuracy`: how good a fill would be on this very scene."""

from __future__ import annotations

import argparse
from typing import Any

from ..messages.units import WORDS, rows
from ..request import figure
from ..terminal import counted
from ..watch import Watch
from . import request_options
from .fill import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a request, `--html` and `--json`."""
    request_options.add_arguments(parser, output=False)
    parser.add_argument(
        "--html", metavar="REPORT.html", help="write an HTML report with figures and pictures"
    )
    request_options.add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Hide, fill, compare, and say what came out."""
    params = {"request": request_options.fields(arguments)}
    if arguments.html:
        params["html"] = arguments.html
    result = call("accuracy", params, watch)
    if not arguments.json:
        print(figures(result))
    return result


def figures(result: dict[str, Any]) -> str:
    """The figures as a table for people."""
    unit = result["unit"]
    found = rows(result)
    width = max(len(name) for name, *_ in found)
    lines = [
        f"{result['model']}: {result['model_reason']} Hidden under {result['hidden_under']}.",
        f"Errors are in {WORDS[unit]}.",
        f"{'':{width}}    RMSE    bias  in 90 % interval",
    ]
    for name, row, own in found:
        inside = "" if row["coverage"] is None else f"{row['coverage']:.1%}"
        rmse, bias = figure(row["rmse"], own), figure(row["bias"], own, "+")
        lines.append(f"{name:{width}}  {rmse:>6} {bias:>7}  {inside:>16}".rstrip())
    if result["expected_after"] is not None:
        lines.append(
            f"Expected error in the gaps: {figure(result['expected_before'], unit)} as the method states it, "
            f"{figure(result['expected_after'], unit)} after this check."
        )
    if result["unfilled_samples"]:
        lines.append(f"{counted(result['unfilled_samples'], 'hidden sample')} could not be filled.")
    return "\n".join(lines)
