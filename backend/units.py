"""What errors are in, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = {"reflectance": "reflectance", "kilokelvin": "kelvin", "values": "the file's own values"}
"""What people are told, by unit. Temperatures of a raster with optical bands are read in `kilokelvin`;
indices, and temperatures of a raster without, as the file's own `values`."""


def rows(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str]]:
    """What an accuracy check found of all bands, of each and of NDVI: name, figures, and their unit."""
    unit = result["unit"]
    found = [("all bands", result, unit), *((band["band"], band, unit) for band in result["bands"])]
    return found + ([("NDVI", result["ndvi"], "reflectance")] if result["ndvi"] else [])


def figure(error: float, unit: str, sign: str = "") -> str:
    """An error in a unit as people are told it, the unit being `WORDS[unit]`; `sign` `+`: with its sign."""
    if unit == "kilokelvin":
        return f"{1000 * error:{sign}.2f}"
    if not sign and unit == "reflectance" and 0 < error < 0.001:  # of values that were guessed to be that
        return f"{error:.2g}"
    return f"{error:{sign}{'.3g' if unit == 'values' else '.4f'}}"  # a file's values may be of any size
