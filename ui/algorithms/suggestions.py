"""A text parameter with suggestions, for the Processing dialogs."""

from __future__ import annotations

from typing import Any, Dict, List

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper, dialogTypes
from qgis.core import QgsProcessingParameterDefinition
from qgis.gui import QgsGui
from qgis.PyQt.QtWidgets import QComboBox, QWidget


def suggest(values: List[str]) -> Dict[str, Any]:
    """Metadata that gives a string parameter a combo box with these values."""
    return {"widget_wrapper": {"class": f"{__name__}.SuggestionsWrapper", "values": values}}


class SuggestionsWrapper(WidgetWrapper):
    """An editable combo box: what is offered is common, what is typed is taken too.

    The model designer gets QGIS's own widget instead. It offers nothing, but it also takes an
    input of the model, an expression or what another step gave, which a combo box of ours cannot.
    """

    def __new__(
        cls, parameter: QgsProcessingParameterDefinition, dialog: QWidget, *place: int, **options: Any
    ) -> Any:
        """Called by Processing, which takes any kind of wrapper."""
        if dialogTypes.get(type(dialog).__name__) != DIALOG_MODELER:
            return super().__new__(cls, parameter, dialog, *place, **options)
        registry = QgsGui.processingGuiRegistry()
        own = registry.createModelerParameterWidget(dialog.model, dialog.childId, parameter, dialog.context)
        own.setDialog(dialog)
        return own

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
