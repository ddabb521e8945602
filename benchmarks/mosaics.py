"""Big test mosaics of real satellite tiles: a target, other dates, and gaps of real cloud shapes.

The tiles come from TERRAMEND_DATA (a Sentinel-2 series, 10 m); where that is absent, from
`sample/two_dates`, whose other date then serves as every reference. A tile is laid beside
its own mirror image, so that no edge is artificial.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("TERRAMEND_DATA", ROOT.parent / "shared" / "data"))
ZOOM = 4
"""Pixels of the mosaic per pixel of a cloud map."""


@dataclass(frozen=True)
class Case:
    """What a mosaic holds.

    Attributes:
        bands: of every date. references: other dates.
        share: of the target's pixels under clouds; cloudy: of each reference's (stored as nodata 0).
    """

    bands: int
    references: int
    share: float
    cloudy: float = 0.0


CASES = {
    "two": Case(4, 2, 0.2),
    "four": Case(6, 4, 0.32, 0.15),
}
"""`two`: the plain scene of the main job. `four`: the analyst's usual question."""


def names(case: Case) -> tuple[str, ...]:
    """The rasters of a case: the target, its references, the target's gaps."""
    return ("target", *(f"reference{k}" for k in range(case.references)), "gaps")


def make(folder: Path, side: int, case: Case = CASES["two"]) -> dict[str, Path]:
    """Write the case's rasters, `side` squared: dates as uint16, gaps as 0 and 1."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 1 + case.references
    series = (DATA / "train" / "s2_timeseries_lazio").is_dir()
    dates, clouds = _series(count, case.bands) if series else _sample(count, case.bands)
    paths = {name: folder / f"{name}.tif" for name in names(case)}
    for number, tile in enumerate(dates):
        image = np.stack([_mirrored(band, side) for band in tile])
        share = case.cloudy if number else case.share
        gaps = _clouds(clouds, side, share, number) if share else np.zeros((side, side), bool)
        # The target's clouds are bright, and never the answer; a reference says itself what is missing.
        image[:, gaps] = 0 if number else 9000
        _write(paths[names(case)[number]], image, nodata=0 if number and share else None)
        if not number:
            _write(paths["gaps"], gaps[None].astype(np.uint8))
    return paths


def _series(count: int, bands: int) -> tuple[list[NDArray[np.uint16]], NDArray[np.float32]]:
    """The dates with the fewest clouds, bands B02, B03, B04, B08, B11, B12; the library of cloud maps."""
    folder = DATA / "train" / "s2_timeseries_lazio"
    dates = json.loads((folder / "dates.json").read_text())
    clear = sorted(dates, key=lambda entry: (entry["cloud_fraction_prob40"], entry["date"]))[:count]
    tiles = []
    for entry in clear:
        with rasterio.open(folder / f"{entry['date']}_s2.tif") as file:
            tiles.append(file.read(list(range(1, bands + 1))))
    with rasterio.open(DATA / "train" / "cloud_masks" / "cloudprob_stack.tif") as file:
        return tiles, file.read(1).astype(np.float32)


def _sample(count: int, bands: int) -> tuple[list[NDArray[np.uint16]], NDArray[np.float32]]:
    """Two dates of four bands, repeated to as many as are wanted."""
    folder = ROOT / "sample" / "two_dates"
    tiles = []
    for name in ("boadella_2020-01-28", *["boadella_2020-01-13"] * (count - 1)):
        with rasterio.open(folder / f"{name}.tif") as file:
            tiles.append(file.read([1 + band % file.count for band in range(bands)]))
    with rasterio.open(folder / "boadella_2020-01-13_cloudmask.tif") as file:
        return tiles, file.read(1).astype(np.float32)


def _mirrored(band: NDArray[np.uint16], side: int) -> NDArray[np.uint16]:
    """The band repeated to `side` squared, every second time mirrored."""
    double = np.block([[band, band[:, ::-1]], [band[::-1], band[::-1, ::-1]]])
    times = -(-side // min(double.shape))
    return np.tile(double, (times, times))[:side, :side]


def _clouds(maps: NDArray[np.float32], side: int, share: float, seed: int) -> NDArray[np.bool_]:
    """(side, side) bool: cloud maps, enlarged, smooth, cut so that `share` is covered."""
    small = -(-side // ZOOM)
    width = maps.shape[1]
    count = max(maps.shape[0] // width, 1)
    rng, across = np.random.default_rng(seed), -(-small // width)
    picked = rng.integers(0, count, (across, across))
    cut = [[maps[i * width : (i + 1) * width] for i in row] for row in picked]
    lowest = min(part.shape[0] for row in cut for part in row)
    field = np.block([[part[:lowest] for part in row] for row in cut])
    field = np.pad(field, ((0, max(small - field.shape[0], 0)), (0, 0)), "symmetric")[:small, :small]
    smooth = cv2.GaussianBlur(field, (0, 0), 2)
    height = np.quantile(smooth, 1 - share)
    return cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR) > height


def _write(path: Path, samples: NDArray[np.uint16] | NDArray[np.uint8], nodata: int | None = None) -> None:
    count, height, width = samples.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=samples.dtype.name,
        crs="EPSG:32633", transform=rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
        tiled=True, blockxsize=256, blockysize=256, compress="deflate", predictor=2, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(samples)
