"""Elevation, slope and illumination of a scene from any DEM."""

from __future__ import annotations

import math

import numpy as np

from ....models.base import Floats
from ..closing import Closing
from ..grid import Grid, Window
from ..raster import Raster
from ..reader import RasterReader
from .slopes import Array, gradients, terrain

DEEPEST = -12000.0
"""Metres of elevation below which there is no ground."""
FAR = 32
"""Most pixels on each side that a slope is taken over."""


class TerrainReader(Closing):
    """The three terrain channels on a grid; a context manager that stays in one thread.

    Slopes reach over one DEM pixel or one scene pixel, whichever is larger, so that a coarse DEM gives no
    facets. A window is read with that margin, also beyond the scene's edge: values do
    not depend on the window.

    Args:
        dem: elevation in metres in its first band.
        grid: the scene's grid.
        sun: azimuth (from true north, clockwise) and elevation in degrees; None: no illumination.
    """

    def __init__(self, dem: Raster, grid: Grid, sun: tuple[float, float] | None) -> None:
        self._reader = RasterReader(dem, grid)
        self._grid = grid
        self._sun = grid.sun_from_north(sun)
        down, across = grid.pixel_size
        coarse = max(dem.grid.pixel_size[0] / down, dem.grid.pixel_size[1] / across)
        self._span = min(max(1, round(coarse)), FAR)

    def close(self) -> None:
        """Close the DEM."""
        self._reader.close()

    def read(self, window: Window) -> Floats:
        """(3, h, w) float32: elevation (m), slope (rad), illumination (cosine); NaN where unknown."""
        k = self._span
        wide = Window(window.row - k, window.column - k, window.height + 2 * k, window.width + 2 * k)
        height = self._reader.reflectance(wide, [0])[0]
        height[height < DEEPEST] = np.nan  # a void that the file does not declare
        return terrain(height[k:-k, k:-k], *self._to_east_north(*gradients(height, k)), self._sun)

    def _to_east_north(self, per_row: Array, per_column: Array) -> tuple[Array, Array]:
        """Metres of height per metre east and north, from heights per row and column, on any affine grid."""
        a, b, _, d, e, _ = self._grid.transform
        down, across = self._grid.pixel_size
        right, below = math.hypot(a, d), math.hypot(b, e)
        # A step of one column moves (a, d) in map units, which is `across` metres; rows likewise.
        column = (a / right * across, d / right * across)
        row = (b / below * down, e / below * down)
        area = column[0] * row[1] - column[1] * row[0]
        east = per_column * np.float32(row[1] / area) - per_row * np.float32(column[1] / area)
        north = per_row * np.float32(column[0] / area) - per_column * np.float32(row[0] / area)
        return east, north
