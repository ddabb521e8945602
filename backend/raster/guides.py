"""What lies beside the target: pairing another raster's grid with it, and opening DEM and SAR."""

from __future__ import annotations

from dataclasses import replace

from ..errors import TerramendError
from ..watch import Watch
from .files import open_raster
from .grid import Grid
from .raster import Raster
from .warp import overlaps


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
        TerramendError: `guide.apart` without overlap; `guide.bands`; those of `paired` and `open_raster`.
    """
    rasters = open_raster(path, watch)
    raster = paired(rasters[0], target, watch)
    bands = raster.bands
    if option == "--dem":
        if len(bands) != 1:
            watch.notice("guide.first-band", path=path)
        void = {"int16": -32768.0, "float32": -9999.0, "float64": -9999.0, "int32": -9999.0}.get(
            bands[0].dtype
        )
        nodata = void if bands[0].nodata is None else bands[0].nodata
        bands = (replace(bands[0], role="optical", nodata=nodata),)
    raster = replace(raster, bands=bands)
    if not overlaps(raster.grid, target):
        raise TerramendError("guide.apart", path=path, option=option)
    return raster
