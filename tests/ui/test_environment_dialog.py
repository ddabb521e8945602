"""The environment dialog, clicked as a user would."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsTask
from qgis.gui import QgsFileWidget
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QLockFile, Qt
from qgis.PyQt.QtGui import QFont
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
)
from terramend.ui import settings
from terramend.ui.installation import environment
from terramend.ui.installation.environment import State, Variant


@pytest.fixture
def dialog(qgis_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable) -> Iterator[Any]:
    """A dialog on an empty place, without an interpreter of the user's own."""
    from terramend.ui import client
    from terramend.ui.environment_dialog import EnvironmentDialog

    monkeypatch.delenv("TERRAMEND_PYTHON")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    settings.put("backend/python", "")
    made = EnvironmentDialog(None, tmp_path / "Profil mit Ümlaut" / "environment")
    made.show()
    yield made
    made.abandon()
    made.close()
    sip.delete(made)  # not by the garbage collector, which runs in any thread
    client.close()
    for key in settings.SETTINGS:
        settings.put(key, settings.SETTINGS[key])


def press(button: Any) -> None:
    assert button.isEnabled() and button.isVisibleTo(button.window()), button.text()
    button.click()


def test_it_says_what_will_be_downloaded_before_it_is(dialog: Any) -> None:
    assert environment.state(dialog.folder) is State.ABSENT
    light = dialog.consent.text()
    assert "170 MB are downloaded" in light and str(dialog.folder) in light
    assert dialog.install.text() == "Download and install"
    assert not dialog.remove.isEnabled()
    dialog.extent.setCurrentIndex(1)
    dialog.processor.setCurrentIndex(1)
    assert dialog.variant() == Variant(full=True, gpu=True)
    assert dialog.consent.text() != light
    dialog.offline.setChecked(True)
    assert "Nothing is downloaded" in dialog.consent.text()
    assert dialog.install.text() == "Install"
    assert not dialog.folder.parent.exists(), "nothing happens before the button is pressed"


def test_everything_has_a_name(dialog: Any) -> None:
    """For those who hear the window read out."""
    buddies = {label.buddy() for label in dialog.findChildren(QLabel)}
    for kind in (QAbstractButton, QComboBox, QgsFileWidget, QPlainTextEdit, QProgressBar):
        for widget in dialog.findChildren(kind):
            own = not isinstance(widget.parent(), (QgsFileWidget, QLineEdit))  # else it is QGIS's
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            assert not own or text or widget.accessibleName() or widget in buddies, widget
    for field in dialog.findChildren(QgsFileWidget):  # what has the focus, and is read out
        assert field.lineEdit().accessibleName()


def test_texts_have_room(dialog: Any, until: Callable) -> None:
    dialog.log.appendPlainText("line\n" * 50)
    dialog.step.setText("A sentence that is long enough to be wrapped over two lines. " * 3)
    dialog._show_state()
    until(lambda: dialog.log.isVisible())
    for label in (dialog.purpose, dialog.status, dialog.consent, dialog.own_note, dialog.step):
        assert label.height() >= label.heightForWidth(label.width()), label.text()


@pytest.fixture
def large_font(qgis_app: Any) -> Iterator[None]:
    usual = QApplication.font()
    other = QFont(usual)
    other.setPointSizeF(1.5 * usual.pointSizeF())
    QApplication.setFont(other)
    yield
    QApplication.setFont(usual)


def test_texts_have_room_in_a_large_font(large_font: None, dialog: Any, qgis_app: Any) -> None:
    for extent in (0, 1):
        dialog.extent.setCurrentIndex(extent)
        for _ in range(20):
            qgis_app.processEvents()
        for label in (dialog.purpose, dialog.status, dialog.consent, dialog.own_note):
            assert label.height() >= label.heightForWidth(label.width()), label.text()


def test_without_a_folder_of_wheels_nothing_begins(
    dialog: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QGIS may stand in a folder that holds some."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some-1.0-py3-none-any.whl").touch()
    dialog.offline.setChecked(True)
    press(dialog.install)
    assert dialog.run is None and dialog.step.text() == "Choose the folder of wheels first."


def test_failed_install_tells_why(dialog: Any, until: Callable, tmp_path: Path) -> None:
    dialog.offline.setChecked(True)
    dialog.wheels.setFilePath(str(tmp_path))
    press(dialog.install)
    until(lambda: dialog.run is None)
    assert "holds no wheels" in dialog.step.text()
    assert dialog.install.isEnabled()
    assert settings.get("environment/wheels") == str(tmp_path)


def test_one_installation_at_a_time(dialog: Any, until: Callable, tmp_path: Path) -> None:
    """Of two windows of QGIS the second would clear away what the first is building."""
    dialog.folder.parent.mkdir()
    begun = environment.building_place(dialog.folder)
    begun.mkdir()
    other = QLockFile(f"{dialog.folder}.lock")
    assert other.tryLock(0)
    press(dialog.install)
    until(lambda: dialog.run is None)
    assert "another QGIS" in dialog.step.text() and begun.exists()
    other.unlock()
    dialog.offline.setChecked(True)
    dialog.wheels.setFilePath(str(tmp_path))
    press(dialog.install)
    until(lambda: dialog.run is None)
    assert "holds no wheels" in dialog.step.text() and list(dialog.folder.parent.iterdir()) == []


def test_nothing_is_removed_unasked(dialog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button stands beside the one that repairs."""
    asked: list[str] = []
    answer = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *given: asked.append(given[2]) or answer)
    dialog.folder.mkdir(parents=True)
    dialog.refresh()
    press(dialog.remove)
    assert dialog.folder.is_dir() and len(asked) == 1 and str(dialog.folder) in asked[0]


def test_nothing_is_removed_under_the_hands_of_another_window(dialog: Any) -> None:
    """It may be repairing what is there."""
    begun = environment.building_place(dialog.folder)
    for place in (dialog.folder, begun):
        place.mkdir(parents=True)
        (place / "pyvenv.cfg").touch()
    dialog.refresh()
    other = QLockFile(f"{dialog.folder}.lock")
    assert other.tryLock(0)
    press(dialog.remove)
    assert "another QGIS is installing it" in dialog.step.text() and begun.exists() and dialog.folder.exists()
    other.unlock()
    press(dialog.remove)
    assert list(dialog.folder.parent.iterdir()) == [] and "was removed" in dialog.step.text()


@pytest.mark.parametrize("by", ["dialog", "list of tasks"])
def test_cancel_while_it_installs(
    dialog: Any, until: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    from terramend.ui.installation import base_python

    slow = tmp_path / "python3"
    slow.write_text("#!/bin/sh\necho a line from venv\nexec sleep 60\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(base_python, "find", lambda: base_python.BasePython(str(slow), (3, 12)))
    press(dialog.install)
    assert dialog.bar.isVisible() and dialog.cancel.isVisible() and not dialog.install.isEnabled()
    until(lambda: "a line from venv" in dialog.log.toPlainText())
    (task,) = QgsApplication.taskManager().activeTasks()
    assert task.description() == "Terramend: installing its backend"
    assert not task.flags() & QgsTask.Flag.CancelWithoutPrompt, "QGIS asks before it quits"
    press(dialog.cancel) if by == "dialog" else task.cancel()
    until(lambda: dialog.run is None and not QgsApplication.taskManager().activeTasks())
    assert "Cancelled" in dialog.step.text()
    assert not dialog.cancel.isVisible() and dialog.install.isEnabled()
    assert list(dialog.folder.parent.iterdir()) == []


def test_success_is_shown_and_its_removal(
    dialog: Any, until: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terramend.ui.installation import installer

    def build(self: Any) -> None:  # the tests of the installer build real ones
        python = environment.environment_python(self._place)
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        (self._place / "pyvenv.cfg").write_text("")

    monkeypatch.setattr(installer.Installation, "_build", build)
    monkeypatch.setattr(installer.Installation, "_prove", lambda self: None)
    settings.put("backend/python", "/some/other/python")
    press(dialog.install)
    until(lambda: dialog.run is None)
    assert "installed" in dialog.step.text() and "ready" in dialog.status.text()
    assert settings.get("backend/python") == "", "what was just installed is what is used"
    assert "repair" in dialog.install.text()
    press(dialog.remove)
    assert "removed" in dialog.step.text()
    assert environment.state(dialog.folder) is State.ABSENT


def test_a_python_of_ones_own_is_tested(dialog: Any, until: Callable, backend_python: str) -> None:
    dialog.own.setFilePath(backend_python)
    assert settings.get("backend/python") == backend_python
    press(dialog.test)
    until(lambda: "Terramend" in dialog.step.text())
    assert "cores" in dialog.step.text() or "CUDA" in dialog.step.text()
    dialog.own.setFilePath("/no/such/python")
    press(dialog.test)
    until(lambda: "/no/such/python" in dialog.step.text())


def test_a_python_without_the_packages_is_told_from_one_that_was_installed(dialog: Any) -> None:
    python = {"version": "3.12.1", "executable": "/opt/python"}
    dialog._examined({"healthy": False, "missing": ["rasterio"], "device": "", "python": python})
    said, lock = dialog.step.text(), environment.LOCKS / "light.lock"
    assert said.startswith("/opt/python cannot compute (rasterio)") and str(lock) in said and lock.is_file()


def test_a_path_is_taken_when_it_is_typed_to_its_end(
    dialog: Any, until: Callable, backend_python: str, tmp_path: Path
) -> None:
    """Not with every key, which would cancel the run that is on; and Enter downloads nothing."""
    from terramend.ui.client import client

    settings.put("backend/python", backend_python)
    dialog.refresh()
    client().call("doctor", {})
    until(lambda: client().pid is not None)
    pid, field = client().pid, dialog.own.lineEdit()
    dialog.offline.setChecked(True)
    dialog.wheels.setFilePath(str(tmp_path))
    QTest.keyClicks(field, "3")
    assert settings.get("backend/python") == backend_python and client().pid == pid
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert settings.get("backend/python") == backend_python + "3" and client().pid is None
    assert dialog.run is None and dialog.step.text() == ""
    QTest.keyClick(field, Qt.Key.Key_Backspace)
    dialog.close()
    assert settings.get("backend/python") == backend_python


def test_the_variable_decides(dialog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAMEND_PYTHON", "/opt/python")
    dialog.refresh()
    assert dialog.own.filePath() == "/opt/python" and not dialog.own.isEnabled()
    assert "TERRAMEND_PYTHON" in dialog.own_note.text()


def test_closing_without_one_declines_the_offer(dialog: Any) -> None:
    assert settings.get("environment/declined") is False
    dialog.close()
    assert settings.get("environment/declined") is True


def test_labels_show_names_as_they_are(qgis_app: Any, tmp_path: Path) -> None:
    from terramend.ui.environment_dialog import EnvironmentDialog

    folder = tmp_path / "<b>R&D</b>"
    dialog = EnvironmentDialog(folder=folder)
    naming = [label for label in dialog.findChildren(QLabel) if str(folder) in label.text()]
    assert naming and dialog.step.textFormat() == Qt.TextFormat.PlainText
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in naming)
    sip.delete(dialog)
