"""Before and after: drag a line over the map, before on its left, after on its right."""

from __future__ import annotations

import contextlib
from typing import List, Optional, Sequence

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob, QgsMapSettings, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapMouseEvent, QgsMapTool
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QKeyEvent, QPainter, QPen
from qgis.PyQt.QtWidgets import QStyleOptionGraphicsItem, QWidget

from ..tr import tr
from .results import BEFORE

HANDLE = 14
"""Size in pixels of the grip on the line."""

STEP = 0.02
"""How far an arrow key moves the line, as a share of the canvas."""


class SwipeItem(QgsMapCanvasItem):
    """Draws a picture of the map with other layers, left of a line (or above it)."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.image: Optional[QImage] = None
        self.share = 0.5  # of the canvas's width (height)
        self.upright = True
        self.setZValue(90)

    def updatePosition(self) -> None:
        """Called by the canvas when the map moves: the picture lies on the window, not on a turned map."""
        self.setPos(0, 0)
        self.setRotation(0)

    def paint(
        self,
        painter: QPainter,
        option: Optional[QStyleOptionGraphicsItem] = None,
        widget: Optional[QWidget] = None,
    ) -> None:
        """Called by the canvas."""
        if self.image is None:
            return
        width, height = self._canvas.width(), self._canvas.height()
        x = round(width * self.share) if self.upright else width
        y = height if self.upright else round(height * self.share)
        ratio = self.image.devicePixelRatio()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawImage(QRectF(0, 0, x, y), self.image, QRectF(0, 0, x * ratio, y * ratio))
        start, end = (QPoint(x, 0), QPoint(x, height)) if self.upright else (QPoint(0, y), QPoint(width, y))
        for color, thickness in ((QColor(0, 0, 0, 160), 4), (QColor(255, 255, 255), 2)):
            painter.setPen(QPen(color, thickness))
            painter.drawLine(start, end)
        middle = QRectF(0, 0, HANDLE, HANDLE)
        middle.moveCenter(QPointF(start + end) / 2)
        painter.setBrush(QColor(255, 255, 255))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1))
        painter.drawEllipse(middle)
        tall = painter.fontMetrics().height() + 6
        low = height - tall - 8  # the message bar lies over the upper edge
        left = QRectF(8, low if self.upright else max(y - tall - 8, 0), x - 16, tall)
        right = QRectF(x + 8, low, width - x - 16, tall) if self.upright else QRectF(8, low, width - 16, tall)
        self._label(painter, tr("before"), left, Qt.AlignmentFlag.AlignLeft)
        self._label(painter, tr("after"), right, Qt.AlignmentFlag.AlignRight)

    @staticmethod
    def _label(painter: QPainter, text: str, box: QRectF, side: Qt.AlignmentFlag) -> None:
        if box.width() < 60:
            return
        size = painter.fontMetrics().boundingRect(text)
        width = size.width() + 14
        left = box.left() if side == Qt.AlignmentFlag.AlignLeft else box.right() - width
        plate = QRectF(left, box.top(), width, box.height())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


class SwipeTool(QgsMapTool):
    """The map tool. Drag the line, or move it by arrow keys, Home and End; H and V turn it; Escape ends.

    The pair is that of the active layer where it was filled, else the one of `compare`, else that of the
    topmost filled layer.
    """

    ended = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._before: Optional[str] = None
        self._after: Optional[str] = None
        self._item: Optional[SwipeItem] = None
        self._job: Optional[QgsMapRendererParallelJob] = None
        self._earlier: Optional[QgsMapTool] = None
        self.used = False
        """Whether the canvas has had it: QGIS may come back to it when editing ends."""
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def compare(self, before: QgsMapLayer, after: QgsMapLayer) -> None:
        """Set the pair of layers."""
        self._before, self._after = before.id(), after.id()
        if self.isActive():
            self._render()

    def begin(self) -> None:
        """Take the canvas, until `end` or until another tool is chosen."""
        if not self.isActive():
            self._earlier = self._canvas.mapTool()
            self._canvas.setMapTool(self)
            self._canvas.setFocus()  # its keys are read there, and Fill may have been pressed last

    def end(self) -> None:
        """Give the canvas back to the tool it had: without any it stands still, and some QGIS crash."""
        if self._item is None:  # another tool has it, or is about to: the canvas still names this one
            return
        if self._earlier in self._canvas.findChildren(QgsMapTool):  # it may be another plugin's, and gone
            self._canvas.setMapTool(self._earlier)
        else:
            self._canvas.unsetMapTool(self)

    @property
    def picture(self) -> Optional[QImage]:
        """The picture of before, once it is rendered."""
        return self._item.image if self._item is not None else None

    def activate(self) -> None:
        """Called by the canvas."""
        self.used = True
        self.has_pair()
        self._item = SwipeItem(self._canvas)
        QgsProject.instance().layersRemoved.connect(self._layers_removed)
        self._canvas.mapCanvasRefreshed.connect(self._render)
        self._canvas.extentsChanged.connect(self._forget_picture)
        self._canvas.installEventFilter(self)
        self._render()
        super().activate()  # last: whoever hears of it may end it at once

    def deactivate(self) -> None:
        """Called by the canvas; leaves nothing behind."""
        item, self._item = self._item, None
        if item is not None:
            self._stop()
            QgsProject.instance().layersRemoved.disconnect(self._layers_removed)
            with contextlib.suppress(RuntimeError):  # QGIS quits: the canvas is gone, and the item with it
                self._canvas.mapCanvasRefreshed.disconnect(self._render)
                self._canvas.extentsChanged.disconnect(self._forget_picture)
                self._canvas.removeEventFilter(self)
                self._canvas.scene().removeItem(item)
        super().deactivate()
        self.ended.emit()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Take the line."""
        self._move(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Drag the line."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._move(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Turn the line, or end."""
        if event.key() == Qt.Key.Key_Escape:
            self.end()
        elif event.key() in (Qt.Key.Key_H, Qt.Key.Key_V) and self._item is not None:
            self._item.upright = event.key() == Qt.Key.Key_V
            upright, flat = Qt.CursorShape.SplitHCursor, Qt.CursorShape.SplitVCursor
            self.setCursor(upright if self._item.upright else flat)
            self._item.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move the line by keys: the canvas keeps arrow keys from its tools, and with Shift moves the map."""
        plain = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)  # arrows on a Mac
        if self._item is None or not isinstance(event, QKeyEvent) or event.modifiers() not in plain:
            return False
        arrows = (
            (Qt.Key.Key_Left, Qt.Key.Key_Right) if self._item.upright else (Qt.Key.Key_Up, Qt.Key.Key_Down)
        )
        for key, step in zip((*arrows, Qt.Key.Key_Home, Qt.Key.Key_End), (-STEP, STEP, -1, 1)):
            if event.key() == key and event.type() == QEvent.Type.KeyPress:
                self._place(self._item, self._item.share + step)
                return True
        return False

    def _move(self, event: QgsMapMouseEvent) -> None:
        if self._item is None:
            return
        position = event.pos()
        share = (
            position.x() / self._canvas.width()
            if self._item.upright
            else position.y() / self._canvas.height()
        )
        self._place(self._item, share)

    @staticmethod
    def _place(item: SwipeItem, share: float) -> None:
        item.share = min(max(share, 0.0), 1.0)
        item.update()

    def has_pair(self) -> bool:
        """Whether there is something to compare; looks for it in the project."""
        if not self._find_pair([self._canvas.currentLayer()]) and not self._pair():
            self._find_pair(QgsProject.instance().layerTreeRoot().layerOrder())
        return self._pair()

    def is_hidden(self) -> bool:
        """Whether the map does not show `after`: it is switched off, or `before` lies over it."""
        shown = [layer.id() for layer in self._canvas.layers() if layer.id() in (self._before, self._after)]
        return shown[:1] != [self._after]

    def _pair(self) -> bool:
        layers = QgsProject.instance().mapLayers()
        return self._before in layers and self._after in layers

    def _find_pair(self, candidates: Sequence[Optional[QgsMapLayer]]) -> bool:
        """Take the first of these layers that was made from one in the project."""
        layers = QgsProject.instance().mapLayers()
        for layer in candidates:
            if isinstance(layer, QgsRasterLayer) and layer.customProperty(BEFORE) in layers:
                self._before, self._after = layer.customProperty(BEFORE), layer.id()
                return True
        return False

    def _layers(self) -> List[QgsMapLayer]:
        """The canvas's layers with `before` in the place of `after`."""
        project = QgsProject.instance()
        before = project.mapLayer(self._before)
        layers = [before if layer.id() == self._after else layer for layer in self._canvas.layers()]
        return layers if before in layers else [before, *layers]

    def _forget_picture(self) -> None:
        """The map moved: the picture no longer fits."""
        if self._item is not None:
            self._item.image = None
            self._item.update()

    def _layers_removed(self, _ids: List[str]) -> None:
        """Without the pair there is nothing to compare any more."""
        if not self._pair():
            self.end()

    def _render(self) -> None:
        if self._item is None or not self._pair():
            return
        self._stop()
        settings = QgsMapSettings(self._canvas.mapSettings())
        settings.setLayers(self._layers())
        self._job = QgsMapRendererParallelJob(settings)
        self._job.finished.connect(self._rendered)
        self._job.start()

    def _stop(self) -> None:
        """Drop the picture that is being rendered."""
        job, self._job = self._job, None
        if job is not None:
            job.finished.disconnect(self._rendered)
            job.cancel()

    def _rendered(self) -> None:
        job, self._job = self._job, None
        if job is not None and self._item is not None:
            self._item.image = job.renderedImage()
            self._item.update()
