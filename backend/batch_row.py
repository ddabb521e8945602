"""One row of a batch: whether it is done already, and doing it. Runs in any process."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from .calls import run
from .errors import TerramendError
from .failure import as_error
from .request import FillRequest, from_json, request_hash
from .watch import Watch

HASH_TAG = "TERRAMEND_REQUEST_HASH"

Outcome = dict[str, Any]
"""`status` (`done`, `skipped`, `failed`, `cancelled`) and `result`, or `error` with code,
arguments and message. JSON, so that it crosses process borders."""


def written(request: FillRequest) -> list[str]:
    """The files that a row writes, the main one first."""
    extras = (request.std, request.provenance, request.weights_map, request.trajectory)
    return [request.output, *(name for name in extras if name)]


def is_done(request: FillRequest) -> bool:
    """Whether the outputs are there, made by this very request, and newer than its files."""
    import rasterio

    if not all(os.path.isfile(name) for name in written(request)):  # noqa: PTH113
        return False
    try:
        with rasterio.open(request.output) as file:
            if file.tags().get(HASH_TAG) != request_hash(request):
                return False
    except rasterio.errors.RasterioError:
        return False
    made = os.path.getmtime(request.output)  # noqa: PTH204
    return all(changed <= made for changed in map(_changed, _inputs(request)))


def do(request: dict[str, Any], watch: Watch) -> Outcome:
    """Fill one row; every failure becomes an outcome, so that the others go on."""
    try:
        return {"status": "done", "result": run(from_json(request), watch)}
    except BaseException as failure:
        return failed(as_error(failure))


def failed(error: TerramendError) -> Outcome:
    """The outcome of a row that failed, or was cancelled."""
    told = {"code": error.code, "arguments": error.arguments, "message": str(error)}
    return {"status": "cancelled" if error.code == "run.cancelled" else "failed", "error": told}


def _inputs(request: FillRequest) -> list[str]:
    masks = [*request.gaps, *(mask for reference in request.references for mask in reference.masks)]
    names = [*request.target, *(mask.path for mask in masks), *(r.path for r in request.references)]
    return names + [
        name for name in (request.references_from, request.dem, request.sar, request.extent) if name
    ]


def _changed(name: str) -> float:
    """When a file was written; 0 for what is no file (GDAL names, bounds)."""
    with contextlib.suppress(OSError):
        return os.path.getmtime(name)  # noqa: PTH204
    return 0.0
