"""Qt 6 and QGIS 4, checked without them: types against PyQt6's own stubs, and what QGIS 4 took away."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STUBS = Path(sys.prefix) / "stubs" / "PyQt6"
FILES = [ROOT / "plugin.py", *sorted((ROOT / "ui").rglob("*.py"))]
MODULES = ("QtCore", "QtGui", "QtNetwork", "QtWidgets", "QtXml")
SIP = """
class simplewrapper: ...
class wrapper(simplewrapper): ...
class voidptr: ...
class array: ...
class Buffer: ...
def delete(obj: simplewrapper) -> None: ...
def isdeleted(obj: simplewrapper) -> bool: ...
"""
IN_BOTH_PLACES = "from PyQt6.QtGui import QAction as QAction\n"
"""qgis.PyQt has it in QtWidgets too, where it was in Qt 5."""


FAULTS = """
from qgis.PyQt.QtCore import QRegExp, Qt
from qgis.PyQt.QtGui import QFontMetrics, QMouseEvent, QPainter
from qgis.PyQt.QtWidgets import QAction, QDialog, QFrame, QLabel
a = Qt.AlignLeft
def b(event: QMouseEvent) -> int: return event.x()
def c(metrics: QFontMetrics) -> int: return metrics.width("text")
def d(dialog: QDialog) -> int: return dialog.exec_()
def e(frame: QFrame) -> None: frame.setFrameShape(0)
def f(painter: QPainter) -> None: painter.drawLine(0.5, 0, 1, 1)
def g(label: QLabel) -> None: label.resize(1.5, 2)
h = Qt.AlignmentFlag.AlignLeft
def i(action: QAction) -> None: action.setCheckable(True)
"""
"""The last two lines are right."""
# PyQt6's stubs call every pointer optional, so mypy does not look at None.
OPTIONS = """
[mypy]
strict_optional = False
check_untyped_defs = True
ignore_missing_imports = True
follow_imports = silent
follow_imports_for_stubs = True
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of the plugin and of `FAULTS`: all of QGIS but its PyQt can be anything."""
    assert STUBS.is_dir(), f"there are no stubs of PyQt6 in {STUBS}: make env"
    folder = tmp_path_factory.mktemp("types")
    for package in ("PyQt6", "qgis/PyQt", "terramend"):
        (folder / package).mkdir(parents=True)
    for package in ("PyQt6", "qgis", "qgis/PyQt"):
        (folder / package / "__init__.pyi").touch()
    for name in MODULES:
        text = (STUBS / f"{name}.pyi").read_text("utf-8")
        text = text.replace(", /) ->", ") ->")  # a slash after *args, which Python refuses
        (folder / "PyQt6" / f"{name}.pyi").write_text(text, "utf-8")
        more = IN_BOTH_PLACES if name == "QtWidgets" else ""
        (folder / "qgis" / "PyQt" / f"{name}.pyi").write_text(f"from PyQt6.{name} import *\n{more}", "utf-8")
    (folder / "PyQt6" / "sip.pyi").write_text(SIP, "utf-8")
    (folder / "qgis" / "PyQt" / "sip.pyi").write_text("from PyQt6.sip import *\n", "utf-8")
    for name in ("core", "gui"):
        anything = "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n"
        (folder / "qgis" / f"{name}.pyi").write_text(anything, "utf-8")
    for name in ("__init__.py", "plugin.py", "backend", "ui"):
        (folder / "terramend" / name).symlink_to(ROOT / name)
    (folder / "faults.py").write_text(FAULTS, "utf-8")
    (folder / "mypy.ini").write_text(OPTIONS, "utf-8")
    what = [sys.executable, "-m", "mypy", "-p", "terramend.ui", "-m", "terramend.plugin", "-m", "faults"]
    done = subprocess.run([*what, "--cache-dir", os.devnull], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr  # 2: it could not look
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    ours = [line for line in lines if not line.startswith("faults.py:")]
    return {"ours": ours, "sample": [line for line in lines if line not in ours]}


def test_the_plugin_fits_pyqt6(faults: dict[str, list[str]]) -> None:
    assert faults["ours"] == []


def test_the_check_finds_what_it_is_for(faults: dict[str, list[str]]) -> None:
    assert [int(line.split(":")[1]) for line in faults["sample"]] == [2, *range(5, 12)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_qgis_4_took_away(path: Path) -> None:
    source = path.read_text("utf-8")
    assert ".exec_(" not in source  # also of what mypy does not know
    for node in ast.parse(source).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        # Processing's Python is no stable interface: without a part of it the plugin must load all the same.
        assert not any(name.split(".")[0] == "processing" for name in names)
    assert "processing.gui.wrappers" not in source  # gone in QGIS 4.4
