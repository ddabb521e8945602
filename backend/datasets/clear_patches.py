"""Clear images without a second date: `s2_clear_patches_lazio`, `s2_l2a_clear_patches`, `s2_clear_scenes`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..raster.products.dates import date_in
from .files import SENTINEL2, SIX, enlarged, grid, opened, reflectance, wavelengths
from .place import Date, Place


class Separate:
    """One GeoTIFF a place."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def names(self, folder: Path) -> list[str]:
        """File names without ending."""
        return sorted(path.stem for path in folder.glob("*.tif"))

    def files(self, folder: Path, name: str) -> list[Path]:
        """One file."""
        return [folder / f"{name}.tif"]

    def read(self, folder: Path, name: str) -> Place:
        """One clear date."""
        path = folder / f"{name}.tif"
        image = reflectance(path)
        empty = (image == 0).all(0)
        image[:, empty] = np.nan
        with opened(path) as source:
            bands = tuple(source.descriptions)
        date = Date(str(date_in(name) or "clear"), image, empty, date_in(name))
        return Place(self.folder, name, bands, wavelengths(bands, SENTINEL2), (date,), grid(path).pixel_size)


class Stacked:
    """Patches of 64 pixels in one tall file; four neighbours in the file make no larger place."""

    folder = "s2_l2a_clear_patches"
    size = 64

    def names(self, folder: Path) -> list[str]:
        """Numbers of the patches."""
        with opened(folder / "patches_10m.tif") as source:
            return [f"{index:03d}" for index in range(source.height // self.size)]

    def files(self, folder: Path, name: str) -> list[Path]:
        """Both files."""
        return [folder / "patches_10m.tif", folder / "patches_20m.tif"]

    def read(self, folder: Path, name: str) -> Place:
        """One patch, its 20 m bands enlarged."""
        index, size = int(name), self.size
        fine = _rows(folder / "patches_10m.tif", index * size, size)
        coarse = _rows(folder / "patches_20m.tif", index * size // 2, size // 2)
        image = np.concatenate([fine, enlarged(coarse, (size, size))])
        date = Date("clear", image, np.zeros((size, size), bool))
        return Place(self.folder, name, SIX, wavelengths(SIX, SENTINEL2), (date,))


def _rows(path: Path, first: int, count: int) -> np.ndarray:
    with opened(path) as source:
        stored = source.read(window=((first, first + count), (0, source.width)))
    return stored.astype(np.float32) * np.float32(1e-4)


SETS = (Separate("s2_clear_patches_lazio"), Separate("s2_clear_scenes"), Stacked())
