"""`terramend mask`: the gaps of a target as a raster."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import TerramendError
from ..watch import Watch
from . import request_options
from .fill import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a gap mask needs of a request, `--class-band` and `--json`."""
    request_options.add_mask_arguments(parser)
    parser.add_argument(
        "--class-band",
        action="store_true",
        help="add a band with the class of each pixel (cloud, shadow, ...)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Write the mask. Raises `command.option` for other dates that would not be read."""
    given = request_options.fields(arguments)
    for name in ("references", "references_from"):
        if name in given and "missed" not in given:
            why = "other dates only help to find what the masks missed; add --missed, or leave it out"
            raise TerramendError("command.option", option=request_options.option_of(name), why=why)
    result = call("mask", {"request": given, "class_band": arguments.class_band}, watch)
    if not arguments.json:
        share = f"{result['gap_fraction']:.2%} of the samples that can be filled are gaps"
        print(f"{share}, {result['gap_pixels']} of {result['pixels']} pixels. Written: {result['output']}")
    return result
