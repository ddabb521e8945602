"""The networks that the chosen method lacks: a button brings them, from a server or a folder."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from qgis.core import Qgis
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAction,
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ..client import Call, ClientError, client
from ..installation.connection import proxies, trusted_certificates
from ..tr import tr
from ..words.messages import stage_title

MOST = 1 << 19
"""Bytes of certificates that a line to the backend has room for; else it trusts what the system does."""


class NetworkLine(QWidget):
    """Hidden while nothing is lacking. What is on its way comes, whichever method is chosen meanwhile."""

    installed = pyqtSignal()
    """The backend has networks that it did not have."""
    said = pyqtSignal(str, object)
    """What came of it, for the message bar: a sentence and its level."""

    def __init__(self) -> None:
        super().__init__()
        self._lacking: List[Mapping[str, Any]] = []  # of the chosen method
        self._queue: List[Mapping[str, Any]] = []  # being brought, the first one now
        self._brought = self._size = 0  # bytes
        self._source: Dict[str, str] = {}
        self._call: Optional[Call] = None
        self.button = QToolButton()
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.from_folder = QAction(tr("From a folder…"), self.button)
        self.from_folder.setToolTip(tr("Where its files lie, such as models/weights of Terramend's source"))
        self.button.addAction(self.from_folder)  # behind the arrow, and
        self.button.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)  # behind the menu key
        self.progress = QProgressBar()
        self.progress.setAccessibleName(stage_title("install"))
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.setAccessibleName(tr("Cancel the installation of the network"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.button, 1)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cancel)
        self.button.clicked.connect(self._press)
        self.from_folder.triggered.connect(self._ask_folder)
        self.cancel.clicked.connect(self._stop)
        self._show()

    def show_lacking(self, networks: Sequence[Mapping[str, Any]]) -> None:
        """Offer to bring these networks.

        Args:
            networks: entries of `weights`, as the backend's `models` tells.
        """
        self._lacking = list(networks)
        self._show()

    def close_down(self) -> None:
        """Stop, and tell nobody: the dock is going."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _show(self) -> None:
        running = self._call is not None
        size = sum(network["bytes"] for network in self._lacking)
        text = tr("Install its network ({megabytes} MB)").format(megabytes=max(1, round(size / 1e6)))
        tip = [f"{network['title']} ({network['licence']})" for network in self._lacking]
        if self._published():
            tip.append(tr("From Terramend's server, or by the arrow from a folder; checked by its hash."))
        else:
            text += "…"
            tip.append(tr("From a folder, as it is on no server yet; checked by its hash."))
        self.button.setText(text)
        self.button.setToolTip("\n".join(tip))
        self.cancel.setVisible(running)  # before the button goes: the focus has somewhere to go
        self.progress.setVisible(running)
        self.button.setVisible(not running)
        self.setVisible(running or bool(self._lacking))

    def _published(self) -> bool:
        return all(network["published"] for network in self._lacking)

    def _press(self) -> None:
        if self._published():
            self._install({})
        else:
            self._ask_folder()

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, tr("Folder with the files of the network"))
        if folder:
            self._install({"source": folder})

    def _install(self, source: Dict[str, str]) -> None:
        if self._call is not None or not self._lacking:  # while the folder was chosen, methods may change
            return
        self._queue, self._source = list(self._lacking), source
        self._brought, self._size = 0, sum(network["bytes"] for network in self._queue)
        self.progress.setRange(0, 0)
        self.cancel.setEnabled(True)
        self._next()

    def _next(self) -> None:
        call: Optional[Call] = None

        def told(progress: Mapping[str, Any]) -> None:
            if call is self._call and progress["stage"] == "install":
                self.progress.setRange(0, 100)
                self.progress.setValue(round(100 * (self._brought + progress["done"]) / max(1, self._size)))

        def done(_: Mapping[str, Any]) -> None:
            if call is self._call:
                self._have()

        def failed(error: ClientError) -> None:
            if call is self._call:
                self._end()
                level = Qgis.MessageLevel.Info if error.cancelled else Qgis.MessageLevel.Critical
                self.said.emit(str(error), level)

        parameters = {"name": self._queue[0]["name"], **self._source}
        if not self._source:  # the server: by the way that QGIS itself takes
            certificates = trusted_certificates()
            parameters["certificates"] = certificates.decode() if len(certificates) < MOST else ""
            parameters["proxies"] = proxies()
        call = self._call = client().call(
            "install", parameters, on_progress=told, on_result=done, on_error=failed
        )
        self._show()

    def _have(self) -> None:
        network = self._queue.pop(0)
        self._brought += network["bytes"]
        self._lacking = [other for other in self._lacking if other["name"] != network["name"]]
        self.said.emit(tr("Installed: {title}").format(title=network["title"]), Qgis.MessageLevel.Success)
        if self._queue:
            self._next()
        else:
            self._end()

    def _stop(self) -> None:
        self.cancel.setEnabled(False)
        del self._queue[1:]  # should this one be there already, none comes after it
        if self._call is not None:
            self._call.cancel()

    def _end(self) -> None:
        self._call = None
        self._show()
        if self._brought:
            self.installed.emit()
