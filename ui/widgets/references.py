"""Other dates of the same place: which layers, their dates, and where they are cloudy themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAction,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from ..choices import Choices, MaskChoice, ReferenceChoice, join_kinds, layer_of
from ..layers.results import ROLE
from ..layers.sources import PICTURES, LayerOrPath, public_source
from ..tr import tr
from ..words.inspection import literal
from .folder_line import FolderLine
from .layer_chooser import file_name
from .mask_chooser import CLEAR, FOUND, MaskChooser
from .mask_kind import MaskKindBox
from .narrow import in_tab_order, narrow_column, narrow_form

NAME, DATE, MASK = range(3)
MOST = 6
"""Rows that are seen without scrolling the list."""


@dataclass
class Row:
    """One raster of the list."""

    source: LayerOrPath
    item: QTreeWidgetItem
    mask: MaskChooser
    key: str  # layer id or path, also when the layer is gone
    kind: str = "auto"  # of a mask that is chosen here


class ReferencesBox(QWidget):
    """A list of rasters to tick, with dates to correct and masks to choose."""

    changed = pyqtSignal()
    lost = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels([tr("Use"), tr("Date"), tr("Its gaps")])
        self.tree.setAccessibleName(tr("Other dates"))
        self.tree.setRootIsDecorated(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)  # names would be edited, too
        edit = QAction(tr("Correct the date"), self.tree)
        edit.setShortcut("F2")
        edit.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        edit.triggered.connect(lambda: self._edit_date(self.tree.currentItem(), DATE))
        self.tree.addAction(edit)
        self.tree.setToolTip(
            tr(
                "Tick rasters of the same place on other dates. Double-click a date, or press F2, to correct "
                "it. Where a date has clouds of its own, its mask is found beside it or chosen here."
            )
        )
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(DATE, QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(MASK, QHeaderView.ResizeMode.Interactive)
        self._fit_columns()
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # dates stand at the end of names
        self.kind = MaskKindBox()
        self.kind.currentTextChanged.connect(self._choose_kind)
        self.kind_line = QWidget()
        narrow_form(self.kind_line).addRow(tr("Kind of the other dates' masks"), self.kind)
        add = QPushButton(tr("Add files…"))
        add.clicked.connect(self._browse_files)
        self.folder = FolderLine()
        self.folder.changed.connect(self.changed)
        self.folder.listed.connect(self._list)
        buttons = QHBoxLayout()
        buttons.addWidget(add)
        buttons.addWidget(self.folder.button)
        buttons.addStretch()
        column = narrow_column(self)
        column.addWidget(self.tree)
        column.addWidget(self.kind_line)
        column.addWidget(self.folder)
        column.addLayout(buttons)
        self._rows: List[Row] = []
        self._paths: List[str] = []
        self._mask_paths: Set[str] = set()
        self._left_out: Set[str] = set()
        self._found: Dict[str, Mapping[str, Any]] = {}  # by key, of the rows last asked about
        self._single_band = True
        self.tree.itemChanged.connect(self._edited)
        self.tree.itemDoubleClicked.connect(self._edit_date)
        self._soon = QTimer(self)  # projects and scripts bring, rename and remove layers one by one
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        project = QgsProject.instance()
        project.layersAdded.connect(self._refresh_soon)
        project.layersRemoved.connect(self._let_go)
        project.layerTreeRoot().nameChanged.connect(self._refresh_soon)
        self.refresh()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: in another font or style rows are as high, and dates as wide, as they are there."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self._fit)  # by then the list has heard of it, too

    def refresh(self) -> None:
        """List the project's rasters again, keeping what was ticked."""
        chosen = {row.key: self._reference(row) for row in self._rows if self._ticked(row)}
        self._fill(chosen)

    def _refresh_soon(self, *_: Any) -> None:
        self._soon.start(0)

    def _let_go(self, ids: List[str]) -> None:
        """Layers are gone; say which of them were used."""
        used = [row for row in self._rows if self._ticked(row)]
        gone = [row.item.text(NAME) for row in used if row.key in ids]
        gone += [row.mask.currentText() for row in used if row.mask.currentData() in ids]
        self._rows = [row for row in self._rows if row.key not in ids]
        self._refresh_soon()
        if gone:
            self.changed.emit()
        for name in gone:
            self.lost.emit(name)

    def _is_gone(self, key: str) -> bool:
        """Whether this was a layer of the project."""
        known = (FOUND, CLEAR, *self._paths, *self._mask_paths)
        return key not in known and QgsProject.instance().mapLayer(key) is None

    def tick(self, layer: QgsMapLayer) -> None:
        """Use a layer as another date."""
        if self._soon.isActive():
            self.refresh()
        for row in self._rows:
            if row.source is layer:
                row.item.setCheckState(NAME, Qt.CheckState.Checked)

    def leave_out(self, layers: List[QgsMapLayer], single_band: bool) -> None:
        """Do not list these layers: target, masks, elevation, radar.

        Args:
            single_band: whether rasters of one band are listed; beside a target of many bands
                they are masks and elevation, as a rule.
        """
        wanted = {layer.id() for layer in layers}, single_band
        if wanted != (self._left_out, self._single_band):
            self._left_out, self._single_band = wanted
            self.refresh()

    def values(self) -> Dict[str, Any]:
        """Fields of `Choices`."""
        return {
            "references": tuple(self._reference(row) for row in self._rows if self._ticked(row)),
            **self.folder.values(),
        }

    def show_choices(self, choices: Choices) -> None:
        """Show what was chosen before."""
        chosen = {}
        for reference in choices.references:
            key = reference.source if isinstance(reference.source, str) else reference.source.id()
            chosen[key] = reference
            if isinstance(reference.source, str) and key not in self._paths:
                self._paths.append(key)
        self.folder.show_choices(choices)
        self._fill(chosen)

    def show_found(self, found: Sequence[Optional[Mapping[str, Any]]]) -> None:
        """Show dates and masks that the backend found, in the order of the ticked rows.

        Args:
            found: `inspect`'s references: `date`, `masks` (kinds and paths); None where it left one out.
        """
        rows = [row for row in self._rows if self._ticked(row)]
        self._found = {row.key: facts for row, facts in zip(rows, found) if facts is not None}
        self.tree.blockSignals(True)
        for row in rows:
            self._show_facts(row)
        self.tree.blockSignals(False)
        facts = [self._found[row.key] for row in self._masked() if row.key in self._found]
        recognised = {mask["kind"] for each in facts for mask in each["masks"]}
        self.kind.show_recognised(recognised.pop() if len(recognised) == 1 else None)

    def _show_facts(self, row: Row) -> None:
        """Show what was found for a row, if anything was."""
        facts = self._found.get(row.key)
        if facts is None:
            return
        if not self._own_date(row):
            row.item.setText(DATE, facts.get("date") or "?")
        masks = facts["masks"]
        row.mask.setItemText(0, tr("found") if masks else tr("find beside"))
        files = ", ".join(file_name(mask["path"]) for mask in masks)
        row.mask.setItemData(0, literal(files), Qt.ItemDataRole.ToolTipRole)

    def _fill(self, chosen: Mapping[str, ReferenceChoice]) -> None:
        self._soon.stop()
        rasters = [
            layer
            for layer in QgsProject.instance().mapLayers().values()
            if isinstance(layer, QgsRasterLayer) and (layer.id() in chosen or self._offered(layer))
        ]
        rasters.sort(key=lambda layer: layer.name().lower())
        self.tree.blockSignals(True)
        self.tree.clear()
        self._rows = []
        sources: List[LayerOrPath] = [*rasters, *self._paths]
        items = [QTreeWidgetItem() for _ in sources]
        self.tree.addTopLevelItems(items)  # at once: with every single one the tree lays out all anew
        for source, item in zip(sources, items):
            self._show(source, item, chosen.get(source if isinstance(source, str) else source.id()))
        self.tree.blockSignals(False)
        self._make_room()
        self._show_kinds()
        in_tab_order([self.tree, *(row.mask for row in self._rows), self.kind])
        self.changed.emit()

    def _fit(self) -> None:
        self._fit_columns()
        self._make_room()

    def _fit_columns(self) -> None:
        """Wide enough for a date, and for what is said most of its gaps."""
        text = self.tree.fontMetrics().horizontalAdvance
        self.tree.setColumnWidth(DATE, text("2020-01-28") + 12)
        self.tree.setColumnWidth(MASK, text(tr("find beside")) + 34)

    def _make_room(self) -> None:
        """As high as the list is long, within bounds; an empty one as with a row."""
        row = max(self.tree.sizeHintForRow(0), self.tree.fontMetrics().height() + 6)
        rows = min(max(len(self._rows), 1), MOST)
        head, frame = self.tree.header().sizeHint().height(), 2 * self.tree.frameWidth()
        self.tree.setFixedHeight(head + rows * row + frame)

    def _offered(self, layer: QgsRasterLayer) -> bool:
        """Whether a raster can be another date: no picture, no result, not in another role."""
        return (
            layer.providerType() not in PICTURES
            and layer.customProperty(ROLE) is None
            and layer.id() not in self._left_out
            and (layer.bandCount() > 1 or self._single_band)
        )

    def _show(self, source: LayerOrPath, item: QTreeWidgetItem, reference: Optional[ReferenceChoice]) -> None:
        name = file_name(source) if isinstance(source, str) else source.name()
        item.setText(NAME, name)
        item.setToolTip(
            NAME, literal(source if isinstance(source, str) else f"{name}\n{public_source(source)}")
        )
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(NAME, Qt.CheckState.Checked if reference else Qt.CheckState.Unchecked)
        mask = MaskChooser(source)
        mask.setAccessibleName(tr("Gaps of {name}").format(name=name))
        self.tree.setItemWidget(item, MASK, mask)
        row = Row(source, item, mask, source if isinstance(source, str) else source.id())
        if reference is not None:
            if reference.date:
                item.setText(DATE, reference.date)
                item.setData(DATE, Qt.ItemDataRole.UserRole, reference.date)
            self._show_mask(row, reference.mask)
            self._show_facts(row)
        self._rows.append(row)
        mask.currentIndexChanged.connect(lambda _: self._choose_mask(row))

    def _show_mask(self, row: Row, choice: Optional[MaskChoice]) -> None:
        if choice is None:
            return
        if choice.kind == "none":
            row.mask.setCurrentIndex(row.mask.findData(CLEAR))
            return
        row.kind = choice.kind
        if isinstance(choice.source, str):
            self._mask_paths.add(choice.source)
        row.mask.choose(choice.source)

    def _masked(self) -> List[Row]:
        """Rows in use whose mask is chosen here."""
        used = [row for row in self._rows if self._ticked(row)]
        return [row for row in used if row.mask.currentData() not in (FOUND, CLEAR)]

    def _show_kinds(self) -> None:
        """Show how the masks that are chosen here are read: one kind for all, or `a;b` in the rows' order."""
        masked = self._masked()
        self.kind.blockSignals(True)
        self.kind.show_kind(join_kinds([row.kind for row in masked]))
        self.kind.blockSignals(False)
        self.kind_line.setVisible(bool(masked))

    def _choose_mask(self, row: Row) -> None:
        """A mask that has no kind yet is read as the others are."""
        kinds = {other.kind for other in self._masked() if other is not row}
        if row.kind == "auto" and len(kinds) == 1:
            row.kind = kinds.pop()
        self._show_kinds()
        self.changed.emit()

    def _choose_kind(self, _: str) -> None:
        text, masked = self.kind.kind(), self._masked()
        each = [kind.strip() for kind in text.split(";")]
        for row, kind in zip(masked, each if len(each) == len(masked) else [text] * len(masked)):
            row.kind = kind  # a list of another length is no kind, as the backend will say
        self.changed.emit()

    def _reference(self, row: Row) -> ReferenceChoice:
        key = row.mask.currentData()
        mask: Optional[MaskChoice] = None
        if key == CLEAR:
            mask = MaskChoice("", "none")
        elif key != FOUND and not self._is_gone(key):
            mask = MaskChoice(QgsProject.instance().mapLayer(key) or key, row.kind)
        return ReferenceChoice(row.source, mask, self._own_date(row))

    @staticmethod
    def _ticked(row: Row) -> bool:
        return row.item.checkState(NAME) == Qt.CheckState.Checked

    @staticmethod
    def _own_date(row: Row) -> Optional[str]:
        """The date that the analyst typed, None where it is found."""
        return row.item.data(DATE, Qt.ItemDataRole.UserRole) or None

    def _edit_date(self, item: Optional[QTreeWidgetItem], column: int) -> None:
        if item is not None and column == DATE:
            self.tree.editItem(item, DATE)

    def _edited(self, item: QTreeWidgetItem, column: int) -> None:
        if column == DATE:
            self.tree.blockSignals(True)
            item.setData(DATE, Qt.ItemDataRole.UserRole, item.text(DATE).strip().strip("?"))
            self.tree.blockSignals(False)
        self._show_kinds()
        self.changed.emit()

    def _browse_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, tr("Rasters of other dates"), QgsProject.instance().homePath()
        )
        self.add_paths(paths)

    def add_paths(self, paths: List[str]) -> None:
        """List files that are no layers, ticked."""
        self._paths += [path for path in paths if path not in self._paths]
        chosen = {row.key: self._reference(row) for row in self._rows if self._ticked(row)}
        self._fill({**chosen, **{path: ReferenceChoice(path) for path in paths}})

    def _list(self, references: List[ReferenceChoice]) -> None:
        """List these files, which were a folder's, ticked; those that are layers stay layers."""
        chosen = {row.key: self._reference(row) for row in self._rows if self._ticked(row)}
        for reference in references:
            item = layer_of(str(reference.source), QgsProject.instance()) or str(reference.source)
            key = item if isinstance(item, str) else item.id()
            if isinstance(item, str) and key not in self._paths:
                self._paths.append(key)
            chosen.setdefault(key, reference)
        self._fill(chosen)
