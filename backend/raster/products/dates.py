"""Acquisition dates and sun angles from file names and tags."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

_DAY = r"(19[7-9]\d|20\d\d)"
_PATTERNS = (
    re.compile(rf"(?<!\d){_DAY}(\d\d)(\d\d)T\d{{4,6}}"),  # Sentinel-2
    re.compile(rf"(?<!\d){_DAY}[-_.]?(\d\d)[-_.]?(\d\d)(?!\d)"),
)
_LANDSAT = re.compile(rf"L[COTEM]0\d\d{{6}}{_DAY}(\d\d)(\d\d)0[12]T")  # ESPA, Collection 1
_OLD_LANDSAT = re.compile(rf"L[COTEM]\d\d{{6}}{_DAY}(\d{{3}})[A-Z]{{3}}\d\d")
_DOY = re.compile(rf"(?:^|[._A-Za-z]){_DAY}(\d{{3}})(?:T\d{{6}}|[._A-Z]|$)")  # HLS, MODIS, old Landsat
_TAGS = (
    "DATE_ACQUIRED", "ACQUISITION_DATE", "ACQUISITIONDATE", "ACQUISITIONDATETIME", "SENSING_TIME",
    "PRODUCT_START_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "TIME_COVERAGE_START", "SENSING_DATE",
    "DATETIME", "DATE",
)  # fmt: skip
_AZIMUTH = ("SUN_AZIMUTH", "MEAN_SUN_AZIMUTH", "MEAN_SUN_AZIMUTH_ANGLE", "MEAN_SOLAR_AZIMUTH_ANGLE",
            "SUNAZIMUTH", "SOLAR_AZIMUTH")  # fmt: skip
_ELEVATION = ("SUN_ELEVATION", "MEAN_SUN_ELEVATION", "SUNELEVATION", "SOLAR_ELEVATION")
_ZENITH = ("MEAN_SUN_ZENITH_ANGLE", "MEAN_SOLAR_ZENITH_ANGLE", "SUN_ZENITH", "SOLAR_ZENITH", "SUNZENITH")


def date_in(text: str) -> datetime.date | None:
    """The first plausible date in a file name or tag: 20240630, 2024-06-30, 2024182."""
    for pattern in (_LANDSAT, *_PATTERNS):
        for found in pattern.finditer(text):
            year, month, day = (int(part) for part in found.groups()[:3])
            date = _date(year, month, day)
            if date:
                return date
    for found in (*_OLD_LANDSAT.finditer(text), *_DOY.finditer(text)):
        year, number = int(found.group(1)), int(found.group(2))
        if 1 <= number <= 366:
            return datetime.date(year, 1, 1) + datetime.timedelta(number - 1)
    return None


def date_of_tags(tags: Mapping[str, Any]) -> datetime.date | None:
    """The acquisition date that a file's tags give; writing dates are not taken for one."""
    named = {key.upper().rsplit("#", 1)[-1]: str(value) for key, value in tags.items()}
    return next((date for tag in _TAGS if tag in named and (date := date_in(named[tag]))), None)


def sun_of_tags(tags: Mapping[str, Any]) -> tuple[float, float] | None:
    """Azimuth and elevation of the sun in degrees, from a file's tags."""
    named = {key.upper().rsplit("#", 1)[-1]: str(value) for key, value in tags.items()}
    azimuth = _number(named, _AZIMUTH)
    elevation = _number(named, _ELEVATION)
    if elevation is None and (zenith := _number(named, _ZENITH)) is not None:
        elevation = 90 - zenith
    if azimuth is None or elevation is None or not 0 < elevation <= 90:
        return None
    return azimuth % 360, elevation


def _number(named: Mapping[str, str], tags: tuple[str, ...]) -> float | None:
    for tag in tags:
        try:
            return float(named[tag])
        except (KeyError, ValueError):
            continue
    return None


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None
    soon = datetime.date.today() + datetime.timedelta(2)
    return date if datetime.date(1972, 7, 1) <= date <= soon else None
