"""`s2_timeseries_lazio`: thirty Sentinel-2 dates of one place, with cloud probability."""

from __future__ import annotations

from pathlib import Path

from ..raster.products.dates import date_in
from .files import SENTINEL2, SIX, cloud, reflectance, wavelengths
from .place import Date, Place

FOLDER = "s2_timeseries_lazio"


def names(folder: Path) -> list[str]:
    """One place."""
    return ["lazio"]


def files(folder: Path, name: str) -> list[Path]:
    """Images and probabilities."""
    return sorted(folder.glob("*.tif"))


def read(folder: Path, name: str) -> Place:
    """All dates; zero in every band is no data."""
    dates = []
    for path in sorted(folder.glob("*_s2.tif")):
        image = reflectance(path)
        empty = (image == 0).all(0)
        image[:, empty] = float("nan")
        key = path.name.removesuffix("_s2.tif")
        gaps = cloud(folder / f"{key}_cloudprob.tif") | empty
        dates.append(Date(key, image, gaps, date_in(key)))
    return Place(FOLDER, name, SIX, wavelengths(SIX, SENTINEL2), tuple(dates))
