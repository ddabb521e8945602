"""Icons: from the compiled resources where there are some, else from the files beside."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QFile
from qgis.PyQt.QtGui import QIcon

FOLDER = Path(__file__).parent / "icons"


def icon_path(name: str) -> str:
    """A path that Qt can open."""
    resource = f":/terramend/{name}.svg"
    return resource if QFile.exists(resource) else str(FOLDER / f"{name}.svg")


def icon(name: str) -> QIcon:
    """The icon called `name` in `ui/icons`."""
    return QIcon(icon_path(name))
