"""What can be set of the chosen method: a line each, folded away; nothing where it takes no options."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Sequence, Tuple

from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLineEdit, QWidget

from ..tr import tr
from ..words.inspection import literal
from ..words.option_words import in_windows

Settings = Tuple[Tuple[str, str], ...]


class MethodOptions(QWidget):
    """Fields of a method's options, as the backend tells them.

    Until the backend has told them, what was set travels through unchanged.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.fields: Dict[str, QLineEdit] = {}
        self._kept: Dict[str, str] = {}
        self._known = False
        self.box = QgsCollapsibleGroupBoxBasic(tr("Advanced"))
        self.box.setCollapsed(True)
        self._form = QFormLayout(self.box)
        self._form.setContentsMargins(4, 2, 4, 4)
        column = QFormLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addRow(self.box)
        self.hide()

    def show_options(self, options: Optional[Mapping[str, str]]) -> None:
        """Offer the options of a method: name and one line of help; None: not told yet."""
        self._keep()
        while self._form.rowCount():
            self._form.removeRow(0)
        self.fields, self._known = {}, options is not None
        for name, help in (options or {}).items():
            field = QLineEdit(self._kept.get(name, ""))
            said = in_windows(tr(help))
            field.setPlaceholderText(said)
            field.setToolTip(said)
            field.editingFinished.connect(self.changed)
            self._form.addRow(name, field)
            self.fields[name] = field
        self.setVisible(bool(self.fields))

    def show_prompts(self, prompts: Sequence[str]) -> None:
        """Show what the method will be told of the first band, where it reads prompts."""
        field = self.fields.get("prompt")
        if field is not None and prompts:
            field.setPlaceholderText(prompts[0])
            field.setToolTip(literal("\n".join(prompts)))

    def values(self) -> Settings:
        """What is set of the options that are offered."""
        self._keep()
        names = self.fields if self._known else self._kept
        return tuple((name, self._kept[name]) for name in names if self._kept.get(name))

    def show_values(self, settings: Settings) -> None:
        """Show what was set before."""
        self._kept = dict(settings)
        for name, field in self.fields.items():
            field.setText(self._kept.get(name, ""))

    def _keep(self) -> None:
        for name, field in self.fields.items():
            self._kept[name] = field.text().strip()
