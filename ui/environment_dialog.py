"""The dialog that sets up the backend's Python: install, repair, remove, or choose one's own.

Nothing is downloaded before the button that says so is pressed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Mapping, Optional

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..backend.errors import TerramendError
from . import settings
from .client import ClientError, client
from .installation import connection, environment
from .installation.environment import State, Variant
from .installation.installation_run import InstallationRun, alone
from .installation.installer import Plan
from .installation.interpreter import VARIABLE, managed_folder
from .listed import ListedTask
from .tr import tr
from .words.inspection import literal


class EnvironmentDialog(QDialog):
    """See the module. `folder` is for tests; None takes the user's profile."""

    def __init__(self, parent: Optional[QWidget] = None, folder: Optional[Path] = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Terramend: backend environment"))
        self.folder = folder or managed_folder()
        self.run: Optional[InstallationRun] = None
        self._past: Optional[InstallationRun] = None
        self._listed: Optional[ListedTask] = None
        self.purpose = _text(
            tr(
                "Terramend computes in a Python of its own, apart from QGIS's. It can install one into your "
                "profile (no administrator rights needed), or use one that you have."
            )
        )
        self.status = _text("")
        layout = QVBoxLayout(self)
        layout.addWidget(self.purpose)
        layout.addWidget(self.status)
        layout.addWidget(self._managed_box())
        layout.addWidget(self._own_box())
        self.bar = QProgressBar()
        self.bar.setAccessibleName(tr("Progress"))
        self.step = _text("")
        self.log = QPlainTextEdit()
        self.log.setAccessibleName(tr("Log"))
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)
        self.log.setMinimumHeight(120)
        layout.addWidget(self.bar)
        layout.addWidget(self.step)
        layout.addWidget(self.log, 10)
        layout.addStretch(1)  # takes the height while the log is hidden, so that texts stay together
        layout.addLayout(self._buttons())
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)  # else Enter in the field of a path installs
        self.resize(620, 640)
        self.refresh()

    # --- what it is made of ---

    def _managed_box(self) -> QGroupBox:
        box = QGroupBox(tr("Managed environment"))
        form = QFormLayout(box)
        self.extent = QComboBox()
        self.extent.addItem(tr("Light: everything that ships, on the CPU (no torch)"), False)
        self.extent.addItem(tr("Full: with torch, for training and experiments"), True)
        self.processor = QComboBox()
        self.processor.addItem(tr("CPU"), False)
        if sys.platform != "darwin":
            self.processor.addItem(tr("NVIDIA GPU (CUDA libraries are included)"), True)
        self.offline = QCheckBox(tr("Without network, from a folder of wheels"))
        self.wheels = QgsFileWidget()
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheels.setFilePath(settings.get("environment/wheels"))
        self.wheels.lineEdit().setAccessibleName(tr("Wheels"))
        self.consent = _text("")
        self.install = QPushButton()
        self.remove = QPushButton(tr("Remove"))
        row = QHBoxLayout()
        row.addWidget(self.install)
        row.addWidget(self.remove)
        row.addStretch()
        form.addRow(tr("Packages"), self.extent)
        form.addRow(tr("Computes on"), self.processor)
        form.addRow(self.offline)
        form.addRow(tr("Wheels"), self.wheels)
        form.addRow(self.consent)
        form.addRow(row)
        for changed in (self.extent.currentIndexChanged, self.processor.currentIndexChanged):
            changed.connect(lambda *_: self._describe())
        self.offline.toggled.connect(lambda *_: self._describe())
        self.install.clicked.connect(self.start)
        self.remove.clicked.connect(self.remove_environment)
        return box

    def _own_box(self) -> QGroupBox:
        box = QGroupBox(tr("A Python of your own"))
        form = QFormLayout(box)
        self.own = QgsFileWidget()
        self.own.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.own.lineEdit().setAccessibleName(tr("Interpreter"))
        self.own_note = _text("")
        form.addRow(tr("Interpreter"), self.own)
        form.addRow(self.own_note)
        self.own.fileChanged.connect(lambda _: self._choose_own())
        self.own.lineEdit().editingFinished.connect(lambda: self._choose_own(typed=True))
        return box

    def _buttons(self) -> QHBoxLayout:
        self.test = QPushButton(tr("Test"))
        self.cancel = QPushButton(tr("Cancel"))
        close = QPushButton(tr("Close"))
        row = QHBoxLayout()
        row.addWidget(self.test)
        row.addStretch()
        row.addWidget(self.cancel)
        row.addWidget(close)
        self.test.clicked.connect(self.examine)
        self.cancel.clicked.connect(self.stop)
        close.clicked.connect(self.close)
        return row

    # --- what it shows ---

    def refresh(self) -> None:
        """Show how things stand."""
        own = os.environ.get(VARIABLE) or settings.get("backend/python")
        self.own.blockSignals(True)
        self.own.setFilePath(own)
        self.own.blockSignals(False)
        self.own.setEnabled(VARIABLE not in os.environ)
        self.own_note.setText(
            tr("The environment variable {name} decides.").format(name=VARIABLE)
            if VARIABLE in os.environ
            else tr("Empty: the managed environment. One of your own needs the packages of {lock}.").format(
                lock=environment.LOCKS / "light.lock"
            )
        )
        variant = environment.installed_variant(self.folder)
        if variant is not None and self.run is None:
            self.extent.setCurrentIndex(self.extent.findData(variant.full))
            self.processor.setCurrentIndex(max(0, self.processor.findData(variant.gpu)))
        self._show_state()
        self._describe()

    def _show_state(self) -> None:
        found = environment.state(self.folder)
        sentences = {
            State.ABSENT: tr("No managed environment is installed."),
            State.BROKEN: tr("The environment is damaged: repair or remove it."),
            State.OUTDATED: tr("The environment was made for another version of Terramend: repair it."),
            State.READY: tr("The environment in {folder} is ready.").format(folder=self.folder),
        }
        self.status.setText(sentences[found])
        busy = self.run is not None
        self.install.setEnabled(not busy)
        self.remove.setEnabled(not busy and found is not State.ABSENT)
        self.test.setEnabled(not busy)
        self.cancel.setVisible(busy)
        self.bar.setVisible(busy)
        self.step.setVisible(bool(self.step.text()))
        self.log.setVisible(busy or not self.log.document().isEmpty())
        self._make_room()

    def showEvent(self, event: QShowEvent) -> None:
        """Only now does a style say what its frames take."""
        super().showEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """Be high enough for all texts: wrapped ones ask for no room themselves."""
        needed = self.layout().totalHeightForWidth(self.width())
        self.resize(self.width(), max(self.height(), needed))

    def _describe(self) -> None:
        """Say what pressing the button will do, before it is pressed."""
        variant, offline = self.variant(), self.offline.isChecked()
        self.wheels.setEnabled(offline)
        what = (
            tr("Nothing is downloaded. About {disk} MB are written to {folder}.")
            if offline
            else tr(
                "About {download} MB are downloaded from the Python Package Index (or the index that pip is "
                "configured for), through QGIS's proxy, and {disk} MB are written to {folder}. "
                "Nothing about you or your data is sent."
            )
        )
        what += " " + tr("A fill that is running is cancelled.")
        self.consent.setText(
            what.format(download=variant.download_mb, disk=variant.disk_mb, folder=self.folder)
        )
        if environment.state(self.folder) is State.ABSENT:
            self.install.setText(tr("Install") if offline else tr("Download and install"))
        else:
            self.install.setText(tr("Repair") if offline else tr("Download and repair"))
        self._make_room()

    def variant(self) -> Variant:
        """What is chosen."""
        return Variant(full=bool(self.extent.currentData()), gpu=bool(self.processor.currentData()))

    # --- what it does ---

    def start(self) -> None:
        """Install or repair: the user pressed the button that says what will be downloaded."""
        offline = self.offline.isChecked()
        if offline and not self.wheels.filePath().strip():  # nowhere would be where QGIS stands
            self._say(tr("Choose the folder of wheels first."))
            return
        wheels = Path(self.wheels.filePath()) if offline else None
        settings.put("environment/wheels", self.wheels.filePath())
        settings.put("environment/declined", False)
        client().stop()  # on Windows a running backend holds its files
        plan = Plan(
            folder=self.folder,
            variant=self.variant(),
            wheels=wheels,
            proxy={} if offline else connection.proxy_variables(),
            certificates=b"" if offline else connection.trusted_certificates(),
        )
        self.log.clear()
        self.run = InstallationRun(plan)
        self.run.progress.connect(self._progressed)
        self.run.line.connect(self.log.appendPlainText)
        self.run.ended.connect(self._ended)
        self._listed = ListedTask(tr("Terramend: installing its backend"), self._stop_in_list)
        self.run.start()
        self._progressed(0.0, "")
        self._show_state()

    def stop(self) -> None:
        """Cancel the installation."""
        if self.run is not None:
            self.step.setText(tr("Cancelling…"))
            self.run.cancel()

    def abandon(self) -> None:
        """Cancel and wait: the plugin is going."""
        if self.run is not None:
            self.run.cancel(wait=10.0)
        self._leave_list(False)

    def _stop_in_list(self) -> None:
        self._listed = None  # QGIS deletes it
        self.stop()

    def _leave_list(self, well: bool) -> None:
        listed, self._listed = self._listed, None
        if listed is not None:
            listed.end(well)

    def remove_environment(self) -> None:
        """Remove the managed environment, once the user has agreed: it may be gigabytes to download again."""
        question = tr(
            "Remove the environment in {folder}? Terramend computes nothing until one is installed again. "
            "A fill that is running is cancelled."
        ).format(folder=self.folder)
        answer = QMessageBox.question(self, self.windowTitle(), literal(question))
        if answer != QMessageBox.StandardButton.Yes:
            return
        client().stop()
        try:
            with alone(self.folder):
                environment.remove(self.folder)
        except TerramendError as error:
            self.step.setText(ClientError(error.code, error.arguments).sentence)
        except OSError as error:
            path, why = str(error.filename or self.folder), error.strerror or str(error)
            self.step.setText(ClientError("backend.folder", {"path": path, "why": why}).sentence)
        else:
            self.step.setText(tr("The environment was removed."))
        self.refresh()

    def examine(self) -> None:
        """Let the backend say what it finds and on what it computes."""
        self.step.setText(tr("The backend is being asked…"))
        client().call(
            "doctor", {}, on_result=self._examined, on_error=lambda error: self._say(error.sentence)
        )
        self._show_state()

    def _examined(self, found: Mapping[str, Any]) -> None:
        if found["healthy"]:
            sentence = tr("Terramend {version} on Python {python}: {device}.").format(
                version=found["version"], python=found["python"]["version"], device=found["device"]
            )
        else:
            sentence = tr(
                "{python} cannot compute ({why}): repair the environment, or give your own Python the "
                "packages of {lock}."
            ).format(
                python=found["python"]["executable"],
                why=", ".join(found["missing"]) or found["device"],
                lock=environment.LOCKS / "light.lock",
            )
        self._say(sentence)

    def _choose_own(self, typed: bool = False) -> None:
        """Take another interpreter; one that is still being typed is none yet, and cancels no run."""
        path = self.own.filePath().strip()
        typing = self.own.lineEdit().isModified() and not typed
        if not typing and self.own.isEnabled() and path != settings.get("backend/python"):
            settings.put("backend/python", path)
            client().stop()

    def _progressed(self, share: float, what: str) -> None:
        self.bar.setRange(0, 100)
        self.bar.setValue(round(100 * share))
        if self._listed is not None:
            self._listed.setProgress(100 * share)
        if what:
            self.step.setText(tr("Working on: {what}").format(what=what))

    def _ended(self, error: Optional[ClientError]) -> None:
        self._past, self.run = self.run, None  # kept: it must not be deleted by its own thread
        self._leave_list(error is None)
        if error is None:
            settings.put("backend/python", "")
            self._say(tr("The environment is installed and computes."))
            client().call("models", {})  # starts it, so that the dock knows what it can do
        elif error.cancelled:
            self._say(tr("Cancelled; what was begun has been removed."))
        else:
            self._say(error.sentence)
        self.refresh()

    def _say(self, sentence: str) -> None:
        self.step.setText(sentence)
        self._show_state()

    def done(self, result: int) -> None:
        """Closing without an environment declines the offer at first use; the menu still has it."""
        self._choose_own(typed=True)
        if self.run is None and environment.state(self.folder) is State.ABSENT:
            settings.put("environment/declined", True)
        super().done(result)


def _text(sentence: str) -> QLabel:
    label = QLabel(sentence)
    label.setTextFormat(Qt.TextFormat.PlainText)  # it may name files
    label.setWordWrap(True)
    return label
