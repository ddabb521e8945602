"""What the product readers return: bands of one date on one grid, and all that is known of it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..request import Mask
from .grid import Grid

HUGE = 1e30
"""Floats from here on are no measurements: many programs write 3.4e38 for nodata and do not declare it."""


def measured(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which floats can be measurements: finite, and below `HUGE`."""
    return np.asarray(np.abs(values) < HUGE)


def holds(dtype: DTypeLike, value: float) -> bool:
    """Whether samples of a dtype can equal a value such as nodata: whole numbers no fraction, none NaN."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not math.isnan(value)
    limits = np.iinfo(kind)
    return float(value).is_integer() and bool(limits.min <= value <= limits.max)


@dataclass(frozen=True)
class Band:
    """One band of one file.

    Attributes:
        path: GDAL name of the file. index: 1-based band in it.
        description: the band's name as the file or product gives it.
        role: `optical`, `thermal`, `class`, `qa`, `index` or `alpha`; see `telling`.
        wavelength: centre in nanometres, NaN if unknown.
        dtype, nodata: as stored. nodata None: undeclared.
        gain, bias: reflectance = stored * gain + bias; where no band is optical, what the file means.
    """

    path: str
    index: int
    description: str
    role: str
    wavelength: float
    dtype: str
    nodata: float | None
    gain: float
    bias: float


def telling(bands: Sequence[Band]) -> tuple[int, ...]:
    """0-based bands that an image is about: optical ones; in one without them temperatures and indices."""
    optical = tuple(i for i, band in enumerate(bands) if band.role == "optical")
    return optical or tuple(i for i, band in enumerate(bands) if band.role in ("thermal", "index"))


def is_reflectance(bands: Sequence[Band]) -> bool:
    """Whether a raster of these bands is one of reflectance: one of them is optical."""
    return any(band.role == "optical" for band in bands)


def in_own_values(bands: Sequence[Band]) -> tuple[Band, ...]:
    """The bands, those that were taken for light as what is filled in its own values."""
    return tuple(replace(band, role="index") if band.role == "optical" else band for band in bands)


def is_image(bands: Sequence[Band]) -> bool:
    """Whether bands are those of a camera, by their names: more than two wavelengths are known."""
    return sum(not math.isnan(band.wavelength) for band in bands) > 2


@dataclass(frozen=True)
class Raster:
    """Bands that share a grid. A product with several resolutions is several rasters.

    Attributes:
        name: what messages call it. bands: in product order.
        date: acquisition date. sun: azimuth, elevation in degrees.
        sensor: `sentinel2`, `landsat8`, ... or empty. surface: True for surface
            reflectance, False for top of atmosphere, None if unknown.
        said: whether analyst or product said how its values become reflectance.
        masks: QA or class layers that belong to it, ready to be read as gap masks.
        zero_fill: zero in every band means "outside" although no nodata is declared.
        credits: attribution line for the output's tags, or empty.
    """

    name: str
    grid: Grid
    bands: tuple[Band, ...]
    date: datetime.date | None = None
    sun: tuple[float, float] | None = None
    sensor: str = ""
    surface: bool | None = None
    said: bool = False
    masks: tuple[Mask, ...] = ()
    zero_fill: bool = False
    credits: str = ""


def is_light(raster: Raster, band: Band) -> bool:
    """Whether an optical band is known to hold reflectance, or was scaled to what is taken for it.

    What is read as it is stored, and neither says nor was said to be light, may be anything.
    """
    known = raster.said or raster.surface is not None or not math.isnan(band.wavelength)
    return band.role == "optical" and (known or (band.gain, band.bias) != (1, 0))
