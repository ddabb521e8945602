"""Terrain channels of a place's DEM: elevation, slope, illumination, as the reconstructors take them.

A place's DEM lies on its grid already, north up; `raster.terrain` reads any DEM for any grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def channels(
    elevation: Floats | None, pixel_size: tuple[float, float], sun: tuple[float, float] | None
) -> Floats | None:
    """(3, H, W) from (H, W) metres: elevation, slope (rad), cosine of the solar incidence angle.

    Slopes are Horn's (1981). Illumination is NaN without `sun` (azimuth, elevation in degrees).
    """
    if elevation is None:
        return None
    z = np.pad(elevation.astype(np.float64), 1, mode="edge")
    rows = z[:-2] + 2 * z[1:-1] + z[2:]
    columns = z[:, :-2] + 2 * z[:, 1:-1] + z[:, 2:]
    down = (columns[2:] - columns[:-2]) / (8 * pixel_size[0])
    right = (rows[:, 2:] - rows[:, :-2]) / (8 * pixel_size[1])
    slope = np.arctan(np.hypot(down, right))
    light = np.full(elevation.shape, np.nan)
    if sun is not None:
        azimuth, height = np.radians(sun)
        steep = np.hypot(np.hypot(down, right), 1)  # the normal is (-right, down, 1) / steep: east, north, up
        east, north = np.sin(azimuth) * np.cos(height), np.cos(azimuth) * np.cos(height)
        light = (-right * east + down * north + np.sin(height)) / steep
    return np.stack([elevation, slope, light]).astype(np.float32)
