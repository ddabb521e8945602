"""What is to be filled: a raster layer, a group of single-band layers, a file or a product."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set, Tuple

from qgis.core import QgsLayerTreeGroup, QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLineEdit, QWidget

from ...backend.request import RADIOMETRIES
from ..choices import ChoiceError, Choices, read_sun, sun_text
from ..layers.results import ROLE, Subject
from ..layers.sources import PICTURES, LayerOrPath
from ..tr import tr
from .layer_chooser import RASTERS, LayerChooser, file_name
from .narrow import narrow_column, narrow_combo
from .quiet import QuietLabel


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

    def __init__(self) -> None:
        super().__init__()
        self.chooser = LayerChooser(RASTERS, tr("Raster to fill"), tr("choose a raster"), folders=True)
        self.chooser.setToolTip(
            tr(
                "The raster whose gaps are filled: any layer, a group of single-band layers, a Sentinel-2 "
                ".SAFE folder or zip, a Landsat folder, tar or MTL file."
            )
        )
        self.facts = QuietLabel()
        self.facts.hide()
        self.radiometry = narrow_combo()
        for name, title in radiometry_titles().items():
            self.radiometry.addItem(title, name)
        self.date = QLineEdit()
        self.date.setPlaceholderText(tr("from layer, tags or name, else such as 2024-06-30"))
        self.sun = QLineEdit()
        self.sun.setPlaceholderText(tr("from tags, else azimuth,elevation in degrees"))
        for field in (self.date, self.sun):
            field.setToolTip(field.placeholderText())
        self.details = QgsCollapsibleGroupBoxBasic(tr("Values, date and sun"))
        form = QFormLayout(self.details)
        form.setContentsMargins(4, 2, 4, 4)
        form.addRow(tr("Values are"), self.radiometry)
        form.addRow(tr("Date"), self.date)
        form.addRow(tr("Sun"), self.sun)
        self.details.setCollapsed(True)
        column = narrow_column(self)
        column.addWidget(self.chooser)
        column.addWidget(self.facts)
        column.addWidget(self.details)
        self._groups: Dict[str, Tuple[QgsRasterLayer, ...]] = {}
        self._loose: Dict[str, Tuple[LayerOrPath, ...]] = {}  # bands that are no group
        self.chooser.changed.connect(self.changed)
        self.chooser.lost.connect(self.lost)
        self.radiometry.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.date.editingFinished.connect(self.changed)
        self.sun.editingFinished.connect(self.changed)
        QgsProject.instance().layersWillBeRemoved.connect(self._let_go)
        root = QgsProject.instance().layerTreeRoot()
        root.addedChildren.connect(self._offer_groups)
        root.removedChildren.connect(self._offer_groups)
        root.nameChanged.connect(self._offer_groups)
        QgsProject.instance().readProject.connect(self._offer_groups)  # its groups came before their layers
        self._offer_groups()

    def check(self) -> None:
        """Raises `ChoiceError` where the sun cannot be read."""
        read_sun(self.sun.text())

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`; a sun that cannot be read is none."""
        try:
            sun = read_sun(self.sun.text())
        except ChoiceError:
            sun = None
        return {
            "target": self.items(),
            "radiometry": self.radiometry.currentData(),
            "date": self.date.text().strip() or None,
            "sun": sun,
        }

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        self.radiometry.setCurrentIndex(max(self.radiometry.findData(choices.radiometry), 0))
        self.date.setText(choices.date or "")
        self.sun.setText(sun_text(choices.sun) if choices.sun else "")
        self._offer_groups()  # as in `__init__`, whoever hears first of a project that was read
        names = [name for name, layers in self._groups.items() if layers == choices.target]
        if names:
            self.chooser.set_item(names[0])
        elif len(choices.target) > 1:
            name = tr("{count} bands from {name}").format(
                count=len(choices.target), name=_name(choices.target[0])
            )
            self._loose[name] = choices.target
            self.chooser.set_item(name)
        else:
            self.chooser.set_item(choices.target[0] if choices.target else None)

    def suggest(self, layer: Optional[QgsMapLayer]) -> None:
        """Choose this layer where nothing is chosen: a raster, but no picture and no result."""
        if not isinstance(layer, QgsRasterLayer) or layer.providerType() in PICTURES:
            return
        if layer.customProperty(ROLE) is None and not self.items():
            self.chooser.set_item(layer)

    def items(self) -> Tuple[LayerOrPath, ...]:
        """The layers or the path chosen; empty when there are none."""
        item = self.chooser.item()
        if item is None:
            return ()
        if not isinstance(item, str):
            return (item,)
        return self._groups.get(item) or self._loose.get(item) or (item,)

    def subject(self) -> Subject:
        """The target as a run has to know it."""
        items, chosen = self.items(), self.chooser.item()
        first = items[0].id() if items and isinstance(items[0], QgsMapLayer) else ""
        whole = chosen is None or chosen in self._groups or chosen in self._loose  # a name, no path
        return Subject(str(chosen or "") if whole else _name(chosen), first, len(items) > 1)

    def show_facts(self, text: str, more: str = "") -> None:
        """Say what was found out about the target, and more in the tip; nothing hides the line."""
        self.facts.setText(text)
        self.facts.setToolTip(more)
        self.facts.setVisible(bool(text))

    def _offer_groups(self, *_: Any) -> None:
        """Offer each layer group whose layers, but for results and pictures, are all single-band rasters."""
        offered: List[Tuple[QgsLayerTreeGroup, Tuple[QgsRasterLayer, ...]]] = []
        for group in QgsProject.instance().layerTreeRoot().findGroups(True):
            nodes = (node.layer() for node in group.findLayers())
            layers = tuple(
                la
                for la in nodes
                if la is None or (la.customProperty(ROLE) is None and la.providerType() not in PICTURES)
            )
            if len(layers) > 1 and all(
                isinstance(la, QgsRasterLayer) and la.bandCount() == 1 for la in layers
            ):
                offered.append((group, layers))
        names = _group_names([group for group, _ in offered])
        found = {
            tr("Bands of group {name}").format(name=name): layers for name, (_, layers) in zip(names, offered)
        }
        was, self._groups = self._groups, found
        name = str(self.chooser.item())
        if name in was and name in found and was[name] != found[name]:
            self.changed.emit()
            for layer in set(was[name]) - set(found[name]):
                if not sip.isdeleted(layer):
                    self.lost.emit(layer.name())
        if list(found) != list(was):
            others = [text for text in self.chooser.combo.additionalItems() if text not in was]
            renamed = [new for new, layers in found.items() if layers == was.get(name)]
            self.chooser.offer([*found, *others], instead=renamed[0] if renamed else "")

    def _let_go(self, ids: List[str]) -> None:
        """Layers are being removed: bands that are no group may be among them."""
        broken = {name for name, items in self._loose.items() if _ids(items) & set(ids)}
        if broken:
            self._loose = {name: items for name, items in self._loose.items() if name not in broken}
            self.chooser.offer([text for text in self.chooser.combo.additionalItems() if text not in broken])


def _name(item: LayerOrPath) -> str:
    return file_name(item) if isinstance(item, str) else str(item.name())


def _group_names(groups: List[QgsLayerTreeGroup]) -> List[str]:
    """Names by which the groups are told from each other, as QGIS lets several be called the same."""
    own = [group.name() for group in groups]
    names = [
        tr("{name} in {parent}").format(name=name, parent=group.parent().name())
        if own.count(name) > 1 and group.parent().name()
        else name
        for name, group in zip(own, groups)
    ]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]


def _ids(items: Tuple[LayerOrPath, ...]) -> Set[str]:
    return {item.id() for item in items if isinstance(item, QgsMapLayer)}
