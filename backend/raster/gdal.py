"""Opening files through GDAL: one place that names what is wrong with a file, and how to mend it."""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from ..errors import TerramendError
from ..failure import reason

SERVICES = frozenset({"WMS", "WMTS", "WCS", "TMS", "PLMosaic", "STACTA", "HTTP"})
"""GDAL drivers whose pixels come from a server that draws them."""
OPEN = 150
"""Files that a scene keeps open: a process may have 256 or more, and outputs and libraries want some."""
LARGEST_BLOCK = 2 << 30
"""Bytes that a block of a band may take: GDAL holds whole blocks, and a damaged header may claim any size."""

CACHE, SHARE = 256e6, 8
"""Bytes of blocks that GDAL may keep, and under a memory limit at most one part of so many of it."""

# Bounded and quiet, unless the user says otherwise: GDAL reads these on first use.
os.environ.setdefault("GDAL_CACHEMAX", f"{CACHE / 1e6:.0f}")  # MB
# Sidecars (.aux.xml, .ovr, .msk) are probed by name: EMPTY_DIR would lose them, listing is slow on the web.
os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "YES")
os.environ.setdefault("GDAL_PAM_ENABLED", "YES")
os.environ.setdefault("GDAL_HTTP_TIMEOUT", "60")
# A server that says nothing for so many seconds is left: a cancel cannot end a read that GDAL is in.
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "10")
os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "2")
os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "1")  # seconds; 30 by default, and doubled each time

# A raster without geography is told to the user in our own words.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def cache_bytes(memory_limit: float) -> float:
    """Bytes that GDAL's cache may take of a limit in gigabytes."""
    return min(CACHE, memory_limit * 1e9 / SHARE)


class _Cache:
    """The limits of the runs that go on, in bytes, and what held before them."""

    lock = threading.Lock()
    limits: ClassVar[list[int]] = []
    before = 0


@contextlib.contextmanager
def cache_within(memory_limit: float | None) -> Iterator[None]:
    """Hold GDAL's cache, which is the process's, to a limit in gigabytes; a smaller one stays as it is.

    Of runs that go on at the same time the least limit holds, and the last one lifts it.
    """
    if memory_limit is None:
        yield
        return
    most = int(cache_bytes(memory_limit))
    with _Cache.lock:
        if not _Cache.limits:
            _Cache.before = get_gdal_config("GDAL_CACHEMAX")
        _Cache.limits.append(most)
        _hold_cache()
    try:
        yield
    finally:
        with _Cache.lock:
            _Cache.limits.remove(most)
            _hold_cache()


def _hold_cache() -> None:
    set_gdal_config("GDAL_CACHEMAX", min([_Cache.before, *_Cache.limits]))


def gdal_name(path: str) -> str:
    """What GDAL calls a path: web addresses are read by range."""
    if path.startswith(("http://", "https://")):
        return f"/vsicurl/{path}"
    return path


def is_local(path: str) -> bool:
    """Whether a path is an ordinary file or folder of this machine."""
    try:
        return not is_gdal_name(path) and (Path(path).is_file() or Path(path).is_dir())
    except OSError:  # a name that the file system cannot hold
        return False


def _is_special(path: str) -> bool:
    """Whether a path is a pipe, which would be waited for, or a device."""
    try:
        return not is_gdal_name(path) and Path(path).exists() and not is_local(path)
    except OSError:
        return False


def is_gdal_name(path: str) -> bool:
    """Whether only GDAL knows what a path means: a web address, a subdataset, XML, `/vsi...`."""
    return re.match(r"^(/vsi|<|vrt:|https?:|[A-Za-z][A-Za-z0-9_]+:)", path.lstrip()) is not None


def open_dataset(path: str, overview: int | None = None, *, container: bool = False) -> DatasetReader:
    """Open a raster for reading; the caller closes it and stays in one thread with it.

    Args:
        path: file, web address or GDAL name (`/vsizip/...`, `NETCDF:"a.nc":b`).
        overview: index of the overview to open in place of the full raster.
        container: whether a file without bands of its own, only with subdatasets, will do.

    Raises:
        TerramendError: `raster.missing`, `raster.special`, `raster.unreadable`, `raster.name`,
            `raster.service`, `raster.choose`, `raster.complex`, `raster.block`, `file.access`.
    """
    if looks_like_service(path):
        raise TerramendError("raster.service", path=path)
    if _is_special(path):
        raise TerramendError("raster.special", path=path)
    options: dict[str, int] = {} if overview is None else {"overview_level": overview}
    try:
        dataset = rasterio.open(gdal_name(path), sharing=False, **options)
        _ = dataset.driver == "VRT" and dataset.files  # rasterio drops what GDAL says of names beyond UTF-8
    except RasterioError as error:
        _check_access(path)
        if not is_gdal_name(path) and not is_local(path):
            raise TerramendError("raster.missing", path=path) from error
        raise TerramendError("raster.unreadable", path=path, why=reason(error)) from error
    except UnicodeError as error:  # of a file in a folder, of a CRS, of a VRT's source
        raise TerramendError("raster.name", path=path) from error
    if dataset.driver in SERVICES:
        dataset.close()
        raise TerramendError("raster.service", path=path)
    if not dataset.count and not container:
        with dataset:
            names = ", ".join(dataset.subdatasets)
        if names:
            raise TerramendError("raster.choose", path=path, names=names)
        raise TerramendError("raster.unreadable", path=path, why="it holds no bands")
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        dataset.close()
        raise TerramendError("raster.complex", path=path)
    for shape, dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        if math.prod(shape) * np.dtype(dtype).itemsize > LARGEST_BLOCK:
            dataset.close()
            raise TerramendError("raster.block", path=path, width=shape[1], height=shape[0])
    return dataset


def _check_access(path: str) -> None:
    """Say of a file that we may not look at what the system says: GDAL takes it for absent or damaged."""
    if is_gdal_name(path) or os.path.isdir(path):  # noqa: PTH112 - no error where it may not be seen
        return
    try:
        Path(path).open("rb").close()
    except PermissionError as error:
        raise TerramendError("file.access", path=path, why=error.strerror) from error
    except (OSError, ValueError):  # the latter for names that no file can have
        pass


def has_stored_mask(file: DatasetReader) -> bool:
    """Whether a file holds a mask of what is valid beside its bands, other than an alpha band."""
    flags = file.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def scaling_of(file: DatasetReader, index: int) -> tuple[float, float]:
    """Scale and offset of a band (from 1); 1 and 0 where the file states none, or what scales nothing."""
    scale, offset = float(file.scales[index - 1]), float(file.offsets[index - 1])
    return scale if scale and math.isfinite(scale) else 1.0, offset if math.isfinite(offset) else 0.0


def sources_of(path: str) -> tuple[str, ...]:
    """The files that a VRT or a GDAL name draws on, through VRTs of VRTs; none for other rasters."""
    found: dict[str, str] = {}  # by their place: a VRT that refers to itself names it in ever new ways
    waiting = [path]
    while waiting:
        name = waiting.pop()
        if not _draws(name):
            continue
        with open_dataset(name, container=True) as file:
            inner = {os.path.realpath(part): part for part in file.files if part != name}
        waiting += [part for place, part in inner.items() if place not in found]
        found |= inner
    return tuple(found.values())


def _draws(name: str) -> bool:
    """Whether a raster may draw on files that its name does not tell."""
    if is_gdal_name(name):
        remote = name.startswith(("/vsi", "http"))
        return name.lower().endswith(".vrt") if remote else True
    path = Path(name)
    if not (is_local(name) and path.is_file() and os.access(path, os.R_OK)):
        return False
    with path.open("rb") as file:
        return b"<VRTDataset" in file.read(1024)  # as GDAL tells one, whatever its ending


class FilePool:
    """Open rasters by name; of those that are not in use at most `most` stay open, the latest.

    Many dates of many single-band files are more than a process may hold open. Safe to use from threads:
    a file that is lent is nobody else's meanwhile.
    """

    def __init__(self, most: int = OPEN) -> None:
        self._most = most
        self._idle: dict[tuple[str, int | None], DatasetReader] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lent(self, path: str, overview: int | None = None) -> Iterator[DatasetReader]:
        """The raster, opened if it is not; the arguments are those of `open_dataset`."""
        key = (path, overview)
        with self._lock:
            file = self._idle.pop(key, None)
        if file is None:
            file = open_dataset(path, overview)
        try:
            yield file
        finally:
            self._take_back(key, file)

    def close(self) -> None:
        """Close all that are not in use."""
        with self._lock:
            files, self._idle = list(self._idle.values()), {}
        for file in files:
            file.close()

    def _take_back(self, key: tuple[str, int | None], file: DatasetReader) -> None:
        with self._lock:
            surplus = [self._idle.pop(key)] if key in self._idle else []  # two threads read the same one
            self._idle[key] = file  # last in the order: the newest
            while len(self._idle) > self._most:
                surplus.append(self._idle.pop(next(iter(self._idle))))
        for one in surplus:
            one.close()


def sparse_sample(path: str, index: int) -> NDArray[Any]:
    """Some stored values of a band from 25 places all over it, flat; cheap also on the web."""
    with open_dataset(path) as file:
        side = min(32, *file.shape)
        rows = {round(i * (file.height - side) / 4) for i in range(5)}
        columns = {round(i * (file.width - side) / 4) for i in range(5)}
        parts = [
            file.read(index, window=((row, row + side), (column, column + side))).ravel()
            for row in sorted(rows)
            for column in sorted(columns)
        ]
    return np.concatenate(parts)


def read_ends(path: str) -> None:
    """Read the last pixel of a local raster, and of its coarsest overview: one that was cut off lacks them.

    Raises:
        TerramendError: as `open_dataset`. RasterioError: where they cannot be read.
    """
    if not is_local(path):  # on the web each read takes its time, and what lies there is seldom cut off
        return
    with open_dataset(path) as file:
        apart = file.driver == "GTiff"  # JPEG 2000 has its overviews in the pixels
        levels = len(file.overviews(1)) if apart else 0
    for level in (None, levels - 1) if levels else (None,):
        with open_dataset(path, level) as file:
            file.read(window=((file.height - 1, file.height), (file.width - 1, file.width)))


def looks_like_service(path: str) -> bool:
    """Whether a path is a map service's address rather than a raster: WMS, WMTS, XYZ tiles."""
    text = path.lower()
    if text.startswith(
        ("wms:", "wmts:", "wcs:", "tms:", "<gdal_wms", "<gdal_wmts", "type=xyz", "contextualwmslegend")
    ):
        return True
    if "service=wms" in text or "service=wmts" in text or "service=wcs" in text or "{z}" in text:
        return True
    return "type=xyz" in text or ("url=" in text and ("crs=" in text or "zmax=" in text))
