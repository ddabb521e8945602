"""The software's version, read from its one home: metadata.txt beside the package."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path


def _read() -> str:
    metadata = ConfigParser(interpolation=None)
    metadata.read_string((Path(__file__).parents[1] / "metadata.txt").read_text("utf-8"))
    return metadata["general"]["version"]


VERSION = _read()
