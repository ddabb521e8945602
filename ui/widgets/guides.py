"""Elevation and radar: what else is known of the place."""

from __future__ import annotations

from typing import Any, Dict, List

from qgis.core import QgsMapLayer
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..choices import Choices
from ..tr import tr
from .layer_chooser import RASTERS, LayerChooser
from .narrow import narrow_form


class GuidesBox(QWidget):
    """Choosers of an elevation model and a radar scene; both can stay empty."""

    changed = pyqtSignal()
    lost = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.dem = LayerChooser(RASTERS, tr("Elevation (DEM)"), empty=tr("none"))
        self.dem.setToolTip(
            tr("Elevation in metres, or in feet if its unit says so; any grid and coordinate system")
        )
        self.sar = LayerChooser(RASTERS, tr("Radar (Sentinel-1)"), empty=tr("none"))
        self.sar.setToolTip(tr("Sentinel-1 VV and VH backscatter; any grid and coordinate system"))
        form = narrow_form(self)
        form.addRow(tr("Elevation (DEM)"), self.dem)
        form.addRow(tr("Radar (Sentinel-1)"), self.sar)
        for chooser in (self.dem, self.sar):
            chooser.changed.connect(self.changed)
            chooser.lost.connect(self.lost)

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        return {"dem": self.dem.item(), "sar": self.sar.item()}

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        self.dem.set_item(choices.dem)
        self.sar.set_item(choices.sar)

    def leave_out(self, layers: List[QgsMapLayer]) -> None:
        """Do not offer these layers."""
        self.dem.leave_out(layers)
        self.sar.leave_out(layers)
