"""The before/after line on a real canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsMapToolPan
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QFontMetrics, QImage, QKeyEvent, QMouseEvent, QPainter
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow, QPushButton
from terramend.ui.layers.results import BEFORE
from terramend.ui.layers.swipe import SwipeItem, SwipeTool


@pytest.fixture
def pair(qgis_new_project: None, scene: dict[str, str]) -> tuple[QgsRasterLayer, QgsRasterLayer]:
    before, after = QgsRasterLayer(scene["target"], "before"), QgsRasterLayer(scene["other"], "after")
    QgsProject.instance().addMapLayers([before, after])
    return before, after


@pytest.fixture
def canvas(pair: Any, until: Callable) -> QgsMapCanvas:
    made = QgsMapCanvas()
    made.resize(400, 300)
    made.setDestinationCrs(pair[0].crs())
    made.setLayers([pair[1]])
    made.setExtent(pair[0].extent())
    made.show()
    return made


def drag(canvas: QgsMapCanvas, x: float, y: float) -> None:
    for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease):
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(canvas.viewport(), QMouseEvent(kind, QPointF(x, y), left, left, none))


def items(canvas: QgsMapCanvas) -> list[SwipeItem]:
    return [item for item in canvas.scene().items() if isinstance(item, SwipeItem)]


def swiping(canvas: QgsMapCanvas, pair: Any, until: Callable) -> SwipeTool:
    tool = SwipeTool(canvas)
    tool.compare(*pair)
    canvas.setMapTool(tool)
    until(lambda: tool.picture is not None)
    return tool


def painted(item: SwipeItem, canvas: QgsMapCanvas, font: QFont | None = None) -> QImage:
    image = QImage(canvas.size(), QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    if font is not None:
        painter.setFont(font)
    item.paint(painter)
    painter.end()
    return image


def test_labels_lie_on_plates_as_high_as_the_letters(
    canvas: QgsMapCanvas, pair: Any, until: Callable
) -> None:
    swiping(canvas, pair, until)
    large = QFont()
    large.setPixelSize(40)
    image = painted(items(canvas)[0], canvas, large)
    inside = canvas.width() - 12  # of the plate, beside the letters
    plate = [y for y in range(image.height()) if image.pixelColor(inside, y).alpha()]
    assert QFontMetrics(large).height() <= len(plate) and plate[-1] < image.height() - 4


def test_before_is_left_of_the_line(canvas: QgsMapCanvas, pair: Any, until: Callable) -> None:
    tool = swiping(canvas, pair, until)
    drag(canvas, 100, 150)
    item = items(canvas)[0]
    assert item.share == pytest.approx(0.25)
    image = painted(item, canvas)
    where = QPoint(60, 150)
    assert image.pixelColor(where) == tool.picture.pixelColor(where)
    assert image.pixelColor(300, 150).alpha() == 0  # the canvas itself shows through
    drag(canvas, 999, 150)
    assert item.share == 1.0
    QApplication.sendEvent(
        canvas, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_H, Qt.KeyboardModifier.NoModifier)
    )
    drag(canvas, 10, 75)
    assert not item.upright
    assert item.share == pytest.approx(0.25)


def color_at(image: QImage, x: int, y: int) -> QColor:
    """Of a place on the window: of a screen at 150 % QGIS (Qt 5) makes its maps with 1 pixel, Qt with 1.5."""
    ratio = image.devicePixelRatio()
    return image.pixelColor(int((x + 0.5) * ratio), int((y + 0.5) * ratio))


def test_on_a_turned_map_before_lies_where_it_is(canvas: QgsMapCanvas, pair: Any, until: Callable) -> None:
    tool = swiping(canvas, pair, until)
    straight = tool.picture
    canvas.setRotation(30)
    until(lambda: tool.picture is not None and tool.picture is not straight)
    item = items(canvas)[0]
    assert (item.rotation(), item.pos()) == (0, QPointF(0, 0))
    shown, middle = canvas.viewport().grab().toImage(), canvas.height() // 2
    row = [(x, middle) for x in range(10, canvas.width() // 2 - 20, 10)]
    same = [color_at(shown, *at) == color_at(tool.picture, *at) for at in row]
    assert sum(same) > 0.9 * len(row)
    canvas.unsetMapTool(tool)


def test_before_is_drawn_over_a_map_that_shows_neither(
    canvas: QgsMapCanvas, pair: Any, until: Callable
) -> None:
    canvas.setLayers([])
    picture = swiping(canvas, pair, until).picture
    assert picture is not None and picture.pixelColor(200, 150) != picture.pixelColor(0, 0)


def test_it_leaves_nothing_behind(canvas: QgsMapCanvas, pair: Any, until: Callable) -> None:
    tool = SwipeTool(canvas)
    ended: list[bool] = []
    tool.ended.connect(lambda: ended.append(True))
    tool.compare(*pair)
    canvas.setMapTool(tool)
    assert len(items(canvas)) == 1
    canvas.zoomByFactor(0.5)  # the picture no longer fits
    assert tool.picture is None
    press_escape(canvas)
    assert canvas.mapTool() is not tool
    assert items(canvas) == [] and ended == [True]
    canvas.setMapTool(tool)
    until(lambda: tool.picture is not None)
    canvas.unsetMapTool(tool)


def press_escape(canvas: QgsMapCanvas) -> None:
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(canvas, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Escape, none))


def test_the_map_goes_back_to_the_tool_it_had(canvas: QgsMapCanvas, pair: Any) -> None:
    """Without any tool it does not move, and some QGIS crash when a table is selected (issue 61053 of QGIS)."""
    pan, tool = QgsMapToolPan(canvas), SwipeTool(canvas)
    tool.compare(*pair)
    canvas.setMapTool(pan)
    tool.begin()
    tool.begin()
    assert canvas.mapTool() is tool
    press_escape(canvas)
    assert canvas.mapTool() is pan
    tool.begin()
    QgsProject.instance().removeMapLayer(pair[1].id())
    assert canvas.mapTool() is pan
    other = QgsMapTool(canvas)
    tool.begin()
    canvas.setMapTool(other)
    tool.end()
    assert canvas.mapTool() is other, "it was chosen meanwhile"
    tool.begin()
    sip.delete(other)
    tool.end()
    assert canvas.mapTool() is None


def test_its_keys_are_read_at_once(canvas: QgsMapCanvas, pair: Any) -> None:
    window, tool, button = QMainWindow(), SwipeTool(canvas), QPushButton()
    window.setCentralWidget(canvas)
    window.statusBar().addWidget(button)
    window.show()
    window.activateWindow()
    button.setFocus()
    tool.compare(*pair)
    tool.begin()
    assert window.focusWidget() is canvas
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert not tool.isActive()


def test_the_line_is_moved_by_keys(canvas: QgsMapCanvas, pair: Any, until: Callable) -> None:
    tool, extent = swiping(canvas, pair, until), canvas.extent()
    item = items(canvas)[0]
    for key, share in (
        (Qt.Key.Key_Left, 0.48),
        (Qt.Key.Key_Home, 0.0),
        (Qt.Key.Key_Left, 0.0),
        (Qt.Key.Key_Right, 0.02),
        (Qt.Key.Key_End, 1.0),
        (Qt.Key.Key_H, 1.0),
        (Qt.Key.Key_Up, 0.98),
        (Qt.Key.Key_Down, 1.0),
    ):
        QTest.keyClick(canvas, key)
        assert item.share == pytest.approx(share)
    assert canvas.extent() == extent
    QTest.keyClick(canvas, Qt.Key.Key_Left)  # along the line
    assert canvas.extent().center().x() < extent.center().x() and item.share == 1.0
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    QTest.keyClick(canvas, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.extent().center().y() > extent.center().y() and item.share == 1.0
    canvas.unsetMapTool(tool)
    moved = canvas.extent()
    QTest.keyClick(canvas, Qt.Key.Key_Down)
    assert canvas.extent() != moved


def test_the_pair_is_found_by_itself(canvas: QgsMapCanvas, pair: Any, until: Callable) -> None:
    pair[1].setCustomProperty(BEFORE, pair[0].id())
    tool = SwipeTool(canvas)
    canvas.setMapTool(tool)
    until(lambda: tool.picture is not None)
    canvas.unsetMapTool(tool)


def test_of_several_pairs_that_of_the_active_layer_is_taken(canvas: QgsMapCanvas, pair: Any) -> None:
    earlier = QgsRasterLayer(pair[1].source(), "an earlier fill")
    QgsProject.instance().addMapLayer(earlier)
    earlier.setCustomProperty(BEFORE, pair[0].id())
    canvas.setLayers([earlier])
    tool = SwipeTool(canvas)
    tool.compare(*pair)
    assert tool.has_pair() and tool.is_hidden()
    canvas.setCurrentLayer(earlier)
    assert tool.has_pair() and not tool.is_hidden()


def test_a_pair_that_is_gone_does_no_harm(canvas: QgsMapCanvas, pair: Any, qgis_app: Any) -> None:
    tool = SwipeTool(canvas)
    tool.compare(*pair)
    QgsProject.instance().removeMapLayer(pair[0].id())
    canvas.setMapTool(tool)
    qgis_app.processEvents()
    assert tool.picture is None
    canvas.unsetMapTool(tool)


def test_it_ends_when_a_layer_of_the_pair_is_removed(
    canvas: QgsMapCanvas, pair: Any, until: Callable
) -> None:
    tool = swiping(canvas, pair, until)
    QgsProject.instance().removeMapLayer(pair[1].id())
    assert canvas.mapTool() is not tool
    assert items(canvas) == [] and not tool.has_pair()
