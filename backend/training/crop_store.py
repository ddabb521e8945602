"""Crops on disk: arrays of half precision, memory-mapped, whole where `samples.json` stands beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TerramendError
from ..failure import reason


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.float16]]:
    """An array of zeros, all of whose room is taken: a disk that filled up later would end the process.

    Raises:
        OSError: the disk has no room for it.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def read(folder: Path, names: Sequence[str]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """What `samples.json` tells, and the arrays.

    Raises:
        TerramendError: `training.samples`.
    """
    try:
        facts: dict[str, Any] = dict(json.loads((folder / "samples.json").read_text("utf-8")))
        return facts, [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise TerramendError("training.samples", path=str(folder), why=reason(error)) from None
