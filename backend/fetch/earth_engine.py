"""Landsat-8 and SRTM of a region by Google Earth Engine's Python API, as the paper's script asks for them.

The median of all top-of-atmosphere images of 2013 to 2022 whose scene is at most 1 % cloud, and SRTM at
30 m. A median has no date and no sun: task 1 knows neither. Pixels come in blocks (`ee.data.computePixels`
gives at most 32 MB at a time) and are written as they come.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from ..errors import TerramendError
from ..failure import reason
from ..flow import run_cancellable
from ..raster.grid import Grid, Window
from ..watch import Watch
from .place_raster import place_raster
from .regions import Region

LANDSAT, DEM = "LANDSAT/LC08/C02/T1_TOA", "USGS/SRTMGL1_003"
FROM, TO = "2013-01-01", "2022-12-31"
CLOUDS = 1
"""Percent of cloud that an image's whole scene may have, at most (the listing's; the tables say 10)."""
BANDS = ("B2", "B3", "B4", "B5", "B6", "B7")
SCALE = 10_000
"""Stored value of reflectance 1."""
BLOCK = 1024
"""Pixels a request is high and wide: 6 bands of 2 bytes are 13 MB."""
VOID = -32768
OFFLINE = ("ServerNotFoundError", "TransportError", "ConnectionError", "ConnectTimeout", "NewConnectionError")
"""Names of errors of the API's own packages (httplib2, google-auth, requests) that mean: no network."""


def connect(project: str | None, watch: Watch) -> Any:
    """The initialised API (the module `ee`).

    Args:
        project: of Google Cloud that is asked with; None: the account's default.

    Raises:
        TerramendError: `fetch.package`, `fetch.account`, `fetch.network` or `run.cancelled`.
    """
    try:
        ee = importlib.import_module("ee")
    except ImportError:
        raise TerramendError("fetch.package") from None
    _asked(partial(ee.Initialize, project=project), watch, "fetch.account")
    return ee


def fetch(ee: Any, region: Region, folder: Path, watch: Watch) -> None:
    """Write `landsat8.tif` and `srtm.tif` of a region; what is there already stays.

    Raises:
        TerramendError: `fetch.empty`, `fetch.network`, `fetch.failed`, `run.cancelled`.
    """
    grid = region.grid()
    box = ee.Geometry.Rectangle(list(region.bounds), None, False)
    images = (
        ee.ImageCollection(LANDSAT).filterBounds(box).filterDate(FROM, TO).filter(
            ee.Filter.lte("CLOUD_COVER", CLOUDS)
        )
    )  # fmt: skip
    landsat, srtm = folder / "landsat8.tif", folder / "srtm.tif"
    if not landsat.exists():
        count = _asked(images.size().getInfo, watch)
        if not count:
            raise TerramendError("fetch.empty", region=region.name, clouds=CLOUDS)
        image = images.median().select(list(BANDS)).multiply(SCALE).clamp(0, 65535).unmask(0).toUint16()
        tags = {"SOURCE": f"{LANDSAT}, median of {count} images {FROM} to {TO}", "REGION": region.name}
        _write(ee, image, BANDS, grid, landsat, "uint16", 0, tags, watch)
    if not srtm.exists():
        image = ee.Image(DEM).select(["elevation"]).unmask(VOID).toInt16()
        _write(ee, image, ("elevation",), grid, srtm, "int16", VOID, {"SOURCE": DEM}, watch)


def _write(
    ee: Any,
    image: Any,
    bands: tuple[str, ...],
    grid: Grid,
    path: Path,
    dtype: str,
    nodata: int,
    tags: dict[str, str],
    watch: Watch,
) -> None:
    windows = list(grid.blocks(BLOCK))
    watch.stage(path.stem, len(windows))
    with place_raster(path, grid, count=len(bands), dtype=dtype, nodata=nodata) as target:
        target.descriptions = bands
        target.update_tags(**tags)
        if dtype == "uint16":
            target.scales = (1 / SCALE,) * len(bands)
        for window, pixels in _blocks(ee, image, bands, grid, windows, watch):
            target.write(pixels.astype(dtype), window=window.ranges)
            watch.advance()


def _blocks(
    ee: Any, image: Any, bands: tuple[str, ...], grid: Grid, windows: list[Window], watch: Watch
) -> Iterator[tuple[Window, np.ndarray]]:
    crs = f"EPSG:{rasterio.crs.CRS.from_wkt(grid.crs).to_epsg()}"
    for window in windows:
        a, b, c, d, e, f = grid.cut(window).transform
        asked = {
            "expression": image,
            "fileFormat": "GEO_TIFF",
            "bandIds": list(bands),
            "grid": {
                "dimensions": {"width": window.width, "height": window.height},
                "affineTransform": {
                    "scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f,
                },
                "crsCode": crs,
            },
        }  # fmt: skip
        answer = _asked(partial(ee.data.computePixels, asked), watch)
        try:
            with MemoryFile(answer) as memory, memory.open() as found:
                pixels = found.read()
        except (rasterio.errors.RasterioError, TypeError) as error:
            raise TerramendError("fetch.failed", why=f"the answer is no GeoTIFF: {error}") from None
        if pixels.shape != (len(bands), window.height, window.width):
            raise TerramendError("fetch.failed", why=f"the answer has the shape {pixels.shape}")
        yield window, pixels


def _asked(call: Callable[[], Any], watch: Watch, otherwise: str = "fetch.failed") -> Any:
    """What the API answers; a cancel does not wait for it."""

    def answer() -> Any:
        try:
            return call()
        except Exception as error:
            raise _told(error, otherwise) from error

    return run_cancellable(answer, watch.check)


def _told(error: Exception, otherwise: str) -> TerramendError:
    """The error in our words; `otherwise` where it is not the network."""
    kinds = [kind.__name__ for link in _chain(error) for kind in type(link).__mro__]
    offline = any(name in kinds for name in OFFLINE)
    offline |= any(isinstance(link, (ConnectionError, TimeoutError)) for link in _chain(error))
    return TerramendError("fetch.network" if offline else otherwise, why=reason(error)[:200])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
