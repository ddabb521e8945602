"""What the sections of the dock lie in: as narrow as the analyst makes it."""

from __future__ import annotations

from qgis.gui import QgsScrollArea
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QFrame, QWidget

NARROW = 300
"""Pixels of width at which the form may begin to scroll sideways: wide fonts, long translations."""

USUAL = 400
"""Pixels of width at which the names and dates of a series stand beside each other."""


class FormScrollArea(QgsScrollArea):
    """Scrolls up and down; sideways only where it is narrower than what is in it.

    QGIS's own area: while it scrolls, the wheel changes no choice that comes under the mouse.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidget(content)

    def sizeHint(self) -> QSize:
        """What a dock that is new is given: all of it is seen."""
        return QSize(max(self._needed(), USUAL), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the content and the scroll bar, if that is narrow."""
        return QSize(min(self._needed(), NARROW), 200)

    def _needed(self) -> int:
        return self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
