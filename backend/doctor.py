"""What is installed, what really computes, and which settings hold.

Standard library at the top: this must answer even where nothing else can be imported.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..models import PROVIDERS
from . import device, settings
from .commands import request_options
from .errors import ENVIRONMENT, TerramendError
from .terminal import counted
from .version import VERSION
from .watch import Watch

LIGHT = (
    "numpy", "scipy", "rasterio", "onnxruntime", "opencv-python-headless", "threadpoolctl", "shapely",
    "pyshp",
)  # fmt: skip
"""Distributions without which nothing can be filled."""
EXTRA = ("onnxruntime-gpu", "dask", "distributed", "torch", "diffusers", "peft", "transformers")
KNOWN_VARIABLES = ("TERRAMEND_CONFIG", "TERRAMEND_DATA", "TERRAMEND_PYTHON")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `terramend doctor`: the settings, to see what a flag would make of them."""
    request_options.add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace, watch: Watch) -> int:
    """Print the findings; status 3 where nothing can be filled or `--device` does not compute."""
    from .cli import print_json, print_text

    found, status = examine(vars(arguments)), 0
    try:
        device.check(found["settings"]["device"]["value"])
    except TerramendError as error:  # said beside the findings: they are one object, and tell why
        print(f"terramend: {error}", file=sys.stderr)
        status = error.exit_status
        found["error"] = error.to_json()
    if arguments.json:
        print_json(found)
    else:
        print_text(text(found))
    return status if found["healthy"] else ENVIRONMENT


def examine(flags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything as JSON; `healthy` tells whether the light environment is whole.

    Args:
        flags: settings from the command line, shown with their origin.
    """
    packages = {name: _version(name) for name in (*LIGHT, *EXTRA)}
    missing = [name for name in LIGHT if packages[name] is None and not _replaced(name, packages)]
    probes = [*(device.probe(name) for name in PROVIDERS), device.torch_probe()]
    held = settings.resolve(flags)
    temporary = held["tmp"].value or tempfile.gettempdir()
    known = {"TERRAMEND_" + setting.name.upper() for setting in settings.SETTINGS} | set(KNOWN_VARIABLES)
    variables = sorted(name for name in os.environ if name.startswith("TERRAMEND_"))
    return {
        "version": VERSION,
        "folder": str(Path(__file__).resolve().parents[1]),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cores": device.cores(),
        "memory_gb": _memory(),
        "packages": packages,
        "missing": missing,
        "gdal": _gdal(),
        "devices": [asdict(found) for found in probes],
        "device": device.line(),
        "settings": {name: asdict(value) for name, value in held.items()},
        "settings_file": _name(settings.config_path()),
        "weights_folder": _name(settings.weights_folder()),
        "unknown_variables": [name for name in variables if name not in known],
        "temporary": {"folder": temporary, "free_gb": _free(temporary)},
        "healthy": not missing and device.probe("cpu").computes,
    }


def text(found: Mapping[str, Any]) -> str:
    """The findings for people, one a line."""
    folder, free = found["temporary"]["folder"], found["temporary"]["free_gb"]
    lines = [
        f"Terramend {found['version']} in {found['folder']}",
        f"Python {found['python']['version']} ({found['python']['executable']}), {found['platform']}",
        f"{counted(found['cores'], 'core')}, {found['memory_gb'] or '?'} GB memory, "
        + (f"{free} GB free in {folder}" if free is not None else f"no folder {folder} for temporary files"),
        "",
        "Installed",
    ]
    for name, version in found["packages"].items():
        if version is not None or name in LIGHT:
            lines.append(f"  {name:24} {version or 'missing'}")
    lines += [f"  {'GDAL (in rasterio)':24} {found['gdal'] or 'missing'}", "", "Devices"]
    for probe in found["devices"]:
        state = f"computes ({probe['milliseconds']} ms)" if probe["computes"] else f"no: {probe['why']}"
        lines.append(f"  {probe['device']:24} {state}")
    lines += [f"  {'in use':24} {found['device']}", "", "Settings"]
    for name, setting in found["settings"].items():
        value = "none" if setting["value"] is None else setting["value"]
        lines.append(f"  {name:24} {value!s:12} from {setting['origin']}")
    for name, path in {"file": found["settings_file"], "weights": found["weights_folder"]}.items():
        lines.append(f"  {name:24} {_reached(path)}")
    lines += [f"Unknown variable {name}: no setting of that name." for name in found["unknown_variables"]]
    if found["missing"]:
        lines += ["", f"Missing: {', '.join(found['missing'])}. Install with pip, or repair from the plugin."]
    return "\n".join(lines)


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _reached(path: str | None) -> str:
    """A path for people, with why nobody can look whether it is there."""
    if path is None:
        return "none: this user has no home folder"
    try:
        Path(path).stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{path} cannot be reached: {error.strerror}"
    return path


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _replaced(name: str, packages: Mapping[str, str | None]) -> bool:
    """Whether another distribution brings the same module."""
    if name == "onnxruntime":
        return packages["onnxruntime-gpu"] is not None
    return name == "opencv-python-headless" and _version("opencv-python") is not None


def _gdal() -> str | None:
    try:
        import rasterio
    except ImportError:
        return None
    return str(rasterio.__gdal_version__)


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None


def _free(folder: str) -> float | None:
    try:
        return round(shutil.disk_usage(folder).free / 1e9, 1)
    except OSError:  # it is not there
        return None
