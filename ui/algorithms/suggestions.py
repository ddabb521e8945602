"""A text parameter with suggestions, for the Processing dialogs.

From 4.4 on QGIS looks for no class of ours (it wants a factory, by which earlier versions crash) and shows
its own line for texts; the help beside it names what is common.
"""

from __future__ import annotations

from typing import Any, Dict, List

from qgis.core import QgsProcessingContext, QgsProcessingParameterDefinition
from qgis.gui import QgsAbstractProcessingParameterWidgetWrapper, QgsGui, QgsProcessingGui
from qgis.PyQt.QtWidgets import QComboBox, QWidget


def suggest(values: List[str]) -> Dict[str, Any]:
    """Metadata that gives a string parameter a combo box with these values."""
    return {"widget_wrapper": {"class": f"{__name__}.Suggestions", "values": values}}


class Suggestions:
    """What Processing calls; it takes any kind of wrapper.

    The model designer gets QGIS's own widget. It offers nothing, but it also takes an input of the
    model, an expression or what another step gave, which a combo box of ours cannot.
    """

    def __new__(
        cls, parameter: QgsProcessingParameterDefinition, dialog: Any, *place: int, values: List[str]
    ) -> Any:
        """Called by Processing with what `suggest` put into the metadata."""
        where, kinds = type(dialog).__name__, QgsProcessingGui.WidgetType
        made: Any
        if where == "ModelerParametersDialog":
            made = QgsGui.processingGuiRegistry().createModelerParameterWidget(
                dialog.model, dialog.childId, parameter, dialog.context
            )
        else:
            kind = kinds.Batch if where == "BatchAlgorithmDialog" else kinds.Standard
            made = SuggestionsWrapper(parameter, kind)
            made.suggested = values
        made.setDialog(dialog)
        return made


class SuggestionsWrapper(QgsAbstractProcessingParameterWidgetWrapper):
    """An editable combo box: what is offered is common, what is typed is taken too."""

    suggested: List[str]

    def createWidget(self) -> QWidget:
        """Called by Processing. What is returned is QGIS's from now on, so no reference to it is kept."""
        box = QComboBox()
        box.setEditable(True)
        box.addItems(self.suggested)
        box.editTextChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        return box

    def setWidgetValue(self, value: Any, context: QgsProcessingContext) -> None:
        """Show a value."""
        self.wrappedWidget().setEditText("" if value is None else str(value))

    def widgetValue(self) -> str:
        """The value shown."""
        return str(self.wrappedWidget().currentText())
