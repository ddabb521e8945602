"""Results as layers: a group beside the target, styles that compare and legends that name."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from qgis.core import (
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsDataProvider,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRasterShader,
    QgsRasterTransparency,
    QgsReadWriteContext,
    QgsRectangle,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtXml import QDomDocument

from .tr import tr

BEFORE = "terramend/before"
"""Custom property of a filled layer: the id of the layer that it was made from."""

ROLE = "terramend/role"
"""Custom property of every layer that Terramend made."""

SUBJECT = "terramend/subject"
"""Custom property of a result: what was filled, as `Subject.key`."""

CARRIED = (
    QgsMapLayer.StyleCategory.Symbology
    | QgsMapLayer.StyleCategory.Rendering
    | QgsMapLayer.StyleCategory.Temporal
)
"""What a filled layer takes of the style of its target; notes and custom properties are its own."""

SAMPLE = 250_000
"""Pixels from which stretches are estimated."""

UNCERTAINTY_RAMP = (
    (0.0, "#2c7bb6"),
    (0.33, "#abd9e9"),
    (0.55, "#ffffbf"),
    (0.78, "#fdae61"),
    (1.0, "#d7191c"),
)


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


def provenance_legend() -> Tuple[Tuple[int, str, str], ...]:
    """Code (as `models.base.Source`), name and colour of every source of a pixel."""
    return (
        (0, tr("valid, unchanged"), "#00000000"),
        (1, tr("other dates"), "#1b9e77"),
        (2, tr("surroundings"), "#e6ab02"),
        (3, tr("generated"), "#e7298a"),
        (4, tr("terrain or radar"), "#7570b3"),
        (5, tr("altered (thin cloud)"), "#66a61e"),
        (254, tr("could not be filled"), "#d95f02"),
        (255, tr("outside the footprint"), "#00000000"),
    )


def add_results(
    result: Mapping[str, Any], subject: Subject, title: str, project: QgsProject
) -> List[QgsRasterLayer]:
    """Load a fill's outputs as a group right above the target, or above the group of its bands.

    A layer of an earlier fill of the same target that shows one of these files stays as the
    analyst made it, with the new pixels; what is new goes into its group.

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
        ("outputs", tr("filled"), lambda layer: style_filled(layer, target, share=True)),
        ("stds", tr("uncertainty"), lambda layer: style_std(layer, target)),
        ("provenances", tr("provenance"), lambda layer: style_provenance(layer, target)),
    )
    for kind, label, style in kinds:
        for number, path in enumerate(result.get(kind, ())):
            name = tr("{label}, {file}").format(label=label, file=_stem(path)) if number else label
            layer = QgsRasterLayer(path, name)
            known = [la for la in _showing([path], project) if _may_stay(la, layer, subject)]
            for old in known:
                _reread(old)
                if kind == "stds" and _is_our_ramp(old):
                    style_std(old, old)
            if not known:
                style(layer)
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
        node.setExpanded(layer.name() != tr("filled"))
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


def style_filled(layer: QgsRasterLayer, like: Optional[QgsMapLayer], share: bool = False) -> None:
    """Copy the style of the layer that was filled, with one stretch for both.

    An automatic stretch of a clouded scene is made for clouds. So where the target's is
    automatic, the stretch is taken from the filled scene, and with `share` set on both;
    one that the analyst set by hand is copied as it is.
    """
    if not isinstance(like, QgsRasterLayer) or like.bandCount() != layer.bandCount():
        return
    document = QDomDocument("qgis")
    like.exportNamedStyle(document, QgsReadWriteContext(), CARRIED)
    layer.importNamedStyle(document)
    renderer = layer.renderer()
    if renderer is None:
        return
    automatic = renderer.minMaxOrigin().limits() != QgsRasterMinMaxOrigin.Limits.None_
    if automatic and renderer.type() in ("multibandcolor", "singlebandgray"):
        layer.setContrastEnhancement(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
            QgsRasterMinMaxOrigin.Limits.CumulativeCut,
            QgsRectangle(),
            SAMPLE,
        )
    fixed = QgsRasterMinMaxOrigin()
    fixed.setLimits(QgsRasterMinMaxOrigin.Limits.None_)
    layer.renderer().setMinMaxOrigin(fixed)
    if automatic and share:
        like.setRenderer(layer.renderer().clone())
        like.triggerRepaint()


def style_std(layer: QgsRasterLayer, like: Optional[QgsMapLayer] = None) -> None:
    """A ramp from sure to unsure; valid pixels, whose uncertainty is 0, are clear.

    One band is shown, and the legend names it: the one that `like` shows first (its red or
    gray), so that the map and its uncertainty speak of the same values. A mean would be no
    band's standard deviation.
    """
    band = _first_shown(like, layer.bandCount())
    provider = layer.dataProvider()
    wanted = QgsRasterBandStats.Stats.Max | QgsRasterBandStats.Stats.Mean | QgsRasterBandStats.Stats.StdDev
    stats = provider.bandStatistics(band, wanted, QgsRectangle(), SAMPLE)
    top = float(f"{_upper_limit(layer, band) or stats.maximumValue or 1.0:.3g}")  # the legend writes it out
    ramp = QgsColorRampShader(0.0, top)
    ramp.setColorRampType(QgsColorRampShader.Type.Interpolated)
    ramp.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(share * top, QColor(color), f"{share * top:.3g}")
            for share, color in UNCERTAINTY_RAMP
        ]
    )
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(provider, band, shader)
    renderer.setClassificationMin(0.0)
    renderer.setClassificationMax(top)
    zero = QgsRasterTransparency.TransparentSingleValuePixel()
    zero.min, zero.max, zero.percentTransparent = 0.0, 0.0, 100.0
    transparency = QgsRasterTransparency()
    transparency.setTransparentSingleValuePixelList([zero])
    renderer.setRasterTransparency(transparency)
    renderer.setOpacity(layer.opacity())
    layer.setRenderer(renderer)
    _date_like(layer, like)


def style_provenance(layer: QgsRasterLayer, like: Optional[QgsMapLayer] = None) -> None:
    """A colour and a name for every source; it is of the time of `like`."""
    classes = [
        QgsPalettedRasterRenderer.Class(code, QColor(color), name)
        for code, name, color in provenance_legend()
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    _date_like(layer, like)


def _date_like(layer: QgsRasterLayer, like: Optional[QgsMapLayer]) -> None:
    """Show a layer when the temporal controller shows the raster `like`; where that has no time, always."""
    if isinstance(like, QgsRasterLayer):
        document, context = QDomDocument(), QgsReadWriteContext()
        element = document.createElement("time")
        like.temporalProperties().writeXml(element, document, context)
        layer.temporalProperties().readXml(element, context)


class Styler(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer when Processing has loaded it.

    QGIS does not own what it calls, and drops the algorithm before its layers are there. So a
    styler keeps itself alive until it was called.

    Args:
        role: `filled`, `std` or `provenance`. like: id of the layer that was filled, or nothing.
    """

    waiting: ClassVar[Set[Styler]] = set()

    def __init__(self, role: str, like: str) -> None:
        super().__init__()
        self._role, self._like = role, like
        self.waiting.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Called by Processing in the GUI thread."""
        # Not at once: QGIS may still be inside this object.
        QTimer.singleShot(0, lambda: self.waiting.discard(self))
        like = context.project().mapLayer(self._like) if context.project() else None
        if self._role == "std":
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


def _showing(paths: Iterable[str], project: QgsProject) -> List[QgsRasterLayer]:
    """The results in the project that show one of these files."""
    files, layers = {Path(path) for path in paths}, project.mapLayers().values()
    return [la for la in layers if la.customProperty(ROLE) == "result" and Path(la.source()) in files]


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


def _is_our_ramp(layer: QgsRasterLayer) -> bool:
    """Whether an uncertainty still has the ramp of `style_std`, whose top fits its own values alone."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsSingleBandPseudoColorRenderer):
        return False
    top = renderer.classificationMax()
    ramp = renderer.shader().rasterShaderFunction()
    items = [(item.value, item.color.name()) for item in ramp.colorRampItemList()]
    return len(items) == len(UNCERTAINTY_RAMP) and all(
        abs(value - share * top) <= 1e-6 * top and name == color
        for (value, name), (share, color) in zip(items, UNCERTAINTY_RAMP)
    )


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


def _first_shown(like: Optional[QgsMapLayer], count: int) -> int:
    """The first band that a layer of as many bands shows, else 1."""
    if isinstance(like, QgsRasterLayer) and like.bandCount() == count and like.renderer() is not None:
        return int(next(iter(like.renderer().usesBands()), 1))
    return 1


def _upper_limit(layer: QgsRasterLayer, band: int) -> float:
    """The 98th percentile of what is above 0, as the histogram of a sample tells."""
    stats = layer.dataProvider().bandStatistics(band, QgsRasterBandStats.Stats.Max, QgsRectangle(), SAMPLE)
    top = stats.maximumValue
    if not top > 0:
        return 0.0
    bins = 400
    histogram = layer.dataProvider().histogram(band, bins, 0.0, top, QgsRectangle(), SAMPLE)
    counts = list(histogram.histogramVector)
    counts[0] = 0  # valid pixels
    total, seen = sum(counts), 0
    for i, count in enumerate(counts):
        seen += count
        if seen >= 0.98 * total > 0:
            return float(top * (i + 1) / bins)
    return float(top)


def _stem(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
