"""Crops on disk: arrays of half precision, memory-mapped, whole where `samples.json` stands beside them.

Runs share them, so `drawn.json` says from what they were drawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.contents import contents
from ..errors import TerramendError
from ..failure import reason
from ..raster.outputs import write_whole
from .alone import alone


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


def provide(folder: Path, data: Path, settings: Mapping[str, Any], build: Callable[[], None]) -> None:
    """Call `build` where the folder has no whole crops; those that it has must have been drawn by the same.

    Raises:
        TerramendError: `training.drawn`, naming the first setting that differs; `training.busy`.
    """
    asked, path = {**settings, "--data": contents(data)}, folder / "drawn.json"
    if not (folder / "samples.json").exists():
        with alone(folder):
            write_whole(path, json.dumps(asked, indent=1))
            build()
    elif path.exists():  # those of earlier versions have none
        try:
            before = dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise TerramendError("training.samples", path=str(folder), why=reason(error)) from None
        for key, value in asked.items():
            if before.get(key) != value:
                why = f"{key} was {json.dumps(before.get(key))}, and is {json.dumps(value)}"
                raise TerramendError("training.drawn", path=str(folder), why=why)
