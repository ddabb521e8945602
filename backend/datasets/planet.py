"""`planet_cr`: one cloudy and clear PlanetScope pair with Sentinel-1; for research only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .files import COLOURS, decibel, enlarged, raw, reflectance, wavelengths
from .place import Date, Place

FOLDER = "planet_cr"


def names(folder: Path) -> list[str]:
    """The samples."""
    return sorted(path.name.removesuffix("_clear.tif") for path in folder.glob("*_clear.tif"))


def files(folder: Path, name: str) -> list[Path]:
    """All layers of a sample."""
    return sorted(folder.glob(f"{name}_*.tif"))


def read(folder: Path, name: str) -> Place:
    """Both dates at 3 m, the radar enlarged onto them; the dataset's mask, 1 is cloud."""
    clear = reflectance(folder / f"{name}_clear.tif")
    cloudy = reflectance(folder / f"{name}_cloudy.tif")
    gaps = raw(folder / f"{name}_cloudmask.tif")[0] == 1
    sar = enlarged(decibel(folder / f"{name}_s1.tif"), gaps.shape)
    bands = ("blue", "green", "red", "nir")
    empty = np.asarray(~np.isfinite(clear).all(0))
    dates = (Date("clear", clear, empty, sar=sar), Date("cloudy", cloudy, np.asarray(gaps), sar=sar))
    return Place(
        FOLDER, name, bands, wavelengths(bands, COLOURS), dates, (3.0, 3.0), pairs=(("cloudy", "clear"),)
    )
