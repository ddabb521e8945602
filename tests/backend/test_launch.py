"""The backend starts from wherever the plugin lies, and nothing of QGIS's leaks into it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
import rasterio
from terramend.backend import launch


def test_environment_drops_what_breaks_another_python_and_keeps_the_rest():
    inherited = {
        "PATH": "/bin", "HOME": "/home/x", "HTTPS_PROXY": "http://p", "TERRAMEND_JOBS": "2",
        "PYTHONHOME": "/q", "PYTHONPATH": "/q", "PYTHONSTARTUP": "x", "PYTHONUSERBASE": "x",
        "PYTHONEXECUTABLE": "x", "VIRTUAL_ENV": "/v", "PROJ_LIB": "/p", "PROJ_DATA": "/p", "GDAL_DATA": "/g",
        "GDAL_DRIVER_PATH": "/g", "GDAL_PAM_PROXY_DIR": "/g", "LD_LIBRARY_PATH": "/l", "LD_PRELOAD": "l.so",
        "DYLD_LIBRARY_PATH": "/l", "DYLD_INSERT_LIBRARIES": "l", "QT_PLUGIN_PATH": "/t", "QGIS_PREFIX_PATH": "/q",
        "PIP_USER": "1", "PIP_TARGET": "t", "PIP_PREFIX": "p", "Proj_Lib": "windows",
    }  # fmt: skip
    assert launch.environment(inherited) == {
        "PATH": "/bin", "HOME": "/home/x", "HTTPS_PROXY": "http://p", "TERRAMEND_JOBS": "2",
        "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "OMP_WAIT_POLICY": "PASSIVE",
    }  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package under another name, in a folder of plugins with decoys, in a hostile path."""
    plugins = tmp_path_factory.mktemp("Größe & Co (2)") / "Plug ins é"
    root = Path(launch.__file__).parents[1]
    place = plugins / "terramend-main 1"
    for part in ("backend", "models"):
        shutil.copytree(root / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "metadata.txt"):
        shutil.copy(root / name, place / name)
    for name in ("numpy", "rasterio", "json", "inspect"):
        (plugins / f"{name}.py").write_text(f"raise SystemExit('the decoy {name} was imported')")
        (plugins / "cwd").mkdir(exist_ok=True)
        shutil.copy(plugins / f"{name}.py", plugins / "cwd" / f"{name}.py")
    return place


def doctor(argv: list[str], place: Path, **more) -> dict:
    done = subprocess.run(argv, cwd=place.parent / "cwd", capture_output=True, text=True, timeout=600, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_runs_from_any_folder_without_the_plugins_folder_on_the_path(elsewhere):
    script = elsewhere / "backend" / "launch.py"
    leaking = {
        **os.environ,
        "PYTHONPATH": str(elsewhere.parent),
        "PROJ_LIB": "/nowhere",
        "LD_LIBRARY_PATH": "/x",
    }
    argv = [sys.executable, "-I", "-X", "utf8", str(script), "doctor", "--json"]
    assert launch.command(sys.executable, "doctor", "--json")[:4] == argv[:4]
    found = doctor(argv, elsewhere, env=launch.environment(leaking))
    assert found["folder"] == str(elsewhere)
    assert found["healthy"] is True


def test_runs_without_isolation_too(elsewhere):
    """Started by hand as a script: its own folder, which holds an inspect.py, leaves the path."""
    (elsewhere / "backend" / "inspect.py").write_text("raise SystemExit('not the standard library')")
    argv = [sys.executable, os.path.relpath(elsewhere / "backend" / "launch.py", elsewhere.parent / "cwd")]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = doctor([*argv, "doctor", "--json"], elsewhere, env=clean)
    assert found["folder"] == str(elsewhere)


def test_workers_of_a_batch_find_the_plugin_too(elsewhere, tmp_path):
    """In an interpreter that has the packages but not us: only the launcher tells where we are."""
    venv.create(tmp_path / "env")
    (place,) = (tmp_path / "env").rglob("site-packages")
    (place / "packages.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files do not count
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    absent = subprocess.run([python, "-I", "-c", "import terramend"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in absent.stderr
    with rasterio.open(
        tmp_path / "t.tif", "w", driver="GTiff", count=1, height=16, width=16, dtype="uint8", crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 3e5, 0, -10, 5e6),
    ) as file:  # fmt: skip
        file.write(np.arange(256, dtype="uint8").reshape(1, 16, 16))
    words = ["--folder", str(tmp_path), "-o", "{folder}/out.tif", "--model", "mean", "--scheduler", "local:1"]
    script = str(elsewhere / "backend" / "launch.py")
    done = subprocess.run(
        [str(python), "-I", "-X", "utf8", script, "batch", *words, "--radiometry", "dn", "--json"],
        capture_output=True, text=True, timeout=600, env=launch.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 1


def test_a_fill_starts_without_scipy():
    """A third of the seconds that the imports take, for what most fills never ask."""
    code = "import sys, terramend.backend.fill, terramend.models.guided.model; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
