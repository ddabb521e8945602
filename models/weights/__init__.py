"""Weights of networks: what the manifest pins, and where an installed one lies.

A network is a folder `NAME` of files beside its card. `manifest.json` pins each file's
SHA-256, so that where a file came from does not matter: a folder, a release, a mirror.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGED = Path(__file__).parent
"""Holds the manifest, and the networks that come with the software."""


@dataclass(frozen=True)
class File:
    """A file of a network: its name, SHA-256 (hex) and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Weights:
    """A network as the manifest pins it.

    Attributes:
        name: of the folder, and what `terramend models install` takes.
        title, licence: for people.
        url: of a folder on a server that holds the files.
        least_software: oldest Terramend that can use it. io_version: counts up with what goes in and out.
        bands: roles of the bands that it reads, in order. scaling: `reflectance`, or what
            else its inputs are.
        files: all that must be there.
    """

    name: str
    title: str
    licence: str
    url: str
    least_software: str
    io_version: int
    bands: tuple[str, ...]
    scaling: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def read_manifest(path: Path = PACKAGED / "manifest.json") -> Mapping[str, Weights]:
    """The networks that can be installed, by name."""
    data = json.loads(path.read_text("utf-8"))
    found = {}
    for name, entry in data["weights"].items():
        files = tuple(File(**file) for file in entry.pop("files"))
        found[name] = Weights(name=name, files=files, **{**entry, "bands": tuple(entry["bands"])})
    return found


def locate(weights: Weights, *folders: Path) -> Path | None:
    """The first folder that holds all files at their size: the packaged one, then `folders`."""
    for folder in (PACKAGED, *folders):
        place = folder / weights.name
        if all(
            (place / f.name).is_file() and (place / f.name).stat().st_size == f.size for f in weights.files
        ):
            return place
    return None


def configuration(folder: Path, *files: str) -> dict[str, Any]:
    """`config.json` of a network's folder that has `files` beside it.

    Raises:
        ValueError: the folder is no finished training run, saying what is missing.
    """
    for name in ("config.json", *files):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no folder of a trained network: it has no {name}")
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config


def fingerprint(folder: Path, *files: str) -> str:
    """SHA-256 (hex) of a network's files, one after the other: what a result's tags tell of it."""
    sha = hashlib.sha256()
    for name in files:
        sha.update((folder / name).read_bytes())
    return sha.hexdigest()
