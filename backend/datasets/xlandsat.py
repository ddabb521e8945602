"""`l8_scenes_xlandsat`: clear Landsat-8/9 pieces, several places with two dates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from ..raster.products.dates import date_in
from .files import LANDSAT8, grid, reflectance, sun, wavelengths
from .place import Date, Place

FOLDER = "l8_scenes_xlandsat"


def names(folder: Path) -> list[str]:
    """Path and row of the scenes; 232056 has clouds and no mask, so it serves nobody here."""
    found = {path.name.split("_")[2] for path in folder.glob("LC0*.tif")}
    return sorted(found - {"232056"})


def files(folder: Path, name: str) -> list[Path]:
    """The scenes of a path and row."""
    return sorted(folder.glob(f"LC0?_L???_{name}_*.tif"))


def _image(path: Path, latitude: float) -> np.ndarray:
    if "_L2SP_" in path.name:
        return reflectance(path, 2.75e-5, -0.2)
    when = date_in(path.name.split("_")[3])
    sine = float(np.sin(np.radians(sun(when, latitude, 10.2)[1]))) if when else 1.0
    return reflectance(path, 2e-5 / sine, -0.1 / sine)


def read(folder: Path, name: str) -> Place:
    """The dates of one path and row, on their common grid."""
    paths = files(folder, name)
    with rasterio.open(paths[0]) as source:
        bands = tuple(source.descriptions)
        x, y = source.xy(source.height // 2, source.width // 2)
        (latitude,) = rasterio.warp.transform(source.crs, "EPSG:4326", [x], [y])[1]
    dates = []
    for path in paths:
        image, when = _image(path, latitude), date_in(path.name.split("_")[3])
        dates.append(Date(str(when), image, ~np.isfinite(image).all(0), when))
    dates.sort(key=lambda date: date.name)
    return Place(
        FOLDER, name, bands, wavelengths(bands, LANDSAT8), tuple(dates), pixel_size=grid(paths[0]).pixel_size
    )
