"""`terramend fill`, `clear` and `inspect`: the commands that take one request."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from . import cli_request
from .calls import CALLS
from .errors import TerramendError
from .terminal import duration
from .watch import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a request and `--json`."""
    cli_request.add_arguments(parser, output=parser.get_default("command") != "inspect")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Run the call of the command's name; print what it did, or return it for `--json`."""
    output = "inspect.tif" if arguments.command == "inspect" else None  # never written
    result = call(arguments.command, {"request": cli_request.fields(arguments, output)}, watch)
    if not arguments.json:
        print(found(result) if arguments.command == "inspect" else done(result))
    return result


def call(name: str, params: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    """Run a call; a fault in a field of the request is said of the option that sets it."""
    try:
        return CALLS[name](params, watch)
    except TerramendError as error:
        if error.code != "request.field":
            raise
        option = cli_request.option_of(error.arguments["field"])
        raise TerramendError("command.option", option=option, why=error.arguments["why"]) from None


def done(result: Mapping[str, Any]) -> str:
    """What a fill did, for people."""
    lines = [
        f"Filled {result['gap_fraction']:.2%} of the footprint ({result['gap_samples']} samples) "
        f"with {result['model']}: {result['model_reason']}"
    ]
    if result["unfilled_samples"]:
        lines.append(f"{result['unfilled_samples']} samples could not be filled.")
    if result["expected_error"] is not None:
        lines.append(f"Expected error: {result['expected_error']:.4f} in reflectance.")
    took = duration(sum(result["seconds"].values()))
    lines.append(f"Took {took} on {result['device']}. Filled pixels are estimates. Written:")
    extra = [result[name] for name in ("std", "provenance") if result[name]]
    lines += [f"  {path}" for path in dict.fromkeys([*result["outputs"], *extra])]
    return "\n".join(lines)


def found(result: Mapping[str, Any]) -> str:
    """What an inspection found, for people: one `name: value` a line, nested by indenting."""
    lines: list[str] = []

    def add(name: str, value: Any, depth: int) -> None:
        indent = "  " * depth
        if isinstance(value, Mapping):
            lines.append(f"{indent}{name}:")
            for key, item in value.items():
                add(key, item, depth + 1)
        elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
            lines.append(f"{indent}{name}:")
            for item in value:
                flat = item if isinstance(item, Mapping) else {"": item}
                shown = (f"{key} {part}" for key, part in flat.items() if part not in (None, "", [], ()))
                lines.append(f"{indent}  - {', '.join(shown)}")
        elif isinstance(value, (list, tuple)):
            lines.append(f"{indent}{name}: {', '.join(map(str, value)) or 'none'}")
        else:
            lines.append(f"{indent}{name}: {'none' if value is None else value}")

    for name, value in result.items():
        add(name, value, 0)
    return "\n".join(lines)
