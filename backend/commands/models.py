"""`terramend models`: list the methods, or install a network's weights."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ..calls import CALLS
from ..errors import TerramendError
from ..filling.choose import unknown
from ..watch import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `NAME` or `install NAME`, `--from` and `--json`."""
    parser.add_argument(
        "action",
        nargs="?",
        metavar="NAME|install",
        help="name of a method to describe, or the word install",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the network to install")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FOLDER|URL",
        help="source of the network's files (default: the address in the manifest)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """List all methods, explain one, or install a network."""
    if arguments.action == "install":
        return install(arguments, watch)
    result = CALLS["models"]({}, watch)
    if arguments.action is not None:
        rows = {row["name"]: row for row in result["models"]}
        if arguments.action not in rows:
            raise unknown(arguments.action, [name for name, row in rows.items() if not row["untrained"]])
        result = {"models": [rows[arguments.action]], "weights": []}
    if arguments.name is not None or arguments.source is not None:
        raise TerramendError(
            "command.usage", why="Only install takes a second NAME and --from", command="terramend models"
        )
    if not arguments.json:
        print(text(result) if arguments.action is None else details(result["models"][0]))
    return result


def install(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Bring the weights of a network."""
    if arguments.name is None:
        raise TerramendError("command.usage", why="Install needs a NAME", command="terramend models")
    result = CALLS["install"]({"name": arguments.name, "source": arguments.source}, watch)
    if not arguments.json:
        brought = ", ".join(result["installed"]) or "nothing, all files were there"
        print(f"{result['name']} is in {result['folder']} (brought {brought}).")
    return result


def text(result: Mapping[str, Any]) -> str:
    """The methods for people, one a line, grouped; those that must be trained first in one line."""
    lines = []
    ready = [row for row in result["models"] if not row["untrained"]]
    for group in dict.fromkeys(row["group"] for row in ready):
        lines.append(f"{group}:")
        lines += [f"  {row['name']:14} {row['summary']}" for row in ready if row["group"] == group]
    untrained = [row["name"] for row in result["models"] if row["untrained"]]
    if untrained:
        lines += ["without weights, to be trained first:", f"  {', '.join(untrained)}"]
    if result["weights"]:
        lines.append("networks:")
    for entry in result["weights"]:
        state = f"in {entry['folder']}" if entry["folder"] else "not installed"
        lines.append(f"  {entry['name']:14} {entry['title']}, {entry['bytes'] / 1e6:.1f} MB, {state}")
    lines.append("terramend models NAME tells what a method needs and which --set it takes.")
    return "\n".join(lines)


def details(row: Mapping[str, Any]) -> str:
    """What a method is, needs and uses, and its options."""
    lines = [f"{row['name']}: {row['summary']}"]
    lines += [f"  needs {name}" for name in row["needs"]] + [f"  uses {name}" for name in row["wants"]]
    if row["modes"] == ["clear"]:
        lines.append("  removes thin cloud (terramend clear)")
    lines += [f"  not here: {name} is not installed" for name in row["missing"]]
    lines += [f"  not here: its network; terramend models install {name}" for name in row["lacks"]]
    if row["untrained"]:
        lines.append(f"  comes without weights: terramend train {row['name']}, then --set weights=FOLDER")
    return "\n".join(lines + [f"  --set {key}=...: {help}" for key, help in row["options"].items()])
