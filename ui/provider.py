"""Terramend in Processing."""

from __future__ import annotations

from typing import Any, List, Optional

from qgis import gui
from qgis.core import QgsProcessingAlgorithm, QgsProcessingModelAlgorithm, QgsProcessingProvider
from qgis.PyQt import sip
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QApplication

from ..backend.version import VERSION
from .icon import icon, icon_path
from .tr import tr


class TerramendProvider(QgsProcessingProvider):
    """Gives Processing the algorithms of `ui.algorithms`."""

    def id(self) -> str:
        """First part of the algorithms' ids."""
        return "terramend"

    def name(self) -> str:
        """As the toolbox shows it; a name, not translated."""
        return "Terramend"

    def longName(self) -> str:
        """With what it is for."""
        return tr("Terramend: satellite pixels given back")

    def versionInfo(self) -> str:
        """Version of the plugin."""
        return VERSION

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return icon("terramend")

    def svgIconPath(self) -> str:
        """The same, as a path."""
        return icon_path("terramend")

    def supportedOutputRasterLayerExtensions(self) -> List[str]:
        """Only GeoTIFF is written."""
        return ["tif"]

    def supportsNonFileBasedOutput(self) -> bool:
        """Outputs are files."""
        return False

    def loadAlgorithms(self) -> None:
        """Called by Processing whenever the provider is refreshed."""
        from .algorithms.check_accuracy import CheckAccuracy
        from .algorithms.fill_gaps import FillGaps
        from .algorithms.make_gap_mask import MakeGapMask
        from .algorithms.remove_thin_cloud import RemoveThinCloud

        for algorithm in (FillGaps, RemoveThinCloud, MakeGapMask, CheckAccuracy):
            self.addAlgorithm(algorithm())

    def unload(self) -> None:
        """Called on removal. Dialogs of its algorithms go too, and of models with one of them inside.

        The next press of Run would crash QGIS.
        """
        for dialog in _algorithm_dialogs():
            if not sip.isdeleted(dialog) and _is_of(self, dialog.algorithm()):
                if hasattr(dialog, "forceClose"):
                    dialog.forceClose()
                if not sip.isdeleted(dialog):
                    _end(dialog)
        super().unload()


def _is_of(provider: QgsProcessingProvider, algorithm: Optional[QgsProcessingAlgorithm]) -> bool:
    """Whether an algorithm is one of the provider's, or a model that runs one."""
    if isinstance(algorithm, QgsProcessingModelAlgorithm):
        return any(_is_of(provider, child.algorithm()) for child in algorithm.childAlgorithms().values())
    return algorithm is not None and algorithm.provider() is provider


def _end(dialog: Any) -> None:
    """Delete a dialog; one whose run is on is cancelled, and deleted where it would show what came of it."""
    cancel = dialog.cancelButton() if hasattr(dialog, "cancelButton") else None
    if cancel is None or not cancel.isEnabled():
        sip.delete(dialog)
        return
    dialog.finish = lambda *_, **__: dialog.deleteLater()  # its own asks the algorithm for its provider
    dialog.hide()
    cancel.click()


def _algorithm_dialogs() -> List[Any]:
    """Processing's windows of algorithms; since QGIS 4.2 they are widgets that lie in a window or dock.

    Other plugins' windows may have an `algorithm` of their own, which is anything.
    """
    kind = getattr(gui, "QgsProcessingAlgorithmDialogBase", ())
    return [
        widget
        for widget in QApplication.allWidgets()
        if isinstance(widget, kind) or (hasattr(widget, "algorithm") and hasattr(widget, "forceClose"))
    ]
