"""Choose a layer of the project, or a file or folder that is no layer yet."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QToolButton, QWidget

from ..choices import layer_of
from ..sources import LayerOrPath
from ..tr import tr

RASTERS = QgsMapLayerProxyModel.Filter.RasterLayer
POLYGONS = QgsMapLayerProxyModel.Filter.PolygonLayer


def file_name(path: str) -> str:
    """The last part of a path, of a folder too."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


class LayerChooser(QWidget):
    """A combo box of layers with a button for files.

    Args:
        filters: of the layers offered. empty: text of the empty choice, or None for no such choice.
        folders: whether a folder (a product) may be chosen too.
    """

    changed = pyqtSignal()

    def __init__(
        self,
        filters: object,
        empty: Optional[str] = None,
        folders: bool = False,
        parent: Optional[QWidget] = None,
    ) -> None:
        super().__init__(parent)
        self.combo = QgsMapLayerComboBox(self)
        self.combo.setFilters(filters)
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizeAdjustPolicy(self.combo.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._empty = empty
        if empty is not None:
            self.combo.setAllowEmptyLayer(True, empty)
            self._choose_nothing()
        browse = QToolButton(self)
        browse.setText("…")
        browse.setToolTip(tr("Choose a file that is not in the project"))
        if folders:
            menu = QMenu(browse)
            menu.addAction(tr("File…"), self._browse_file)
            menu.addAction(tr("Product folder (.SAFE, Landsat)…"), self._browse_folder)
            browse.setMenu(menu)
            browse.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        else:
            browse.clicked.connect(self._browse_file)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        row.addWidget(self.combo, 1)
        row.addWidget(browse)
        self.setFocusProxy(self.combo)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def item(self) -> Optional[LayerOrPath]:
        """What is chosen: a layer, a path, or None."""
        layer = self.combo.currentLayer()
        if layer is not None:
            return layer
        text = self.combo.currentText()
        return text if text in self.combo.additionalItems() else None

    def set_item(self, item: Optional[LayerOrPath]) -> None:
        """Choose a layer of the project, a path, or nothing."""
        if isinstance(item, str) and item:
            item = layer_of(item, QgsProject.instance()) or item
        if isinstance(item, QgsMapLayer):
            self.combo.setLayer(item)
        elif item:
            items = self.combo.additionalItems()
            if item not in items:
                self.combo.setAdditionalItems([*items, item])
            self.combo.setCurrentIndex(self.combo.findText(item))
        else:
            self._choose_nothing()

    def leave_out(self, layers: List[QgsMapLayer]) -> None:
        """Do not offer these layers."""
        self.combo.setExceptedLayerList(layers)

    def _choose_nothing(self) -> None:
        self.combo.setCurrentIndex(0 if self._empty is not None else -1)

    def _browse_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Choose a file"), self._start())
        if path:
            self.set_item(path)

    def _browse_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Choose a product folder"), self._start())
        if path:
            self.set_item(path)

    def _start(self) -> str:
        """Where the dialog opens: beside the file chosen, else the project's home."""
        item = self.item()
        if isinstance(item, str):
            return str(Path(item).parent)
        return QgsProject.instance().homePath()
