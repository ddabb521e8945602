"""Whether a worker sees this machine's files: the same folders, under the same paths, and to write to.

One that does not would fail every row that it gets, and quickly, so that it gets most of them; one with
a folder of its own under an output's path would write where nobody looks, and call that done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..commands.batch_row import named, written
from ..errors import TerramendError
from ..raster.gdal import is_local
from ..raster.outputs import sweep, temporary_name
from ..request import FillRequest


@dataclass(frozen=True)
class Seen:
    """What this machine sees for a row: files and folders to read, and a mark in each folder to write to."""

    inputs: tuple[str, ...]
    marks: tuple[str, ...]


@contextlib.contextmanager
def marks(requests: Iterable[FillRequest]) -> Iterator[dict[str, str]]:
    """An empty file in each folder that rows write to, by that folder; gone at the end.

    A folder to which this machine may not write gets none: the workers may.
    """
    made: dict[str, str] = {}
    try:
        for folder in dict.fromkeys(os.path.dirname(name) for one in requests for name in written(one)):  # noqa: PTH120
            sweep(Path(folder))
            mark = Path(folder, temporary_name("mark"))
            with contextlib.suppress(OSError):
                mark.touch(exist_ok=False)
                made[folder] = str(mark)
        yield made
    finally:
        for name in made.values():
            with contextlib.suppress(OSError):
                Path(name).unlink()


def seen(request: FillRequest, marked: Mapping[str, str]) -> Seen:
    """What a worker must see to do a row, of what is here now: earlier rows may make more of it."""
    inputs = [*named(request), *([request.tmp] if request.tmp else [])]
    folders = {os.path.dirname(name) for name in written(request)}  # noqa: PTH120
    return Seen(
        tuple(name for name in inputs if is_local(name)),
        tuple(marked[folder] for folder in sorted(folders & set(marked))),
    )


def check(row: Seen, worker: str) -> None:
    """On a worker: refuse a row that cannot be done here.

    Raises:
        TerramendError: `batch.unseen`, `batch.read-only`.
    """
    for name in row.inputs:
        if not is_local(name):
            raise TerramendError("batch.unseen", worker=worker, path=name)
    for mark in row.marks:
        folder = os.path.dirname(mark)  # noqa: PTH120
        if not os.path.exists(mark):  # noqa: PTH110
            raise TerramendError("batch.unseen", worker=worker, path=folder)
        if not os.access(folder, os.W_OK):
            raise TerramendError("batch.read-only", worker=worker, path=folder)
