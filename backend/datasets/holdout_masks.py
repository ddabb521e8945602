"""Which pixels are hidden for a test: drawn once, stored, the same for every method.

AlignDiff hides 10 to 50 % of the valid pixels of each image and keeps the indices. Single pixels are an
easy test (a line between neighbours does well), so blobs as large as clouds stand beside them.
A store is one npz: the packed bits of every mask and a JSON text that says what each one is.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.base import Flags
from ..errors import TerramendError
from ..raster.grid import Window
from ..raster.outputs import written
from .gaps import blob

KINDS = ("pixels", "clouds")
SHARES = (0.1, 0.5)
"""Least and greatest share of the valid pixels that is hidden."""


@dataclass(frozen=True)
class HoldoutMask:
    """One mask of a store.

    Attributes:
        place, date: what it belongs to. window: row, column, height, width there.
        kind: of `KINDS`. share: of the valid pixels that is hidden. seed: that it was drawn with.
    """

    place: str
    date: str
    window: tuple[int, int, int, int]
    kind: str
    share: float
    seed: int


def draw(kind: str, valid: Flags, seed: int, shares: tuple[float, float] = SHARES) -> Flags:
    """(H, W) bool of pixels to hide, all of them valid.

    Args:
        kind: `pixels`: single ones. `clouds`: blobs with a random outline. Of both exactly the share that
            is drawn.
        valid: (H, W), pixels whose truth is known. shares: least and greatest share of them.

    Raises:
        ValueError: an unknown kind.
    """
    random = np.random.default_rng(seed)
    wanted = float(random.uniform(*shares))
    count = int(valid.sum())
    if kind == "pixels":
        out = np.zeros(valid.shape, bool)
        out.flat[random.choice(np.flatnonzero(valid), round(wanted * count), replace=False)] = True
        return out
    if kind != "clouds":
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    return _blobs(valid, wanted * count, random)


def _blobs(valid: Flags, wanted: float, random: np.random.Generator) -> Flags:
    """Blobs until the wanted number of valid pixels is hidden; the last one is cut to fit."""
    out = np.zeros(valid.shape, bool)
    height, width = valid.shape
    for number in range(100):
        missing = round(wanted) - int(out.sum())
        if missing <= 0:
            break
        share = min(missing / valid.size * (1 + number / 4), 1.0)  # they fall on each other more and more
        more = blob((height, width), share, int(random.integers(2**31))) & valid & ~out
        extra = int(more.sum()) - missing
        if extra > 0:
            rows = np.flatnonzero(more)
            more.flat[rows[len(rows) - extra :]] = False
        out |= more
    return out


def save(path: Path, masks: Mapping[HoldoutMask, Flags]) -> None:
    """Write a store, whole or not at all."""
    table = json.dumps([asdict(entry) for entry in masks], separators=(",", ":"))
    bits: dict[str, Any] = {
        f"bits{number}": np.packbits(flags) for number, flags in enumerate(masks.values())
    }
    with written(path) as part, part.open("wb") as sink:
        np.savez_compressed(sink, table=np.frombuffer(table.encode(), np.uint8), **bits)


def load(path: Path) -> Iterator[tuple[HoldoutMask, Flags]]:
    """The masks of a store, in their order.

    Raises:
        TerramendError: `dataset.file`, it is no store or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as pack:
            rows = json.loads(bytes(pack["table"]))
            for number, row in enumerate(rows):
                entry = HoldoutMask(**{**row, "window": tuple(row["window"])})
                _, _, height, width = entry.window
                flags = np.unpackbits(pack[f"bits{number}"], count=height * width).reshape(height, width)
                yield entry, flags.astype(bool)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TerramendError("dataset.file", path=str(path), why=str(error) or "it is cut off") from None


def of_windows(
    place: str, date: str, valid: Flags, windows: Sequence[Window], seed: int
) -> dict[HoldoutMask, Flags]:
    """A mask of each kind for every window, drawn by seed and position; those without truth are left out."""
    found = {}
    for window in windows:
        known = valid[window.slices]
        if not known.any():
            continue
        for number, kind in enumerate(KINDS):
            one = int(np.random.SeedSequence([seed, number, window.row, window.column]).generate_state(1)[0])
            flags = draw(kind, known, one)
            share = round(float(flags.sum() / known.sum()), 4)
            size = (window.row, window.column, window.height, window.width)
            found[HoldoutMask(place, date, size, kind, share, one)] = flags
    return found
