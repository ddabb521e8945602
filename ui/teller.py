"""What the dock tells: in QGIS's message bar, and in a log of its own."""

from __future__ import annotations

import datetime
from typing import Any, Callable

from qgis.core import Qgis
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtWidgets import QPlainTextEdit, QPushButton

from .inspection import plain
from .tr import tr

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
            self._messages.popWidget(message)

        button.clicked.connect(do)
        message.layout().addWidget(button)
        self._messages.pushWidget(message, Qgis.MessageLevel.Success)
