"""Where another date is clouded itself: found beside it, nowhere, or as a raster of the project says."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtGui import QFocusEvent
from qgis.PyQt.QtWidgets import QComboBox

from ..layers.sources import PICTURES, LayerOrPath
from ..tr import tr
from .layer_chooser import file_name
from .narrow import make_narrow

FOUND, CLEAR = "found", "clear"
"""Data of the entries that name no raster; those of the others are layer ids and paths."""


class MaskChooser(QComboBox):
    """Lists the project's rasters when somebody comes to choose: in hundreds of rows it would take seconds.

    Args:
        source: the other date, which is no mask of itself.
    """

    def __init__(self, source: LayerOrPath) -> None:
        super().__init__()
        make_narrow(self)
        self.setFrame(False)
        self._source = source
        self._listed = False
        self.addItem(tr("find beside"), FOUND)
        self.addItem(tr("clear everywhere"), CLEAR)

    def choose(self, source: LayerOrPath) -> None:
        """Choose a layer or a path."""
        key = source if isinstance(source, str) else source.id()
        if self.findData(key) < 0:
            self.addItem(source.name() if isinstance(source, QgsMapLayer) else file_name(key), key)
        self.setCurrentIndex(self.findData(key))

    def list_rasters(self) -> None:
        """Offer the rasters of the project; what is chosen stays so."""
        if self._listed:
            return
        self._listed = True
        for layer in QgsProject.instance().mapLayers().values():
            if (
                isinstance(layer, QgsRasterLayer)
                and layer is not self._source
                and layer.providerType() not in PICTURES
                and self.findData(layer.id()) < 0
            ):
                self.addItem(layer.name(), layer.id())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The keyboard comes; its arrows go through the list without opening it."""
        self.list_rasters()
        super().focusInEvent(event)

    def enterEvent(self, event: Any) -> None:
        """The mouse comes; its wheel does the same."""
        self.list_rasters()
        super().enterEvent(event)

    def showPopup(self) -> None:
        """The list is opened, by whatever."""
        self.list_rasters()
        super().showPopup()
