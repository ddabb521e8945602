"""Choices that outlive the dock: in the project, and in the tags of an output."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsProject

from ..backend.errors import TerramendError
from ..backend.request import from_json
from .choices import ChoiceError, Choices, ReferenceChoice, from_parameters, from_request, to_parameters
from .layers.conversions import SourceError
from .tr import tr

TAG = "TERRAMEND_REQUEST"
SCOPE, KEY, FOLLOWS_MAP = "terramend", "/choices", "/follows_map"
LAYERS_OR_FILES = (
    "PRODUCT", "MORE_BANDS", "GAPS", "REFERENCES", "REFERENCE_GAPS", "REFERENCES_FROM", "DEM", "SAR", "AREA",
    "OUTPUT", "STD", "PROVENANCE",
)  # fmt: skip
"""Parameters whose files are kept as the project keeps those of its layers, mostly relative to itself."""


class Visits:
    """Which project is open: QGIS has one object for all that are opened in turn.

    Attributes:
        count: of the projects that were left so far; whoever hears of it adds one.
    """

    def __init__(self) -> None:
        self.count = 0

    def same(self, project: QgsProject) -> Callable[[], bool]:
        """A question for later: whether the project of now is open still, or again."""
        count, file = self.count, project.absoluteFilePath()
        return lambda: count == self.count or (bool(file) and file == project.absoluteFilePath())


def save(choices: Choices, project: QgsProject, follows_map: bool = False) -> None:
    """Remember choices in the project, and whether their extent is just what the map shows."""
    parameters = _each_file(to_parameters(choices), project.writePath)
    project.writeEntry(SCOPE, KEY, json.dumps(parameters, sort_keys=True))
    project.writeEntryBool(SCOPE, FOLLOWS_MAP, follows_map)


def follows_map(project: QgsProject) -> bool:
    """Whether the extent that the project remembers is what its map shows."""
    return bool(project.readBoolEntry(SCOPE, FOLLOWS_MAP, False)[0])


def load(project: QgsProject) -> Optional[Choices]:
    """The choices that the project remembers, None where it has none that can be read."""
    text, known = project.readEntry(SCOPE, KEY)
    if not known or not text:
        return None
    try:
        parameters = json.loads(text)
        if not _is_of_this_version(parameters):
            return None
        return from_parameters(_each_file(parameters, project.readPath), project)
    except (ValueError, ChoiceError, TypeError):  # written by another version
        return None


def _is_of_this_version(parameters: Any) -> bool:
    """Whether parameters are of the kinds that `save` writes; what the form cannot show would break it."""
    usual = to_parameters(Choices(cloud_threshold=0.0))

    def fits(name: str, value: Any) -> bool:
        kind = str if usual.get(name) is None else type(usual[name])
        if kind is list:
            return isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        return value is None or isinstance(value, (float, int) if kind is float else kind)

    return isinstance(parameters, dict) and all(fits(name, value) for name, value in parameters.items())


def from_layer(layer: QgsMapLayer, project: QgsProject) -> Tuple[Choices, Tuple[str, ...]]:
    """The choices that made a layer, without its outputs, and sentences on what could not be taken over.

    Raises:
        SourceError: the layer is no output of Terramend, or of another version.
    """
    try:
        dataset = gdal.OpenEx(layer.source(), gdal.OF_RASTER)
    except RuntimeError:  # where somebody has asked GDAL for exceptions
        dataset = None
    text = dataset.GetMetadataItem(TAG) if dataset is not None else None
    if not text:
        raise SourceError(tr("The layer {name} was not filled by Terramend.").format(name=layer.name()))
    try:
        request = from_json({"output": layer.source(), **json.loads(text)})
    except (ValueError, TerramendError) as error:
        raise SourceError(
            tr("The settings of {name} cannot be read: {why}").format(name=layer.name(), why=error)
        ) from None
    choices = from_request(request, project)
    gone: List[str] = []

    def there(item: object) -> bool:
        if not isinstance(item, str) or item.startswith("/vsi") or ":" in item[2:]:
            return True
        if os.path.exists(item):  # noqa: PTH110 - Path's raises where a folder is closed to us
            return True
        gone.append(item)
        return False

    def with_mask(reference: ReferenceChoice) -> ReferenceChoice:
        if reference.mask is None or not reference.mask.source or there(reference.mask.source):
            return reference
        return replace(reference, mask=None)

    kept = replace(
        choices,
        target=tuple(item for item in choices.target if there(item)),
        gaps=tuple(mask for mask in choices.gaps if there(mask.source)),
        references=tuple(with_mask(other) for other in choices.references if there(other.source)),
        dem=choices.dem if there(choices.dem) else None,
        sar=choices.sar if there(choices.sar) else None,
        extent=choices.extent if there(choices.extent) else None,
        output="",
    )
    losses = []
    if gone:
        losses.append(tr("Files that are gone were left out: {files}").format(files=", ".join(gone)))
    further = [mask.path for reference in request.references for mask in reference.masks[1:]]
    if further:
        losses.append(
            tr("Here another date has one mask; its further masks were left out: {files}").format(
                files=", ".join(further)
            )
        )
    return kept, tuple(losses)


def _each_file(parameters: Mapping[str, Any], change: Callable[[str], str]) -> Dict[str, Any]:
    """Parameters with their files as the project writes or reads them; a layer's id is no path and stays."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return change(value) if value else value

    return {key: changed(value) if key in LAYERS_OR_FILES else value for key, value in parameters.items()}
