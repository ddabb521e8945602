"""A text parameter with suggestions, for the Processing dialogs."""

from __future__ import annotations

from typing import Any, Dict, List

from processing.gui.wrappers import WidgetWrapper
from qgis.PyQt.QtWidgets import QComboBox, QWidget


def suggest(values: List[str]) -> Dict[str, Any]:
    """Metadata that gives a string parameter a combo box with these values."""
    return {"widget_wrapper": {"class": f"{__name__}.SuggestionsWrapper", "values": values}}


class SuggestionsWrapper(WidgetWrapper):
    """An editable combo box: what is offered is common, what is typed is taken too."""

    def createWidget(self, values: List[str]) -> QWidget:
        """Called by Processing with what `suggest` put into the metadata."""
        box = QComboBox()
        box.setEditable(True)
        box.addItems(values)
        box.editTextChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value: Any) -> None:
        """Show a value."""
        self.widget.setEditText("" if value is None else str(value))

    def value(self) -> str:
        """The value shown."""
        return str(self.widget.currentText())
