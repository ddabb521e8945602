"""Errors of the batch and its cluster: the same table as `errors`, to which it is added.

Standard library only, Python 3.9: what imports `errors` imports this.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping

from .exit_statuses import CANCELLED, ENVIRONMENT, INPUT

BATCH: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "batch.address": (INPUT, "{scheduler} is no scheduler: give --scheduler local:N or tcp://HOST:PORT."),
        "batch.cancelled": (
            CANCELLED,
            "Cancelled after {done} of {rows} rows; the same command goes on with the others.",
        ),
        "batch.cells": (
            INPUT,
            "The row has {count} cells for {columns} columns: put a value that holds commas in quotes.",
        ),
        "batch.count": (
            INPUT,
            "The column {column} has {count} values for {owners} of {owner}: give one, or one for each.",
        ),
        "batch.folder": (
            INPUT,
            "Nothing in the folder {folder} matches {pattern}: mend --folder or --pattern.",
        ),
        "batch.lost": (ENVIRONMENT, "The row's worker died several times: it may need more memory."),
        "batch.no-table": (INPUT, "{path} is a folder: --folder {path} fills the rasters in it."),
        "batch.output": (
            INPUT,
            "There is no output: add a column output, "
            "or an option such as -o {{folder}}/{{stem}}_filled.tif.",
        ),
        "batch.owner": (
            INPUT,
            "The column {column} says how to take what {owner} names, but the row names none: "
            "fill in {owner}, or leave {column} empty.",
        ),
        "batch.place": (
            INPUT,
            "The table of results {path} cannot be written ({why}): choose another place by --results.",
        ),
        "batch.raster": (
            INPUT,
            "{path} is a raster and no table: terramend fill {path} -o FILLED.tif fills it.",
        ),
        "batch.read-only": (
            ENVIRONMENT,
            "The cluster's worker {worker} may not write to {path}: give it the right to, or end it.",
        ),
        "batch.results": (INPUT, "{path} exists and is no table of results: choose another by --results."),
        "batch.scheduler": (
            ENVIRONMENT,
            "The Dask scheduler {scheduler} cannot be used ({why}): check it, or do without --scheduler.",
        ),
        "batch.table": (INPUT, "The table {path} cannot be used: {why}; mend it and run again."),
        "batch.twice": (
            INPUT,
            "{path} is already the output of row {row}: give each row its own, as {{stem}} in its name does.",
        ),
        "batch.unseen": (
            ENVIRONMENT,
            "The cluster's worker {worker} does not see {path} as it is here: "
            "give it the same folders under the same paths, or end it.",
        ),
        "batch.worker": (
            ENVIRONMENT,
            "The cluster's worker {worker} has not Terramend {need} ({have}): "
            "install that version there, with its packages.",
        ),
        "batch.written": (
            INPUT,
            "All that matches {pattern} in {folder} was written by Terramend: "
            "name in a table what is to be filled again.",
        ),
    }
)
