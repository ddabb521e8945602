"""The 100 regions of AlignDiff's Landsat-8 set (tables A1 to A3 of the paper), as data.

Each is a box of half a degree around a point. `regions.csv` gives number, name and point as printed, and
beside them what the paper does not say: the country at the point and the share of land (Natural Earth,
see `models.aligndiff.prompt_regions`), and a note where a region cannot serve: thirteen are open sea, ten
lie south of SRTM, three of Africa's lie in Europe.
"""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import rasterio.warp

from ..datasets import tiling
from ..errors import TerramendError
from ..raster.grid import Grid

HALF = 0.25
"""Degrees from a region's point to the sides of its box."""
PIXEL = 30.0
"""Metres of Landsat's and SRTM's pixels."""
SRTM = (-56.0, 60.0)
"""Degrees of latitude that SRTM covers."""
_TABLE = Path(__file__).with_name("regions.csv")


@dataclass(frozen=True)
class Region:
    """A box to fetch.

    Attributes:
        name: of its folder. bounds: west, south, east, north in degrees.
        title: as the paper calls it, or empty. note: what is known against it, or empty.
        land: share of the box, or 1 where nobody looked.
    """

    name: str
    bounds: tiling.Bounds
    title: str = ""
    note: str = ""
    land: float = 1.0

    @property
    def has_srtm(self) -> bool:
        """Whether SRTM covers some of it."""
        return self.bounds[1] < SRTM[1] and self.bounds[3] > SRTM[0]

    def grid(self) -> Grid:
        """The box's pixels of 30 m in the UTM zone of its middle, on whole multiples of a pixel."""
        west, south, east, north = self.bounds
        zone = int((west + east) / 2 + 180) // 6 % 60 + 1
        crs = rasterio.crs.CRS.from_epsg((32600 if south + north >= 0 else 32700) + zone)
        left, bottom, right, top = rasterio.warp.transform_bounds("EPSG:4326", crs, *self.bounds)
        left, top = PIXEL * (left // PIXEL), -PIXEL * (-top // PIXEL)
        width, height = int(-((left - right) // PIXEL)), int(-((bottom - top) // PIXEL))
        return Grid(crs.to_wkt(), (PIXEL, 0, left, 0, -PIXEL, top), width, height)


@functools.cache
def paper() -> tuple[Region, ...]:
    """The regions of the paper, in its order."""
    with _TABLE.open(newline="", encoding="utf-8") as source:
        return tuple(_region(row) for row in csv.DictReader(source))


def _region(row: dict[str, str]) -> Region:
    latitude, longitude = float(row["latitude"]), float(row["longitude"])
    bounds = (longitude - HALF, latitude - HALF, longitude + HALF, latitude + HALF)
    name = f"{int(row['number']):03d}-{row['name'].lower().replace(' ', '-')}"
    return Region(name, bounds, row["name"], row["note"], float(row["land"]))


@functools.cache
def sides() -> dict[str, str]:
    """`train` or `val` of each of the paper's regions: always the same, whichever are fetched."""
    return tiling.split({region.name: region.bounds for region in paper()})


def chosen(text: str) -> tuple[Region, ...]:
    """The regions that `--region` asks for.

    Args:
        text: `all`; `land` (all that are not open sea and have SRTM); numbers and ranges of the paper
            (`3,10-12`); a name of the paper (`kenya`, `africa`); or a box `W,S,E,N` in degrees, with
            a decimal point or a minus somewhere (four bare numbers are regions).

    Raises:
        TerramendError: `fetch.region`.
    """
    word = text.strip().lower()
    if word in ("all", "land"):
        return tuple(r for r in paper() if word == "all" or (r.land > 0 and r.has_srtm))
    titled = tuple(r for r in paper() if r.title.lower() == word or r.name == word)
    if titled:
        return titled
    parts = [part.strip() for part in word.split(",")]
    if all(re.fullmatch(r"\d{1,3}(-\d{1,3})?", part) for part in parts):
        numbers: dict[int, None] = {}
        for part in parts:
            first, _, last = part.partition("-")
            numbers.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
        if numbers and min(numbers) >= 1 and max(numbers) <= len(paper()):
            return tuple(paper()[number - 1] for number in numbers)
    box = _box(parts)
    if box is None:
        raise TerramendError("fetch.region", region=text, count=len(paper()))
    sign = "_".join(f"{value:g}" for value in box)
    return (Region(f"box_{sign}", box),)


def _box(parts: list[str]) -> tiling.Bounds | None:
    try:
        west, south, east, north = (float(part) for part in parts)
    except ValueError:
        return None
    fits = (
        -180 <= west < east <= 180 and -80 <= south < north <= 84 and east - west <= 6 and north - south <= 6
    )
    return (west, south, east, north) if fits else None
