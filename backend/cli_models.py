"""`terramend models`: list the methods, or install a network's weights."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .calls import CALLS
from .errors import TerramendError
from .watch import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `install NAME`, `--from` and `--json`."""
    parser.add_argument("action", nargs="?", choices=["install"], help="install: bring a network's weights")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the network")
    parser.add_argument("--from", dest="source", metavar="FOLDER|URL", help="default: the project's release")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """List, or install."""
    if arguments.action is None:
        result = CALLS["models"]({}, watch)
        if not arguments.json:
            print(text(result))
        return result
    if arguments.name is None:
        raise TerramendError("command.usage", why="Install needs a NAME", command="terramend models")
    result = CALLS["install"]({"name": arguments.name, "source": arguments.source}, watch)
    if not arguments.json:
        brought = ", ".join(result["installed"]) or "nothing, all files were there"
        print(f"{result['name']} is in {result['folder']} (brought {brought}).")
    return result


def text(result: Mapping[str, Any]) -> str:
    """The methods for people, one a line, grouped."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in result["models"]):
        lines.append(f"{group}:")
        for row in result["models"]:
            if row["group"] != group:
                continue
            wants = [f"needs {name}" for name in row["needs"]] + [f"uses {name}" for name in row["wants"]]
            wants += ["removes thin cloud (terramend clear)"] if row["modes"] == ["clear"] else []
            missing = [f"not here: {name} is not installed" for name in row["missing"]]
            if row["untrained"]:
                missing.append(
                    f"comes without weights: terramend train {row['name']}, then --set weights=FOLDER"
                )
            lines.append(f"  {row['name']:14} {row['summary']}")
            if wants or missing:
                lines.append(f"  {'':14} {'; '.join(wants + missing)}")
            lines += [f"  {'':14} --set {key}=...: {help}" for key, help in row["options"].items()]
    if result["weights"]:
        lines.append("networks to install:")
    for entry in result["weights"]:
        state = f"in {entry['folder']}" if entry["folder"] else "not installed"
        lines.append(f"  {entry['name']:14} {entry['title']}, {entry['bytes'] / 1e6:.1f} MB, {state}")
    return "\n".join(lines)
