"""Runs of the dock in Processing: its history, and its batch dialog."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from qgis.core import QgsApplication, QgsProcessingAlgorithm, QgsProcessingContext, QgsProject
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QWidget

from .tr import tr

ALGORITHM = "terramend:fillgaps"
OF_ONE_RASTER = ("TARGET", "PRODUCT", "MORE_BANDS", "GAPS", "SUN", "DATE")
"""Parameters that fit one raster alone: a mask of another date would be filled without a word."""


class NoBatchDialogError(Exception):
    """Processing's batch dialog is another one in this QGIS; the text says where to open it."""


def entry(parameters: Mapping[str, Any]) -> Callable[[], None]:
    """An entry of Processing's history, from where a run can be repeated; called, it is made.

    Layers are written as what they are read from, which is known only while they are in the project.

    Args:
        parameters: of `terramend:fillgaps`.
    """
    algorithm = _algorithm()
    given = {name: value for name, value in parameters.items() if value not in (None, "", [])}
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    command = algorithm.asPythonCommand(given, context)
    details: Dict[str, Any] = {}
    if hasattr(QgsGui, "historyProviderRegistry"):  # QGIS 3.24 and later
        shell, expressible = algorithm.asQgisProcessCommand(given, context)
        details = {
            "python_command": command,
            "algorithm_id": algorithm.id(),
            "parameters": algorithm.asMap(given, context),
        }
        if expressible:
            details["process_command"] = shell

    def make() -> None:
        if details:
            QgsGui.historyProviderRegistry().addEntry("processing", details)
        else:
            from processing.core.ProcessingLog import ProcessingLog

            ProcessingLog.addToLog(command)

    return make


def batch_dialog(parameters: Mapping[str, Any], parent: QWidget) -> QWidget:
    """Processing's batch dialog with one row, filled with these parameters.

    Further rows begin like it, but without what belongs to its raster alone and without names of outputs.

    Raises:
        NoBatchDialogError: what it is made of has changed; it belongs to no stable interface.
    """
    try:
        return _batch_dialog(parameters, parent)
    except (ImportError, AttributeError):
        sentence = tr("This QGIS has another batch dialog: open it in the Processing toolbox, at {name}.")
        raise NoBatchDialogError(sentence.format(name=tr("Fill gaps"))) from None


def show_batch(dialog: QWidget) -> None:
    """Show a batch dialog; since QGIS 4.2 it lies in a window or dock of its own, which it shows itself."""
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    show: Callable[[], None] = getattr(dialog, "showWidget", dialog.show)
    show()


def _batch_dialog(parameters: Mapping[str, Any], parent: QWidget) -> QWidget:
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    algorithm = _algorithm().create()
    own = {*OF_ONE_RASTER, "GAPS_KIND"} if ";" in parameters.get("GAPS_KIND", "") else set(OF_ONE_RASTER)
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    for definition in algorithm.parameterDefinitions():  # of this copy of it, from which rows are made
        if definition.name() in set(given) - own and not definition.isDestination():
            definition.setDefaultValue(given[definition.name()])
    dialog = BatchAlgorithmDialog(algorithm, parent)
    panel = dialog.mainWidget()
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    for definition in algorithm.parameterDefinitions():
        name = definition.name()
        if name in given and definition.isDestination():
            panel.tblParameters.cellWidget(1, panel.parameter_to_column[name]).setValue(str(given[name]))
        elif name in given and name in own:
            panel.wrappers[0][panel.parameter_to_column[name]].setParameterValue(given[name], context)
    return dialog


def _algorithm() -> QgsProcessingAlgorithm:
    return QgsApplication.processingRegistry().algorithmById(ALGORITHM)
