"""`l7_chiapas_fmask` and `l7_two_dates_northcarolina`: two Landsat-7 dates of one place."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..raster.products.dates import date_in
from .files import LANDSAT7, grid, raw, reflectance, wavelengths
from .place import Date, Place

BANDS = ("B1", "B2", "B3", "B4", "B5", "B7")


class Chiapas:
    """A clear date of 1999 and a cloudy one of 2002 with Fmask in the eighth band."""

    folder = "l7_chiapas_fmask"

    def names(self, folder: Path) -> list[str]:
        """One place."""
        return ["chiapas"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """Two files."""
        return sorted(folder.glob("*.tif"))

    def read(self, folder: Path, name: str) -> Place:
        """Six reflective bands; shadow, snow, cloud and fill are gaps."""
        dates = []
        for path in self.files(folder, name):
            image = reflectance(path, bands=6)
            gaps = ~np.isin(raw(path)[7], (0, 1)) | ~np.isfinite(image).all(0)
            dates.append(Date(str(date_in(path.name)), image, gaps, date_in(path.name)))
        size = grid(self.files(folder, name)[0]).pixel_size
        return Place(self.folder, name, BANDS, wavelengths(BANDS, LANDSAT7), tuple(dates), size)


class NorthCarolina:
    """Spring 2000 and May 2002, 8 bit: DN/255 stands in for reflectance."""

    folder = "l7_two_dates_northcarolina"
    days: ClassVar = {"le07_2000": datetime.date(2000, 3, 31), "le07_2002": datetime.date(2002, 5, 24)}

    def names(self, folder: Path) -> list[str]:
        """One place."""
        return ["wake"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """Two files."""
        return [folder / f"{stem}.tif" for stem in self.days]

    def read(self, folder: Path, name: str) -> Place:
        """Both dates; days are those of the GRASS sample data's documentation."""
        dates = []
        for path in self.files(folder, name):
            image = reflectance(path, 1 / 255)
            when = self.days[path.stem]
            dates.append(Date(str(when), image, np.asarray(~np.isfinite(image).all(0)), when))
        table = wavelengths(BANDS, LANDSAT7)
        size = grid(self.files(folder, name)[0]).pixel_size
        return Place(self.folder, name, BANDS, table, tuple(dates), size, scale="DN/255")


SETS = (Chiapas(), NorthCarolina())
