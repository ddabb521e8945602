"""Sets with a DEM: Zion, Olinda, Pennsylvania, Para (Landsat) and Cupertino (Sentinel-2)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..raster.products.dates import date_in
from .files import (
    LANDSAT7,
    LANDSAT8,
    SENTINEL2,
    SIX,
    elevation,
    grid,
    reflectance,
    stacked,
    sun,
    wavelengths,
)  # fmt: skip
from .place import Date, Place


@dataclass(frozen=True)
class Relief:
    """How one of these folders is laid out.

    `gain`, `bias`: stored to reflectance; the 8-bit sets state no calibration, so their
    DN/255 stands in for it. `latitude`, `hour`: for the sun, where a date is given.
    """

    folder: str
    images: str
    dem: str
    bands: tuple[str, ...]
    table: dict[str, float]
    gain: float
    bias: float
    latitude: float
    hour: float = 10.2

    def names(self, folder: Path) -> list[str]:
        """One place a folder, called like it."""
        return [self.folder]

    def files(self, folder: Path, name: str) -> list[Path]:
        """Images and DEM."""
        return [*sorted(folder.glob(self.images)), folder / self.dem]

    def read(self, folder: Path, name: str) -> Place:
        """All dates and the elevation; the sun is that of the first date with a day."""
        dates = []
        paths = [path for path in sorted(folder.glob(self.images)) if not path.stem.endswith("20m")]
        for path in paths:
            if path.stem.endswith("10m"):
                image = stacked(path, path.with_name(path.name.replace("10m", "20m")))
            else:
                image = reflectance(path, self.gain, self.bias, bands=len(self.bands))
            when = date_in(path.stem)
            dates.append(Date(str(when or path.stem), image, np.asarray(~np.isfinite(image).all(0)), when))
        first = next((date.day for date in dates if date.day), None)
        place_sun = sun(first, self.latitude, self.hour) if first else None
        return Place(
            self.folder, name, self.bands, wavelengths(self.bands, self.table), tuple(dates),
            grid(paths[0]).pixel_size, elevation(folder / self.dem), place_sun,
            scale="reflectance" if self.gain != 1 / 255 else "DN/255",
        )  # fmt: skip


# Zion: 2e-5 and 0.1 of the Landsat-8 metadata over the sine of the sun's elevation that day.
_ZION = np.sin(np.radians(sun(datetime.date(2015, 8, 18), 37.3, 10.6)[1]))

SETS = (
    Relief("l8_dem_zion", "zion_*_l8.tif", "zion_srtm_on_l8_grid.tif", ("B2", "B3", "B4", "B5"), LANDSAT8,
           float(2e-5 / _ZION), float(-0.1 / _ZION), 37.3, 10.6),
    Relief("l7_dem_olinda", "l7_etm.tif", "srtm_on_l7_grid.tif", ("B1", "B2", "B3", "B4", "B5", "B7"),
           LANDSAT7, 1 / 255, 0.0, -8.0),
    Relief("l7_dem_pennsylvania", "le07_*.tif", "dem_30m.tif", ("B1", "B2", "B3", "B4", "B5", "B7"),
           LANDSAT7, 1 / 255, 0.0, 40.6),
    Relief("l5_dem_para", "lt05_*.tif", "srtm_on_l5_grid.tif", ("B1", "B2", "B3", "B4", "B5"),
           LANDSAT7, 1 / 255, 0.0, -4.3, 9.6),
    Relief("s2_dem_cupertino", "*0m.tif", "srtm_on_10m_grid.tif", SIX, SENTINEL2, 1e-4, 0.0, 37.3, 10.8),
)  # fmt: skip
