"""Whether the files of a run stay what they were while it reads them.

A raster is read in many parts, some of it more than once. What replaces or rewrites it meanwhile would
be mixed with what was read before, and nothing in the pixels would tell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ...errors import TerramendError
from ..masks.polygons import SUFFIXES
from ..outputs import local_files

States = Mapping[Path, tuple[int, int]]
"""Size, and time of the last change in nanoseconds."""


def states(names: Iterable[str]) -> States:
    """Of every local raster behind paths or GDAL names; polygons are left out, which are read at once.

    QGIS changes a GeoPackage whenever it opens one. Whoever looks at a raster may write statistics beside
    it, and GDAL itself writes what a table of a GeoPackage says there.
    """
    files = {path for name in names for path in local_files(name)}
    left_out = (*SUFFIXES, ".aux.xml")
    found = {path: _state(path) for path in files if not path.name.lower().endswith(left_out)}
    return {path: state for path, state in found.items() if state is not None}


@contextlib.contextmanager
def unchanged(before: States) -> Iterator[None]:
    """All that is read of the files is read inside; a file that is gone at its end could be read whole.

    Raises:
        TerramendError: `input.changed`, also in place of what went wrong because of it.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, TerramendError) and error.code == "run.cancelled"):
            _check(before)
        raise
    _check(before)


def _check(before: States) -> None:
    for path, state in before.items():
        if _state(path) not in (state, None):
            raise TerramendError("input.changed", path=str(path))


def _state(path: Path) -> tuple[int, int] | None:
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_size, now.st_mtime_ns
