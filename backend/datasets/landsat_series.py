"""`landsat_timeseries_colorado` and `landsat_timeseries_stfit`: Landsat series with real masks and gaps."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from .place import Date, Place

COLORADO, STFIT = "landsat_timeseries_colorado", "landsat_timeseries_stfit"


class Colorado:
    """105 dates of red, NIR and SWIR with Fmask, line gaps of Landsat 7 included."""

    folder = COLORADO

    def names(self, folder: Path) -> list[str]:
        """One place."""
        return ["p035r032"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """One archive."""
        return [folder / "p035r032_61x61.npz"]

    def read(self, folder: Path, name: str) -> Place:
        """Dates in order; clouds, shadows, snow, saturated and missing samples are gaps."""
        with np.load(self.files(folder, name)[0], allow_pickle=False) as pack:
            values, fmask, texts = pack["sr_x10000"], pack["fmask"], pack["dates"]
        dates = {}
        for value, mask, text in zip(values, fmask, texts, strict=True):
            empty = ((value == -9999) | (value >= 16000)).any(0)
            image = np.where(empty, np.nan, value * np.float32(1e-4)).astype(np.float32)
            key = str(text)
            dates[key] = Date(key, image, ~np.isin(mask, (0, 1)) | empty, datetime.date.fromisoformat(key))
        ordered = tuple(dates[key] for key in sorted(dates))
        return Place(COLORADO, name, ("red", "nir", "swir16"), (660.0, 835.0, 1650.0), ordered, (30.0, 30.0))


class Stfit:
    """990 dates of one band at 31 x 31 pixels, two thirds missing."""

    folder = STFIT

    def names(self, folder: Path) -> list[str]:
        """One place."""
        return ["landsat106"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """One archive."""
        return [folder / "landsat106_31x31.npz"]

    def read(self, folder: Path, name: str) -> Place:
        """Values are scaled surface reflectance of a band that the source does not name."""
        with np.load(self.files(folder, name)[0], allow_pickle=False) as pack:
            years, days, values = pack["year"], pack["doy"], pack["value"]
        dates = {}
        for year, doy, value in zip(years, days, values, strict=True):
            when = datetime.date(int(year), 1, 1) + datetime.timedelta(int(doy) - 1)
            empty = value == -32768
            image = np.where(empty, np.nan, value * np.float32(1e-4)).astype(np.float32)
            dates[str(when)] = Date(str(when), image[None], empty, when)
        ordered = tuple(dates[key] for key in sorted(dates))
        return Place(STFIT, name, ("band",), (float("nan"),), ordered, (30.0, 30.0))


SETS = (Colorado(), Stfit())
