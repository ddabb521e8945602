"""What lies beside the target: pairing another raster's grid with it, and opening DEM and SAR."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import TerramendError
from ...watch import Watch
from ..gdal import open_dataset, sparse_sample
from ..grid import Grid
from ..products.files import open_raster
from ..raster import Band, Raster, is_image
from ..texts import units
from ..warp import overlaps
from .polarisations import files_of

FEET = ("ft", "foot", "feet", "ftus", "us-ft", "foot_us", "us survey foot", "us survey feet")
"""Units of elevation that are no metres, as files write them."""
METRES = 0.3048
"""Of a foot; the survey foot is two millionths longer."""
VOIDS = (-9999, -32767, -32768)
"""What stands for no ground by custom in elevation models that declare nothing."""


def paired(raster: Raster, target: Grid, watch: Watch) -> Raster:
    """The raster with a grid that can be brought onto the target's.

    Where one of them has no CRS, rasters of one size are paired pixel to pixel, which is said.

    Raises:
        TerramendError: `pair.crs` where sizes differ too.
    """
    grid = raster.grid
    if grid.crs is not None and target.crs is not None:
        return raster
    if (grid.width, grid.height) == (target.width, target.height):
        if not grid.same_as(target) or grid.crs is None:
            watch.notice("pair.pixels", name=raster.name)
        return replace(raster, grid=target)
    if (
        grid.crs is None
        and target.crs is None
        and grid.transform[:2] != (1, 0)
        and target.transform[:2] != (1, 0)
    ):
        return raster  # both in one unnamed plane
    raise TerramendError(
        "pair.crs", name=raster.name, width=grid.width, height=grid.height,
        target_width=target.width, target_height=target.height,
    )  # fmt: skip


def open_guide(path: str, target: Grid, option: str, watch: Watch) -> Raster:
    """The DEM or SAR raster of an option, on ground that it shares with the target.

    Args:
        option: `--dem` or `--sar`, for messages.

    Raises:
        TerramendError: `guide.apart` without overlap, `dem.optical`, `dem.mask`; those of `paired` and
            `open_raster`.
    """
    raster = open_raster(path, watch)[0]
    if option == "--sar":
        raster = _with_other(raster, path, watch)
    raster = paired(raster, target, watch)
    bands = raster.bands
    if option == "--dem":
        if is_image(bands):
            raise TerramendError("dem.optical", path=path)
        if len(bands) != 1:
            watch.notice("guide.first-band", path=path)
        sample = sparse_sample(bands[0].path, bands[0].index)
        bands = (_elevation(bands[0], sample, raster.name, watch),)
        if _is_mask(bands[0], sample):
            raise TerramendError("dem.mask", path=path)
    raster = replace(raster, bands=bands)
    if not overlaps(raster.grid, target):
        raise TerramendError("guide.apart", path=path, option=option)
    return raster


def _with_other(raster: Raster, path: str, watch: Watch) -> Raster:
    """One band of radar with that of the other polarisation, where its file lies on the same grid."""
    for name in files_of(path)[1:] if len(raster.bands) == 1 else ():
        other = open_raster(name, watch)[0]
        if len(other.bands) == 1 and other.grid.same_as(raster.grid):
            watch.notice("sar.beside", name=raster.name, path=name)
            return replace(raster, bands=raster.bands + other.bands)
    return raster


def _elevation(band: Band, sample: NDArray[Any], name: str, watch: Watch) -> Band:
    """The band in metres, with what marks its voids."""
    nodata = band.nodata
    if nodata is None:
        usual = {"int16": -32768.0, "float32": -9999.0, "float64": -9999.0, "int32": -9999.0}.get(band.dtype)
        nodata = next((float(void) for void in VOIDS if (sample == void).any()), usual)
    with open_dataset(band.path) as file:
        unit = units(file)[band.index - 1] or ""
    if unit.strip().lower() in FEET:
        watch.notice("guide.feet", name=name)
        band = replace(band, gain=band.gain * METRES, bias=band.bias * METRES)
    return replace(band, role="optical", nodata=nodata)


def _is_mask(band: Band, sample: NDArray[Any]) -> bool:
    """Whether a band holds two values and no more, one of them 0 or both bytes: ground may be 3 and 4 m."""

    def two(values: NDArray[Any]) -> bool:
        found = np.unique(values[np.isfinite(values) & (values != band.nodata)])
        return found.size == 2 and (found.dtype == np.uint8 or 0 in found)

    if not two(sample):
        return False
    with open_dataset(band.path) as file:  # a flat shore in whole metres may look so in some places
        return two(file.read(band.index, out_shape=tuple(min(side, 1024) for side in file.shape)))
