"""What the sections of the dock lie in: as narrow as the analyst makes it."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QFrame, QScrollArea, QWidget

NARROW = 300
"""Pixels of width at which the form may begin to scroll sideways: wide fonts, long translations."""


class FormScrollArea(QScrollArea):
    """Scrolls up and down; sideways only where it is narrower than what is in it."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidget(content)

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the content and the scroll bar, if that is narrow."""
        wide = self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        return QSize(min(wide, NARROW), 200)
