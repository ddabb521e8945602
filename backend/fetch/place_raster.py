"""A raster of a place: a GeoTIFF that gets its name when it is whole, so that a second run may trust it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetWriter

from ..errors import TerramendError
from ..raster.grid import Grid
from ..raster.outputs import is_full, written
from ..raster.whole import close_whole
from ..raster.writer import writing


@contextmanager
def place_raster(path: Path, grid: Grid, **profile: Any) -> Iterator[DatasetWriter]:
    """The open file on a grid, in a folder that is made for it.

    Args:
        profile: count, dtype and nodata.

    Raises:
        TerramendError: `output.full`, `output.write`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        written(path) as part,
        rasterio.open(
            part, "w", driver="GTiff", width=grid.width, height=grid.height, crs=grid.crs,
            transform=grid.affine, compress="deflate", predictor=2, tiled=True, **profile,
        ) as target,
    ):  # fmt: skip
        try:
            yield target
        except rasterio.errors.RasterioError as error:  # of what is read, or of what has no room
            if is_full(path.parent):
                raise TerramendError("output.full", path=str(path)) from error
            raise
        with writing(part):
            close_whole(target)
