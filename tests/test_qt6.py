"""Qt6, checked without Qt6: every Qt name that the plugin uses stands in PyQt6's own stubs."""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STUBS = Path(sys.prefix) / "stubs" / "PyQt6"
FILES = [ROOT / "plugin.py", *sorted((ROOT / "ui").rglob("*.py"))]


@functools.cache
def stub(module: str) -> dict[str, ast.ClassDef]:
    """Classes of a PyQt6 module, from its stub; nothing is imported."""
    path = STUBS / f"{module}.pyi"
    assert path.exists(), f"there are no stubs of PyQt6 in {STUBS}: make env"
    text = path.read_text("utf-8").replace(", /) ->", ") ->")  # a slash after *args, which Python refuses
    tree = ast.parse(text)
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


@functools.cache
def functions(module: str) -> set[str]:
    """What a module has beside classes."""
    if module == "QtCore":
        return {"pyqtSignal", "pyqtSlot", "pyqtProperty"}
    return set()


def base_class(base: ast.expr) -> ast.ClassDef | None:
    """The class that a base such as `QtCore.QObject` or `QFrame` names."""
    name = ast.unparse(base)
    modules = [name.split(".")[0]] if "." in name else ["QtCore", "QtGui", "QtWidgets", "QtNetwork"]
    for module in modules:
        if module.startswith("Qt") and name.split(".")[-1] in stub(module):
            return stub(module)[name.split(".")[-1]]
    return None


def member(owner: ast.ClassDef, name: str) -> ast.AST | None:
    """A member of a class or of its bases."""
    for node in owner.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return node
    for base in owner.bases:
        parent = base_class(base)
        found = member(parent, name) if parent is not None else None
        if found is not None:
            return found
    return None


def missing(source: str) -> list[str]:
    """Qt names in a source that PyQt6 does not have."""
    tree = ast.parse(source)
    found, names = [], {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = str(node.module).rpartition(".")[2]
            for alias in node.names:
                if alias.name in stub(module):
                    names[alias.asname or alias.name] = stub(module)[alias.name]
                elif alias.name not in functions(module):
                    found.append(f"{module}.{alias.name}")
    for node in ast.walk(tree):
        parts, step = [], node
        while isinstance(step, ast.Attribute):
            parts.append(step.attr)
            step = step.value
        if not (parts and isinstance(step, ast.Name) and step.id in names):
            continue
        owner: ast.AST | None = names[step.id]
        for part in reversed(parts):
            if not isinstance(owner, ast.ClassDef):
                break
            owner = member(owner, part)
            if owner is None:
                found.append(f"{step.id}.{'.'.join(reversed(parts))}")
                break
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pyqt6_has_what_is_used(path: Path) -> None:
    source = path.read_text("utf-8")
    # QAction moved to QtGui; qgis.PyQt has it in both places.
    assert [name for name in missing(source) if name != "QtWidgets.QAction"] == []
    assert ".exec_(" not in source


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from qgis.PyQt.QtCore import Qt\nQt.AlignLeft", ["Qt.AlignLeft"]),
        ("from qgis.PyQt.QtCore import Qt\nQt.AlignmentFlag.AlignLeft", []),
        ("from qgis.PyQt.QtCore import QRegExp", ["QtCore.QRegExp"]),
        ("from qgis.PyQt.QtWidgets import QDialog\nQDialog.show, QDialog.exec_", ["QDialog.exec_"]),
    ],
)
def test_the_check_finds_what_it_is_for(source: str, faults: list[str]) -> None:
    assert missing(source) == faults
