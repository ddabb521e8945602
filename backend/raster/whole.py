"""Whether a GeoTIFF that was written is whole.

What GDAL still holds in a buffer is written when a file is closed, and so is the directory;
where the disk is full by then, rasterio says nothing. So we look at the file: every directory
(overviews and masks have their own) and every block must lie inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetWriter

OFFSETS, COUNTS = (273, 324), (279, 325)
"""Tags of where blocks begin and how many bytes they take, of strips and of tiles."""
TYPES = {3: "u2", 4: "u4", 16: "u8"}
"""Types that these tags have."""


def close_whole(file: DatasetWriter, *, sparse: bool = False) -> None:
    """Close a GeoTIFF that was written.

    Args:
        sparse: whether blocks may be missing, which then hold zeros.

    Raises:
        RasterioIOError: something of it could not be written, as on a full disk.
    """
    path = Path(file.name)
    file.close()
    check_whole(path, sparse=sparse)


def check_whole(path: Path, *, sparse: bool = False) -> None:
    """Raise RasterioIOError unless all of a GeoTIFF is there."""
    with path.open("rb") as file:
        if not _is_whole(file, file.seek(0, 2), sparse):
            raise RasterioIOError(f"the end of {path.name} could not be written")


def _is_whole(file: BinaryIO, size: int, sparse: bool) -> bool:
    head = _read(file, 0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if len(head) < 16 or order is None:
        return False
    big = _number(head[2:4], order) == 43
    word, length = (order + "u8", 8) if big else (order + "u4", 4)
    entry = np.dtype(
        [("tag", order + "u2"), ("type", order + "u2"), ("count", word), ("value", f"V{length}")]
    )
    at = _number(head[8:16] if big else head[4:8], order)
    if not at:
        return False
    while at:
        number = _read(file, at, 8 if big else 2)
        first = at + len(number)
        last = first + (_number(number, order) if number else 0) * entry.itemsize
        if last == first or last + length > size:
            return False
        entries = np.frombuffer(_read(file, first, last - first), entry)
        offsets = _values(file, entries[np.isin(entries["tag"], OFFSETS)], order, size)
        counts = _values(file, entries[np.isin(entries["tag"], COUNTS)], order, size)
        if offsets is None or counts is None or offsets.shape != counts.shape:
            return False
        if (offsets + counts > size).any() or not (sparse or offsets.all()):
            return False
        at = _number(_read(file, last, length), order)
    return True


def _values(file: BinaryIO, found: NDArray[np.void], order: str, size: int) -> NDArray[np.uint64] | None:
    """The numbers of one entry; None where they are not there."""
    if len(found) != 1 or int(found[0]["type"]) not in TYPES:
        return None
    kind, count = np.dtype(order + TYPES[int(found[0]["type"])]), int(found[0]["count"])
    stored = found[0]["value"].tobytes()
    if count * kind.itemsize > len(stored):
        at = _number(stored, order)
        if at + count * kind.itemsize > size:
            return None
        stored = _read(file, at, count * kind.itemsize)
    return np.frombuffer(stored, kind, count).astype(np.uint64)


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _number(stored: bytes, order: str) -> int:
    return int.from_bytes(stored, "little" if order == "<" else "big")
