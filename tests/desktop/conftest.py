"""A QGIS of its own: profile, plugins folder and runtime folder are temporary."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = "[PythonPlugins]\nterramend=true\nprocessing=true\n[app]\nshowTipOfDay=false\n"


@dataclass(frozen=True)
class Qgis:
    """Where this QGIS lives.

    Attributes:
        profiles: folder of profiles; its `default` has the plugin switched on.
        scenes: a copy of the sample's two dates. environ: for every process of this QGIS.
    """

    profiles: Path
    scenes: Path
    environ: dict[str, str]


@pytest.fixture
def qgis(tmp_path: Path) -> Qgis:
    plugins, profile = tmp_path / "plugins", tmp_path / "profiles" / "profiles" / "default"
    plugins.mkdir()
    (plugins / "terramend").symlink_to(ROOT)
    (profile / "QGIS").mkdir(parents=True)
    (profile / "QGIS" / "QGIS3.ini").write_text(MINIMAL)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    scenes = tmp_path / "zwei Tage"
    scenes.mkdir()
    for path in (ROOT / "sample" / "two_dates").glob("*.tif"):
        shutil.copy(path, scenes)
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_PLUGINPATH": str(plugins),
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profiles"),
        "TERRAMEND_PYTHON": os.environ.get("TERRAMEND_PYTHON") or str(ROOT / ".venv" / "bin" / "python"),
    }
    return Qgis(tmp_path / "profiles", scenes, environ)
