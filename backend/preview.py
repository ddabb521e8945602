"""A quick look: fill a window of the target, decimated to a bounded size."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import rasterio
from rasterio.enums import Resampling

from .fill import fill
from .filling.opening import open_inputs
from .raster.gdal import open_dataset
from .raster.grid import Grid, Window
from .raster.masks.extent import read_extent
from .raster.metadata import read_metadata, write_metadata
from .raster.outputs import working_folder
from .raster.raster import Raster
from .raster.whole import close_whole
from .request import FillRequest, FillResult, validate
from .watch import Watch

MAX_SIDE = 768
"""Most pixels of a preview's side."""


def preview(request: FillRequest, watch: Watch, max_side: int = MAX_SIDE) -> FillResult:
    """Fill the request's extent (else the whole scene) of the finest grid, every n-th pixel of it.

    The output holds the extent only. Masks, other dates and guides are those of the request;
    a growth in pixels means pixels of the target, a mask's usual growth those of the mask, so
    that preview and fill agree. Where pixels are left out no expected error is told: the picture is
    rougher than the scene, and so are its errors (`expect` asks at full resolution).

    Args:
        request: as for a fill. max_side: most pixels of the output's height and width.

    Raises:
        TerramendError: as `fill`; `extent.apart` when the extent lies beside the target.
    """
    validate(request)
    with working_folder(request.tmp) as folder:
        inputs = open_inputs(request, watch)
        target = inputs.targets[0]
        window = _window(request.extent, target.grid, watch)
        step = max(1, math.ceil(max(window.height, window.width) / max_side))
        cut = _cut(target, window, step, folder / "preview.tif")
        small = replace(inputs, targets=(cut,), partners=(target.grid,))
        asked = replace(request, grow=_coarser(request.grow, step))
        result = fill(asked, watch, opening=lambda request, watch: small)
        return result if step == 1 else replace(result, expected_error=None)


def _window(extent: str | None, grid: Grid, watch: Watch) -> Window:
    """The pixels that the extent's bounds reach into."""
    if extent is None:
        return grid.whole
    left, top, right, bottom = read_extent(extent, grid, watch).bounds
    row, column = max(math.floor(top), 0), max(math.floor(left), 0)
    height = min(math.ceil(bottom), grid.height) - row
    return Window(row, column, height, min(math.ceil(right), grid.width) - column)


def _cut(raster: Raster, window: Window, step: int, path: Path) -> Raster:
    """Every `step`-th pixel of a window as a raster of its own, of whole large pixels."""
    height, width = max(window.height // step, 1), max(window.width // step, 1)
    rows, columns = min(height * step, window.height), min(width * step, window.width)
    read = Window(window.row, window.column, rows, columns)
    a, b, c, d, e, f = raster.grid.cut(read).transform
    across, down = read.width / width, read.height / height
    grid = Grid(raster.grid.crs, (a * across, b * down, c, d * across, e * down, f), width, height)
    kept = read_metadata(raster)
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=len(raster.bands), dtype=kept.dtype,
        crs=grid.crs, transform=grid.affine, nodata=kept.nodata, tiled=True, compress="deflate",
    ) as output:  # fmt: skip
        write_metadata(output, kept)
        for number, band in enumerate(raster.bands, 1):
            with open_dataset(band.path) as source:
                shape = {"window": read.ranges, "out_shape": (height, width)}
                samples = source.read(band.index, resampling=Resampling.nearest, **shape)
                output.write(samples.astype(kept.dtype, copy=False), number)
                if kept.has_mask and number == 1:
                    output.write_mask(source.read_masks(band.index, resampling=Resampling.nearest, **shape))
        close_whole(output)
    bands = tuple(
        replace(band, path=str(path), index=number, dtype=kept.dtype)
        for number, band in enumerate(raster.bands, 1)
    )
    return replace(raster, grid=grid, bands=bands)


def _coarser(grow: str | None, step: int) -> str | None:
    """A growth in pixels of the target as one in pixels of the preview."""
    found = re.fullmatch(r"([\d.]+)(px)?", grow or "")
    return f"{float(found.group(1)) / step:g}px" if found else grow
