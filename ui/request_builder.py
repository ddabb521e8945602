"""The one builder of requests: from choices to the JSON of `backend.request.FillRequest`."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Tuple, Union

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeedback,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedRectangle,
)

from ..backend.errors import TerramendError
from ..backend.request import FillRequest, Mask, Reference, to_json, validate
from .choices import SAME, ChoiceError, Choices, MaskChoice
from .layers.conversions import Conversion, Export, SourceError
from .layers.sources import LayerOrPath, SourceMaker, day, source_from_here
from .tr import tr
from .words.messages import error_sentence

REFUSALS = (ChoiceError, SourceError)
"""What keeps a request from being built; the text is a sentence for the user."""
UNWRITTEN = "not yet known"
"""The output of a request of which nothing is written."""


@dataclass(frozen=True)
class Built:
    """A request, and what must happen around it.

    Attributes:
        request: JSON for the backend.
        conversions: copies to be made first, outside the GUI thread.
        folder: temporary files of this request; `remove` when the run is over.
        names: of the layers that these files stand for, by path.
    """

    request: Dict[str, Any]
    conversions: Tuple[Union[Conversion, Export], ...]
    folder: str
    names: Dict[str, str]

    def convert(self, feedback: QgsFeedback) -> None:
        """Make the copies that the backend needs. Raises `SourceError`, and `ClientError` when cancelled."""
        for conversion in self.conversions:
            conversion.run(feedback)

    def remove(self) -> None:
        """Delete the temporary files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def build(choices: Choices, **extra: Any) -> Built:
    """Build and check a request; call in the thread that owns the layers.

    Args:
        choices: what the analyst chose.
        extra: further fields of `FillRequest`, such as `overwrite` or `jobs`.

    Raises:
        SourceError: a layer cannot be used.
        ChoiceError: a choice is not valid.
    """
    folder = tempfile.mkdtemp(prefix="terramend_", dir=QgsProcessingUtils.tempFolder())
    try:
        maker = SourceMaker(folder)
        request = _request(dated(choices), maker, extra)
        validate(request)
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, TerramendError):
            raise ChoiceError(error_sentence(error.code, error.arguments, str(error))) from None
        raise
    return Built(_sparse(request), tuple(maker.conversions), folder, maker.names)


def dated(choices: Choices) -> Choices:
    """The choices with the days of their layers' temporal properties where no date was typed."""
    days = {day(item) for item in choices.target} - {None}
    return replace(
        choices,
        date=choices.date or (days.pop() if len(days) == 1 else None),
        references=tuple(replace(r, date=r.date or day(r.source)) for r in choices.references),
    )


def _sparse(request: FillRequest) -> Dict[str, Any]:
    """The request without what is at its default, where the backend's settings may stand in."""
    default = to_json(FillRequest(request.target, request.output))
    return {
        name: value
        for name, value in to_json(request).items()
        if value != default[name] or name in ("target", "output", "schema_version")
    }


def _request(choices: Choices, maker: SourceMaker, extra: Dict[str, Any]) -> FillRequest:
    sources = [maker.target(item) for item in choices.target]
    references = []
    for reference in choices.references:
        masks = () if reference.mask is None else (_mask(reference.mask, maker),)
        references.append(Reference(maker.raster(reference.source), masks, reference.date))
    same = {name: getattr(choices, name) for name in SAME}
    if choices.references_from:
        same["references_from"] = source_from_here(choices.references_from)
    return FillRequest(
        target=tuple(source.path for source in sources),
        gaps=tuple(_mask(mask, maker) for mask in choices.gaps),
        references=tuple(references),
        dem=None if choices.dem is None else maker.raster(choices.dem),
        sar=None if choices.sar is None else maker.raster(choices.sar),
        target_crs=_common(
            [source.crs for source in sources],
            tr("The target's layers have different coordinate systems in their properties; make them equal."),
        ),
        target_nodata=_common(
            [source.nodata for source in sources],
            tr("The target's layers have different nodata values in their properties; make them equal."),
        ),
        extent=_extent(choices, maker),
        **same,
        **extra,
    )


def _mask(mask: MaskChoice, maker: SourceMaker) -> Mask:
    if mask.kind == "none":
        return Mask("", "none")
    if maker.is_polygons(mask.source):
        return Mask(maker.polygons(mask.source), "polygons")
    return Mask(maker.raster(mask.source), mask.kind)


def _common(values: List[Any], refusal: str) -> Any:
    """The one override that all single-band layers of the target share."""
    if len(set(values)) > 1:
        raise SourceError(refusal)
    return values[0] if values else None


def _extent(choices: Choices, maker: SourceMaker) -> Optional[str]:
    extent = choices.extent
    if extent is None:
        return None
    if not isinstance(extent, QgsReferencedRectangle):
        return maker.polygons(extent)
    target = target_crs(choices.target[0]) if choices.target else QgsCoordinateReferenceSystem()
    if not target.isValid() and extent.crs().isValid():
        return maker.rectangle(extent)  # the backend knows the target's CRS better
    box = extent
    if extent.crs().isValid() and extent.crs() != target:
        try:
            transform = QgsCoordinateTransform(extent.crs(), target, QgsProject.instance())
            box = transform.transformBoundingBox(extent)
        except QgsCsException:
            raise SourceError(tr("The extent lies outside the target's coordinate system.")) from None
    return ",".join(repr(v) for v in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))


def target_crs(item: LayerOrPath) -> QgsCoordinateReferenceSystem:
    """The CRS that the request's extent is written in; invalid where QGIS cannot tell."""
    layer = QgsRasterLayer(item, "", "gdal") if isinstance(item, str) else item
    return layer.crs() if layer.isValid() else QgsCoordinateReferenceSystem()
