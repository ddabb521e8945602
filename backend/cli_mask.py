"""`terramend mask`: the gaps of a target as a raster."""

from __future__ import annotations

import argparse
from typing import Any

from . import cli_request
from .cli_fill import call
from .watch import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a gap mask needs of a request, `--class-band` and `--json`."""
    cli_request.add_mask_arguments(parser)
    parser.add_argument(
        "--class-band",
        action="store_true",
        help="add a band with the class of each pixel (cloud, shadow, ...)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Write the mask."""
    params = {"request": cli_request.fields(arguments), "class_band": arguments.class_band}
    result = call("mask", params, watch)
    if not arguments.json:
        share = f"{result['gap_fraction']:.2%} of the samples that can be filled are gaps"
        print(f"{share}, {result['gap_pixels']} of {result['pixels']} pixels. Written: {result['output']}")
    return result
