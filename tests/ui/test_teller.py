"""What the dock tells, in a real message bar."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QEvent
from qgis.PyQt.QtWidgets import QPushButton, QTextBrowser
from terramend.ui.teller import Teller


def test_the_button_acts_once_and_the_message_goes(qgis_app: Any) -> None:
    bar, done = QgsMessageBar(), []
    teller = Teller(bar)
    teller.offer("a<b>.tif is there", "Load", lambda: done.append(1))
    message = bar.currentItem()
    assert message.text() == "a&lt;b&gt;.tif is there"  # the bar reads HTML
    assert teller.toPlainText().endswith("  a<b>.tif is there")
    assert message.duration() == 0  # it stays
    message.findChild(QPushButton).click()
    assert done == [1] and bar.currentItem() is None


def test_what_nobody_can_do_any_more_is_not_offered(qgis_app: Any) -> None:
    """The plugin is unloaded: QGIS's bar stays."""
    bar = QgsMessageBar()
    teller = Teller(bar)
    for name in ("a.tif", "b.tif", "c.tif"):
        teller.offer(f"{name} is there", "Load", lambda: None)
    bar.popWidget(bar.currentItem())  # closed by the user
    qgis_app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))
    bar.pushMessage("of somebody else")
    teller.close_down()
    assert [item.text() for item in bar.items()] == ["of somebody else"]


def test_names_are_shown_as_they_are(qgis_app: Any) -> None:
    bar = QgsMessageBar()
    Teller(bar).warn("Removed, and so no longer chosen: R&D <b>, 1 &lt; 2")
    shown = bar.currentItem().findChild(QTextBrowser).toPlainText()
    assert shown == "Terramend: Removed, and so no longer chosen: R&D <b>, 1 &lt; 2"
