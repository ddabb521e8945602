"""Errors of the backend process and its Python as the plugin sees them: the same table, added to `errors`.

Standard library only, Python 3.9: what imports `errors` imports this.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping

from .exit_statuses import ENVIRONMENT

PLUGIN: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "backend.absent": (
            ENVIRONMENT,
            "Terramend has no Python for its backend yet: install one, or choose one, "
            "under Raster > Terramend > Backend environment, or name one in the variable TERRAMEND_PYTHON.",
        ),
        "backend.base": (
            ENVIRONMENT,
            "No Python of 3.11 to 3.14 was found to build on (found: {found}): install one of these from "
            "python.org, or with uv python install 3.13, for yourself alone; then try again.",
        ),
        "backend.crashed": (
            ENVIRONMENT,
            "The backend stopped unexpectedly ({reason}); it starts again with the next run. "
            "Its last words are in the log.",
        ),
        "backend.folder": (
            ENVIRONMENT,
            "The environment cannot be written to {path} ({why}): make room there, or close what uses it.",
        ),
        "backend.install": (
            ENVIRONMENT,
            "The environment could not be installed ({why}): see the log; "
            "check the network or the proxy in QGIS's settings, or install from a folder of wheels.",
        ),
        "backend.interpreter": (
            ENVIRONMENT,
            "The interpreter {path} cannot be started ({why}): "
            "choose another one under Raster > Terramend > Backend environment.",
        ),
        "backend.outdated": (
            ENVIRONMENT,
            "The backend's Python environment was made for another version of Terramend: "
            "press Repair under Raster > Terramend > Backend environment.",
        ),
        "backend.start": (
            ENVIRONMENT,
            "The backend does not start ({why}): "
            "press Repair, or choose another Python, under Raster > Terramend > Backend environment.",
        ),
        "backend.unproven": (
            ENVIRONMENT,
            "The environment was installed but does not compute ({why}): see the log, then try again.",
        ),
        "backend.version": (
            ENVIRONMENT,
            "The backend is of version {found} and the plugin of version {expected}: restart QGIS.",
        ),
        "backend.wheels": (
            ENVIRONMENT,
            "The folder {path} holds no wheels: choose the folder that holds the .whl files.",
        ),
    }
)
