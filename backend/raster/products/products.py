"""Opening what analysts have: one raster, several single-band files, a Sentinel-2 or Landsat product."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from rasterio.crs import CRS
from rasterio.errors import CRSError

from ...errors import TerramendError
from ...watch import Watch
from ..gdal import is_local
from ..product_files import open_product_files
from ..raster import Raster
from . import dates
from . import radiometry as scaling
from .files import group, open_raster, raster_files
from .fill_tag import is_filled
from .landsat import open_landsat
from .sensors import credits_of
from .sentinel2 import open_sentinel2
from .siblings import Folders, accompanies, masks_beside

_SUBDATASET = re.compile(
    r"^SENTINEL2_L(?:1C|2A)(?:_TILE)?:(.+\.(?:xml|zip|SAFE)):(\d\d)m(?::EPSG_\d+)?$", re.IGNORECASE
)
_IN_ZIP = re.compile(r"^/vsizip/\{?(.+?\.zip)\}?(?:/[^/]+\.SAFE)?(?:/MTD_\w+\.xml)?/?$", re.IGNORECASE)


def open_product(
    paths: Sequence[str],
    *,
    radiometry: str = "auto",
    crs: str | None = None,
    nodata: float | None = None,
    date: str | None = None,
    sun: tuple[float, float] | None = None,
    watch: Watch,
    folders: Folders | None = None,
) -> tuple[Raster, ...]:
    """All bands of one date, one raster per resolution, the finest first.

    Masks are those of the product; without any, those of a known kind that lie beside the file.

    Args:
        paths: one raster or product (folder, zip, tar, metadata file, web address, GDAL name), or several
            rasters of one date.
        radiometry: of `request.RADIOMETRIES`.
        crs, nodata: override what the files say.
        date, sun: override what names and tags say.
        folders: as for `siblings.masks_beside`.

    Raises:
        TerramendError: `raster.*`, `product.*`, `radiometry.sun`, `request.field` for a CRS that is none.
    """
    made = []
    for raster in _read(tuple(paths), watch):
        if crs is not None:
            raster = replace(raster, grid=replace(raster.grid, crs=_wkt(crs)))
        if nodata is not None:
            bands = tuple(replace(band, nodata=nodata) for band in raster.bands)
            raster = replace(raster, bands=bands, zero_fill=False)
        if not raster.masks:
            folder = is_local(paths[0]) and Path(paths[0]).is_dir()
            named = (raster.bands[0].path,) if folder else tuple(paths)
            beside = masks_beside(named, raster, folders)
            raster = replace(raster, masks=tuple(m for m in beside if m.kind != "auto"))
        if date is not None:
            raster = replace(raster, date=datetime.date.fromisoformat(date))
        if sun is not None:
            raster = replace(raster, sun=sun)
        if not raster.credits:
            raster = replace(raster, credits=credits_of(raster.sensor, raster.date))
        made.append(scaling.apply(raster, radiometry, watch))
    return tuple(sorted(made, key=lambda r: r.grid.pixel_size[0] * r.grid.pixel_size[1]))


def open_by_itself(
    paths: Sequence[str], *, date: str | None = None, watch: Watch, folders: Folders | None = None
) -> tuple[Raster, ...]:
    """`open_product` of what is no target: no option tells its sun or radiometry, only the files do.

    Raises:
        TerramendError: as `open_product`, but `product.sun` where the sun's elevation is needed and unknown.
    """
    heard = Watch()
    try:
        rasters = open_product(paths, date=date, watch=heard, folders=folders)
    except TerramendError as error:
        if error.code != "radiometry.sun":
            raise
        raise TerramendError("product.sun", **error.arguments) from error
    for notice in heard.notices:
        code = "product.guess" if notice.code == "radiometry.guess" else notice.code
        watch.notice(code, **notice.arguments)
    return rasters


def _read(paths: tuple[str, ...], watch: Watch) -> tuple[Raster, ...]:
    if len(paths) > 1:
        files = [Path(path).resolve() for path in paths]
        for path, file in zip(paths, files, strict=True):
            if files.count(file) > 1:
                raise TerramendError("product.twice", path=path)
        return group([raster for path in paths for raster in open_raster(path, watch)], paths[0], watch)
    path = paths[0]
    subdataset = _SUBDATASET.match(path)
    if subdataset:
        metres = float(subdataset.group(2))
        found = open_sentinel2(_local(subdataset.group(1))) or ()
        chosen = tuple(r for r in found if abs(r.grid.pixel_size[0] - metres) < 1)
        if chosen:
            return chosen
    path = _local(path)
    if not is_local(path):
        return open_raster(path, watch)
    product = open_sentinel2(path) or open_landsat(path, watch) or _folder(path, watch)
    return product or open_raster(path, watch)


def _local(path: str) -> str:
    """The file itself where a GDAL name says no more than that it is a product's zip."""
    found = _IN_ZIP.match(path)
    return found.group(1) if found and Path(found.group(1)).is_file() else path


def _folder(path: str, watch: Watch) -> tuple[Raster, ...] | None:
    """The rasters of one date in a folder or archive that is no known product."""
    if Path(path).suffix.lower() == ".zarr":  # a folder that is one raster to GDAL
        return None
    files = open_product_files(path)
    if files is None:
        return None
    names = raster_files(files.names)
    if not names:
        raise TerramendError("product.empty", path=path, what="rasters")
    found = [files.gdal(name) for name in names]
    images = [name for name in _one_correction(found) if not _goes_with(name)]
    rasters = group([raster for name in images or found for raster in open_raster(name, watch)], path, watch)
    named = dates.date_in(Path(path).name)  # files called B02.tif in a folder of their date
    return tuple(replace(raster, date=raster.date or named) for raster in rasters)


def _one_correction(names: list[str]) -> list[str]:
    """MAJA writes each band twice: of the two, the one with slopes corrected (FRE), as its users take it."""
    slopes = [name for name in names if "_FRE_" in name]
    return [name for name in names if "_SRE_" not in name] if slopes else names


def _goes_with(name: str) -> bool:
    """Whether a file of a folder lies with the images of a date, but is none, or is what was made of them."""
    return accompanies(PurePosixPath(name).stem) or is_filled(name)


def _wkt(text: str) -> str:
    try:
        return str(CRS.from_user_input(text).to_wkt())
    except (CRSError, ValueError):  # the latter for EPSG:x
        raise TerramendError("request.field", field="target_crs", why=f"{text!r} is no CRS") from None
