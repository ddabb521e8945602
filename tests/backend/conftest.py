"""Small synthetic scenes as files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage

UTM = rasterio.crs.CRS.from_epsg(32633)
NORTH_UP = rasterio.Affine(10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


def landscape(bands: int, height: int, width: int, seed: int = 0, low: float = 300, high: float = 3000):
    """(bands, height, width) float64: smooth bands that resemble each other, with fields and noise."""
    rng = np.random.default_rng(seed)
    base = ndimage.gaussian_filter(rng.standard_normal((height, width)), 8, mode="reflect")
    fields = rng.random((height // 12 + 1, width // 12 + 1)).repeat(12, 0).repeat(12, 1)[:height, :width]
    parts = []
    for _ in range(bands):
        mixed = rng.uniform(0.5, 1) * base / (base.std() + 1e-9) + rng.uniform(0.5, 2) * fields
        parts.append(mixed + 0.02 * rng.standard_normal((height, width)))
    stack = np.stack(parts)
    span = max(np.ptp(stack), 1e-9)
    return low + (high - low) * (stack - stack.min()) / span


def blobs(height: int, width: int, fraction: float, seed: int = 1) -> np.ndarray:
    """(height, width) bool: cloud-like shapes over about `fraction` of the pixels, clear of the edge.

    Nodata that touches the edge lies outside the footprint and is no gap.
    """
    noise = np.random.default_rng(seed).standard_normal((height, width))
    smooth = ndimage.gaussian_filter(noise, 6, mode="reflect")
    flags = smooth > np.quantile(smooth, 1 - fraction)
    flags[:1] = flags[-1:] = False
    flags[:, :1] = flags[:, -1:] = False
    return flags


def table(folder: Path, text: str) -> Path:
    """A batch's table in a folder."""
    path = folder / "table.csv"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write("name.tif", samples, nodata=..., decorate=...)`: a GeoTIFF in the test's folder."""

    def make(name: str, samples: np.ndarray, decorate=None, **profile) -> Path:
        samples = samples[None] if samples.ndim == 2 else samples
        count, height, width = samples.shape
        base = {
            "driver": "GTiff", "count": count, "height": height, "width": width,
            "dtype": samples.dtype.name, "crs": UTM, "transform": NORTH_UP,
        }  # fmt: skip
        path = tmp_path / name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **{**base, **profile}) as file,
        ):
            if decorate:
                decorate(file)
            file.write(samples)
        return path

    return make
