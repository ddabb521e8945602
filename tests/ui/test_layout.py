"""The dock as it is seen, tabbed through and read out; no backend answers are waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qgis.core import QgsProject
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QPalette, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QWidget,
)
from terramend.ui.widgets.scroll import FormScrollArea

LACKING = {
    "name": "ddpm",
    "title": "A network",
    "licence": "CC BY 4.0",
    "bytes": 123e6,
    "folder": None,
    "published": True,
}


@pytest.fixture(params=[9, 12, 16, 18])
def font(request: Any, qgis_app: Any) -> Iterator[int]:
    """Points of the font that the dock is made with."""
    usual = QApplication.font()
    other = QFont(usual)
    other.setPointSizeF(request.param)
    QApplication.setFont(other)
    yield request.param
    QApplication.setFont(usual)


def settle(qgis_app: Any) -> None:
    for _ in range(20):
        qgis_app.processEvents()


def test_nothing_is_cut_off_at_the_least_width(font: int, dock: Any, qgis_app: Any) -> None:
    for box in (dock.form.target.details, dock.form.gaps.details):
        box.setCollapsed(False)
    dock.form.gaps.add_row()
    dock.form.method.network.show_lacking([LACKING])
    dock.bar.estimate.setText("What would be filled is told in a sentence of several lines. " * 4)
    dock.setFloating(True)
    dock.resize(100, 900)
    settle(qgis_app)
    if font == 9:
        assert dock.width() <= 320
    area = dock.widget().findChild(QScrollArea)
    assert dock.form.width() >= dock.form.minimumSizeHint().width()
    assert dock.form.width() <= area.viewport().width()
    assert dock.width() <= dock.bar.minimumSizeHint().width() + 40
    for widget in dock.findChildren(QWidget):
        if isinstance(widget, (QAbstractButton, QComboBox)) and widget.isVisible():
            least = min(widget.minimumSizeHint().width(), widget.minimumWidth() or 9999)
            assert widget.width() >= least, widget.accessibleName()
    dock.form.target.show_facts("Sentinel-2 · 2020-01-13 · 380 × 377 px · 10 m · 4 bands")
    dock.form.target.details.setCollapsed(True)
    settle(qgis_app)
    for label in (dock.bar.estimate, dock.form.target.facts):
        assert label.height() >= label.heightForWidth(label.width())
    sections = [box.parentWidget() for box in (dock.form.target, dock.form.method, dock.form.output)]
    for collapsed in (False, True):
        for section in sections:
            section.setCollapsed(collapsed)
        settle(qgis_app)
        for group in (*sections, dock.form.target.details, dock.form.gaps.details):
            assert not group.isVisible() or group.height() >= group.minimumSizeHint().height(), group.title()
    assert dock.bar.geometry().right() <= dock.widget().width()


@pytest.mark.parametrize("font", [9], indirect=True)
def test_all_sections_are_seen_on_a_screen_of_900_pixels(font: int, dock: Any, qgis_app: Any) -> None:
    dock.form.target.show_facts("Sentinel-2 · 2020-01-13 · 380 × 377 px · 10 m · 4 bands")
    dock.bar.estimate.setText("What would be filled is told in a sentence of three lines. " * 3)
    dock.setFloating(True)
    dock.resize(430, 770)  # beneath the title, the menu and two rows of tools
    settle(qgis_app)
    assert dock.widget().findChild(QScrollArea).verticalScrollBar().maximum() == 0


@pytest.mark.parametrize("font", [9], indirect=True)
def test_a_narrow_dock_with_a_folder_of_dates_does_not_scroll_sideways(
    font: int, dock: Any, qgis_app: Any
) -> None:
    dock.form.references.folder._show("/dates/a folder with a long name, as they are found")
    dock.form.references.folder.one_by_one.show()
    dock.setFloating(True)
    dock.resize(320, 700)
    settle(qgis_app)
    area = dock.widget().findChild(QScrollArea)
    assert dock.width() == 320 and area.verticalScrollBar().isVisible()
    assert area.horizontalScrollBar().maximum() == 0


def test_a_tall_dock_has_its_room_below_the_sections(dock: Any, qgis_app: Any) -> None:
    dock.setFloating(True)
    dock.resize(430, 2000)
    settle(qgis_app)
    assert dock.form.height() > dock.form.sizeHint().height() + 200
    box = dock.form.references
    assert box.height() <= box.sizeHint().height()


def test_the_dates_of_a_series_are_seen(font: int, dock: Any, layers: Any, qgis_app: Any) -> None:
    for number in range(4):
        layer = layers["other"].clone()
        layer.setName(f"date {number}")
        QgsProject.instance().addMapLayer(layer)
    settle(qgis_app)
    tree = dock.form.references.tree
    last = tree.topLevelItem(tree.topLevelItemCount() - 1)
    assert tree.topLevelItemCount() == 5
    assert tree.viewport().rect().contains(tree.visualItemRect(last).center())
    assert not tree.verticalScrollBar().isVisible()


@pytest.fixture
def appearance(qgis_app: Any) -> Iterator[None]:
    """Palette and style sheet of QGIS are as before after the test."""
    palette, sheet = QApplication.palette(), qgis_app.styleSheet()
    yield
    QApplication.setPalette(palette)
    qgis_app.setStyleSheet(sheet)


def test_the_small_print_is_of_the_theme_of_now(appearance: None, dock: Any, qgis_app: Any) -> None:
    for dark in (True, False):
        ground, text = QColor(30, 30, 30), QColor(240, 240, 240)
        QApplication.setPalette(QPalette(ground, ground) if dark else QPalette(text, text))
        settle(qgis_app)
        usual = dock.bar.estimate.palette().color(QPalette.ColorRole.WindowText)
        softer = dock.bar.device.palette().color(QPalette.ColorRole.WindowText)
        assert softer.getRgb()[:3] == usual.getRgb()[:3] and softer.alpha() < usual.alpha() == 255


def test_the_list_of_dates_has_room_for_a_font_that_is_chosen_later(
    appearance: None, dock: Any, qgis_app: Any
) -> None:
    tree = dock.form.references.tree
    qgis_app.setStyleSheet("* { font-size: 18pt }")  # as QGIS's options do it
    settle(qgis_app)
    assert tree.viewport().height() >= tree.visualItemRect(tree.topLevelItem(0)).height()
    assert tree.columnWidth(1) > tree.fontMetrics().horizontalAdvance("2020-01-28")


def test_the_titles_of_the_dates_are_read_at_the_least_width(font: int, dock: Any, qgis_app: Any) -> None:
    dock.setFloating(True)
    dock.resize(100, 900)
    settle(qgis_app)
    tree = dock.form.references.tree
    for column in range(tree.columnCount()):
        needed = tree.header().fontMetrics().horizontalAdvance(tree.headerItem().text(column))
        assert needed + 8 <= tree.header().sectionSize(column), tree.headerItem().text(column)


def tabs(dock: Any) -> list[QWidget]:
    """What the tab key reaches, in its order, from the target on."""
    start = dock.form.target.chooser.combo
    found, widget = [start], start.nextInFocusChain()
    while widget is not start:
        inner = isinstance(widget, QLineEdit) and isinstance(widget.parent(), (QComboBox, QAbstractSpinBox))
        if dock.isAncestorOf(widget) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not inner:
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


def test_scrolling_changes_no_choice_that_comes_under_the_mouse(dock: Any, qgis_app: Any) -> None:
    quality, grow = dock.form.method.quality, dock.form.gaps.grow
    area = dock.findChild(FormScrollArea)
    row = dock.form.gaps.add_row()
    chosen = dock.form.choices()

    def turn_wheel(widget: QWidget) -> None:
        down, none = QPoint(0, -120), Qt.MouseButton.NoButton
        middle = QPointF(widget.rect().center())
        where, phase = QPointF(widget.mapToGlobal(middle.toPoint())), Qt.ScrollPhase.NoScrollPhase
        keys = Qt.KeyboardModifier.NoModifier
        qgis_app.sendEvent(widget, QWheelEvent(middle, where, down, down, none, keys, phase, False))

    for box in (quality, grow, dock.form.target.chooser.combo, row.chooser.combo):
        turn_wheel(area.viewport())
        turn_wheel(box)
    assert dock.form.choices() == chosen


@pytest.mark.parametrize("fresh", [True, False])
def test_the_tab_key_goes_as_the_eye_does(dock: Any, fresh: bool) -> None:
    if not fresh:
        dock.form.gaps.add_row()
        row = dock.form.gaps.add_row()
        dock.form.gaps._remove(row)
        dock.form.show_choices(dock.form.choices())  # rows are made anew
        dock.form.gaps.add_row()
        dock.form.references.refresh()
    order = tabs(dock)
    expected = [dock.form.target.chooser.combo, dock.form.target.chooser.browse, dock.form.target.sun]
    for row in dock.form.gaps.rows:
        expected += [row.chooser.combo, row.chooser.browse, row.kind]
    expected += [dock.form.gaps.add_button, dock.form.gaps.show_button, dock.form.references.tree]
    expected += [row.mask for row in dock.form.references._rows]
    expected += [dock.form.guides.dem.combo, dock.form.method.model]
    expected += [dock.form.method.network.button, dock.form.method.network.cancel]
    expected += [dock.form.method.quality, dock.form.output.extent]
    expected += [dock.bar.preview, dock.bar.fill, dock.bar.compare, dock.bar.batch]
    places = [order.index(widget) for widget in expected]
    assert places == sorted(places)


def test_the_tab_key_comes_round(dock: Any, until: Callable) -> None:
    dock.activateWindow()
    until(dock.isActiveWindow)
    start = dock.form.target.chooser.combo
    start.setFocus()
    reached: list[QWidget] = []
    while start not in reached and len(reached) < 100:
        QTest.keyClick(dock.focusWidget(), Qt.Key.Key_Tab)
        reached.append(dock.focusWidget())
    assert reached[-1] is start and len(set(reached)) == len(reached)
    assert {dock.form.gaps.rows[0].chooser.combo, dock.bar.preview, dock.bar.fill, dock.more} <= set(reached)


def test_dates_are_corrected_by_mouse_and_keyboard_and_names_are_not(dock: Any, until: Callable) -> None:
    """Of a name that was typed nothing would come."""
    box = dock.form.references
    (row,) = [row for row in box._rows if row.item.text(0) == "other"]
    dock.activateWindow()
    until(dock.isActiveWindow)
    box.tree.setFocus()
    box.tree.setCurrentItem(row.item)

    def written(text: str) -> str:
        (editor,) = box.tree.viewport().findChildren(QLineEdit)
        editor.setText(text)
        QTest.keyClick(editor, Qt.Key.Key_Return)
        until(lambda: not box.tree.viewport().findChildren(QLineEdit))
        return str(box._reference(row).date)

    def click_twice(column: int) -> None:
        place = box.tree.visualRect(box.tree.indexFromItem(row.item, column)).center()
        for click in (QTest.mouseClick, QTest.mouseDClick):
            click(box.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)

    click_twice(0)
    assert not box.tree.viewport().findChildren(QLineEdit)
    click_twice(1)
    assert written("2020-02-01") == "2020-02-01"
    QTest.keyClick(box.tree, Qt.Key.Key_F2)
    assert written("2020-02-02") == "2020-02-02" and row.item.text(0) == "other"


def test_the_keyboard_goes_to_cancel_and_back(dock: Any, until: Callable) -> None:
    bar = dock.bar
    dock.activateWindow()
    until(dock.isActiveWindow)
    for button in (bar.preview, bar.fill):
        button.setFocus()
        bar.set_running(True)
        assert bar.cancel.hasFocus()
        bar.set_running(False)
        assert button.hasFocus()
    dock.form.output.path.lineEdit().setFocus()
    for running in (True, False):  # whoever is elsewhere is left there
        bar.set_running(running)
        assert dock.form.output.path.lineEdit().hasFocus()


def test_everything_has_a_name(dock: Any) -> None:
    dock.form.gaps.add_row()
    buddies = {label.buddy() for label in dock.findChildren(QLabel)}
    for widget in tabs(dock):
        if isinstance(widget, QGroupBox) or type(widget).__name__ in ("QScrollArea", "FormScrollArea"):
            continue
        if isinstance(widget, QAbstractButton) and isinstance(widget.parent(), (QGroupBox, QgsFileWidget)):
            continue  # QGIS's own
        text = widget.text() if isinstance(widget, QAbstractButton) else ""
        assert widget.accessibleName() or len(text) > 1 or widget in buddies, (widget, widget.parent())
    assert dock.bar.compare.accessibleName() == "Compare before and after"
