"""Descriptions and units of bands, which rasterio gives only where all are in UTF-8."""

from __future__ import annotations

import rasterio.shutil
from rasterio.io import DatasetReader, MemoryFile

from .product_files import parse_xml

Texts = tuple[str | None, ...]
"""One a band; None where there is none."""


def descriptions(file: DatasetReader) -> Texts:
    """The bands' descriptions; what is not UTF-8, as in many headers of ENVI's, is taken for Latin-1."""
    try:
        return tuple(file.descriptions)
    except UnicodeDecodeError:
        return _bytes_of(file, "Description")


def units(file: DatasetReader) -> Texts:
    """The bands' units, read like `descriptions`."""
    try:
        return tuple(file.units)
    except UnicodeDecodeError:
        return _bytes_of(file, "UnitType")


def _bytes_of(file: DatasetReader, element: str) -> Texts:
    """What a VRT of the file says of each band: there GDAL writes the bytes as they are."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(file, memory.name, driver="VRT")
        written = memory.read().decode("latin-1")
    try:
        bands = parse_xml(written).iter("VRTRasterBand")
    except ValueError:  # signs that no XML can hold
        return (None,) * file.count
    return tuple(_decoded(band.findtext(element, "").encode("latin-1")) for band in bands)


def _decoded(text: bytes) -> str | None:
    try:
        return text.decode("utf-8") or None
    except UnicodeDecodeError:
        return text.decode("latin-1")
