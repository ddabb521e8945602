"""All sections of the dock, top to bottom in the order in which an analyst thinks."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsMapCanvas
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..choices import Choices
from ..tr import tr
from .gaps import GapsBox
from .guides import GuidesBox
from .method import MethodBox
from .narrow import SPACING
from .output import PROVENANCE, STD, OutputBox
from .references import ReferencesBox
from .target import TargetBox


class ChoicesForm(QWidget):
    """Collects `Choices`, and shows them."""

    changed = pyqtSignal()
    lost = pyqtSignal(list)
    """Names of what was chosen and is no longer in the project."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self.target = TargetBox()
        self.gaps = GapsBox()
        self.references = ReferencesBox()
        self.guides = GuidesBox()
        self.method = MethodBox()
        self.output = OutputBox(canvas)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 0, 2, 0)
        column.setSpacing(SPACING)
        for title, boxes in (
            (tr("1  Raster to fill"), [self.target]),
            (tr("2  Gaps: where is it clouded?"), [self.gaps]),
            (tr("3  Other dates, terrain, radar"), [self.references, self.guides]),
            (tr("4  Method"), [self.method]),
            (tr("5  Result"), [self.output]),
        ):
            column.addWidget(_section(title, boxes))
        column.addStretch(1)  # all that is left over: else a section grows, and its parts drift apart
        self._boxes = (self.target, self.gaps, self.references, self.guides, self.method, self.output)
        self._kept = Choices()  # what the form does not show travels through unchanged
        self._showing = False
        for box in self._boxes:
            box.changed.connect(self._announce)
        self._lost: List[str] = []
        self._pause = QTimer(self)  # what goes together is told together
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(self._tell_lost)
        for box in (self.target, self.gaps, self.references, self.guides, self.output):
            box.lost.connect(self._lose)
        QgsProject.instance().cleared.connect(self._forget_lost)
        self.start_over()  # only here does the row of a mask find its place in the tab order

    def choices(self) -> Choices:
        """What is chosen now.

        Raises:
            ChoiceError: something cannot be read, or is missing.
        """
        self.target.check()
        self.output.check()
        return self.remembered()

    def remembered(self) -> Choices:
        """What is worth keeping of it: all that can be read."""
        shown = {name: value for box in self._boxes for name, value in box.values().items()}
        return replace(self._kept, **shown)

    def start_over(self) -> None:
        """Show an untouched form."""
        self.show_choices(Choices(std=STD, provenance=PROVENANCE))

    def show_choices(self, choices: Choices) -> None:
        """Show these choices in all sections."""
        self._showing = True
        self._kept = choices
        self.target.show_choices(choices)
        self._keep_apart()  # what was the target may be chosen in another role
        for box in self._boxes[1:]:
            box.show_choices(choices)
        self._showing = False
        self._announce()

    def _announce(self) -> None:
        if self._showing:
            return
        self._showing = True  # leaving layers out makes the boxes change in turn
        self._keep_apart()
        self._showing = False
        self.changed.emit()

    def _lose(self, name: str) -> None:
        if name not in self._lost:
            self._lost.append(name)
        self._pause.start(0)

    def _tell_lost(self) -> None:
        names, self._lost = self._lost, []
        if names:
            self.lost.emit(names)

    def _forget_lost(self) -> None:
        """Another project comes: nobody misses its layers."""
        self._lost = []

    def _keep_apart(self) -> None:
        """A layer that is the target is offered nowhere else; masks and guides are no other dates."""
        targets = _layers(self.target.items())
        self.gaps.leave_out(targets)
        self.guides.leave_out(targets)
        masks = tuple(mask.source for mask in self.gaps.values()["gaps"])
        guides = tuple(self.guides.values().values())
        single_band = all(isinstance(t, QgsRasterLayer) and t.bandCount() == 1 for t in targets)
        self.references.leave_out(targets + _layers(masks) + _layers(guides), single_band)


def _section(title: str, boxes: Sequence[QWidget]) -> QWidget:
    group = QgsCollapsibleGroupBox(title)
    group.setSaveCollapsedState(False)
    column = QVBoxLayout(group)
    column.setContentsMargins(8, 1, 8, 3)
    column.setSpacing(SPACING)
    for box in boxes:
        column.addWidget(box)
    return group


def _layers(items: Tuple[object, ...]) -> List[QgsMapLayer]:
    return [item for item in items if isinstance(item, QgsMapLayer)]
