"""What the sections of the dock lie in: as narrow as what is in them."""

from __future__ import annotations

from qgis.gui import QgsScrollArea
from qgis.PyQt.QtCore import QEvent, QObject, QSize
from qgis.PyQt.QtWidgets import QFrame, QWidget

USUAL = 400
"""Pixels of width at which the names and dates of a series stand beside each other."""


class FormScrollArea(QgsScrollArea):
    """Scrolls up and down, not sideways: the buttons below need about the same width, whatever the font.

    QGIS's own area: while it scrolls, the wheel changes no choice that comes under the mouse.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidget(content)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt: when the content needs another width, so does this."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """What a dock that is new is given: all of it is seen."""
        return QSize(max(self._needed(), USUAL), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the content and the scroll bar."""
        return QSize(self._needed(), 200)

    def _needed(self) -> int:
        return self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
