"""Icons, from the files beside (see ARCHITECTURE.md for why not from compiled resources)."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon

FOLDER = Path(__file__).parent / "icons"


def icon_path(name: str) -> str:
    """The file of the icon called `name`."""
    return str(FOLDER / f"{name}.svg")


def icon(name: str) -> QIcon:
    """The icon called `name` in `ui/icons`."""
    return QIcon(icon_path(name))
