"""What errors are in, and of what an accuracy check tells them; `request.figure` writes them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .reasons import REASONS

WORDS = {unit: REASONS[f"unit.{unit}"] for unit in ("reflectance", "kilokelvin", "values")}
"""What people are told, by unit. Temperatures of a raster with optical bands are read in `kilokelvin`;
indices, temperatures of a raster without, and what may not be light as the file's own `values`."""


def rows(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str]]:
    """What an accuracy check found of all bands, of each and of NDVI: name, figures, and their unit."""
    unit = result["unit"]
    found = [("all bands", result, unit), *((band["band"], band, unit) for band in result["bands"])]
    return found + ([("NDVI", result["ndvi"], "reflectance")] if result["ndvi"] else [])
