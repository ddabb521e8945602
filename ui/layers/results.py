"""Results as layers: a group beside the target, and what stays of an earlier one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from qgis.core import (
    QgsDataProvider,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QColor

from ..tr import tr
from .styles import is_our_ramp, style_filled, style_provenance, style_std

BEFORE = "terramend/before"
"""Custom property of a filled layer: the id of the layer that it was made from."""

ROLE = "terramend/role"
"""Custom property of every layer that Terramend made."""

SUBJECT = "terramend/subject"
"""Custom property of a result: what was filled, as `Subject.key`."""


@dataclass(frozen=True)
class Subject:
    """What a run fills. Its layer is known by id alone, because it may go while the run is on.

    Attributes:
        name: what results are called after. layer_id: of its first layer, empty for a file.
        bands: whether it is several layers of a band each.
    """

    name: str
    layer_id: str
    bands: bool

    @property
    def key(self) -> str:
        """What tells it from others in the same project."""
        return self.layer_id or self.name

    def layer(self) -> Optional[QgsMapLayer]:
        """Its first layer, None for a file and where the layer is gone."""
        return QgsProject.instance().mapLayer(self.layer_id) if self.layer_id else None


def add_results(
    result: Mapping[str, Any], subject: Subject, title: str, project: QgsProject
) -> List[QgsRasterLayer]:
    """Load a fill's outputs as a group right above the target, or above the group of its bands.

    A layer of an earlier fill of the same target that shows one of these files stays as the
    analyst made it, with the new pixels; what is new goes into its group. Layers of these files
    that the analyst added by hand show the new pixels, too.

    Args:
        result: `backend.request.FillResult` as JSON.
        subject: what was filled. title: of the group.

    Returns:
        The layers, the filled raster first.
    """
    target = subject.layer()
    layers: List[QgsRasterLayer] = []
    fresh: List[Tuple[str, QgsRasterLayer]] = []
    kinds = (
        ("outputs", tr("filled"), lambda layer, like: style_filled(layer, like, share=True)),
        ("stds", tr("uncertainty"), style_std),
        ("provenances", tr("provenance"), style_provenance),
    )
    for kind, label, style in kinds:
        for number, path in enumerate(result.get(kind, ())):
            of = _stem(path) if number else subject.name  # in lists of layers the group is not seen
            layer = QgsRasterLayer(path, tr("{label}, {name}").format(label=label, name=of))
            for old in _showing([path], project, role=None):
                if old.bandCount() == layer.bandCount():
                    _reread(old)
            known = [la for la in _showing([path], project) if _may_stay(la, layer, subject)]
            for old in known:
                _reread(old)
                if kind == "stds" and is_our_ramp(old):
                    style_std(old, old)
            if not known:
                style(layer, target or next(iter(layers[number:]), None))  # of no layer, like the filled one
                fresh.append((kind, layer))
            layers.append(known[0] if known else layer)
    if not fresh:
        return layers
    new = [layer for _, layer in fresh]
    there = _group_of([layer for layer in layers if layer not in new], project)
    group = _insert_group(title, target, project, subject.bands) if there is None else there
    over = [layer for kind, layer in fresh if kind != "outputs"]  # clear but for the gaps: above the pixels
    for kind, layer in fresh:
        layer.setCustomProperty(ROLE, "result")
        layer.setCustomProperty(SUBJECT, subject.key)
        if kind == "outputs" and target is not None:
            layer.setCustomProperty(BEFORE, target.id())
        project.addMapLayer(layer, False)
        node = group.insertLayer(over.index(layer) if layer in over else -1, layer)
        node.setItemVisibilityChecked(layer is layers[0])
        node.setExpanded(kind != "outputs")
    if there is None:  # QGIS's tree does not always open a group that came without layers
        group.setExpanded(False)
        group.setExpanded(True)
    return layers


def earlier_results(result: Mapping[str, Any], subject: Subject, project: QgsProject) -> List[str]:
    """Ids of layers whose files this run replaced, and that show something else by now.

    To be asked before `add_results`, which keeps the others.
    """
    layers = _showing([*result["outputs"], *result.get("stds", ()), *result.get("provenances", ())], project)
    return [la.id() for la in layers if not _may_stay(la, QgsRasterLayer(la.source()), subject)]


def remove_results(layer_ids: Sequence[str], project: QgsProject) -> None:
    """Take layers away, and the groups that held nothing else."""
    for name in layer_ids:
        node = project.layerTreeRoot().findLayer(name)
        group = None if node is None else node.parent()
        layer = project.mapLayer(name)
        if layer is not None:
            path = layer.source()
            project.removeMapLayer(name)
            _forget_statistics(path)  # GDAL has just left them beside the file, which is another's by now
        if group is not None and group.parent() is not None and not group.children():
            group.parent().removeChildNode(group)


def show_gap_mask(path: str, title: str, project: QgsProject) -> QgsRasterLayer:
    """Load a gap mask on top of all, gaps in red."""
    layer = QgsRasterLayer(path, tr("{name}, gaps (not saved)").format(name=title))
    gap = QgsPalettedRasterRenderer.Class(1, QColor(220, 30, 30, 170), tr("would be filled"))
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, [gap]))
    layer.setCustomProperty(ROLE, "mask")
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertLayer(0, layer)
    return layer


class Preview:
    """The layers of the last preview. One that shows another file by now is the analyst's, and stays."""

    def __init__(self) -> None:
        self._files: Dict[str, str] = {}  # by the layers' ids

    def replace(self, layers: Sequence[QgsMapLayer]) -> None:
        """These layers take the place of the last ones."""
        self.forget()
        self._files = {layer.id(): layer.source() for layer in layers}

    def forget(self) -> None:
        """Take the layers away."""
        project, files = QgsProject.instance(), self._files
        shown = [layer for layer in project.mapLayers().values() if layer.source() == files.get(layer.id())]
        remove_results([layer.id() for layer in shown], project)
        self._files = {}


class Styler(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer when Processing has loaded it.

    QGIS does not own what it calls, and drops the algorithm before its layers are there. So a
    styler keeps itself alive until it was called.

    Args:
        role: `filled`, `std` or `provenance`. like: id of the layer that was filled, or nothing.
        filled: path of the filled raster.
    """

    waiting: ClassVar[Set[Styler]] = set()

    def __init__(self, role: str, like: str, filled: str) -> None:
        super().__init__()
        self._role, self._like, self._filled = role, like, filled
        self.waiting.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Called by Processing in the GUI thread."""
        # Not at once: QGIS may still be inside this object.
        QTimer.singleShot(0, lambda: self.waiting.discard(self))
        like = context.project().mapLayer(self._like) if context.project() else None
        if self._role == "std":
            if like is None:
                like = QgsRasterLayer(self._filled)
                style_filled(like, None)
            style_std(layer, like)
        elif self._role == "provenance":
            style_provenance(layer, like)
        else:
            style_filled(layer, like)
            if like is not None:
                layer.setCustomProperty(BEFORE, self._like)
        layer.setCustomProperty(ROLE, "result")
        layer.setCustomProperty(SUBJECT, self._like)
        layer.triggerRepaint()


def _showing(
    paths: Iterable[str], project: QgsProject, role: Optional[str] = "result"
) -> List[QgsRasterLayer]:
    """The results in the project that show one of these files; `role` None: the layers of others."""
    files = {Path(path) for path in paths}
    layers = [la for la in project.mapLayers().values() if isinstance(la, QgsRasterLayer)]
    return [la for la in layers if la.customProperty(ROLE) == role and Path(la.source()) in files]


def _may_stay(layer: QgsRasterLayer, now: QgsRasterLayer, subject: Subject) -> bool:
    """Whether the style of a layer fits its file as it is `now`, filled from this subject."""
    return layer.customProperty(SUBJECT) == subject.key and layer.bandCount() == now.bandCount()


def _reread(layer: QgsRasterLayer) -> None:
    """Show what the layer's file holds now. `reload` alone would keep the statistics of the old pixels."""
    old, crs = layer.dataProvider(), layer.crs()
    old.reloadData()  # what is closed leaves those statistics beside the file
    _forget_statistics(layer.source())
    overridden = crs != old.crs()
    numbers = range(1, layer.bandCount() + 1)
    nodata = [(old.userNoDataValues(n), old.useSourceNoDataValue(n)) for n in numbers]
    layer.setDataSource(layer.source(), layer.name(), "gdal", QgsDataProvider.ProviderOptions())
    for number, (ranges, declared) in zip(numbers, nodata):
        layer.dataProvider().setUserNoDataValue(number, ranges)
        layer.dataProvider().setUseSourceNoDataValue(number, declared)
    if overridden:
        layer.setCrs(crs)
    layer.triggerRepaint()


def _forget_statistics(path: str) -> None:
    """Remove what QGIS keeps of a file's values, where that may be of the file that was there before."""
    with contextlib.suppress(OSError):  # there is none, or it may not be written
        Path(f"{path}.aux.xml").unlink()


def _group_of(layers: Sequence[QgsMapLayer], project: QgsProject) -> Optional[QgsLayerTreeGroup]:
    """The group that the first of these layers stands in, None where it stands in none."""
    node = project.layerTreeRoot().findLayer(layers[0].id()) if layers else None
    group = None if node is None else node.parent()
    return group if group is not None and group.parent() is not None else None


def _insert_group(
    title: str, target: Optional[QgsMapLayer], project: QgsProject, bands: bool
) -> QgsLayerTreeGroup:
    """A new group right above the target, or above the group of its bands, or on top."""
    root = project.layerTreeRoot()
    node = None if target is None else root.findLayer(target.id())
    if node is None:
        return root.insertGroup(0, title)
    parent = node.parent()
    if bands and parent.parent() is not None:
        node, parent = parent, parent.parent()
    return parent.insertGroup(parent.children().index(node), title)


def _stem(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
