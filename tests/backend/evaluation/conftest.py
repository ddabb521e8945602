"""A small folder of scenes, made here: two places with three dates, one of them under a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

BANDS = ("B02", "B04", "B08")


def write(path: Path, array: np.ndarray, descriptions: tuple[str, ...] = ()) -> None:
    """A GeoTIFF on a common UTM grid."""
    profile = {
        "driver": "GTiff", "count": len(array), "height": array.shape[1], "width": array.shape[2],
        "dtype": array.dtype.name, "crs": "EPSG:32633", "transform": Affine(10, 0, 500000, 0, -10, 5000000),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(array)
        for index, text in enumerate(descriptions):
            target.set_band_description(index + 1, text)


def smooth(seed: int, size: int) -> np.ndarray:
    """A field of soft structures in 0..1."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 3, mode="wrap")
    return (field - field.min()) / np.ptp(field)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ROOT/fields/{east,west}: dates, a cloud mask, a DEM, as any user's folder could be."""
    root = tmp_path_factory.mktemp("scenes")
    for number, place in enumerate(("east", "west")):
        folder = root / "fields" / place
        folder.mkdir(parents=True)
        size = 72
        ground = np.stack([smooth(10 * number + band, size) for band in range(3)])
        for index, day in enumerate(("2020-05-01", "2020-05-11", "2020-06-01")):
            image = 800 + 2500 * ground * (1 + 0.1 * index) + 50 * smooth(90 + index, size)
            write(folder / f"{day}_s2.tif", image.astype(np.uint16), BANDS)
        cloud = (smooth(50 + number, size) > 0.62).astype(np.uint8)
        write(folder / "2020-05-11_mask.tif", cloud[None])
        write(folder / "dem.tif", (300 + 80 * smooth(70 + number, size)).astype(np.int16)[None])
    return root
