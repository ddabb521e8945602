"""How the gaps are filled: method, quality, device."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, cast

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QStandardItemModel
from qgis.PyQt.QtWidgets import QWidget

from ...backend.request import DEVICES
from .. import settings
from ..choices import Choices
from ..tr import tr
from ..words.methods import METHODS, group_title
from .method_options import MethodOptions
from .narrow import narrow_combo, narrow_form
from .network_line import NetworkLine


def quality_titles() -> Dict[str, str]:
    """Qualities as people know them."""
    return {"fast": tr("Fast"), "default": tr("Normal"), "best": tr("Best, slower")}


def device_titles() -> Dict[str, str]:
    """Devices as people know them."""
    titles = {"auto": tr("Fastest that works"), "cpu": tr("Processor"), "cuda": tr("Graphics card (CUDA)")}
    return {name: titles.get(name, name) for name in DEVICES}


class MethodBox(QWidget):
    """Choosers of the method and of how it runs."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.model = narrow_combo(10)
        self.quality = narrow_combo()
        for name, title in quality_titles().items():
            self.quality.addItem(title, name)
        self.device = narrow_combo()
        for name, title in device_titles().items():
            self.device.addItem(title, name)
        form = narrow_form(self)
        form.addRow(tr("Method"), self.model)
        self.network = NetworkLine()
        form.addRow(self.network)
        form.addRow(tr("Quality"), self.quality)
        form.addRow(tr("Runs on"), self.device)
        self.options = MethodOptions()
        form.addRow(self.options)
        self._options: Dict[str, Mapping[str, str]] = {}
        self._lacking: Dict[str, List[Mapping[str, Any]]] = {}
        rows = [
            {"name": m.name, "title": m.title, "group": m.group, "modes": m.modes, "available": True}
            for m in METHODS
        ]
        self.show_methods(rows)
        self.show_choices(Choices())
        self.model.currentIndexChanged.connect(lambda _: self._offer())
        for box in (self.model, self.quality, self.device):
            box.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.options.changed.connect(self.changed)

    def show_methods(
        self, rows: Sequence[Mapping[str, Any]], networks: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Offer methods.

        Args:
            rows, networks: as the backend's `models` tells; methods that lack a package are greyed, and
                what lacks a network can get it.
        """
        chosen = self.model.currentData() or "auto"
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItem(tr("Choose by itself"), "auto")
        group = ""
        for row in rows:
            if "fill" not in row.get("modes", ("fill",)):
                continue
            if row["group"] == "experimental" and not settings.get("experimental"):
                continue
            if row["group"] != group:
                group = row["group"]
                self.model.insertSeparator(self.model.count())
            self.model.addItem(tr(row["title"]), row["name"])
            index = self.model.count() - 1
            tip = tr(row.get("summary", "")) or group_title(group)
            if not row["available"]:
                missing = ", ".join(row.get("missing", ()))
                tip = tr("Needs {packages}; see the backend environment.").format(packages=missing)
                cast(QStandardItemModel, self.model.model()).item(index).setEnabled(False)
            self.model.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(max(self.model.findData(chosen), 0))
        self.model.blockSignals(False)
        self._options = {row["name"]: row["options"] for row in rows if "options" in row}
        self._lacking = {
            row["name"]: [network for network in networks if network["name"] in row.get("lacks", ())]
            for row in rows
        }
        self._offer()
        if self.model.currentData() != chosen:
            self.changed.emit()

    def _offer(self) -> None:
        """Options and lacking networks of the chosen method; a choice by itself has none."""
        self.network.show_lacking(self._lacking.get(self.model.currentData(), []))
        self.options.show_options(self._options.get(self.model.currentData(), {}) if self._options else None)

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        return {
            "model": self.model.currentData(),
            "quality": self.quality.currentData(),
            "device": self.device.currentData(),
            "settings": self.options.values(),
        }

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        for name in ("model", "quality", "device"):
            box = getattr(self, name)
            box.setCurrentIndex(max(box.findData(getattr(choices, name)), 0))
        self.options.show_values(choices.settings)
