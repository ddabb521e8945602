"""Which sensor took an image, by its file's name or tags, and whom to credit for it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

_SENSOR_TAGS = ("SATELLITEID", "SENSOR", "SPACECRAFT_ID", "SATELLITE", "PLATFORM", "SPACECRAFT_NAME")


def sensor_of(name: str) -> str:
    """The sensor that a product's file name names, or empty."""
    text = name.upper()
    tile = r"T\d{2}[A-Z]{3}_\d{8}T\d{6}|\d{8}T\d{6}_T\d{2}[A-Z]{3}([^A-Z0-9]|$)"  # the latter by Earth Engine
    if re.search(rf"(^|[^A-Z0-9])(S2[ABCD]?[_.]|SENTINEL-?2|{tile}|HLS\.S30\.)", text):
        return "sentinel2"
    landsat = re.search(r"(?:^|[^A-Z])L[COTEM]0?([1-9])_?(?:L1|L2|SR|ST|CU|AK|HI|\d)", text)
    if landsat:
        return f"landsat{landsat.group(1)}"
    if "HLS.L30." in text:
        return "landsat8"
    if re.search(r"(^|[^A-Z0-9])M[OYC]D(09|43)", text):
        return "modis"
    return ""


def sensor_of_tags(tags: Mapping[str, str]) -> str:
    """The sensor that a file's tags name, or empty."""
    named = {key.upper(): str(value) for key, value in tags.items()}
    return next((found for tag in _SENSOR_TAGS if (found := _sensor(named.get(tag, "")))), "")


def _sensor(text: str) -> str:
    landsat = re.search(r"LANDSAT[-_ ]?([1-9])", text.upper())
    return f"landsat{landsat.group(1)}" if landsat else sensor_of(text)


def credits_of(sensor: str, date: datetime.date | None) -> str:
    """The attribution that the sensor's owner asks for, or empty."""
    if sensor == "sentinel2":
        return "contains modified Copernicus Sentinel data" + (f" {date.year}" if date else "")
    if sensor.startswith("landsat"):
        return "Landsat data courtesy of the U.S. Geological Survey"
    return ""
