"""Where the results go, which of them are wanted, and which part of the scene is filled."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Optional

from qgis.core import QgsProcessingUtils, QgsReferencedRectangle
from qgis.gui import QgsFileWidget, QgsMapCanvas
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from ...backend.request import UNFILLED
from ..choices import ChoiceError, Choices
from ..tr import tr
from .layer_chooser import POLYGONS, LayerChooser
from .narrow import narrow_combo, narrow_form

WHOLE, VISIBLE, INSIDE, BOX = "whole", "visible", "inside", "box"
STD, PROVENANCE = "_std.tif", "_provenance.tif"
"""How the names of the extras end, after that of the result."""


def unfilled_titles() -> Dict[str, str]:
    """What becomes of gaps that could not be filled, as people know it."""
    titles = {"keep": tr("keeps its value"), "nodata": tr("becomes nodata")}
    return {name: titles.get(name, name) for name in UNFILLED}


def in_temporary_file(choices: Choices) -> Choices:
    """The choices with a new temporary file as their result, where they name none."""
    if choices.output:
        return choices
    path = QgsProcessingUtils.generateTempFilename("filled.tif")
    stem = path[: -len(".tif")]
    return replace(
        choices,
        output=path,
        std=choices.std and stem + STD,
        provenance=choices.provenance and stem + PROVENANCE,
    )


class OutputBox(QWidget):
    """Path, extras and extent.

    Args:
        canvas: whose extent is meant by "what the map shows".
    """

    changed = pyqtSignal()
    lost = pyqtSignal(str)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self.path = QgsFileWidget()
        self.path.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.path.setFilter(tr("GeoTIFF (*.tif *.tiff)"))
        self.path.lineEdit().setPlaceholderText(tr("temporary file"))
        self.path.lineEdit().setAccessibleName(tr("Save to"))
        self.std = QCheckBox(tr("Uncertainty"))
        self.std.setToolTip(tr("Standard deviation of every filled value, beside the result as …_std.tif"))
        self.provenance = QCheckBox(tr("Provenance"))
        self.provenance.setToolTip(tr("What every filled pixel rests on, beside it as …_provenance.tif"))
        self.unfilled = narrow_combo()
        for name, title in unfilled_titles().items():
            self.unfilled.addItem(title, name)
        self.extent = narrow_combo(10)
        self.extent.addItem(tr("Whole scene"), WHOLE)
        self.extent.addItem(tr("What the map shows"), VISIBLE)
        self.extent.addItem(tr("Inside polygons"), INSIDE)
        self.area = LayerChooser(POLYGONS, tr("Polygons to fill"), tr("choose polygons"))
        self.area.hide()
        self._box: Optional[QgsReferencedRectangle] = None  # of settings that were loaded
        extras = QHBoxLayout()
        extras.addWidget(self.std)
        extras.addWidget(self.provenance)
        form = narrow_form(self)
        form.addRow(tr("Fill"), self.extent)
        form.addRow("", self.area)
        form.addRow(tr("Save to"), self.path)
        form.addRow(tr("With it"), extras)
        form.addRow(tr("What can't be filled"), self.unfilled)
        self.show_choices(Choices(std=STD, provenance=PROVENANCE))
        self.extent.currentIndexChanged.connect(self._adapt)
        self.area.changed.connect(self.changed)
        self.area.lost.connect(self.lost)
        canvas.extentsChanged.connect(self._moved)

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`; without a path it is empty, and the extras are the ends of their names."""
        path = self.typed()
        stem = path.rsplit(".", 1)[0]
        return {
            "output": path,
            "std": stem + STD if self.std.isChecked() else None,
            "provenance": stem + PROVENANCE if self.provenance.isChecked() else None,
            "unfilled": self.unfilled.currentData(),
            "extent": self._extent(),
        }

    def check(self) -> None:
        """Raises `ChoiceError` where polygons are meant and none are chosen, or a map that shows no place."""
        if self.extent.currentData() == INSIDE and self.area.item() is None:
            raise ChoiceError(tr("Inside polygons: choose their layer, or fill the whole scene."))
        if self.follows_map() and self.visible_extent() is None:
            raise ChoiceError(tr("The map is empty: zoom to the raster, or fill the whole scene."))

    def check_path(self) -> None:
        """Raises `ChoiceError` where the results would lie somewhere unexpected."""
        path = self.path.filePath().strip()
        # Path's own question raises where a name is too long or a folder closed to us: the backend says that.
        if path and (path.endswith(("/", "\\")) or os.path.isdir(path)):  # noqa: PTH112
            raise ChoiceError(tr("Save to: {path} is a folder; add the name of a file.").format(path=path))
        if path and not Path(path).is_absolute():
            raise ChoiceError(tr("Save to: {path} names no folder; give the whole path.").format(path=path))

    def typed(self) -> str:
        """The path of the analyst with its ending, empty for a temporary file."""
        path = str(self.path.filePath()).strip()
        return path + ".tif" if path and not path.lower().endswith((".tif", ".tiff")) else path

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        self.path.setFilePath(choices.output)
        self.std.setChecked(choices.std is not None)
        self.provenance.setChecked(choices.provenance is not None)
        self.unfilled.setCurrentIndex(max(self.unfilled.findData(choices.unfilled), 0))
        self._show_box(choices.extent if isinstance(choices.extent, QgsReferencedRectangle) else None)
        if choices.extent is None:
            kind = WHOLE
        elif self._box is not None:
            kind = BOX
        else:
            kind = INSIDE
            self.area.set_item(choices.extent)
        self.extent.setCurrentIndex(self.extent.findData(kind))
        self.area.setVisible(kind == INSIDE)

    def follows_map(self) -> bool:
        """Whether what the map shows is filled, whatever that is."""
        return bool(self.extent.currentData() == VISIBLE)

    def follow_map(self) -> None:
        """Fill what the map shows."""
        self.extent.setCurrentIndex(self.extent.findData(VISIBLE))
        self._show_box(None)

    def visible_extent(self) -> Optional[QgsReferencedRectangle]:
        """What the map shows, None where it has not been to any place yet."""
        settings = self._canvas.mapSettings()
        box = settings.visibleExtent()
        if box.isEmpty() or not box.isFinite():
            return None
        return QgsReferencedRectangle(box, settings.destinationCrs())

    def _extent(self) -> Any:
        kind = self.extent.currentData()
        if kind == VISIBLE:
            return self.visible_extent()
        if kind == BOX:
            return self._box
        return self.area.item() if kind == INSIDE else None

    def _show_box(self, box: Optional[QgsReferencedRectangle]) -> None:
        """Offer this rectangle, which was chosen before; None: offer none."""
        self._box = box
        index = self.extent.findData(BOX)
        if index >= 0:
            self.extent.removeItem(index)
        if box is not None:
            self.extent.addItem(tr("Rectangle as loaded"), BOX)
            tip = f"{box.toString(5)} ({box.crs().authid()})"
            self.extent.setItemData(self.extent.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)

    def _moved(self) -> None:
        """The map shows another part now."""
        if self.follows_map():
            self.changed.emit()

    def _adapt(self) -> None:
        self.area.setVisible(self.extent.currentData() == INSIDE)
        self.changed.emit()
