"""Big test mosaics of real satellite tiles: a target, two other dates, and 20 % of real cloud shapes.

The tiles come from TERRAMEND_DATA (a Sentinel-2 series, 10 m); where that is absent, from
`sample/two_dates`, whose other date then serves as both references. A tile is laid beside
its own mirror image, so that no edge is artificial.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TERRAMEND_DATA", ROOT.parent / "shared" / "data"))
SHARE, ZOOM = 0.2, 4
"""Share of the pixels under clouds; pixels of the mosaic per pixel of a cloud map."""


def make(folder: Path, side: int) -> dict[str, Path]:
    """Write `target.tif`, `before.tif`, `after.tif` (4 x uint16) and `gaps.tif` of `side` squared."""
    folder.mkdir(parents=True, exist_ok=True)
    dates, clouds = _series() if (DATA / "train" / "s2_timeseries_lazio").is_dir() else _sample()
    gaps = _clouds(clouds, side)
    paths = {name: folder / f"{name}.tif" for name in ("target", "before", "after", "gaps")}
    for (name, path), tile in zip(list(paths.items())[:3], dates, strict=True):
        image = np.stack([_mirrored(band, side) for band in tile])
        if name == "target":
            image[:, gaps] = 9000  # cloud: bright, and never the answer
        _write(path, image)
    _write(paths["gaps"], gaps[None].astype(np.uint8))
    return paths


def _series() -> tuple[list[NDArray[np.uint16]], NDArray[np.float32]]:
    """Three dates with the fewest clouds, bands B02, B03, B04, B08, and the library of cloud maps."""
    folder = DATA / "train" / "s2_timeseries_lazio"
    dates = json.loads((folder / "dates.json").read_text())
    clear = sorted(dates, key=lambda entry: (entry["cloud_fraction_prob40"], entry["date"]))[:3]
    tiles = []
    for entry in clear:
        with rasterio.open(folder / f"{entry['date']}_s2.tif") as file:
            tiles.append(file.read([1, 2, 3, 4]))
    with rasterio.open(DATA / "train" / "cloud_masks" / "cloudprob_stack.tif") as file:
        return tiles, file.read(1).astype(np.float32)


def _sample() -> tuple[list[NDArray[np.uint16]], NDArray[np.float32]]:
    folder = ROOT / "sample" / "two_dates"
    tiles = []
    for name in ("boadella_2020-01-28", "boadella_2020-01-13", "boadella_2020-01-13"):
        with rasterio.open(folder / f"{name}.tif") as file:
            tiles.append(file.read([1, 2, 3, 4]))
    with rasterio.open(folder / "boadella_2020-01-13_cloudmask.tif") as file:
        return tiles, file.read(1).astype(np.float32)


def _mirrored(band: NDArray[np.uint16], side: int) -> NDArray[np.uint16]:
    """The band repeated to `side` squared, every second time mirrored."""
    double = np.block([[band, band[:, ::-1]], [band[::-1], band[::-1, ::-1]]])
    times = -(-side // min(double.shape))
    return np.tile(double, (times, times))[:side, :side]


def _clouds(maps: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    """(side, side) bool: cloud maps, enlarged, smooth, cut so that `SHARE` is covered."""
    small = -(-side // ZOOM)
    width = maps.shape[1]
    count = max(maps.shape[0] // width, 1)
    rng, across = np.random.default_rng(0), -(-small // width)
    picked = rng.integers(0, count, (across, across))
    cut = [[maps[i * width : (i + 1) * width] for i in row] for row in picked]
    lowest = min(part.shape[0] for row in cut for part in row)
    field = np.block([[part[:lowest] for part in row] for row in cut])
    field = np.pad(field, ((0, max(small - field.shape[0], 0)), (0, 0)), "symmetric")[:small, :small]
    smooth = cv2.GaussianBlur(field, (0, 0), 2)
    height = np.quantile(smooth, 1 - SHARE)
    return cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR) > height


def _write(path: Path, samples: NDArray[np.uint16] | NDArray[np.uint8]) -> None:
    count, height, width = samples.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=samples.dtype.name,
        crs="EPSG:32633", transform=rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
        tiled=True, blockxsize=256, blockysize=256, compress="deflate", predictor=2,
    ) as file:  # fmt: skip
        file.write(samples)
