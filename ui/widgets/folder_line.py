"""A folder of other dates: which of its dates are used, from the first to the last, and which are not."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from qgis.core import QgsProject
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QFileDialog, QPushButton, QWidget

from ..choices import Choices, MaskChoice, ReferenceChoice
from ..tr import tr
from ..words.inspection import literal
from ..words.messages import notice_sentence
from .layer_chooser import file_name
from .narrow import narrow_column
from .quiet import QuietLabel

MOST = 40
"""Lines of a tip."""


class FolderLine(QWidget):
    """The folder, whose button stands elsewhere, and what the backend found in it."""

    changed = pyqtSignal()
    listed = pyqtSignal(list)
    """`ReferenceChoice`s that take the place of the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton()
        self.button.clicked.connect(self._browse)
        self.told = QuietLabel()
        self.clear = QCheckBox(tr("Folder's unmasked dates are clear"))
        self.clear.setToolTip(tr("Where they hold values: their clouds, if any, are nodata already."))
        self.clear.toggled.connect(self._say_clear)
        self.one_by_one = QPushButton(tr("List its dates one by one"))
        self.one_by_one.setToolTip(tr("Puts what was found into the list above, where each can be left out"))
        self.one_by_one.clicked.connect(self._list)
        column = narrow_column(self)
        column.addWidget(self.told)
        column.addWidget(self.one_by_one)
        column.addWidget(self.clear)
        self._found: List[Mapping[str, Any]] = []
        self._path: Optional[str] = None
        self._show(None)

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        clear = self._path is not None and self.clear.isChecked()
        return {"references_from": self._path, "references_clear": clear}

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        if choices.references_from != self._path:
            self._show(choices.references_from)
        self.clear.setChecked(choices.references_clear)

    def show_found(self, found: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]]) -> None:
        """Say which dates are used.

        Args:
            found: `inspect`'s references that are the folder's. left_out: why others are not, notices.
        """
        if self._path is None:
            return
        self._found = sorted(found, key=lambda facts: str(facts["date"] or ""))
        self.told.setText(self._summary(len(left_out)))
        lines = [f"{facts['date'] or '?'}  {facts['name']}" for facts in self._found]
        more = [tr("and {count} more").format(count=len(lines) - MOST)] if len(lines) > MOST else []
        why = [notice_sentence(notice) for notice in left_out[:MOST]]
        never = tr("Masks, elevation, radar and what Terramend filled are no dates.")
        self.told.setToolTip(literal("\n".join([self._path, *lines[:MOST], *more, *why, never])))
        several = any(";" in facts["path"] for facts in self._found)  # files of one date are no row
        listed = self._path.lower().endswith(".json")  # with masks that nobody finds again
        self.one_by_one.setVisible(bool(self._found) and not several and not listed)

    def _summary(self, left_out: int) -> str:
        dates = [facts["date"] for facts in self._found if facts["date"]]
        text = tr("and {count} dates of {folder}") if len(self._found) != 1 else tr("and 1 date of {folder}")
        text = text.format(count=len(self._found), folder=file_name(str(self._path)))
        if dates:
            span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} – {dates[-1]}"
            text += f": {span}"
        if len(dates) < len(self._found):
            text += tr("; {count} of unknown date").format(count=len(self._found) - len(dates))
        if left_out:
            text += tr("; {count} left out").format(count=left_out)
        return text

    def _show(self, path: Optional[str]) -> None:
        """Show a folder of which nothing is known yet; None: there is none."""
        self._path, self._found = path, []
        name = "" if path is None else file_name(path)
        self.told.setText(tr("and all dates of {folder}").format(folder=name))
        self.told.setToolTip(literal(path or ""))
        self.one_by_one.hide()
        self.button.setText(tr("All of a folder…") if path is None else tr("Without the folder"))
        self.setVisible(path is not None)

    def forget(self) -> None:
        """What was found holds no more."""
        if self._path is not None:
            self._show(self._path)

    def _say_clear(self) -> None:
        self.forget()  # what lacks a mask is listed as clear: only where that was said
        self.changed.emit()

    def _browse(self) -> None:
        if self._path:
            self._show(None)
            self.clear.setChecked(False)  # it was said of that folder
        else:
            start = QgsProject.instance().homePath()
            self._show(QFileDialog.getExistingDirectory(self, tr("Folder of other dates"), start) or None)
        self.changed.emit()

    def _list(self) -> None:
        """The dates that were found, each by itself; one without a mask was said to be clear."""
        clear = MaskChoice("", "none")
        found = [ReferenceChoice(f["path"], None if f["masks"] else clear) for f in self._found]
        self._show(None)
        self.clear.setChecked(False)
        self.listed.emit(found)
