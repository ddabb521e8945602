"""`s2_city_pairs_oscd`: cities with two clear Sentinel-2 dates (Onera Satellite Change Detection)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..raster.products.dates import date_in
from .files import SENTINEL2, SIX, grid, stacked, wavelengths
from .place import Date, Place

FOLDER = "s2_city_pairs_oscd"


def names(folder: Path) -> list[str]:
    """The cities."""
    return sorted({path.name.rsplit("_", 3)[0] for path in folder.glob("*_10m.tif")})


def files(folder: Path, name: str) -> list[Path]:
    """The files of a city: two dates at 10 m and at 20 m."""
    return sorted(folder.glob(f"{name}_[12]_*m.tif"))


def read(folder: Path, name: str) -> Place:
    """One city: six bands, the 20 m ones enlarged to 10 m."""
    fine = sorted(folder.glob(f"{name}_[12]_*_10m.tif"))
    dates = []
    for path in fine:
        image = stacked(path, path.with_name(path.name.replace("_10m", "_20m")))
        when = date_in(path.stem.split("_")[-2])
        dates.append(Date(str(when), image, np.zeros(image.shape[1:], bool), when))
    dates.sort(key=lambda date: date.name)
    return Place(
        FOLDER, name, SIX, wavelengths(SIX, SENTINEL2), tuple(dates), pixel_size=grid(fine[0]).pixel_size
    )
