"""Compare before and after: the button of the dock, and the map tool that it switches."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsMapTool
from qgis.PyQt import sip
from qgis.PyQt.QtWidgets import QToolButton

from ..teller import Teller
from ..tr import tr
from .swipe import SwipeTool


class Comparison:
    """Keeps button and tool in step, whoever switches the tool.

    Args:
        iface: of QGIS; gives the canvas and its tool for panning.
    """

    def __init__(self, iface: Any, button: QToolButton, teller: Teller) -> None:
        self._iface = iface
        self._button = button
        self._teller = teller
        self.swipe = SwipeTool(iface.mapCanvas())
        button.toggled.connect(self._switch)
        self.swipe.activated.connect(self._begun)
        self.swipe.ended.connect(self._ended)

    def close_down(self) -> None:
        """Leave nothing behind."""
        if sip.isdeleted(self.swipe):  # when QGIS quits, the canvas may have taken it along
            return
        self.swipe.end()
        if self.swipe.used:
            self._hand_over_map()
        sip.delete(self.swipe)  # the canvas owns it, and it knows us

    def _switch(self, on: bool) -> None:
        if not on:
            self.swipe.end()
        elif not self.swipe.has_pair():
            self._ended()
            text = tr("There is nothing to compare yet: fill a raster first.")
            self._teller.say(text, Qgis.MessageLevel.Info)
        else:
            self.swipe.begin()
            if self.swipe.is_hidden():
                text = tr(
                    "The map does not show the filled layer: switch it on, above the one it was made from."
                )
                self._teller.say(text, Qgis.MessageLevel.Info)

    def _begun(self) -> None:
        """The canvas has the tool, also where QGIS came back to it because editing has ended."""
        self._button.setChecked(True)

    def _ended(self) -> None:
        """The tool was put away, by whomever."""
        self._button.setChecked(False)

    def _hand_over_map(self) -> None:
        """Let QGIS forget the tool: it keeps the last one that edits nothing, for when editing ends."""
        canvas = self._iface.mapCanvas()
        tool = canvas.mapTool()
        if tool is None or tool.flags() & QgsMapTool.Flag.EditTool:
            self._iface.actionPan().trigger()
            if tool is not None:
                canvas.setMapTool(tool)
