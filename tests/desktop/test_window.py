"""QGIS with a window, under a virtual screen: the button works, and a killed QGIS leaves no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPT = """
import os, sys, time, traceback
from pathlib import Path
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

out = Path(os.environ["OUT"])

def main():
    sys.excepthook = traceback.print_exception
    from terramend.ui.client import client

    plugins["terramend"].actions[0].trigger()
    dock = plugins["terramend"].dock
    assert dock.isVisible()
    target = QgsRasterLayer(os.environ["TARGET"], "target")
    QgsProject.instance().addMapLayer(target)
    dock.form.target.chooser.set_item(target)
    while client().pid is None or not dock.form.target.facts.text():
        QApplication.processEvents()
        time.sleep(0.01)
    (out / "pids").write_text(f"{os.getpid()} {client().pid}")
    (out / "pids").rename(out / "pid.txt")  # whole, or not at all

QTimer.singleShot(1000, main)
"""


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_qgis_takes_its_backend_along(qgis: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    target = str(qgis.scenes / "boadella_2020-01-13.tif")
    environ = {**qgis.environ, "OUT": str(tmp_path), "TARGET": target}
    del environ["QGIS_CUSTOM_CONFIG_PATH"]  # the window takes its profile from the command line
    command = [
        "xvfb-run", "-a", "-s", "-screen 0 1400x900x24", "qgis", "--profiles-path", str(qgis.profiles),
        "--nologo", "--noversioncheck", "--code", str(script),
    ]  # fmt: skip
    log = (tmp_path / "log.txt").open("w+")
    window = subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        told = tmp_path / "pid.txt"
        assert wait(told.exists, 600), (tmp_path / "log.txt").read_text()
        qgis_pid, backend_pid = (int(part) for part in told.read_text().split())
        assert alive(qgis_pid) and alive(backend_pid)
        os.kill(qgis_pid, signal.SIGKILL)
        assert wait(lambda: not alive(qgis_pid), 60)
        assert wait(lambda: not alive(backend_pid), 60)
    finally:
        os.killpg(window.pid, signal.SIGKILL)
        window.wait()
