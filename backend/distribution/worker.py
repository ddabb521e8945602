"""What runs on a worker: whole rows, by the same function as a serial run, and what is asked of it before."""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import distributed
import rasterio
from distributed.comm.addressing import get_address_host

from .. import device
from ..commands.batch_row import Outcome, do
from ..errors import TerramendError
from ..filling.process import keep_freed_memory
from ..flow import is_left_working
from ..version import VERSION
from ..watch import Watch
from . import places

CODE = (
    "backend/*.py",
    "backend/commands/*.py",
    "backend/distribution/*.py",
    "backend/filling/*.py",
    "backend/messages/*.py",
    "backend/raster/**/*.py",
    "models/**/*.py",
    "models/weights/*.json",
)
"""What a row's values may rest on; the plugin and a wheel hold the same."""
PACKAGES = ("distributed", "numpy", "scipy", "cv2", "onnxruntime")

_running: dict[str, list[Watch]] = {}
_cancelled: set[str] = set()
"""On a worker: the watches of each batch's running rows, and the batches that were cancelled."""


def work(
    request: dict[str, Any],
    batch: str,
    before: Sequence[Outcome],
    need: str,
    seen: places.Seen,
    at_once: Mapping[str, int],
) -> Outcome:
    """One row, on a worker.

    Args:
        before: outcomes that Dask waits for, of the rows that it builds on.
        need, seen: identity and files of the client, which the worker must have: it may have joined later.
        at_once: rows that machines do at the same time, and that share their cores.

    Raises:
        TerramendError: `batch.worker`, `batch.unseen`, `batch.read-only`.
    """
    worker = distributed.get_worker()
    if identity() != need:
        raise TerramendError("batch.worker", worker=worker.address, have=identity(), need=need)
    places.check(seen, worker.address)
    keep_freed_memory()
    watch = Watch()
    _running.setdefault(batch, []).append(watch)
    if batch in _cancelled:
        watch.cancel()
    rows = at_once.get(get_address_host(worker.address), worker.state.nthreads)
    try:
        return do({**request, "jobs": request["jobs"] or max(device.cores() // rows, 1)}, watch)
    finally:
        _running[batch].remove(watch)


def cancel(batch: str) -> None:
    """Ask the batch's rows on this worker to stop; runs beside them."""
    atexit.register(_leave)
    _cancelled.add(batch)
    for watch in list(_running.get(batch, ())):
        watch.cancel()


def _leave() -> None:
    """Called at the end of a worker that was told to stop; its status is of no interest."""
    if is_left_working():
        os._exit(0)


class Deaf(distributed.WorkerPlugin):
    """What `deaf_children` does, where masks of signals are not inherited (Windows)."""

    def setup(self, worker: distributed.Worker) -> None:
        """Called in the main thread of every worker, also of one that replaces a dead one."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def identity() -> str:
    """Which Terramend this is: its version, and a hash of what fills rest on."""
    root, sha = Path(__file__).parents[2], hashlib.sha256()
    for pattern in CODE:
        for path in sorted(root.glob(pattern)):
            sha.update(path.relative_to(root).as_posix().encode())
            sha.update(path.read_bytes())
    return f"{VERSION}, code {sha.hexdigest()[:8]}"


def packages() -> tuple[str, ...]:
    """Dask, and the packages by whose versions filled values may differ, such as `numpy 2.4.6`."""
    modules = [(name, importlib.import_module(name)) for name in PACKAGES]
    return (
        *(f"{name} {module.__version__}" for name, module in modules),
        f"GDAL {rasterio.__gdal_version__}",
    )
