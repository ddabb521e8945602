"""`s1_s2_dem_monthly`: a monthly cube of Sentinel-2, Sentinel-1 and elevation in Belgium."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from .files import SENTINEL2, sun, wavelengths
from .place import Date, Place

FOLDER = "s1_s2_dem_monthly"


def names(folder: Path) -> list[str]:
    """One place."""
    return ["belgium"]


def files(folder: Path, name: str) -> list[Path]:
    """One archive."""
    return sorted(folder.glob("belgium_*.npz"))


def read(folder: Path, name: str) -> Place:
    """Twenty monthly composites of nine bands; 65535 is no data."""
    with np.load(files(folder, name)[0], allow_pickle=False) as pack:
        stored, radar, texts = pack["s2"], pack["s1_dn"].astype(np.float32), pack["dates"]
        bands = tuple(f"B{int(str(band)[1:]):02d}" for band in pack["s2_bands"])
        elevation = pack["elevation"].astype(np.float32)
    sar = 20 * np.log10(np.maximum(radar, 1)) - 83
    dates = []
    for index, text in enumerate(texts):
        empty = (stored[index] == 65535).any(0)
        image = np.where(empty, np.nan, stored[index] * np.float32(1e-4)).astype(np.float32)
        key = str(text)[:10]
        dates.append(Date(key, image, empty, datetime.date.fromisoformat(key), sar[index].astype(np.float32)))
    light = sun(dates[0].day or datetime.date(2020, 8, 1), 50.6, 10.9)
    return Place(
        FOLDER, name, bands, wavelengths(bands, SENTINEL2), tuple(dates), elevation=elevation, sun=light
    )
