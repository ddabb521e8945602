"""What the dock tells: in QGIS's message bar, and in a log of its own."""

from __future__ import annotations

import datetime
from typing import Any, Callable, List

from qgis.core import Qgis
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt import sip
from qgis.PyQt.QtWidgets import QPlainTextEdit, QPushButton

from .tr import tr
from .words.inspection import plain

LINES = 500
"""Most lines that the log keeps."""
SECONDS = 8
"""How long a message stays that is no error."""


class Teller(QPlainTextEdit):
    """The log, hidden until it is asked for; the message bar reads HTML, all texts here are plain.

    Args:
        bar: the message bar of QGIS.
    """

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._messages = bar
        self.setAccessibleName(tr("Log"))
        self.setReadOnly(True)
        self.setMaximumBlockCount(LINES)
        self.setFixedHeight(110)
        self.hide()
        self._offers: List[QgsMessageBarItem] = []

    def note(self, text: str) -> None:
        """Add a line to the log."""
        self.appendPlainText(f"{datetime.datetime.now():%H:%M:%S}  {text}")

    def say(self, text: str, level: Qgis.MessageLevel) -> None:
        """Tell the user, and the log. An error stays until it is closed."""
        self.note(text)
        stays = level == Qgis.MessageLevel.Critical
        self._messages.pushMessage("Terramend", plain(text), level, 0 if stays else SECONDS)

    def warn(self, text: str) -> None:
        """Tell the user that something of theirs must be mended."""
        self.say(text, Qgis.MessageLevel.Warning)

    def offer(self, text: str, label: str, action: Callable[[], None]) -> None:
        """Tell the user something, with a button for what can be done about it; it stays until then."""
        self.note(text)
        message = QgsMessageBar.createMessage("Terramend", plain(text))
        button = QPushButton(label, message)

        def do() -> None:
            action()
            self._take_back(message)

        button.clicked.connect(do)
        message.layout().addWidget(button)
        self._offers.append(message)
        self._messages.pushWidget(message, Qgis.MessageLevel.Success)

    def close_down(self) -> None:
        """Take back what is still offered: nobody is there to do it."""
        for message in list(self._offers):
            self._take_back(message)

    def _take_back(self, message: QgsMessageBarItem) -> None:
        self._offers.remove(message)
        if not sip.isdeleted(message):  # the user may have closed it
            self._messages.popWidget(message)
