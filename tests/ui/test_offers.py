"""A message with a button, in a real message bar."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsMessageBar
from qgis.PyQt.QtWidgets import QPushButton
from terramend.ui.offers import push_offer


def test_the_button_acts_once_and_the_message_goes(qgis_app: Any) -> None:
    bar, done = QgsMessageBar(), []
    push_offer(bar, "a<b>.tif is there", "Load", lambda: done.append(1))
    message = bar.currentItem()
    assert message.text() == "a&lt;b&gt;.tif is there"  # the bar reads HTML
    assert message.duration() == 0  # it stays
    message.findChild(QPushButton).click()
    assert done == [1] and bar.currentItem() is None
