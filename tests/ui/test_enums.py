"""Names of Qt and QGIS that the plugin uses: they exist here, and enums are scoped as Qt6 wants."""

from __future__ import annotations

import ast
import enum
import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "plugin.py", *sorted((ROOT / "ui").rglob("*.py"))]


def imported(tree: ast.AST) -> dict[str, Any]:
    """Names that a file imports from qgis, with what they stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis"):
            module = importlib.import_module(str(node.module))
            names.update({alias.asname or alias.name: getattr(module, alias.name) for alias in node.names})
    return names


def chains(tree: ast.AST) -> list[tuple[int, list[str]]]:
    """Every dotted name, as line and parts; the longest ones only."""
    found = []
    inner = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            parts: list[str] = []
            step: ast.AST = node
            while isinstance(step, ast.Attribute):
                inner.add(id(step))
                parts.append(step.attr)
                step = step.value
            if isinstance(step, ast.Name):
                found.append((node.lineno, [step.id, *reversed(parts)]))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_exist_and_enums_are_scoped(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    names = imported(tree)
    for line, (root, *parts) in chains(tree):
        value: Any = names.get(root)
        for part in parts:
            if not isinstance(value, type):
                break  # an object: what it has is known when it runs
            if part[0].islower() and not hasattr(value, part):
                break  # a function of newer versions; enums and classes must be there
            owner, value = value, getattr(value, part)
            is_member = isinstance(value, (int, enum.Enum)) and type(value) not in (int, bool)
            # In PyQt5 a member is found in its enum and, unscoped, in the class around as well.
            assert not is_member or isinstance(value, owner) or hasattr(owner, "__members__"), (
                f"{path.name}:{line}: {root}.{'.'.join(parts)} lacks its enum {type(value).__qualname__}"
            )


def test_the_check_finds_what_it_is_for() -> None:
    tree = ast.parse("from qgis.PyQt.QtCore import Qt\na = Qt.AlignLeft\nb = Qt.AlignmentFlag.AlignLeft")
    (_, short), (_, full) = chains(tree)
    assert (short, full) == (["Qt", "AlignLeft"], ["Qt", "AlignmentFlag", "AlignLeft"])
    qt = imported(tree)["Qt"]
    assert not isinstance(qt.AlignLeft, qt) and isinstance(qt.AlignmentFlag.AlignLeft, qt.AlignmentFlag)
