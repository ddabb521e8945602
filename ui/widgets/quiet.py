"""Small print: lines that explain without asking for attention."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy


def quiet_label() -> QLabel:
    """An empty, wrapping label in a softer shade of the theme's text; it never widens its parent."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)  # of a file a<b>.tif it would show a.tif
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    palette = label.palette()
    color = palette.color(QPalette.ColorRole.WindowText)
    color.setAlpha(165)
    palette.setColor(QPalette.ColorRole.WindowText, color)
    label.setPalette(palette)
    return label
