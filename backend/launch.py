"""Starts the backend in another interpreter than QGIS's, from wherever the plugin lies.

Standard library only, Python 3.9. As a script it registers its parent folder as the
package `terramend`, whatever that folder is called, and runs the command line. The
folder that holds the plugins never goes on `sys.path`: other plugins would shadow
packages. As a module it tells a client how to start that script (`command`,
`environment`).
"""

from __future__ import annotations

import os
import sys

if __name__ in ("__main__", "__mp_main__"):
    # A script's folder comes first on the path, and ours holds an `inspect.py`: remove it
    # before anything else is imported (`os` and `sys` are there since the start).
    _here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]  # noqa: PTH100

import importlib
import importlib.util
from pathlib import Path
from typing import Dict, List, Mapping, Optional

DROPPED = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP", "PYTHONUSERBASE",
    "VIRTUAL_ENV", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH",
    "GDAL_PAM_PROXY_DIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "QT_PLUGIN_PATH", "PIP_USER",
    "PIP_TARGET", "PIP_PREFIX",
)  # fmt: skip
"""Variables of QGIS or of its Python that break another Python or another GDAL."""
DROPPED_PREFIXES = ("DYLD_", "QGIS_")


def environment(inherited: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """The environment for a backend process: the inherited one without what QGIS leaks."""
    source = os.environ if inherited is None else inherited
    kept = {
        name: value
        for name, value in source.items()
        if name.upper() not in DROPPED and not name.upper().startswith(DROPPED_PREFIXES)
    }
    kept.update(PYTHONNOUSERSITE="1", PYTHONUTF8="1")
    kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return kept


def command(python: str, *arguments: str) -> List[str]:
    """Program and arguments that run `terramend ARGUMENTS` with the interpreter `python`.

    Isolated mode: neither variables, nor the user's site, nor the current folder count.
    """
    return [python, "-I", "-X", "utf8", str(Path(__file__).resolve()), *arguments]


def register() -> None:
    """Make the folder above this one importable as `terramend`."""
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        "terramend", str(root / "__init__.py"), submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} holds no Terramend")
    package = importlib.util.module_from_spec(spec)
    sys.modules["terramend"] = package
    spec.loader.exec_module(package)


if __name__ in ("__main__", "__mp_main__"):  # the latter: a worker process of the batch
    register()
if __name__ == "__main__":
    sys.exit(importlib.import_module("terramend.backend.cli").main())
