"""Rasters and masks as files, and the gap map that is made of them."""

import numpy as np
import rasterio
from rasterio.crs import CRS
from scipy import ndimage
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.masks.gapmap import GAP, OUTSIDE, VALID, build_gap_map
from terramend.backend.raster.raster import Band, Raster
from terramend.backend.request import DEFAULT_CLASSES
from terramend.backend.watch import Watch

UTM = CRS.from_epsg(32633).to_wkt()
TRANSFORM = (10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0)  # as the fixture `write` has it
V, G, O = VALID, GAP, OUTSIDE  # noqa: E741


def save(path, samples, transform=TRANSFORM, crs=UTM, **profile):
    samples = samples[None] if samples.ndim == 2 else samples
    samples = samples.astype(np.uint8) if samples.dtype == bool else samples
    count, height, width = samples.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=samples.dtype, crs=crs,
        transform=rasterio.Affine(*transform), **profile,
    ) as file:  # fmt: skip
        file.write(samples)
    return str(path)


def raster(path, roles=None, **facts):
    with rasterio.open(path) as file:
        grid = Grid(
            file.crs.to_wkt() if file.crs else None, tuple(file.transform)[:6], file.width, file.height
        )
        bands = tuple(
            Band(str(path), i, f"B{i}", (roles or {}).get(i, "optical"), 500.0, file.dtypes[i - 1],
                 file.nodatavals[i - 1], 1e-4, 0.0)
            for i in file.indexes
        )  # fmt: skip
    return Raster("target", grid, bands, **facts)


def build(target, *masks, directory, watch=None, **options):
    options = {"grow": None, "classes": DEFAULT_CLASSES, "cloud_threshold": None, "extent": None} | options
    options.setdefault("fill_swath_edges", False)
    directory.mkdir(exist_ok=True)
    return build_gap_map(target, masks, directory=directory, watch=watch or Watch(), **options)


def codes(target, *masks, directory, **options):
    with build(target, *masks, directory=directory, **options) as gap_map:
        return gap_map.read(target.grid.whole).copy()


def disc(flags, radius):
    return ndimage.distance_transform_edt(~flags) <= radius if flags.any() else flags


def holed(height=40, width=50):
    """Nodata: a corner that reaches the edge (1), a hole (2), a wedge that is open to the edge (3)."""
    parts = np.zeros((height, width), np.uint8)
    parts[:10, :10] = 1
    parts[20:25, 20:30] = 2
    parts[30:32, 35:] = 3
    return parts
