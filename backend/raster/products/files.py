"""One file as a raster with all that it says of itself, and several files as one date."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from ...errors import TerramendError
from ...request import Mask
from ...watch import Watch
from ..gdal import gdal_name, open_dataset, scaling_of, sparse_sample
from ..grid import Grid
from ..masks.names import kind_of_file, mask_kind_of
from ..raster import Band, Raster, in_own_values, is_reflectance, telling
from ..texts import descriptions
from ..warp import overlaps
from . import dates, roles
from .fill_tag import remembered
from .sensors import sensor_of, sensor_of_tags

ENDINGS = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".nc", ".dat", ".bsq"})
"""Of files that are taken for rasters in a folder."""
UNDECLARED = (-9999, -10000, -32768, -32767, -99999, -(2**31), 1e20)
"""What stands for nodata by custom, also in files that do not declare it."""
FULL, PART = 65535, 0.01
"""The same of 16 bits without a sign, where all bands hold it at this share of the pixels: light seldom
saturates in all bands at once.
"""
PROBES = 33
"""Places along each side where undeclared fill is looked for."""

Probe = tuple[tuple[int, int], tuple[int, int]]

_BAND_WORD = re.compile(r"(?:^|[_.\-])((?:(?:sr|st|toa|bt)_)?b(?:and)?\d{1,2}a?)(?:_\d\dm)?$", re.IGNORECASE)

_TIME = re.compile(r"DIM_(t|time)(_INDEX)?$")
"""Tag of a band of a data cube that says which time it shows (netCDF, Zarr)."""


def open_raster(path: str, watch: Watch) -> tuple[Raster, ...]:
    """One file that GDAL reads, or its subdatasets where it holds nothing else.

    Raises:
        TerramendError: `raster.*`, `product.*`.
    """
    with open_dataset(path, container=True) as file:
        if file.count:
            return (_describe(file, path, watch),)
        inner = list(file.subdatasets)
    if not inner:
        raise TerramendError("raster.unreadable", path=path, why="it holds no bands")
    found = [raster for name in inner if (raster := _subdataset(name, watch)) is not None]
    if len({raster.grid for raster in found}) != 1:
        raise TerramendError("raster.choose", path=path, names=", ".join(inner))
    return group(found, path, watch)


def _subdataset(name: str, watch: Watch) -> Raster | None:
    """A subdataset with rows and columns; coordinates and the like are none."""
    with open_dataset(name, container=True) as file:
        return _describe(file, name, watch) if file.count and min(file.shape) > 1 else None


def group(rasters: Sequence[Raster], path: str, watch: Watch) -> tuple[Raster, ...]:
    """Several files of one date as one raster per grid; QA and class files become masks.

    Raises:
        TerramendError: `product.dates`, `product.apart`, `product.empty`.
    """
    images = [r for r in rasters if any(b.role not in ("qa", "class", "alpha") for b in r.bands)]
    others = [r for r in rasters if r not in images]
    if not images:
        raise TerramendError("product.empty", path=path, what="images (only masks or classes)")
    known = sorted({r.date for r in images if r.date is not None})
    if len(known) > 1:
        raise TerramendError("product.dates", path=path, first=str(known[0]), last=str(known[-1]))
    first = images[0]
    for raster in images[1:]:
        if not raster.grid.same_crs(first.grid) or not overlaps(raster.grid, first.grid):
            raise TerramendError("product.apart", path=raster.name, first=first.name)
    kinds = [(r, mask_kind_of(r.name)) for r in others]
    masks = [m for r in images for m in r.masks] + [Mask(r.bands[0].path, k) for r, k in kinds if k]
    by_grid: dict[Grid, list[Raster]] = {}
    for raster in images:
        grid = next((grid for grid in by_grid if grid.same_as(raster.grid)), raster.grid)
        by_grid.setdefault(grid, []).append(raster)
    return tuple(
        replace(
            members[0],
            name=_common([r.name for r in members]),
            grid=grid,
            bands=tuple(band for r in members for band in r.bands),
            date=known[0] if known else None,
            sun=next((r.sun for r in members if r.sun), None),
            masks=tuple(dict.fromkeys(masks)),
            zero_fill=zero_filled([b for r in members for b in r.bands], first.name, first.sensor, watch),
        )
        for grid, members in by_grid.items()
    )


def raster_files(names: Iterable[str]) -> list[str]:
    """Of a folder's files those at its top that are rasters; those of an archive's only folder too."""
    found = [n for n in names if PurePosixPath(n).suffix.lower() in ENDINGS]
    least = min((n.count("/") for n in found), default=0)
    return sorted(n for n in found if n.count("/") == least and least < 2)


def grid_of(file: DatasetReader, path: str) -> Grid:
    """The grid of an open file that is placed on one.

    Raises:
        TerramendError: `raster.gcps` where only control points or RPCs tell where it lies, `raster.placed`
            where the file's transform gives its pixels no place.
    """
    if file.transform == Affine.identity() and (file.gcps[0] or file.rpcs is not None):
        raise TerramendError("raster.gcps", path=path)
    grid = Grid.of(file)
    if not grid.is_place:
        raise TerramendError("raster.placed", path=path)
    return grid


def short(path: str) -> str:
    """The last part of a path or GDAL name, for messages and for what it tells of dates and bands."""
    inner = re.match(r'^[A-Z0-9_]+:"?([^"]+?)"?:/*([^":]+)$', path)
    if inner:
        return f"{PurePosixPath(inner.group(1).replace(chr(92), '/')).name}:{inner.group(2)}"
    plain = path.split("?", 1)[0] if path.startswith(("http", "vrt:", "/vsicurl")) else path
    return plain.replace("\\", "/").rstrip('/"').rsplit("/", 1)[-1] or path


def _describe(file: DatasetReader, path: str, watch: Watch) -> Raster:
    """What a file says of itself; its scale and offset become gain and bias, guesses come later."""
    tags = {**file.tags(), **file.tags(ns="IMAGERY")}
    name = short(path)
    sensor = sensor_of(name) or sensor_of_tags(tags)
    said = descriptions(file)
    naming, lone = roles.naming(said, sensor), name if file.count == 1 else ""
    bands = tuple(_band(file, i, path, naming, text or "", lone) for i, text in enumerate(said, 1))
    if set(file.dtypes) == {"uint8"} and kind_of_file(_stem(name)) in ("udm2", "qa60"):  # a flag a band
        bands = tuple(replace(band, role="class", wavelength=math.nan) for band in bands)
    if all(roles.is_radar(band.description) for band in bands if band.role == "optical"):  # radar by itself
        bands = in_own_values(bands)
    for band in bands:
        if file.colorinterp[band.index - 1] == ColorInterp.alpha and band.role != "alpha":
            watch.notice("raster.alpha", name=name, band=band.index)
    bands = _with_nodata(bands, name, watch)
    times = {text for i in file.indexes for key, text in file.tags(i).items() if _TIME.search(key)}
    if len(times) > 1:
        watch.notice("raster.times", name=name, count=len(times))
    described = Raster(
        name=name,
        grid=grid_of(file, path),
        bands=bands,
        date=dates.date_of_tags({**tags, **file.tags(1)}),
        sun=dates.sun_of_tags(tags),
        sensor=sensor,
        masks=_own_masks(path, bands),
        zero_fill=zero_filled(bands, name, sensor, watch),
    )
    known = remembered(described, tags)
    return replace(known, date=known.date or dates.date_in(name))


def _band(file: DatasetReader, index: int, path: str, sensor: str, said: str, lone: str) -> Band:
    """One band; a file's only band whose description does not tell what it is goes by the file's name.

    Programs write such as `Band 1`, `nd` (Earth Engine, of any index) or a date there.
    """
    place, description = index - 1, said
    kind = file.colorinterp[place]
    if not description and lone:
        word = _BAND_WORD.search(_stem(lone))
        description = word.group(1) if word else _stem(lone)
    alpha = kind == ColorInterp.alpha and _is_alpha(path, index, description, sensor)
    role = roles.role_of(description, alpha=alpha, palette=kind == ColorInterp.palette)
    untold = role == "optical" and math.isnan(roles.wavelength_of(description, sensor))
    if lone and role != "alpha" and (untold or not said):
        role = "class" if kind == ColorInterp.palette else roles.role_of_file(_stem(lone))
    wavelength = math.nan
    if role in ("optical", "thermal"):
        wavelength = _stated(file.tags(index, ns="IMAGERY")) or roles.wavelength_of(description, sensor)
        if math.isnan(wavelength) and kind.name in roles.COLOURS:
            wavelength = float(roles.COLOURS[kind.name])
    if role == "optical" and wavelength > 8000:
        role = "thermal"
    gain, bias = scaling_of(file, index)
    return Band(
        path=path,
        index=index,
        description=description or f"Band {index}",
        role=role,
        wavelength=wavelength,
        dtype=file.dtypes[place],
        nodata=file.nodatavals[place],
        gain=gain,
        bias=bias,
    )


def _is_alpha(path: str, index: int, description: str, sensor: str) -> bool:
    """Whether a band that is declared as alpha is one.

    GDAL declares the last of four 8-bit bands so where nobody says otherwise, whatever it shows. Where an
    alpha band is not 0, it is opaque at most places; edges of mosaics fade.
    """
    told = roles.role_of(description)
    if told != "optical" or not math.isnan(roles.wavelength_of(description, sensor)):
        return told == "alpha"
    values = sparse_sample(path, index)
    values = values[values != 0]
    return not values.size or float((values == values.max()).mean()) > 0.5


def _with_nodata(bands: tuple[Band, ...], name: str, watch: Watch) -> tuple[Band, ...]:
    """The bands; one of `UNDECLARED`, or `FULL`, that stands in a part of them is taken for nodata."""
    role = bands[said[0]].role if (said := telling(bands)) else ""
    first = next(
        (b for b in bands if b.role == role and (b.dtype == "uint16" or np.dtype(b.dtype).kind in "if")), None
    )
    if first is None or first.nodata is not None or np.dtype(first.dtype).itemsize == 1:
        return bands
    values = sparse_sample(first.path, first.index)
    alike = [b for b in bands if b.role == role and b.dtype == first.dtype and b.nodata is None]
    found: list[float]
    if first.dtype == "uint16":
        found = [FULL] if len(alike) > 1 and _full(values, alike) else []
    else:
        found = [value for value in UNDECLARED if (values == value).any()]
    if not found:
        return bands
    watch.notice("raster.undeclared", name=name, value=found[0])
    return tuple(replace(b, nodata=float(found[0])) if b in alike else b for b in bands)


def _full(values: NDArray[Any], bands: Sequence[Band]) -> bool:
    """Whether `FULL` stands for nodata; `values`: `sparse_sample` of the first of the bands."""
    full = values == FULL
    for band in bands[1:]:
        if full.mean() < PART:
            return False
        full &= sparse_sample(band.path, band.index) == FULL
    return bool(full.mean() >= PART)


def _stem(name: str) -> str:
    """A file's name without ending, or a subdataset's own name."""
    return name.rsplit(":", 1)[-1] if ":" in name else Path(name).stem


def _stated(tags: dict[str, str]) -> float:
    """Nanometres from GDAL's imagery tags, 0 if they do not say."""
    try:
        return float(tags["CENTRAL_WAVELENGTH_UM"]) * 1000
    except (KeyError, ValueError):
        return 0.0


def _own_masks(path: str, bands: tuple[Band, ...]) -> tuple[Mask, ...]:
    """QA and class bands of the file itself whose description names a known kind."""
    if not is_reflectance(bands):
        return ()
    kinds = (mask_kind_of(b.description) for b in bands if b.role in ("qa", "class"))
    return tuple(dict.fromkeys(Mask(path, kind) for kind in kinds if kind not in (None, "auto")))


def zero_filled(bands: Sequence[Band], name: str, sensor: str, watch: Watch) -> bool:
    """Whether zero in all optical bands is undeclared fill: it is, where it lies along the edge.

    Zero is "no data" in every Sentinel-2 image as it is delivered (JPEG 2000).
    """
    optical = [band for band in bands if band.role == "optical"]
    if sensor == "sentinel2" and optical and all(b.path.lower().endswith(".jp2") for b in optical):
        return True
    if len(optical) < 2 or any(band.role == "alpha" for band in bands):
        return False
    if any(band.nodata is not None or np.dtype(band.dtype).kind not in "iu" for band in optical):
        return False
    windows: list[Probe] | None = None
    for path in dict.fromkeys(band.path for band in optical):
        indexes = [band.index for band in optical if band.path == path]
        with open_dataset(path) as file:
            if windows is None:
                windows = _probes(file)
            if MaskFlags.per_dataset in file.mask_flag_enums[0]:
                return False
            windows = [w for w in windows if not file.read(indexes, window=w).any()]
        if len(windows) < 2:
            return False
    watch.notice("raster.zero-fill", name=name)
    return True


def _probes(file: DatasetReader) -> list[Probe]:
    """Small windows along the edge, as rasterio takes them; none for rasters too small to tell."""
    side = 8
    if min(file.shape) < 4 * side:
        return []
    count = 5 if "/vsicurl/" in gdal_name(file.name) else PROBES
    rows = [int(r) for r in np.linspace(0, file.height - side, count)]
    columns = [int(c) for c in np.linspace(0, file.width - side, count)]
    edge = {(row, column) for row in rows for column in (columns[0], columns[-1])}
    edge |= {(row, column) for row in (rows[0], rows[-1]) for column in columns}
    return [((row, row + side), (column, column + side)) for row, column in sorted(edge)]


def _common(names: list[str]) -> str:
    """What the names of one date's files have in common, else the first."""
    first = names[0]
    length = next(
        (i for i, letters in enumerate(zip(*names)) if len(set(letters)) > 1), len(min(names, key=len))
    )
    return first[:length].rstrip("_.-BbS ") or first
