"""The button for what is wanted now and then: a menu behind "More"."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QMenu, QToolButton

from .. import settings
from ..tr import tr


class MoreButton(QToolButton):
    """It only asks, the dock does; whether experimental methods are offered is kept as a setting."""

    load_asked = pyqtSignal()
    log_asked = pyqtSignal(bool)
    experimental_asked = pyqtSignal()
    start_over_asked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setText(tr("More"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.addAction(tr("Load settings from the active layer")).triggered.connect(
            lambda: self.load_asked.emit()
        )
        log = menu.addAction(tr("Show log"))
        log.setCheckable(True)
        log.toggled.connect(self.log_asked)
        experimental = menu.addAction(tr("Offer experimental methods"))
        experimental.setCheckable(True)
        experimental.setChecked(settings.get("experimental"))
        experimental.toggled.connect(self._offer_experimental)
        menu.addAction(tr("Start over")).triggered.connect(lambda: self.start_over_asked.emit())
        self.setMenu(menu)

    def _offer_experimental(self, on: bool) -> None:
        settings.put("experimental", on)
        self.experimental_asked.emit()
