"""Writes one GeoTIFF block by block: tiled, compressed, with the metadata that it is given."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError

from ..errors import TerramendError
from ..failure import of_gdal, reason
from . import gdal  # noqa: F401 - its settings of GDAL hold from here on
from .grid import Grid, Window
from .metadata import Metadata, write_metadata
from .outputs import destination, is_full
from .tiles import BLOCK
from .whole import check_whole, close_whole

LOSSLESS = ("DEFLATE", "ZSTD", "LZW", "LZMA", "PACKBITS", "NONE")
LOSSY = ("JPEG", "WEBP", "JXL", "LERC", "LERC_DEFLATE", "LERC_ZSTD")
OPTIONS = (
    "COG", "COMPRESS", "PREDICTOR", "ZLEVEL", "ZSTD_LEVEL", "LZMA_PRESET", "INTERLEAVE", "BIGTIFF",
    "GEOTIFF_VERSION", "OVERVIEWS", "RESAMPLING",
)  # fmt: skip
"""Creation options that the user may set. Blocks are fixed: a block written in two steps
would leave a hole in the file, whose place depends on GDAL's cache."""


ZLEVEL = 1
"""Of DEFLATE: on satellite images with a predictor level 6 takes twice the time and saves nothing."""

_YES_NO = ("YES", "NO", "TRUE", "FALSE", "ON", "OFF", "1", "0")
VALUES = {
    "COG": _YES_NO,
    "OVERVIEWS": _YES_NO,
    "PREDICTOR": ("1", "2", "3"),
    "ZLEVEL": tuple(map(str, range(1, 13))),
    "ZSTD_LEVEL": tuple(map(str, range(1, 23))),
    "LZMA_PRESET": tuple(map(str, range(10))),
    "GEOTIFF_VERSION": ("AUTO", "1.0", "1.1"),
    "INTERLEAVE": ("PIXEL", "BAND"),
    "BIGTIFF": ("YES", "NO", "IF_NEEDED", "IF_SAFER"),
    "RESAMPLING": ("NEAREST", "AVERAGE", "BILINEAR", "CUBIC", "LANCZOS", "GAUSS", "MODE", "RMS"),
}
"""What options take, where GDAL would say so only after the work is done, or not at all."""


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping with upper-case keys.

    Raises:
        TerramendError: `output.option`, `output.value`, `output.lossy`.
    """
    options = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key.upper() not in OPTIONS:
            raise TerramendError("output.option", option=pair, known=", ".join(OPTIONS))
        known = VALUES.get(key.upper())
        if known and value.upper() not in known:
            raise TerramendError("output.value", option=pair, known=", ".join(known))
        options[key.upper()] = value
    compression = options.get("COMPRESS", LOSSLESS[0]).upper()
    if compression not in LOSSLESS + LOSSY:
        raise TerramendError("output.value", option=f"COMPRESS={compression}", known=", ".join(LOSSLESS))
    if compression not in LOSSLESS:
        raise TerramendError("output.lossy", compression=compression, known=", ".join(LOSSLESS))
    return options


def is_cog(options: Mapping[str, str]) -> bool:
    """Whether the options ask for a cloud-optimised GeoTIFF."""
    return _says_yes(options, "COG")


def _says_yes(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "NO").upper() in ("YES", "TRUE", "ON", "1")


def pyramid(grid: Grid) -> tuple[int, ...]:
    """Halvings until a raster fits into one block."""
    steps = max(math.ceil(math.log2(max(grid.width, grid.height) / BLOCK)), 0)
    return tuple(2**step for step in range(1, steps + 1))


class GeoTiffWriter:
    """A GeoTIFF in the making.

    Windows must start and end at multiples of `tiles.BLOCK` or at the raster's edge and be
    written once, all bands together. GDAL then compresses them straight to the file, past
    its cache, so the file's layout depends on the order of the calls alone.

    Args:
        path: where to write. grid: of all pixels. kept: metadata, dtype and nodata.
        tags: further tags of the dataset. options: creation options, see `parse_options`.
        threads: that compress; they do not change the bytes.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        kept: Metadata,
        tags: Mapping[str, str],
        options: Mapping[str, str],
        threads: int = 1,
    ) -> None:
        self._path, self._kept, self._cog = path, kept, is_cog(options)
        self._options = {key: value for key, value in options.items() if key not in ("COG", "OVERVIEWS")}
        self._overviews = kept.overviews
        if _says_yes(options, "OVERVIEWS") and not self._overviews:
            self._overviews = pyramid(grid)
        self._resampling = self._options.pop("RESAMPLING", "").lower()
        self._flat = Path(f"{path}.flat.tif") if self._cog else path
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": grid.width,
            "height": grid.height,
            "count": len(kept.bands),
            "dtype": kept.dtype,
            "nodata": kept.nodata,
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            "bigtiff": "IF_SAFER",
            # a mask is written between the bands' blocks: threads would mix their order
            "num_threads": 1 if kept.has_mask else max(threads, 1),
            "interleave": kept.interleave,
            "compress": "deflate",
            "zlevel": ZLEVEL,
            "sparse_ok": False,
        }
        profile.update({key.lower(): value for key, value in self._options.items()})
        if profile.get("predictor") == "3" and np.dtype(kept.dtype).kind != "f":
            del profile["predictor"]  # it is for floats; sources and ages are none, whatever the target is
        if profile["compress"].upper() in ("DEFLATE", "ZSTD", "LZW"):
            profile.setdefault("predictor", 3 if np.dtype(kept.dtype).kind == "f" else 2)  # 2: differences
        if profile["compress"].upper() != "DEFLATE":
            del profile["zlevel"]
        if len(kept.bands) == 1:
            del profile["interleave"]
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), writing(path):
            self._output = rasterio.open(self._flat, "w", crs=grid.crs, transform=grid.affine, **profile)
            write_metadata(self._output, _named(kept) if self._cog else kept)
            self._output.update_tags(**tags)

    def write(self, window: Window, samples: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> None:
        """Write (B, h, w) samples and, for targets with a mask of their own, (h, w) validity.

        Raises:
            TerramendError: `output.write`, for example when the disk is full.
        """
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), writing(self._path):
            self._output.write(np.ascontiguousarray(samples), window=window.ranges)
            if mask is not None:
                self._output.write_mask(mask.astype(np.uint8) * 255, window=window.ranges)

    def close(self) -> None:
        """Build overviews where asked or the target had them, write the directory, make a COG if asked."""
        classes = any(band.colormap is not None for band in self._kept.bands)
        smooth = self._resampling or ("nearest" if classes else "average")
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), writing(self._path):
            if self._overviews and not self._cog:
                self._output.build_overviews(list(self._overviews), Resampling[smooth])
            close_whole(self._output)
            if self._overviews and is_full(self._path.parent):
                # Of overviews GDAL leaves blank what it could not write.
                raise RasterioIOError("there is no room for overviews")
            if self._cog:
                self._to_cog(smooth)
                check_whole(self._path)

    def _to_cog(self, smooth: str) -> None:
        names = {"ZLEVEL": "LEVEL", "ZSTD_LEVEL": "LEVEL", "LZMA_PRESET": "LEVEL"}
        skip = ("INTERLEAVE", "PREDICTOR")
        options = {names.get(k, k): v for k, v in self._options.items() if k not in skip}
        options.setdefault("COMPRESS", "DEFLATE")
        options["COPY_SRC_MDD"] = "YES"  # tags of every domain
        rasterio.shutil.copy(
            self._flat, self._path, driver="COG", PREDICTOR="YES", OVERVIEW_RESAMPLING=smooth, **options
        )
        self._flat.unlink()
        _unname(self._path, sum(len(band.tags.get("", {})) for band in self._kept.bands))

    def abandon(self) -> None:
        """Close without finishing; the file is of no use and the caller removes it."""
        if not self._output.closed:
            self._output.close()


_PLAIN = "TERRAMEND_PLAIN"
"""The domain in which tags of bands that have none go into a COG: GDAL copies those of named domains only."""


def _named(kept: Metadata) -> Metadata:
    """The metadata, with plain tags of bands in the domain `_PLAIN`."""
    bands = (
        replace(band, tags={space or _PLAIN: tags for space, tags in band.tags.items()})
        for band in kept.bands
    )
    return replace(kept, bands=tuple(bands))


def _unname(path: Path, count: int) -> None:
    """Make the `count` tags of the domain `_PLAIN` plain again: blanks take the attribute's place.

    That is in the XML before a COG's pixels. Edited by GDAL the file would be a COG no more.
    """
    if not count:
        return
    domain = f' domain="{_PLAIN}"'.encode()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        place = content.find(domain)
        while count and place >= 0:
            content[place : place + len(domain)] = b" " * len(domain)
            count, place = count - 1, content.find(domain, place)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what GDAL says about a failed write into our sentence."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, RasterioError | OSError) or of_gdal(error)):
            raise
        shown = destination(path)
        if is_full(path.parent):
            raise TerramendError("output.full", path=str(shown)) from error
        # GDAL's general words refer to the exception before, whose words tell more
        raise TerramendError("output.write", path=str(shown), why=reason(error.__cause__ or error)) from error
