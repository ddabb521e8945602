"""`s2_cloudy_clear_pairs` and `s1_s2_triplets`: real cloudy and clear Sentinel-2, with or without radar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .files import SENTINEL2, SIX, cloud, decibel, reflectance, wavelengths
from .place import Date, Place


@dataclass(frozen=True)
class Pairs:
    """A folder of `<id>_clear.tif`, `<id>_cloudy.tif`, `<id>_cloudprob.tif` and maybe `<id>_s1.tif`."""

    folder: str

    def names(self, folder: Path) -> list[str]:
        """The ids."""
        return sorted(path.name.removesuffix("_clear.tif") for path in folder.glob("*_clear.tif"))

    def files(self, folder: Path, name: str) -> list[Path]:
        """What there is of one id."""
        return sorted(folder.glob(f"{name}_*.tif"))

    def read(self, folder: Path, name: str) -> Place:
        """Dates `clear` and, where it was published, `cloudy`; days are not known."""
        radar = folder / f"{name}_s1.tif"
        sar = decibel(radar) if radar.exists() else None
        clear = reflectance(folder / f"{name}_clear.tif")
        dates = [Date("clear", clear, np.zeros(clear.shape[1:], bool), sar=sar)]
        pairs: tuple[tuple[str, str], ...] = ()
        if (folder / f"{name}_cloudy.tif").exists():
            gaps = cloud(folder / f"{name}_cloudprob.tif")
            dates.append(Date("cloudy", reflectance(folder / f"{name}_cloudy.tif"), gaps, sar=sar))
            pairs = (("cloudy", "clear"),)
        return Place(self.folder, name, SIX, wavelengths(SIX, SENTINEL2), tuple(dates), pairs=pairs)


SETS = (Pairs("s2_cloudy_clear_pairs"), Pairs("s1_s2_triplets"))
