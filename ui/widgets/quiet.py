"""Small print: lines that explain without asking for attention."""

from __future__ import annotations

from qgis.PyQt.QtCore import QEvent, Qt
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QApplication, QLabel, QSizePolicy


class QuietLabel(QLabel):
    """An empty, wrapping label in a softer shade of the theme's text; it never widens its parent."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)  # of a file a<b>.tif it would show a.tif
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._soften()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: another theme has another text."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._soften()

    def _soften(self) -> None:
        color = QApplication.palette(self).color(QPalette.ColorRole.WindowText)
        color.setAlpha(165)
        palette = self.palette()
        if palette.color(QPalette.ColorRole.WindowText) != color:  # setting it is a change, too
            palette.setColor(QPalette.ColorRole.WindowText, color)
            self.setPalette(palette)
