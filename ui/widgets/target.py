"""What is to be filled: a raster layer, a group of single-band layers, a file or a product."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from qgis.core import QgsLayerTreeGroup, QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..choices import Choices
from ..sources import LayerOrPath
from ..tr import tr
from .layer_chooser import RASTERS, LayerChooser


class TargetBox(QWidget):
    """The raster to fill, and one line of what the backend found out about it."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.chooser = LayerChooser(RASTERS, folders=True)
        self.chooser.setToolTip(
            tr(
                "The raster whose gaps are filled: any layer, a group of single-band layers, a Sentinel-2 "
                ".SAFE folder or zip, a Landsat folder, tar or MTL file."
            )
        )
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setEnabled(False)
        self.facts.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.chooser)
        column.addWidget(self.facts)
        self._groups: Dict[str, Tuple[QgsRasterLayer, ...]] = {}
        self.chooser.changed.connect(self.changed)
        root = QgsProject.instance().layerTreeRoot()
        root.addedChildren.connect(self._offer_groups)
        root.removedChildren.connect(self._offer_groups)
        self._offer_groups()

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        return {"target": self.items()}

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        names = [name for name, layers in self._groups.items() if layers == choices.target]
        if names:
            self.chooser.set_item(names[0])
        else:
            self.chooser.set_item(choices.target[0] if choices.target else None)

    def items(self) -> Tuple[LayerOrPath, ...]:
        """The layers or the path chosen; empty when there are none."""
        item = self.chooser.item()
        if item is None:
            return ()
        return self._groups.get(item, (item,)) if isinstance(item, str) else (item,)

    def layer(self) -> Optional[QgsMapLayer]:
        """The first layer of the target, None for a path."""
        items = self.items()
        return items[0] if items and isinstance(items[0], QgsMapLayer) else None

    def title(self) -> str:
        """What results are called after."""
        item = self.chooser.item()
        if isinstance(item, str):
            return item.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        return "" if item is None else str(item.name())

    def show_facts(self, text: str) -> None:
        """Say what was found out about the target; nothing hides the line."""
        self.facts.setText(text)
        self.facts.setVisible(bool(text))

    def _offer_groups(self, *_: Any) -> None:
        """Offer each layer group whose layers are all single-band rasters."""
        found: Dict[str, Tuple[QgsRasterLayer, ...]] = {}
        for group in _groups(QgsProject.instance().layerTreeRoot()):
            layers = tuple(node.layer() for node in group.findLayers())
            if len(layers) > 1 and all(
                isinstance(la, QgsRasterLayer) and la.bandCount() == 1 for la in layers
            ):
                found[tr("Bands of group {name}").format(name=group.name())] = layers
        if list(found) != list(self._groups):
            others = [text for text in self.chooser.combo.additionalItems() if text not in self._groups]
            chosen = self.chooser.item()
            self.chooser.combo.setAdditionalItems([*found, *others])
            if isinstance(chosen, str) and (chosen in found or chosen in others):
                self.chooser.set_item(chosen)
        self._groups = found


def _groups(parent: QgsLayerTreeGroup) -> List[QgsLayerTreeGroup]:
    groups = []
    for child in parent.children():
        if isinstance(child, QgsLayerTreeGroup):
            groups += [child, *_groups(child)]
    return groups
