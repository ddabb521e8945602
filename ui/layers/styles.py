"""How results look: one stretch for before and after, a ramp from sure to unsure, names for sources."""

from __future__ import annotations

from math import nan
from typing import Optional, Tuple

from qgis.core import (
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRaster,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRasterShader,
    QgsRasterTransparency,
    QgsReadWriteContext,
    QgsRectangle,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtXml import QDomDocument

from ..tr import tr

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


def style_filled(layer: QgsRasterLayer, like: Optional[QgsMapLayer], share: bool = False) -> None:
    """Copy the style of the layer that was filled, with one stretch for both.

    An automatic stretch of a clouded scene is made for clouds. So where the target's is
    automatic, the stretch is taken from the filled scene, and with `share` set on both;
    one that the analyst set by hand is copied as it is. What was no layer, as a product, is shown
    in the colours that its file tells.
    """
    if not isinstance(like, QgsRasterLayer) or like.bandCount() != layer.bandCount():
        _show_colours(layer)
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

    The legend says what it is in: the raster's own values, which need not be the reflectance that errors
    are told in. One band is shown, and the legend names it: the one that `like` shows first (its red or
    gray), so that the map and its uncertainty speak of the same values. A mean would be no
    band's standard deviation.
    """
    band = _first_shown(like, layer.bandCount())
    top = float(f"{_upper_limit(layer, band) or 1.0:.3g}")  # the legend writes it out
    ramp = QgsColorRampShader(0.0, top)
    ramp.setColorRampType(QgsColorRampShader.Type.Interpolated)
    ramp.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(share * top, QColor(color), f"{share * top:.3g}")
            for share, color in UNCERTAINTY_RAMP
        ]
    )
    legend = QgsColorRampLegendNodeSettings()
    legend.setSuffix(tr(" (raster's values)"))
    ramp.setLegendSettings(legend)
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
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


def is_our_ramp(layer: QgsRasterLayer) -> bool:
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


def _show_colours(layer: QgsRasterLayer) -> None:
    """Show red, green and blue where the file has them: of itself QGIS shows the first three bands."""
    provider, renderer, colour = layer.dataProvider(), layer.renderer(), QgsRaster.ColorInterpretation
    kinds = [provider.colorInterpretation(band) for band in range(1, layer.bandCount() + 1)]
    seen = (colour.RedBand, colour.GreenBand, colour.BlueBand)
    if isinstance(renderer, QgsMultiBandColorRenderer) and set(seen) <= set(kinds):
        red, green, blue = (kinds.index(kind) + 1 for kind in seen)
        renderer.setRedBand(red)
        renderer.setGreenBand(green)
        renderer.setBlueBand(blue)
        layer.setDefaultContrastEnhancement()


def _date_like(layer: QgsRasterLayer, like: Optional[QgsMapLayer]) -> None:
    """Show a layer when the temporal controller shows the raster `like`; where that has no time, always."""
    if isinstance(like, QgsRasterLayer):
        document, context = QDomDocument(), QgsReadWriteContext()
        element = document.createElement("time")
        like.temporalProperties().writeXml(element, document, context)
        layer.temporalProperties().readXml(element, context)


def _first_shown(like: Optional[QgsMapLayer], count: int) -> int:
    """The first band that a layer of as many bands shows, else 1."""
    if isinstance(like, QgsRasterLayer) and like.bandCount() == count and like.renderer() is not None:
        return int(next(iter(like.renderer().usesBands()), 1))
    return 1


def _upper_limit(layer: QgsRasterLayer, band: int) -> float:
    """The 98th percentile of what is above 0, as the histogram of a sample tells."""
    bins = 400
    histogram = layer.dataProvider().histogram(band, bins, 0.0, nan, QgsRectangle(), SAMPLE)
    top = histogram.maximum
    if not top > 0:
        return 0.0
    counts = list(histogram.histogramVector)
    counts[0] = 0  # valid pixels
    total, seen = sum(counts), 0
    for i, count in enumerate(counts):
        seen += count
        if seen >= 0.98 * total > 0:
            return float(top * (i + 1) / bins)
    return float(top)
