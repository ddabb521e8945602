"""Widgets for a small dock: rows are close, long texts elided, long labels above their field; tab order."""

from __future__ import annotations

from typing import Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

SPACING = 3
"""Pixels between rows: a screen of 900 pixels shows all sections."""


def narrow_combo(letters: int = 6) -> QComboBox:
    """A combo box at least as wide as so many letters, not as its longest text."""
    box = QComboBox()
    make_narrow(box, letters)
    return box


def make_narrow(box: QComboBox, letters: int = 6) -> None:
    """Let a combo box be as narrow as so many letters."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(letters)


def narrow_column(parent: QWidget) -> QVBoxLayout:
    """A column without margins."""
    column = QVBoxLayout(parent)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(SPACING)
    return column


def narrow_form(parent: QWidget) -> QFormLayout:
    """A form without margins whose long labels stand above their fields where it is narrow."""
    form = QFormLayout(parent)
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(SPACING)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def in_tab_order(widgets: Sequence[QWidget]) -> None:
    """Let the tab key go from each of these widgets to the next; the first stays where it is."""
    for first, second in zip(widgets, widgets[1:]):
        QWidget.setTabOrder(first, second)


def before_in_tab_order(widget: QWidget) -> QWidget:
    """The widget from which the tab key leads to this one."""
    found = widget.previousInFocusChain()
    while found is not widget and found.focusPolicy() == Qt.FocusPolicy.NoFocus:
        found = found.previousInFocusChain()
    return found
