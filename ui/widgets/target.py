"""What is to be filled: a raster layer, a group of single-band layers, a file or a product."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from qgis.core import QgsLayerTreeGroup, QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from ...backend.request import RADIOMETRIES
from ..choices import Choices, read_sun
from ..sources import LayerOrPath
from ..tr import tr
from .layer_chooser import RASTERS, LayerChooser
from .quiet import quiet_label


def radiometry_titles() -> Dict[str, str]:
    """How stored values become reflectance, as people know it."""
    titles = {
        "auto": tr("Recognise by itself"),
        "reflectance": tr("Reflectance 0 to 1"),
        "sentinel2": tr("Sentinel-2, before 2022"),
        "sentinel2-offset": tr("Sentinel-2 with offset (since 2022)"),
        "landsat-c2-sr": tr("Landsat Collection 2, surface"),
        "landsat-c2-toa": tr("Landsat Collection 2, top of atmosphere"),
        "landsat-c1-sr": tr("Landsat Collection 1, surface"),
        "landsat-c1-toa": tr("Landsat Collection 1, top of atmosphere"),
        "dn": tr("Plain numbers"),
    }
    return {name: titles.get(name, name) for name in RADIOMETRIES}


class TargetBox(QWidget):
    """The raster to fill, and one line of what the backend found out about it."""

    changed = pyqtSignal()
    lost = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.chooser = LayerChooser(RASTERS, tr("choose a raster"), folders=True)
        self.chooser.setToolTip(
            tr(
                "The raster whose gaps are filled: any layer, a group of single-band layers, a Sentinel-2 "
                ".SAFE folder or zip, a Landsat folder, tar or MTL file."
            )
        )
        self.facts = quiet_label()
        self.facts.hide()
        self.radiometry = QComboBox()
        for name, title in radiometry_titles().items():
            self.radiometry.addItem(title, name)
        self.date = QLineEdit()
        self.date.setPlaceholderText(tr("from tags or name, else such as 2024-06-30"))
        self.sun = QLineEdit()
        self.sun.setPlaceholderText(tr("from tags, else azimuth,elevation in degrees"))
        self.details = QgsCollapsibleGroupBoxBasic(tr("Values, date and sun"))
        form = QFormLayout(self.details)
        form.setContentsMargins(4, 2, 4, 4)
        form.addRow(tr("Values are"), self.radiometry)
        form.addRow(tr("Date"), self.date)
        form.addRow(tr("Sun"), self.sun)
        self.details.setCollapsed(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.chooser)
        column.addWidget(self.facts)
        column.addWidget(self.details)
        self._groups: Dict[str, Tuple[QgsRasterLayer, ...]] = {}
        self.chooser.changed.connect(self.changed)
        self.chooser.lost.connect(self.lost)
        self.radiometry.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.date.editingFinished.connect(self.changed)
        self.sun.editingFinished.connect(self.changed)
        root = QgsProject.instance().layerTreeRoot()
        root.addedChildren.connect(self._offer_groups)
        root.removedChildren.connect(self._offer_groups)
        self._offer_groups()

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        return {
            "target": self.items(),
            "radiometry": self.radiometry.currentData(),
            "date": self.date.text().strip() or None,
            "sun": read_sun(self.sun.text()),
        }

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        self.radiometry.setCurrentIndex(max(self.radiometry.findData(choices.radiometry), 0))
        self.date.setText(choices.date or "")
        self.sun.setText("{:g},{:g}".format(*choices.sun) if choices.sun else "")
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

    def show_facts(self, text: str, more: str = "") -> None:
        """Say what was found out about the target, and more in the tip; nothing hides the line."""
        self.facts.setText(text)
        self.facts.setToolTip(more)
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
            self.chooser.offer([*found, *others])
        self._groups = found


def _groups(parent: QgsLayerTreeGroup) -> List[QgsLayerTreeGroup]:
    groups = []
    for child in parent.children():
        if isinstance(child, QgsLayerTreeGroup):
            groups += [child, *_groups(child)]
    return groups
