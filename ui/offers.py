"""A message with a button, for what the user may want done about it."""

from __future__ import annotations

import html
from typing import Any, Callable

from qgis.core import Qgis
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtWidgets import QPushButton


def push_offer(bar: Any, text: str, label: str, action: Callable[[], None]) -> None:
    """Show a message that stays until it is closed or its button is pressed.

    Args:
        bar: of QGIS. text: plain. label: of the button, which calls `action`.
    """
    message = QgsMessageBar.createMessage("Terramend", html.escape(text, quote=False))
    button = QPushButton(label, message)

    def do() -> None:
        action()
        bar.popWidget(message)

    button.clicked.connect(do)
    message.layout().addWidget(button)
    bar.pushWidget(message, Qgis.MessageLevel.Success)
