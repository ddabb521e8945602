"""The user guide in a window: its pages are Markdown, for which a system may have no program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

from qgis.PyQt.QtCore import Qt, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices, QImage, QTextCursor
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from .tr import tr

SCHEME = "terramend"
"""Addresses such as `terramend:fill.md` open this window while the plugin is loaded (see `plugin`)."""
PAGES = Path(__file__).parents[1] / "docs"
START = "index.md"


def address(page: str) -> str:
    """The address of a page, or of a heading on it (`page.md#heading`), for what can only open addresses."""
    return f"{SCHEME}:{page}"


class Guide(QDialog):
    """Shows pages and follows their links, to other pages inside."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("TerramendGuide")
        self.setWindowTitle(tr("Terramend: user guide"))
        self.browser = Pages()
        self.start = QPushButton(tr("Start"))
        self.back = QPushButton(tr("Back"))
        self.back.setEnabled(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        row = QHBoxLayout()
        row.addWidget(self.start)
        row.addWidget(self.back)
        row.addWidget(buttons)
        layout = QVBoxLayout(self)
        layout.addWidget(self.browser)
        layout.addLayout(row)
        self.start.clicked.connect(lambda: self.show_page(START))
        self.back.clicked.connect(self.browser.backward)
        self.browser.backwardAvailable.connect(self.back.setEnabled)
        buttons.rejected.connect(self.close)
        letter = self.fontMetrics().averageCharWidth()
        self.resize(110 * letter, 80 * letter)

    def show_page(self, page: str, heading: str = "") -> None:
        """Show a page by the name of its file, from a heading on, and come to the front."""
        self.show()
        self.raise_()
        url = QUrl.fromLocalFile(str(PAGES / page))
        url.setFragment(heading)
        self.browser.follow(url)

    @pyqtSlot(QUrl)
    def show_address(self, url: QUrl) -> None:
        """Show the page of such an address: what Qt calls must be a slot of an object."""
        self.show_page(url.path(), url.fragment())


class Pages(QTextBrowser):
    """Pages in Markdown, their pictures as wide as there is room for at most."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # its room is known beforehand
        self.anchorClicked.connect(self.follow)

    def follow(self, url: QUrl) -> None:
        """Show a page, from the heading on that the link names; other addresses open outside."""
        if not url.isLocalFile():
            QDesktopServices.openUrl(url)
            return
        self.setSource(url)
        self._show_heading(url.fragment())

    def loadResource(self, kind: int, url: QUrl) -> Any:
        """Called by Qt for a page and for each of its pictures."""
        if not url.path().endswith((".png", ".jpg")):
            return super().loadResource(kind, url)
        picture = QImage(url.toLocalFile())
        room = self.viewport().width() - 2 * round(self.document().documentMargin())
        if picture.width() <= room:
            return picture
        return picture.scaledToWidth(room, Qt.TransformationMode.SmoothTransformation)

    def _show_heading(self, name: str) -> None:
        """Put the heading with this name on top; Qt gives headings no anchors."""
        block = self.document().begin()
        while name and block.isValid():
            if block.blockFormat().headingLevel() and anchor(block.text()) == name:
                self.setTextCursor(QTextCursor(block))
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + self.cursorRect().top())
                return
            block = block.next()


def anchor(heading: str) -> str:
    """The name by which links know a heading, as the guide's pages on the net have it."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
