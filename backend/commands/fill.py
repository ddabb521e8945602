"""`terramend fill`, `clear` and `inspect`: the commands that take one request."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..calls import CALLS
from ..errors import TerramendError
from ..messages.units import WORDS
from ..request import figure, metres
from ..terminal import counted, duration
from ..watch import Watch
from . import request_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a request and `--json`."""
    request_options.add_arguments(parser, output=parser.get_default("command") != "inspect")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Run the call of the command's name; print what it did, or return it for `--json`."""
    result = call(arguments.command, {"request": request_options.fields(arguments)}, watch)
    if not arguments.json:
        print(found(result) if arguments.command == "inspect" else done(result, arguments.command))
    return result


def call(name: str, params: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    """Run a call, with `of_options`."""
    with of_options():
        return CALLS[name](params, watch)


@contextlib.contextmanager
def of_options() -> Iterator[None]:
    """A fault in a field of the request is said of the option that sets it."""
    try:
        yield
    except TerramendError as error:
        if error.code != "request.field":
            raise
        option = request_options.option_of(error.arguments["field"])
        raise TerramendError("command.option", option=option, why=error.arguments["why"]) from None


def done(result: Mapping[str, Any], mode: str = "fill") -> str:
    """What a fill did, for people."""
    samples, left = result["gap_samples"], result["unfilled_samples"]
    share = f"{result['gap_fraction']:.2%} of the footprint ({counted(samples, 'sample')})"
    if left:
        share = f"{samples - left} of {samples} samples, {result['gap_fraction']:.2%} of the footprint,"
    did = "Changed" if mode == "clear" else "Filled"
    lines = [f"{did} {share} with {result['model']}: {result['model_reason']}"]
    if left:
        lines.append(f"{counted(left, 'sample')} could not be filled.")
    if not samples:
        lines = ["There was nothing to change." if mode == "clear" else "There was nothing to fill."]
    elif left == samples:
        lines = [f"None of {counted(samples, 'sample')} could be filled with {result['model']}."]
    if result["expected_error"] is not None:
        unit = result["unit"]
        lines.append(f"Expected error: {figure(result['expected_error'], unit)} in {WORDS[unit]}.")
    took = duration(sum(result["seconds"].values()))
    lines.append(f"Took {took} on {result['device']}. {did} pixels are estimates. Written:")
    extras = (*result["stds"], *result["provenances"], *result["pictures"])
    lines += [f"  {path}" for path in (*result["outputs"], *extras)]
    return "\n".join(lines)


def found(result: Mapping[str, Any]) -> str:
    """What an inspection found, for people."""
    grid, sun = result["grid"], result["sun"]
    place = f"{grid['width']} x {grid['height']} pixels of {metres(grid['pixel_size'][0])}"
    lines = [
        f"{result['product']}: {place}, {grid['crs'] or 'no CRS'}",
        f"  acquired {result['date'] or 'on an unknown date'}, "
        + (f"sun at azimuth {sun[0]:.1f}, elevation {sun[1]:.1f}" if sun else "sun unknown"),
        f"  {result['radiometry']}",
        *([f"  in {result['place']['region']}"] if result["place"] else []),
        "Bands",
    ]
    for band in result["bands"]:
        gaps = "" if band["gap_fraction"] is None else f"{band['gap_fraction']:.2%} gaps"
        use = "filled" if band["filled"] else "not filled"
        name = band["description"] or "-"
        lines.append(f"  {band['number']:3} {name:12.12} {band['role']:8} {gaps:>12}  {use}")
    lines.append("Masks" if result["masks"] else "Masks: none, gaps are where nothing was observed")
    for mask in result["masks"]:
        grown = f", grown by {counted(mask['growth'], 'pixel', 'g')}" if mask["growth"] else ""
        lines.append(f"  {mask['path']}: read as {mask['kind']}, marks {mask['marked']:.2%}{grown}")
    for reference in result["references"]:
        days = "" if reference["days"] is None else f", {counted(reference['days'], 'day', '+d')}"
        date = f"{reference['date'] or 'unknown date'}{days}"
        bands = f"{counted(len(reference['bands']), 'band')}, observed on {reference['cover']:.1%}"
        lines.append(f"Reference {reference['name']}: {date}, {bands}")
        lines += [f"  {mask['path']}: read as {mask['kind']}" for mask in reference["masks"]]
    for name in ("dem", "sar"):
        if result[name]:
            lines.append(f"{name.upper()} {result[name]['path']}: covers {result[name]['cover']:.1%}")
    samples = counted(result["gap_samples"], "sample")
    lines.append(f"Gaps to fill: {result['gap_fraction']:.2%} of the footprint ({samples})")
    lines.append(f"Method: {result['model']}. {result['model_reason']}")
    lines += [f"  prompt: {text}" for text in result["prompts"]]
    return "\n".join(lines)
