"""Weights of networks: what the manifest pins, and where an installed one lies.

A network is a folder `NAME` of files beside its card. `manifest.json` pins each file's
SHA-256, so that where a file came from does not matter: a folder, a release, a mirror. A file
that was changed later is as good as none. The manifest writes `sha256:HEX`: bare digits in quotes
are taken for leaked keys where plugins are published.
"""

from __future__ import annotations

import functools
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
        url: of a folder on a server that holds the files; empty: not published yet.
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
        files = tuple(
            File(pinned["name"], pinned["digest"].removeprefix("sha256:"), pinned["size"])
            for pinned in entry.pop("files")
        )
        found[name] = Weights(name=name, files=files, **{**entry, "bands": tuple(entry["bands"])})
    return found


def locate(weights: Weights, own: Path | None) -> Path | None:
    """The folder that holds all files as they are pinned: the packaged one, or that in the user's `own`."""
    places = (folder / weights.name for folder in (PACKAGED, own) if folder)
    return next((place for place in places if not lacking(weights, place)), None)


def lacking(weights: Weights, place: Path) -> list[File]:
    """The files of a network that are not in a folder, or are not those that are pinned."""
    return [file for file in weights.files if not _is_pinned(place / file.name, file)]


def _is_pinned(path: Path, file: File) -> bool:
    try:
        state = path.stat()
        return state.st_size == file.size and _sha256(path, state.st_ino, state.st_mtime_ns) == file.sha256
    except OSError:
        return False


@functools.cache
def _sha256(path: Path, inode: int, changed: int) -> str:
    """Of a file as it was at its time of change: doors ask often, and a file is read once a process."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
