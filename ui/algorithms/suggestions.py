"""Words by their titles, for the Processing dialogs; scripts, models and histories hold the words themselves.

From 4.4 on QGIS looks for no class of ours (it wants a factory, by which earlier versions crash) and shows
its own widgets with the words; the help beside them names what is common.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from qgis.core import QgsProcessingContext, QgsProcessingParameterDefinition, QgsProcessingParameterEnum
from qgis.gui import QgsAbstractProcessingParameterWidgetWrapper, QgsGui, QgsProcessingGui
from qgis.PyQt.QtWidgets import QComboBox, QWidget


def suggest(titles: Mapping[str, str], typed: bool) -> Dict[str, Any]:
    """Metadata that gives a parameter a combo box.

    Args:
        titles: of the words, in the order in which they are offered.
        typed: whether other texts are taken too.
    """
    words = [list(pair) for pair in titles.items()]  # QGIS would sort a mapping
    return {"widget_wrapper": {"class": f"{__name__}.Suggestions", "words": words, "typed": typed}}


class Suggestions:
    """What Processing calls; it takes any kind of wrapper.

    The model designer gets QGIS's own widget. It offers the words or nothing, but it also takes an input of
    the model, an expression or what another step gave, which a combo box of ours cannot.
    """

    def __new__(
        cls,
        parameter: QgsProcessingParameterDefinition,
        dialog: Any,
        *place: int,
        words: List[Tuple[str, str]],
        typed: bool,
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
            made.words, made.typed = words, typed
        made.setDialog(dialog)
        return made


class SuggestionsWrapper(QgsAbstractProcessingParameterWidgetWrapper):
    """A combo box of titles. Where texts may be typed, what is offered is only common."""

    words: List[Tuple[str, str]]
    typed: bool

    def createWidget(self) -> QWidget:
        """Called by Processing. What is returned is QGIS's from now on, so no reference to it is kept.

        QGIS makes the box: of one that is made here, sip frees the Python part while the C++ part lives on
        and asks it, and QGIS crashes.
        """
        listed = QgsProcessingParameterEnum("words", options=[title for _, title in self.words])
        maker = QgsGui.processingGuiRegistry().createParameterWidgetWrapper(listed, self.type())
        box = maker.createWrappedWidget(QgsProcessingContext())
        box.clear()
        box.setEditable(self.typed)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        for word, title in self.words:
            box.addItem(title, word)
        box.currentTextChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        return box

    def setWidgetValue(self, value: Any, context: QgsProcessingContext) -> None:
        """Show a value."""
        box, word = self.wrappedWidget(), "" if value is None else str(value)
        index = box.findData(word)
        if index >= 0:
            box.setCurrentIndex(index)
        elif self.typed:
            box.setEditText(word)

    def widgetValue(self) -> str:
        """The value shown."""
        box = self.wrappedWidget()
        index = box.findText(box.currentText())
        return str(box.itemData(index)) if index >= 0 else str(box.currentText()).strip()
