"""Slope and illumination from a grid of heights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def gradients(height: Array, span: int) -> tuple[Array, Array]:
    """Change of height per row and per column, each (h, w), by Horn (1981, doi:10.1109/PROC.1981.11918).

    Differences over three lines are averaged, the one in the middle counted twice, as GDAL's `gdaldem` and
    QGIS do. Where a line beside is unknown the middle one stands in; where heights on one side are, the
    difference to the other side; where they are on both, 0.

    Args:
        height: (h + 2 span, w + 2 span); NaN where unknown, and so is what is returned there.
        span: pixels on each side that a difference reaches.
    """
    before, here, after = slice(None, -2 * span), slice(span, -span), slice(2 * span, None)
    down = _difference(height[before], height[here], height[after], span)
    right = _difference(height[:, before], height[:, here], height[:, after], span)
    return (
        _smoothed(down[:, before], down[:, here], down[:, after]),
        _smoothed(right[before], right[here], right[after]),
    )


def terrain(height: Array, east: Array, north: Array, sun: tuple[float, float] | None) -> NDArray[np.float32]:
    """(3, h, w): height, slope (rad), cosine of the solar incidence angle; NaN where the height is unknown.

    Args:
        height: (h, w) metres. east, north: (h, w) its change in metres per metre.
        sun: azimuth (from north, clockwise) and elevation in degrees; None: the cosine is NaN.
    """
    out = np.full((3, *height.shape), np.nan, np.float32)
    out[0] = height
    out[1] = np.arctan(np.hypot(east, north))
    if sun is not None:
        azimuth, elevation = (math.radians(angle) for angle in sun)
        flat, tilt = math.sin(elevation), math.cos(elevation)
        towards = east * np.float32(math.sin(azimuth)) + north * np.float32(math.cos(azimuth))
        steep = np.sqrt(1 + east * east + north * north)
        out[2] = (np.float32(flat) - np.float32(tilt) * towards) / steep
    out[1:, np.isnan(height)] = np.nan
    return out


def _difference(before: Array, here: Array, after: Array, span: int) -> Array:
    """Change per pixel over both sides, over one where the other is unknown, 0 where both are."""
    slope = (after - before) / np.float32(2 * span)
    lone = ~np.isfinite(slope) & np.isfinite(here)
    if lone.any():
        with np.errstate(invalid="ignore"):
            forward = (after - here)[lone] / np.float32(span)
            backward = (here - before)[lone] / np.float32(span)
        one = np.where(np.isfinite(forward), forward, backward)
        slope[lone] = np.where(np.isfinite(one), one, np.float32(0))
    return slope


def _smoothed(before: Array, middle: Array, after: Array) -> Array:
    """Mean of three lines with the middle one twice; an unknown line beside it is taken as the middle."""
    sides = np.where(np.isfinite(before), before, middle) + np.where(np.isfinite(after), after, middle)
    return (sides + 2 * middle) / np.float32(4)
