"""One row of a batch: whether it is done already, and doing it. Runs in any process."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Set
from pathlib import Path
from typing import Any

from ..calls import run
from ..errors import TerramendError
from ..failure import logged
from ..filling.inputs import named_inputs
from ..request import FillRequest, Reference, from_json, request_hash
from ..watch import Watch
from .fill import of_options

HASH_TAG, INPUTS_TAG = "TERRAMEND_REQUEST_HASH", "TERRAMEND_INPUTS"

Outcome = dict[str, Any]
"""`status` (`done`, `skipped`, `failed`, `cancelled`) and `result`, or `error` with code,
arguments and message. JSON, so that it crosses process borders."""


def written(request: FillRequest) -> list[str]:
    """The files that a row writes, the main one first."""
    extras = (request.std, request.provenance, request.weights_map, request.trajectory)
    return [request.output, *(name for name in extras if name)]


def is_done(request: FillRequest) -> bool:
    """Whether the outputs are there, made by this very request, and newer than what they were made of."""
    from rasterio.errors import RasterioError

    if not all(os.path.isfile(name) for name in written(request)):  # noqa: PTH113
        return False
    rasters = [name for name in (request.output, request.std, request.provenance) if name]
    try:
        tags = [_tags(name) for name in rasters]
    except RasterioError:
        return False
    if any(found.get(HASH_TAG) != request_hash(request) for found in tags):
        return False
    inputs = {entry["name"] for entry in json.loads(tags[0].get(INPUTS_TAG, "[]"))}
    made = min(map(_changed, map(Path, rasters)))
    return not (
        any(_changed_since(name, made, inputs) for name in named(request)) or _masked_since(request, made)
    )


def do(request: dict[str, Any], watch: Watch) -> Outcome:
    """Fill one row; every failure becomes an outcome, so that the others go on."""
    try:
        with of_options():
            return {"status": "done", "result": run(from_json(request), watch)}
    except BaseException as failure:
        return failed(logged(failure))


def failed(error: TerramendError) -> Outcome:
    """The outcome of a row that failed, or was cancelled."""
    status = "cancelled" if error.code == "run.cancelled" else "failed"
    return {"status": status, "error": error.to_json()}


def _tags(name: str) -> dict[str, str]:
    import rasterio

    with rasterio.open(name) as file:
        tags: dict[str, str] = file.tags()
        return tags


def named(request: FillRequest) -> list[str]:
    """What a request reads, as it and its list of references name it."""
    return named_inputs(request, _listed(request))


def _listed(request: FillRequest) -> list[Reference]:
    """The dates of a request's JSON list of references."""
    from ..raster.products.siblings import listed

    if request.references_from and Path(request.references_from).is_file():
        with contextlib.suppress(TerramendError):  # the row will say what is wrong with the list
            return list(listed(Path(request.references_from)))
    return []


def _masked_since(request: FillRequest, made: float) -> bool:
    """Whether masks came beside dates of a JSON list that names none: one without a mask was left out."""
    from ..raster.masks.names import mask_kind_of

    folders = {Path(date.path).parent for date in _listed(request) if not date.masks}
    places = [place for folder in folders for place in (folder, folder / "masks") if place.is_dir()]
    newer = (entry for place in places for entry in place.iterdir() if _changed(entry) > made)
    return any(mask_kind_of(entry.name) and not _is_fill(entry) for entry in newer)


def _is_fill(path: Path) -> bool:
    """Whether a file is a filled raster, whatever its name says; masks that Terramend made are none."""
    from rasterio.errors import RasterioError

    try:
        return "TERRAMEND_MODEL" in _tags(str(path))
    except RasterioError:
        return False


def _changed_since(name: str, made: float, inputs: Set[str]) -> bool:
    """Whether an input is newer than `made`, or a file beside it that was read too, such as its mask.

    Of a folder its rasters count, but not what Terramend filled there: that is no reference.

    Args:
        inputs: names, without their folders, of all files that were read.
    """
    from ..raster.outputs import local_files
    from ..raster.products.files import ENDINGS
    from ..raster.products.fill_tag import is_filled

    if os.path.isdir(name):  # noqa: PTH112
        rasters = (entry for entry in Path(name).rglob("[!.]*") if entry.suffix.lower() in ENDINGS)
        newer = (entry for entry in rasters if _changed(entry) > made)
        return any(entry.name in inputs or not is_filled(str(entry)) for entry in newer)
    files = local_files(name)
    beside = [file.with_name(other) for file in files for other in inputs]
    return any(_changed(file) > made for file in (*files, *beside))


def _changed(path: Path) -> float:
    """When a file was written; 0 for one that is not there."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
