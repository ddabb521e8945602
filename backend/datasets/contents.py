"""What tells one folder of data from another without reading its pixels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..raster.outputs import SIDECARS


def contents(root: Path) -> str:
    """How many files lie below a folder, their bytes, and a hash of their names and sizes.

    It stays the same where the folder is moved. Hidden files do not count, nor what GDAL and QGIS put
    beside rasters.
    """
    found = []
    for folder, below, names in os.walk(root, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        kept = (name for name in names if not name.startswith(".") and not name.lower().endswith(SIDECARS))
        for path in (Path(folder, name) for name in kept):
            if path.is_file():
                found.append(f"{path.relative_to(root).as_posix()} {path.stat().st_size}")
    sizes = [int(line.rpartition(" ")[2]) for line in found]
    sha = hashlib.sha256("\n".join(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{len(found)} files, {sum(sizes)} bytes, {sha[:12]}"
