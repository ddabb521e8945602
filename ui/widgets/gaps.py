"""Where the gaps are: found by itself or masks, their classes and their growth."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...backend.request import CLASSES
from ..choices import Choices, MaskChoice
from ..layers.sources import LayerOrPath
from ..tr import tr
from ..words.inspection import literal
from .layer_chooser import POLYGONS, RASTERS, LayerChooser, file_name
from .mask_kind import MaskKindBox
from .narrow import SPACING, before_in_tab_order, in_tab_order, narrow_column, narrow_combo
from .quiet import QuietLabel


def class_titles() -> Dict[str, str]:
    """Classes of masks as people know them."""
    titles = {
        "cloud": tr("Cloud"), "shadow": tr("Shadow"), "cirrus": tr("Cirrus"), "snow": tr("Snow"),
        "water": tr("Water"), "saturated": tr("Saturated"), "unclassified": tr("Unclassified"),
    }  # fmt: skip
    return {name: titles.get(name, name) for name in CLASSES}


class MaskRow(QWidget):
    """One mask: its layer, and how its values are read."""

    changed = pyqtSignal()
    removed = pyqtSignal()

    def __init__(self, empty: str, further: bool) -> None:
        super().__init__()
        self.chooser = LayerChooser(RASTERS | POLYGONS, tr("Gap mask"), empty)
        self.kind = MaskKindBox()
        self.remove = remove = QToolButton()
        remove.setText("✕")
        remove.setAccessibleName(tr("Remove this mask"))
        remove.setAutoRaise(True)
        remove.setToolTip(tr("Remove this mask"))
        remove.setVisible(further)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.chooser, 3)
        row.addWidget(self.kind, 2)
        row.addWidget(remove)
        self._item: Optional[LayerOrPath] = None  # whose kind is shown
        self.chooser.changed.connect(self._adapt)
        self.kind.currentTextChanged.connect(lambda _: self.changed.emit())
        remove.clicked.connect(self.removed)
        self._adapt()

    def choice(self) -> Optional[MaskChoice]:
        """The mask, None while no layer is chosen."""
        item = self.chooser.item()
        if item is None:
            return None
        return MaskChoice(item, "auto" if self._polygons() else self.kind.kind())

    def show_choice(self, choice: Optional[MaskChoice]) -> None:
        """Show a mask."""
        self.chooser.set_item(choice.source if choice else None)
        self.kind.show_kind(choice.kind if choice else "auto")

    def _polygons(self) -> bool:
        item = self.chooser.item()
        return isinstance(item, QgsMapLayer) and not isinstance(item, QgsRasterLayer)

    def _adapt(self) -> None:
        """Polygons have no values to read; another layer is not recognised yet."""
        item = self.chooser.item()
        if item != self._item:  # else it has only another place among the layers
            self._item = item
            self.kind.show_recognised(None)
        self.kind.setVisible(item is not None and not self._polygons())
        self.changed.emit()


class GapsBox(QWidget):
    """Masks whose union is filled, the classes that count, and how far they grow."""

    changed = pyqtSignal()
    lost = pyqtSignal(str)
    show_asked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: List[MaskRow] = []
        self._masks = QVBoxLayout()
        self._masks.setSpacing(SPACING)
        self.add_button = add = QPushButton(tr("+ Another mask"))
        add.setFlat(True)
        add.setToolTip(tr("The union of all masks is filled, what is detected among them"))
        add.clicked.connect(lambda: self.add_row())
        self.show_button = QPushButton(tr("Show on map"))
        self.show_button.setToolTip(tr("Shows in red what would be filled"))
        self.show_button.clicked.connect(self.show_asked)
        buttons = QHBoxLayout()
        buttons.addWidget(add)
        buttons.addStretch()
        buttons.addWidget(self.show_button)
        self.found = QuietLabel()
        self.found.hide()
        self._loaded: Optional[str] = None  # the widening of settings that were loaded,
        self._as_loaded = (-1.0, "px")  # and how it is shown
        self.classes: Dict[str, QCheckBox] = {}
        ticks = QGridLayout()
        for i, (name, title) in enumerate(class_titles().items()):
            box = self.classes[name] = QCheckBox(title)
            box.setToolTip(tr("Counts as gap where the mask has classes"))
            box.toggled.connect(lambda _: self.changed.emit())
            ticks.addWidget(box, i // 2, i % 2)
        self.grow = QDoubleSpinBox()
        self.grow.setRange(-1, 10000)
        self.grow.setDecimals(0)
        self.grow.setSpecialValueText(tr("as usual"))
        self.grow.setToolTip(
            tr(
                "How far every gap is widened, against haze and blur at cloud edges; as usual: by what suits "
                "the kind of mask"
            )
        )
        self.grow.setAccessibleName(tr("Widen by"))
        self.unit = narrow_combo(4)
        self.unit.setAccessibleName(tr("Unit of the widening"))
        self.unit.addItem(tr("pixels"), "px")
        self.unit.addItem(tr("metres"), "m")
        self.swath = QCheckBox(tr("Fill stripes open to the edge too"))
        self.swath.setToolTip(
            tr("Nodata inside the convex hull of the valid pixels is a gap, such as Landsat 7's stripes")
        )
        self.missed = QCheckBox(tr("Fill what the masks missed, too"))
        self.missed.setToolTip(
            tr(
                "Cloud and shadow that the scene shows beside the gaps, or shadow elsewhere that has their "
                "shape; found best with another date. “Show on map” shows what is found."
            )
        )
        growth = QHBoxLayout()
        growth.addWidget(QLabel(tr("Widen by")))
        growth.addWidget(self.grow, 2)
        growth.addWidget(self.unit, 1)
        self.details = QgsCollapsibleGroupBoxBasic(tr("Classes and widening"))
        inner = QVBoxLayout(self.details)
        inner.setContentsMargins(4, 2, 4, 4)
        inner.addLayout(ticks)
        inner.addLayout(growth)
        inner.addWidget(self.missed)
        inner.addWidget(self.swath)
        self.details.setCollapsed(True)
        column = narrow_column(self)
        column.addLayout(self._masks)
        column.addWidget(self.found)
        column.addLayout(buttons)
        column.addWidget(self.details)
        self.grow.valueChanged.connect(lambda _: self.changed.emit())
        self.unit.currentIndexChanged.connect(lambda _: self.changed.emit())
        for box in (self.missed, self.swath):
            box.toggled.connect(lambda _: self.changed.emit())

    def add_row(self) -> MaskRow:
        """A further mask; the first row can be empty, which means: find out."""
        empty = tr("choose a mask") if self.rows else tr("Detect: quality band, else nodata")
        row = MaskRow(empty, further=bool(self.rows))
        if not self.rows:
            tip = tr("Detect: the quality band that belongs to the raster, together with masks in rows below")
            row.chooser.combo.setToolTip(tip)
        row.changed.connect(self.changed)
        row.chooser.lost.connect(self.lost)
        row.removed.connect(lambda: self._remove(row))
        self.rows.append(row)
        before = before_in_tab_order(self.add_button)
        self._masks.addWidget(row)
        in_tab_order([before, row.chooser.combo, row.chooser.browse, row.kind, row.remove])
        self.changed.emit()
        return row

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        value, unit = self._widening()
        grow = None if value < 0 else f"{value:g}{unit}"
        gaps = tuple(choice for choice in (row.choice() for row in self.rows) if choice is not None)
        return {
            "gaps": gaps,
            "own_mask": bool(gaps) and self.rows[0].choice() is None,
            "classes": tuple(name for name, box in self.classes.items() if box.isChecked()),
            "missed": self.missed.isChecked(),
            "grow": self._loaded if (value, unit) == self._as_loaded else grow,
            "fill_swath_edges": self.swath.isChecked(),
        }

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        for row in list(self.rows):
            self._remove(row)
        detected = choices.own_mask or not choices.gaps
        for choice in (*([None] if detected else []), *choices.gaps):
            self.add_row().show_choice(choice)
        for name, box in self.classes.items():
            box.setChecked(name in choices.classes)
        read = re.fullmatch(r"(\d+(?:\.\d+)?)(px|m)?", choices.grow or "")
        self.unit.setCurrentIndex(1 if read and read[2] == "m" else 0)
        self.grow.setValue(float(read[1]) if read else -1)
        self._loaded, self._as_loaded = choices.grow, self._widening()  # the box shows whole numbers only
        self.missed.setChecked(choices.missed)
        self.swath.setChecked(choices.fill_swath_edges)

    def _widening(self) -> Tuple[float, str]:
        return self.grow.value(), str(self.unit.currentData())

    def show_found(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Say what was recognised: the kinds of the masks chosen, or the masks found.

        Args:
            found: `inspect`'s masks, `path` and `kind`; those chosen come first, in their order.
        """
        chosen = [row for row in self.rows if row.choice() is not None]
        for row, mask in zip(chosen, found):
            row.kind.show_recognised(mask["kind"])
        names = [f"{file_name(mask['path'])} ({mask['kind']})" for mask in found[len(chosen) :]]
        self.found.setText(tr("Found: {masks}").format(masks=", ".join(names)))
        self.found.setToolTip(literal("\n".join(mask["path"] for mask in found[len(chosen) :])))
        self.found.setVisible(bool(names))

    def leave_out(self, layers: List[QgsMapLayer]) -> None:
        """Do not offer these layers."""
        for row in self.rows:
            row.chooser.leave_out(layers)

    def _remove(self, row: MaskRow) -> None:
        self.rows.remove(row)
        self._masks.removeWidget(row)
        row.chooser.blockSignals(True)
        row.deleteLater()
        self.changed.emit()
