"""The plugin in the QGIS that people start: reloaded, unloaded, and gone without a trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_reload_and_unload_leave_nothing(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "terramend").symlink_to(ROOT)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    answer = tmp_path / "answer.json"
    scene = shutil.copy(ROOT / "sample" / "two_dates" / "boadella_2020-01-13.tif", tmp_path)
    environ = {
        **os.environ,
        "PATH": "/usr/bin:/bin",
        "QGIS_PLUGINPATH": str(plugins),
        "XDG_RUNTIME_DIR": str(runtime),
        "RELOAD_ANSWER": str(answer),
        "RELOAD_SCENE": str(scene),
        "TERRAMEND_PYTHON": os.environ.get("TERRAMEND_PYTHON", str(ROOT / ".venv" / "bin" / "python")),
    }
    for name in ("VIRTUAL_ENV", "QT_QPA_PLATFORM", "PYTHONHOME", "PYTHONPATH"):
        environ.pop(name, None)
    script = Path(__file__).with_name("reload_script.py")
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24"]
    profiles = ["--profiles-path", str(tmp_path / "profiles")]
    done = subprocess.run(
        [*screen, "qgis", *profiles, "--nologo", "--code", str(script)],
        env=environ, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert answer.exists(), done.stderr[-2000:]
    told = json.loads(answer.read_text("utf-8"))
    assert "error" not in told, told["error"]
    used = [*told["rounds"], told["last"]]
    for one in used:
        assert one["visible"] and one["provider"]
        assert one["wide"], "Qt gives a new dock its least width"
        assert one["widgets"].count("TerramendDock") == 1 and len(one["actions"]) == 1
        assert len(one["menu"]) == 1
    assert len({one["pid"] for one in used}) == 4, "every reload starts a backend of its own"
    assert not [pid for pid in {one["pid"] for one in used} if Path(f"/proc/{pid}").exists()]
    assert told["tools"] == ["QgsMapToolDigitizeFeature", "QgsMapToolPan"], "none of them is the plugin's"
    assert told["left"] == {
        "widgets": [], "menu": [], "actions": [], "provider": False, "threads": [], "modules": [],
    }  # fmt: skip
