"""Where pixels lie: a frozen grid (CRS, transform, size) and windows of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import rasterio.crs
import rasterio.warp
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio._err import CPLE_BaseError  # what GDAL raises itself: no public name is given to it
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels: first row and column, height and width."""

    row: int
    column: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices into an array of the whole grid."""
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The form that rasterio's `window=` takes."""
        return (self.row, self.row + self.height), (self.column, self.column + self.width)

    def grown(self, margin: int, limit: Grid) -> Window:
        """The window with `margin` more pixels on each side, cut at the grid's edge."""
        row, column = max(self.row - margin, 0), max(self.column - margin, 0)
        bottom = min(self.row + self.height + margin, limit.height)
        right = min(self.column + self.width + margin, limit.width)
        return Window(row, column, bottom - row, right - column)

    def meet(self, other: Window) -> Window | None:
        """The pixels that both windows hold, or None."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.column + self.width, other.column + other.width) - column
        return Window(row, column, height, width) if height > 0 and width > 0 else None

    def halves(self) -> tuple[Window, Window]:
        """The upper and the lower half of the rows."""
        half = self.height // 2
        return (
            Window(self.row, self.column, half, self.width),
            Window(self.row + half, self.column, self.height - half, self.width),
        )

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Slices of this window in an array that covers `outer`."""
        row, column = self.row - outer.row, self.column - outer.column
        return slice(row, row + self.height), slice(column, column + self.width)


@dataclass(frozen=True)
class Grid:
    """CRS (WKT, or None), affine transform (a, b, c, d, e, f) and size in pixels."""

    crs: str | None
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    @classmethod
    def of(cls, file: DatasetReader) -> Grid:
        """The grid of an open file, as it says it."""
        a, b, c, d, e, f = tuple(file.transform)[:6]
        return cls(file.crs.to_wkt() if file.crs else None, (a, b, c, d, e, f), file.width, file.height)

    @property
    def affine(self) -> Affine:
        """The transform as rasterio takes it."""
        return Affine(*self.transform)

    @property
    def is_place(self) -> bool:
        """Whether the transform gives every pixel a place and a size."""
        corners = self.affine @ (0, 0), self.affine @ (self.width, self.height)
        finite = all(math.isfinite(number) for corner in corners for number in corner)
        return finite and 0 < abs(self.affine.determinant) < math.inf

    @property
    def whole(self) -> Window:
        """The window of all pixels."""
        return Window(0, 0, self.height, self.width)

    def cut(self, window: Window) -> Grid:
        """The grid of a window."""
        a, b, c, d, e, f = self.transform
        x = c + a * window.column + b * window.row
        y = f + d * window.column + e * window.row
        return Grid(self.crs, (a, b, x, d, e, y), window.width, window.height)

    def coarse(self, step: int) -> Grid:
        """The grid of the same area with pixels `step` times as large (last ones overhang)."""
        a, b, c, d, e, f = self.transform
        width, height = math.ceil(self.width / step), math.ceil(self.height / step)
        return Grid(self.crs, (a * step, b * step, c, d * step, e * step, f), width, height)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of the middle pixel in metres (a unit is a metre without CRS)."""
        a, b, _, d, e, _ = self.transform
        down, right = math.hypot(b, e), math.hypot(a, d)
        if self.crs is None:
            return down, right
        crs = rasterio.crs.CRS.from_wkt(self.crs)
        if crs.is_geographic:
            latitude = math.radians((self.affine @ (self.width / 2, self.height / 2))[1])
            degree = math.radians(1) * 6371008.8  # mean Earth radius, IUGG
            return down * degree, right * degree * max(math.cos(latitude), 0.01)
        factor = float(crs.linear_units_factor[1]) if crs.is_projected else 1.0  # local plane: metres
        if 'PROJECTION["Mercator_' in self.crs and self.centre:  # of web maps: at 60° half a metre
            factor *= max(math.cos(math.radians(self.centre[0])), 0.01)
        return down * factor, right * factor

    @property
    def geographic(self) -> bool:
        """Whether its coordinates are longitudes and latitudes in degrees."""
        return self.crs is not None and bool(rasterio.crs.CRS.from_wkt(self.crs).is_geographic)

    @property
    def centre(self) -> tuple[float, float] | None:
        """Latitude and longitude of the middle in degrees (WGS 84), or None where no CRS tells."""
        crs = rasterio.crs.CRS.from_wkt(self.crs) if self.crs else None
        if crs is None or not (crs.is_geographic or crs.is_projected):  # no CRS, or a plane of its own
            return None
        x, y = self.affine @ (self.width / 2, self.height / 2)
        try:
            (longitude,), (latitude,) = to_crs(crs, rasterio.crs.CRS.from_epsg(4326), [x], [y])
        except ValueError:  # the Moon
            return None
        found = float(latitude), float(longitude)
        return found if all(map(math.isfinite, found)) else None

    @property
    def north(self) -> float:
        """Degrees by which true north lies clockwise of the CRS's own at the middle; 0 where no CRS tells.

        A degree or two in a zone of UTM, any angle in a polar projection.
        """
        place = self.centre
        if self.crs is None or place is None or abs(place[0]) > 89.99:
            return 0.0
        latitude, longitude = place
        crs, step = rasterio.crs.CRS.from_wkt(self.crs), 1e-4
        try:
            (x, above), (y, beyond) = to_crs(
                rasterio.crs.CRS.from_epsg(4326), crs, [longitude] * 2, [latitude, latitude + step]
            )
        except ValueError:
            return 0.0
        angle = math.degrees(math.atan2(above - x, beyond - y))
        return angle if math.isfinite(angle) else 0.0

    def sun_from_north(self, sun: tuple[float, float] | None) -> tuple[float, float] | None:
        """Azimuth (from true north, clockwise) and elevation in degrees, the azimuth from the CRS's north."""
        return None if sun is None else (sun[0] + self.north, sun[1])

    def same_crs(self, other: Grid) -> bool:
        """Whether both have one CRS, however it is written, or none."""
        if self.crs is None or other.crs is None or self.crs == other.crs:
            return self.crs == other.crs
        return bool(rasterio.crs.CRS.from_wkt(self.crs) == rasterio.crs.CRS.from_wkt(other.crs))

    def same_as(self, other: Grid) -> bool:
        """Whether pixels coincide: size, CRS and transform to a hundredth of a pixel."""
        if (self.width, self.height) != (other.width, other.height) or not self.same_crs(other):
            return False
        tolerance = 0.01 * min(math.hypot(*self.transform[0:4:3]), math.hypot(*self.transform[1:5:3]))
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        return all(math.dist(self.affine @ corner, other.affine @ corner) <= tolerance for corner in corners)

    def strips(self, rows: int) -> Iterator[Window]:
        """Windows of whole rows, at most so many each, from the top down."""
        for row in range(0, self.height, rows):
            yield Window(row, 0, min(rows, self.height - row), self.width)

    def blocks(self, size: int) -> Iterator[Window]:
        """Windows of at most `size` squared that cover the grid, row by row."""
        for row in range(0, self.height, size):
            for column in range(0, self.width, size):
                yield Window(row, column, min(size, self.height - row), min(size, self.width - column))


def to_crs(
    source: rasterio.crs.CRS, target: rasterio.crs.CRS, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (n,) in another CRS, by GDAL; inf where that does not reach.

    Raises:
        ValueError: one of them has no place in its CRS at all, or the CRSs are of two celestial bodies.
    """
    try:
        xs, ys = rasterio.warp.transform(source, target, x, y)[:2]
    except (RasterioError, CPLE_BaseError) as error:
        raise ValueError(str(error)) from error
    return np.asarray(xs, float), np.asarray(ys, float)
