"""Opening what analysts have: one raster, several single-band files, a Sentinel-2 or Landsat product."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from ..errors import TerramendError
from ..request import Mask
from ..watch import Watch
from . import dates, radiometry, roles
from .gdal import open_dataset
from .grid import Grid
from .raster import Band, Raster


def open_product(
    paths: Sequence[str],
    *,
    radiometry: str = "auto",
    crs: str | None = None,
    nodata: float | None = None,
    date: str | None = None,
    sun: tuple[float, float] | None = None,
    watch: Watch,
) -> tuple[Raster, ...]:
    """All bands of one date, one raster per resolution, the finest first.

    Args:
        paths: one raster or product (folder, zip, tar, metadata file, web address, GDAL name), or several
            rasters of one date.
        radiometry: of `request.RADIOMETRIES`.
        crs, nodata: override what the files say.
        date, sun: override what names and tags say.

    Raises:
        TerramendError: `raster.*`, `product.*`, `radiometry.*`.
    """
    rasters = _read(tuple(paths), watch)
    made = []
    for raster in rasters:
        if crs is not None:
            raster = replace(raster, grid=replace(raster.grid, crs=_wkt(crs)))
        if nodata is not None:
            raster = replace(
                raster, bands=tuple(replace(b, nodata=nodata) for b in raster.bands), zero_fill=False
            )
        if date is not None:
            raster = replace(raster, date=datetime.date.fromisoformat(date))
        if sun is not None:
            raster = replace(raster, sun=sun)
        made.append(_with_radiometry(raster, radiometry, watch))
    return tuple(sorted(made, key=lambda r: r.grid.pixel_size[0] * r.grid.pixel_size[1]))


def _read(paths: tuple[str, ...], watch: Watch) -> tuple[Raster, ...]:
    if len(paths) == 1:
        return open_raster(paths[0])
    raise NotImplementedError


def _with_radiometry(raster: Raster, rule: str, watch: Watch) -> Raster:
    return radiometry.apply(raster, rule, watch)


def open_raster(path: str) -> tuple[Raster, ...]:
    """One file that GDAL reads as one raster."""
    with open_dataset(path) as file:
        if not file.count:
            raise TerramendError("raster.unreadable", path=path, why="it holds no bands")
        return (_describe(file, path),)


def _describe(file: DatasetReader, path: str) -> Raster:
    """What a file says of itself; values of tags are kept, guesses come later."""
    tags = {**file.tags(), **file.tags(ns="IMAGERY")}
    name = _short(path)
    sensor = roles.sensor_of(name) or roles.sensor_of(str(tags.get("SATELLITEID", "")))
    lone = file.count == 1
    bands = tuple(_band(file, i, path, sensor, name if lone else "") for i in range(1, file.count + 1))
    return Raster(
        name=name,
        grid=grid_of(file, path),
        bands=bands,
        date=dates.date_of_tags(tags) or dates.date_in(name),
        sun=dates.sun_of_tags(tags),
        sensor=sensor,
        masks=_own_masks(path, bands),
    )


def _band(file: DatasetReader, index: int, path: str, sensor: str, fallback: str) -> Band:
    place = index - 1
    description = file.descriptions[place] or ""
    kind = file.colorinterp[place]
    words = description or fallback
    role = roles.role_of(words, alpha=kind == ColorInterp.alpha, palette=kind == ColorInterp.palette)
    wavelength = roles.wavelength_of(words, sensor) if role in ("optical", "thermal") else math.nan
    if math.isnan(wavelength) and role == "optical" and kind.name in roles.COLOURS:
        wavelength = float(roles.COLOURS[kind.name])
    return Band(
        path=path,
        index=index,
        description=description or (Path(fallback).stem if fallback else f"Band {index}"),
        role=role,
        wavelength=wavelength,
        dtype=file.dtypes[place],
        nodata=file.nodatavals[place],
        gain=float(file.scales[place] or 1.0),
        bias=float(file.offsets[place] or 0.0),
    )


def _own_masks(path: str, bands: tuple[Band, ...]) -> tuple[Mask, ...]:
    """QA and class bands of the file itself, named so that each opens as a raster of one band."""
    if len(bands) < 2 or not any(band.role == "optical" for band in bands):
        return ()
    return tuple(
        Mask(f"vrt://{path}?bands={band.index}", kind)
        for band in bands
        if band.role in ("qa", "class") and (kind := roles.mask_kind_of(band.description))
    )


def grid_of(file: DatasetReader, path: str) -> Grid:
    """The grid of an open file.

    Raises:
        TerramendError: `raster.gcps` where only control points or RPCs tell where it lies.
    """
    if file.crs is None and file.transform == Affine.identity() and (file.gcps[0] or file.rpcs is not None):
        raise TerramendError("raster.gcps", path=path)
    wkt = file.crs.to_wkt() if file.crs is not None else None
    transform: Any = tuple(file.transform)[:6]
    return Grid(wkt or None, transform, file.width, file.height)


def _wkt(text: str) -> str:
    try:
        return str(CRS.from_user_input(text).to_wkt())
    except CRSError:
        raise TerramendError("request.field", field="target_crs", why=f"{text!r} is no CRS") from None


def _short(path: str) -> str:
    """The last part of a path or GDAL name, for messages."""
    return path.replace("\\", "/").rstrip('/"').split("?", 1)[0].rsplit("/", 1)[-1] or path
