"""`s2_ndvi_dem_timeseries_slovenia`: 68 dates of NDVI with cloud masks and DEM; five undated scenes."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from .files import SENTINEL2, SIX, wavelengths
from .place import Date, Place

FOLDER = "s2_ndvi_dem_timeseries_slovenia"
STORED = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
CLEAR_SCENES = (2, 3, 4)
"""Scenes 0 and 1 are under cloud throughout: their red does not correlate with the others' (0.1)."""


def names(folder: Path) -> list[str]:
    """Two views of one place: the NDVI series and the scenes with all bands."""
    return ["ndvi", "scenes"]


def files(folder: Path, name: str) -> list[Path]:
    """One archive."""
    return [folder / "eopatch.npz"]


def read(folder: Path, name: str) -> Place:
    """`ndvi`: one band, stored as (NDVI + 1) / 2. `scenes`: six bands, days not known."""
    with np.load(folder / "eopatch.npz", allow_pickle=False) as pack:
        elevation = pack["dem_m"].astype(np.float32)
        if name == "ndvi":
            values, masks, texts = pack["ndvi_x10000"], pack["cloud_mask"] > 0, pack["dates"]
            dates = {}
            for value, mask, text in zip(values, masks, texts, strict=True):
                image = (value.astype(np.float32) * np.float32(1e-4) + 1) / 2
                image[value == -30000] = np.nan
                key = str(text)[:10]
                gaps = mask | ~np.isfinite(image)
                dates[key] = Date(key, image[None], gaps, datetime.date.fromisoformat(key))
            chosen = tuple(dates[key] for key in sorted(dates))
            return Place(
                FOLDER, name, ("NDVI",), (float("nan"),), chosen, elevation=elevation, scale="(NDVI+1)/2"
            )
        scenes = pack["reference_scenes_L1C_x10000"]
    order = [STORED.index(band) for band in SIX]
    chosen = tuple(
        Date(
            f"scene{index}",
            np.ascontiguousarray(scenes[index][..., order].transpose(2, 0, 1), np.float32) * np.float32(1e-4),
            np.zeros(elevation.shape, bool),
        )
        for index in CLEAR_SCENES
    )
    return Place(FOLDER, name, SIX, wavelengths(SIX, SENTINEL2), chosen, elevation=elevation)
