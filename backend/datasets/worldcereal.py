"""`s1_s2_timeseries_worldcereal`: dense Sentinel-2 and Sentinel-1 series of small plots."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from ...models.base import Flags, Floats
from .files import SENTINEL2, SIX, enlarged, wavelengths
from .place import Date, Place

FOLDER = "s1_s2_timeseries_worldcereal"
CLEAR = (2, 4, 5, 6, 7)
"""Sen2Cor classes that are taken as observed: dark, vegetation, bare, water, unclassified."""


def names(folder: Path) -> list[str]:
    """The plots."""
    return sorted(path.stem for path in folder.glob("*.npz"))


def files(folder: Path, name: str) -> list[Path]:
    """One archive a plot."""
    return [folder / f"{name}.npz"]


def _days(texts: np.ndarray) -> list[datetime.date]:
    return [datetime.date.fromisoformat(str(text)[:10]) for text in texts]


def _nearest(days: list[datetime.date], to: datetime.date) -> int:
    return min(range(len(days)), key=lambda index: abs((days[index] - to).days))


def read(folder: Path, name: str) -> Place:
    """All dates: at 10 m with six bands where those exist, else the six 20 m bands alone."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as pack:
        stored = {key: pack[key] for key in pack.files}
    coarse = stored["s2_20m"].astype(np.float32) * np.float32(1e-4)
    coarse_bands = [str(band) for band in stored["s2_20m_bands"]]
    masked = ~np.isin(stored["s2_scl_20m"], CLEAR)
    days, radar_days = _days(stored["s2_20m_dates"]), _days(stored["s1_dates"])
    radar = stored["s1"][:, [list(stored["s1_bands"]).index(p) for p in ("VV", "VH")]].astype(np.float32)
    radar = np.where(radar == 0, np.nan, radar / 100).astype(np.float32)
    bands = SIX if "s2_10m" in stored else tuple(coarse_bands)
    dates = []
    for index, when in enumerate(days):
        image, gaps, sar = coarse[index], masked[index], radar[_nearest(radar_days, when)]
        if "s2_10m" in stored:
            image, gaps, sar = _ten_metres(stored["s2_10m"][index], image, coarse_bands, gaps, sar)
        dates.append(Date(str(when), image, gaps, when, sar))
    unique = {date.name: date for date in dates}
    ordered = tuple(unique[key] for key in sorted(unique))
    size = 10.0 if "s2_10m" in stored else 20.0
    return Place(FOLDER, name, bands, wavelengths(bands, SENTINEL2), ordered, (size, size))


def _ten_metres(
    fine: np.ndarray, coarse: Floats, bands: list[str], gaps: Flags, sar: Floats
) -> tuple[Floats, Flags, Floats]:
    image = fine.astype(np.float32) * np.float32(1e-4)
    swir = coarse[[bands.index("B11"), bands.index("B12")]]
    empty = (fine == 0).all(0)
    gaps = np.repeat(np.repeat(gaps, 2, 0), 2, 1) | empty
    image[:, empty] = np.nan
    return np.concatenate([image, enlarged(swir, gaps.shape)]), gaps, enlarged(sar, gaps.shape)
