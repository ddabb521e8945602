"""What the readers share: GeoTIFFs to arrays, wavelengths, the sun."""

from __future__ import annotations

import datetime
import math
import warnings
from pathlib import Path

import cv2
import numpy as np
import rasterio
import rasterio.errors
from numpy.typing import NDArray

from ...models.base import Flags, Floats
from ..raster.grid import Grid
from ..raster.masks.tables import CLOUD_PROBABILITY_THRESHOLD

SENTINEL2 = {
    "B02": 490.0, "B03": 560.0, "B04": 665.0, "B05": 705.0, "B06": 740.0, "B07": 783.0,
    "B08": 842.0, "B8A": 865.0, "B11": 1610.0, "B12": 2190.0,
}  # fmt: skip
LANDSAT8 = {"B2": 482.0, "B3": 561.0, "B4": 655.0, "B5": 865.0, "B6": 1609.0, "B7": 2201.0}
LANDSAT7 = {"B1": 485.0, "B2": 560.0, "B3": 660.0, "B4": 835.0, "B5": 1650.0, "B7": 2220.0}
COLOURS = {"blue": 485.0, "green": 560.0, "red": 660.0, "nir": 840.0, "swir16": 1610.0, "swir22": 2200.0}
"""Band centres in nanometres as the agencies publish them, rounded."""

SIX = ("B02", "B03", "B04", "B08", "B11", "B12")
"""The Sentinel-2 bands that most of the pack holds."""


def wavelengths(bands: tuple[str, ...], table: dict[str, float]) -> tuple[float, ...]:
    """Centres of `bands` in nanometres, NaN for what the table does not know."""
    return tuple(table.get(band, math.nan) for band in bands)


def geotiffs(folder: Path) -> list[Path]:
    """The GeoTIFFs of a folder in order; the agencies' own files end in .TIF."""
    return sorted(path for path in folder.iterdir() if is_geotiff(path))


def is_geotiff(path: Path) -> bool:
    """By the ending of its name, small or large."""
    return path.suffix.lower() in (".tif", ".tiff")


def opened(path: Path) -> rasterio.DatasetReader:
    """The open file; that some have no georeference is known and said in their README."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path)


def raw(path: Path) -> NDArray[np.generic]:
    """(B, H, W) samples as stored."""
    with opened(path) as source:
        samples: NDArray[np.generic] = source.read()
    return samples


def reflectance(path: Path, gain: float = 1e-4, bias: float = 0.0, bands: int | None = None) -> Floats:
    """(B, H, W) float32 `stored * gain + bias` of the first `bands` (None: all), NaN at no data."""
    with opened(path) as source:
        stored = source.read(list(range(1, (bands or source.count) + 1)))
        empty = source.nodata
    image = stored.astype(np.float32) * np.float32(gain) + np.float32(bias)
    if empty is not None:
        image[stored == empty] = np.nan
    return image


def tag(path: Path, name: str) -> str:
    """A GeoTIFF tag, empty if it is not there."""
    with opened(path) as source:
        return str(source.tags().get(name, ""))


def grid(path: Path) -> Grid:
    """The file's grid."""
    with opened(path) as source:
        return Grid.of(source)


def elevation(path: Path) -> Floats:
    """(H, W) float32 metres, NaN at no data."""
    return reflectance(path, 1.0)[0]


def cloud(path: Path) -> Flags:
    """(H, W) bool from a cloud probability in percent, by the threshold of a fill."""
    return np.asarray(raw(path)[0] >= CLOUD_PROBABILITY_THRESHOLD)


def decibel(path: Path) -> Floats:
    """(2, H, W) float32 VV, VH from dB x 100."""
    return raw(path).astype(np.float32) / np.float32(100)


def enlarged(image: Floats, shape: tuple[int, int]) -> Floats:
    """(B, h, w) resampled bilinearly to (B, H, W), as analysts stack 20 m bands on 10 m ones."""
    height, width = shape
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in image]
    return np.stack(planes).astype(np.float32)


def stacked(fine: Path, coarse: Path) -> Floats:
    """The 10 m bands of one file and the enlarged 20 m bands of another."""
    image = reflectance(fine)
    return np.concatenate([image, enlarged(reflectance(coarse), image.shape[1:])])


def sun(date: datetime.date, latitude: float, hour: float) -> tuple[float, float]:
    """Azimuth and elevation in degrees at local solar `hour` (Cooper's declination, 1969).

    Good to about a degree, for sources that state a date but no angles; polar orbiters
    cross the equator at a fixed local solar time (Landsat 10.2, Sentinel-2 10.5).
    """
    tilt = math.radians(23.45) * math.sin(2 * math.pi * (284 + date.timetuple().tm_yday) / 365)
    angle, height = math.radians(15 * (hour - 12)), math.radians(latitude)
    up = math.sin(height) * math.sin(tilt) + math.cos(height) * math.cos(tilt) * math.cos(angle)
    east = -math.cos(tilt) * math.sin(angle)
    north = math.cos(height) * math.sin(tilt) - math.sin(height) * math.cos(tilt) * math.cos(angle)
    return math.degrees(math.atan2(east, north)) % 360, math.degrees(math.asin(up))
