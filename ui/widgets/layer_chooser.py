"""Choose a layer of the project, or a file or folder that is no layer yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

from qgis.core import Qgis, QgsMapLayer, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QModelIndex, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QToolButton, QWidget

from ..choices import layer_of
from ..layers.sources import PICTURES, LayerOrPath
from ..tr import tr

RASTERS = QgsMapLayerProxyModel.Filter.RasterLayer
POLYGONS = QgsMapLayerProxyModel.Filter.PolygonLayer


def file_name(path: str) -> str:
    """The last part of a path, of a folder too."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


class LayerChooser(QWidget):
    """A combo box of layers with a button for files.

    Args:
        filters: of the layers offered. name: what is chosen, for those who hear the window read out.
        empty: text of the empty choice.
        folders: whether a folder (a product) may be chosen too.
    """

    changed = pyqtSignal()
    lost = pyqtSignal(str)
    """What was chosen is there no more; nothing takes its place. Its name."""

    def __init__(self, filters: Any, name: str, empty: str, folders: bool = False) -> None:
        super().__init__()
        self.combo = QgsMapLayerComboBox(self)
        # In newer versions two filters make a number, and to give that one is deprecated.
        self.combo.setFilters(getattr(Qgis, "LayerFilters", type(filters))(filters))
        self.combo.setExcludedProviders(list(PICTURES))  # a base map has no values to fill or to lean on
        self.combo.setAccessibleName(name)
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizeAdjustPolicy(self.combo.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setAllowEmptyLayer(True, empty)
        self.combo.setCurrentIndex(0)
        self._rearranging = False
        self.browse = browse = QToolButton(self)
        browse.setText("…")
        browse.setAccessibleName(tr("{name}: choose a file").format(name=name))
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
        self.combo.currentIndexChanged.connect(self._pass_on)
        self.combo.model().rowsAboutToBeRemoved.connect(self._let_go)

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
                self.offer([*items, item])
            self.combo.setCurrentIndex(self.combo.findText(item))
        if not item or self.combo.currentIndex() < 0:
            self.combo.setCurrentIndex(0)

    def offer(self, items: List[str], instead: str = "") -> None:
        """Offer these beside the layers; what is chosen and still offered stays so.

        Args:
            instead: the new name of what is chosen, where it has one.
        """
        chosen = self.item()
        kept = chosen if chosen in items else instead
        self._rearranging = True
        self.combo.blockSignals(True)
        self.combo.setAdditionalItems(items)
        if isinstance(chosen, str):
            self.combo.setCurrentIndex(self.combo.findText(kept) if kept else 0)
        self.combo.blockSignals(False)
        self._rearranging = False
        if isinstance(chosen, str) and chosen not in items:
            self.changed.emit()
            if not instead:
                self.lost.emit(chosen)

    def leave_out(self, layers: List[QgsMapLayer]) -> None:
        """Do not offer these layers."""
        self._rearranging = True
        if self.combo.currentLayer() in layers:
            self.combo.setCurrentIndex(0)
        self.combo.setExceptedLayerList(layers)
        self._rearranging = False

    def _pass_on(self, _index: int) -> None:
        """A method, not a lambda: of a row being deleted, Python may collect a lambda that Qt still calls."""
        self.changed.emit()

    def _let_go(self, _parent: QModelIndex, first: int, last: int) -> None:
        """The chosen layer is being removed; Qt would choose its neighbour."""
        if not self._rearranging and first <= self.combo.currentIndex() <= last:
            name = self.combo.currentText()
            self.combo.setCurrentIndex(0)
            self.lost.emit(name)

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
