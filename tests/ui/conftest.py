"""The plugin as QGIS would import it: package `terramend`, whatever the clone is called."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if "terramend" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "terramend", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["terramend"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
BACKEND_PYTHON = os.environ.setdefault("TERRAMEND_PYTHON", str(ROOT / ".venv" / "bin" / "python"))


@pytest.fixture(scope="session")
def backend_python() -> str:
    """The interpreter with the light environment."""
    assert Path(BACKEND_PYTHON).exists(), f"no backend Python at {BACKEND_PYTHON}: make env"
    return BACKEND_PYTHON
