"""SEN12MS (Schmitt et al. 2019), and the clear half of SEN12MS-CR: patches of 256 x 256 pixels, 13 bands.

Files as published, below a season's folder: `ROIs1158_spring/s2_1/ROIs1158_spring_s2_1_p30.tif` (SEN12MS-CR:
`ROIs1158_spring_s2/s2_1/...`). Every patch is a place with one date. Radar (`s1_1`), land cover (`lc_1`) and
cloudy images (`s2_cloudy_1`) lie in folders of their own and are left alone here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from .files import grid, reflectance
from .paired import THIRTEEN
from .place import Date, Place

SHAPE = (256, 256)
"""Height and width of every patch."""
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
PATCH = re.compile(r"(?P<scene>ROIs\d+_[a-z]+_s2_(?P<number>\d+))_p\d+")


def _patches(folder: Path) -> Iterator[Path]:
    found = (path for scene in (".", "s2_*") for path in folder.glob(f"{scene}/ROIs*_s2_*_p*.tif"))
    return (path for path in found if PATCH.fullmatch(path.stem))


def holds(folder: Path) -> bool:
    """Whether a folder is a season of SEN12MS, or one of its scenes: looks at one file only."""
    return any(True for _ in islice(_patches(folder), 1))


def names(folder: Path) -> list[str]:
    """The patches."""
    return sorted(path.stem for path in _patches(folder))


def files(folder: Path, name: str) -> list[Path]:
    """The patch's file."""
    found = PATCH.fullmatch(name)
    inner = folder / f"s2_{found['number'] if found else ''}" / f"{name}.tif"
    return [inner if inner.exists() else folder / f"{name}.tif"]


def read(folder: Path, name: str) -> Place:
    """One patch; zero in every band is no data."""
    (path,) = files(folder, name)
    image = reflectance(path)
    empty = np.asarray((image == 0).all(0))
    date = Date("clear", np.where(empty, np.float32("nan"), image), empty)
    return Place(folder.name, name, BANDS, THIRTEEN, (date,), grid(path).pixel_size)
