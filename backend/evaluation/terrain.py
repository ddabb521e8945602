"""Terrain channels of a place's DEM: elevation, slope, illumination, as the reconstructors take them.

A place's DEM lies on its grid already, north up; `raster.scene.terrain` reads any DEM for any grid.
"""

from __future__ import annotations

import numpy as np

from ...models.base import Floats
from ..raster.scene.slopes import gradients, terrain


def channels(
    elevation: Floats | None, pixel_size: tuple[float, float], sun: tuple[float, float] | None
) -> Floats | None:
    """(3, H, W) from (H, W) metres: elevation, slope (rad), cosine of the solar incidence angle.

    Illumination is NaN without `sun` (azimuth, elevation in degrees).
    """
    if elevation is None:
        return None
    per_row, per_column = gradients(np.pad(elevation, 1, constant_values=np.nan), 1)
    down, across = pixel_size
    return terrain(elevation, per_column / np.float32(across), -per_row / np.float32(down), sun)
