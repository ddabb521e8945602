"""The analyst's choices as plain values: what dock and toolbox collect before a request is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
)

from ..backend.request import DEFAULT_CLASSES, FillRequest
from .layers.sources import LayerOrPath
from .tr import tr

Extent = Union[None, QgsReferencedRectangle, LayerOrPath]
LAYERS = ("target", "gaps", "references", "dem", "sar", "extent")
"""Fields of `Choices` that hold layers, where a request holds paths."""
PLAIN = (
    "output", "own_mask", "missed", "grow", "cloud_threshold", "fill_swath_edges", "references_from",
    "references_clear", "date", "radiometry", "unfilled", "model", "quality", "device", "std", "provenance",
)  # fmt: skip
"""Fields whose parameter of `terramend:fillgaps`, their name in capitals, holds what they hold."""
SEPARATOR = r";[;\s]*(?=[^\s=;]+\s*=|$)"
"""Between settings of a method: a semicolon before the next KEY=, since a prompt may hold others."""
FOUND = "found"
"""In lists of a reference's mask: look beside the reference."""


class ChoiceError(ValueError):
    """Choices that cannot be read or do not fit together; the text says what to give."""


@dataclass(frozen=True)
class MaskChoice:
    """A gap mask: layer or path, and how its values are read."""

    source: LayerOrPath
    kind: str = "auto"


@dataclass(frozen=True)
class ReferenceChoice:
    """Another date; no mask: look beside it. A mask of kind `none`: it is clear everywhere."""

    source: LayerOrPath
    mask: Optional[MaskChoice] = None
    date: Optional[str] = None


@dataclass(frozen=True)
class Choices:
    """All that can be chosen; names and defaults as in `backend.request.FillRequest`.

    `extent` is None (whole scene), a rectangle with its CRS, or a polygon layer.
    `output` is empty for a temporary file, `std` and `provenance` are paths or None: what is not None is
    wanted, and without an `output` its path is not known yet.
    """

    target: Tuple[LayerOrPath, ...] = ()
    output: str = ""
    gaps: Tuple[MaskChoice, ...] = ()
    classes: Tuple[str, ...] = DEFAULT_CLASSES
    grow: Optional[str] = None
    cloud_threshold: Optional[float] = None
    fill_swath_edges: bool = False
    own_mask: bool = False
    missed: bool = False
    references: Tuple[ReferenceChoice, ...] = ()
    references_from: Optional[str] = None
    references_clear: bool = False
    dem: Optional[LayerOrPath] = None
    sar: Optional[LayerOrPath] = None
    sun: Optional[Tuple[float, float]] = None
    date: Optional[str] = None
    radiometry: str = "auto"
    bands: Tuple[int, ...] = ()
    extent: Extent = None
    unfilled: str = "keep"
    model: str = "auto"
    quality: str = "default"
    settings: Tuple[Tuple[str, str], ...] = ()
    seed: int = 0
    device: str = "auto"
    std: Optional[str] = None
    provenance: Optional[str] = None
    creation_options: Tuple[str, ...] = ()


SAME = tuple(field.name for field in fields(Choices) if field.name not in LAYERS)
"""Fields that are the same in `Choices` and in the request."""


def to_parameters(choices: Choices) -> Dict[str, Any]:
    """The choices as JSON-able parameters of `terramend:fillgaps`: history, batch, project state."""
    first = choices.target[0] if choices.target else None
    references = choices.references
    masks = [r.mask for r in references]
    parameters: Dict[str, Any] = {
        **{name.upper(): getattr(choices, name) for name in PLAIN},
        "TARGET": None if first is None or isinstance(first, str) else _name(first),
        "PRODUCT": first if isinstance(first, str) else "",
        "MORE_BANDS": [_name(item) for item in choices.target[1:]],
        "GAPS": [_name(mask.source) for mask in choices.gaps],
        "GAPS_KIND": join_kinds([_part(mask.kind) for mask in choices.gaps]),
        "CLASSES": list(choices.classes),
        "REFERENCES": [_name(r.source) for r in references],
        "REFERENCE_GAPS": [_mask_name(r) for r in references] if any(masks) else [],
        "REFERENCE_GAPS_KIND": join_kinds([_part(m.kind) if m else FOUND for m in masks])
        if any(masks)
        else "auto",
        "REFERENCE_DATES": ";".join(_part(r.date or "") for r in references)
        if any(r.date for r in references)
        else "",
        "DEM": None if choices.dem is None else _name(choices.dem),
        "SAR": None if choices.sar is None else _name(choices.sar),
        "SUN": "" if choices.sun is None else sun_text(choices.sun),
        "BANDS": ",".join(str(band) for band in choices.bands),
        "EXTENT": None,
        "AREA": None,
        "SETTINGS": ";".join(f"{key}={value}" for key, value in choices.settings),
        "SEED": choices.seed,
        "CREATION_OPTIONS": "|".join(choices.creation_options),
    }
    if isinstance(choices.extent, QgsReferencedRectangle):
        box = choices.extent
        sides = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
        crs = box.crs().authid()  # a CRS of one's own has none
        if not crs and box.crs().isValid():
            crs = "PROJ:" + box.crs().toProj()
        parameters["EXTENT"] = ",".join(map(repr, sides)) + f" [{crs}]"
    elif choices.extent is not None:
        parameters["AREA"] = _name(choices.extent)
    return parameters


def from_values(values: Mapping[str, Any]) -> Choices:
    """The inverse of `to_parameters`, with layers and the extent already resolved.

    Raises:
        ChoiceError: what does not go together, texts that cannot be read.
    """
    if values.get("TARGET") and values.get("PRODUCT"):
        raise ChoiceError(tr("Give the raster to fill or the product as delivered, not both."))
    if values.get("AREA") and values.get("EXTENT"):
        raise ChoiceError(tr("Give an extent or polygons inside which is filled, not both."))
    gaps = tuple(values.get("GAPS") or ())
    kinds = _kinds(values.get("GAPS_KIND"), len(gaps), tr("Kind of gap masks"))
    target = values.get("TARGET") or values.get("PRODUCT") or None
    plain = {name: values.get(name.upper()) for name in PLAIN}
    return Choices(
        target=(() if target is None else (target,)) + tuple(values.get("MORE_BANDS") or ()),
        gaps=tuple(MaskChoice(source, kind) for source, kind in zip(gaps, kinds)),
        classes=tuple(values.get("CLASSES") or ()),
        references=_references(values),
        dem=values.get("DEM") or None,
        sar=values.get("SAR") or None,
        sun=read_sun(values.get("SUN") or ""),
        bands=_bands(values.get("BANDS") or ""),
        extent=values.get("AREA") or values.get("EXTENT") or None,
        settings=_settings(values.get("SETTINGS") or ""),
        seed=int(values.get("SEED") or 0),
        creation_options=tuple(o for o in (values.get("CREATION_OPTIONS") or "").split("|") if o),
        **{name: value for name, value in plain.items() if value not in (None, "")},
    )


def from_parameters(parameters: Mapping[str, Any], project: QgsProject) -> Choices:
    """Choices from what `to_parameters` gave, as remembered in a project."""

    def resolve(name: Any) -> Any:
        return layer_of(name, project) or name if name else None

    values = dict(parameters)
    for key in ("TARGET", "DEM", "SAR", "AREA"):
        values[key] = resolve(values.get(key))
    for key in ("MORE_BANDS", "GAPS", "REFERENCES", "REFERENCE_GAPS"):
        values[key] = [resolve(name) for name in values.get(key) or ()]
    values["EXTENT"] = _rectangle(values.get("EXTENT") or "")
    return from_values(values)


def from_request(request: FillRequest, project: QgsProject) -> Choices:
    """Choices that give this request again; files that are layers of the project become these."""

    def found(path: Optional[str]) -> Optional[LayerOrPath]:
        return None if not path else layer_of(path, project) or path

    target = tuple(found(path) or path for path in request.target)
    extent: Extent = None
    if request.extent:
        try:
            west, south, east, north = (float(part) for part in request.extent.split(","))
        except ValueError:
            extent = found(request.extent)
        else:
            layer = target[0]
            crs = QgsCoordinateReferenceSystem() if isinstance(layer, str) else layer.crs()
            extent = QgsReferencedRectangle(QgsRectangle(west, south, east, north), crs)
    references = []
    for reference in request.references:
        masks = [MaskChoice(found(m.path) or "", m.kind) for m in reference.masks]
        references.append(
            ReferenceChoice(found(reference.path) or "", masks[0] if masks else None, reference.date)
        )
    return Choices(
        target=target,
        gaps=tuple(MaskChoice(found(m.path) or "", m.kind) for m in request.gaps),
        references=tuple(references),
        dem=found(request.dem),
        sar=found(request.sar),
        extent=extent,
        **{name: getattr(request, name) for name in SAME},
    )


def layer_of(text: str, project: QgsProject) -> Optional[QgsMapLayer]:
    """The project's layer with this id or source, if there is one."""
    layer = project.mapLayer(text)
    if layer is not None:
        return layer
    for layer in project.mapLayers().values():
        if layer.source().split("|")[0] == text or layer.source() == text:
            return layer
    return None


def join_kinds(kinds: List[str]) -> str:
    """Kinds of masks as one text: one for all, or `a;b;c` in the masks' order."""
    return kinds[0] if len(set(kinds)) == 1 else (";".join(kinds) or "auto")


def _part(text: str) -> str:
    """A kind or date in a list: what is typed there and is none may hold the list's own separator."""
    return text.replace(";", " ")


def _kinds(text: Optional[str], count: int, label: str) -> List[str]:
    kinds = [part.strip() or "auto" for part in (text or "auto").split(";")]
    if len(kinds) == 1:
        return kinds * count
    if len(kinds) != count:
        raise ChoiceError(
            tr("{label}: give one for all, or one for each mask ({count}), separated by semicolons.").format(
                label=label, count=count
            )
        )
    return kinds


def _references(values: Mapping[str, Any]) -> Tuple[ReferenceChoice, ...]:
    sources = tuple(values.get("REFERENCES") or ())
    masks = tuple(values.get("REFERENCE_GAPS") or ())
    if masks and len(masks) != len(sources):
        raise ChoiceError(
            tr(
                "Of references there are {references}, of their masks {masks}: give one for each, in "
                "the same order (the reference itself where its mask lies beside it), or none."
            ).format(references=len(sources), masks=len(masks))
        )
    text = values.get("REFERENCE_GAPS_KIND") or "auto"
    kinds = _kinds(text, len(sources), tr("Kind of the other dates' masks"))
    dates = [part.strip() or None for part in (values.get("REFERENCE_DATES") or "").split(";")]
    if dates == [None]:
        dates = [None] * len(sources)
    if len(dates) != len(sources):
        raise ChoiceError(
            tr(
                "Of references there are {references}, of their dates {dates}: give one for each, or none."
            ).format(references=len(sources), dates=len(dates))
        )
    choices = []
    for i, source in enumerate(sources):
        mask: Optional[MaskChoice] = None
        if kinds[i] == "none":
            mask = MaskChoice("", "none")
        elif masks and _name(masks[i]) != _name(source):
            mask = MaskChoice(masks[i], "auto" if kinds[i] == FOUND else kinds[i])
        choices.append(ReferenceChoice(source, mask, dates[i]))
    return tuple(choices)


def read_sun(text: str) -> Optional[Tuple[float, float]]:
    """Azimuth and elevation from text; None for no text. Raises ChoiceError."""
    if not text.strip():
        return None
    try:
        azimuth, elevation = (float(part) for part in text.split(","))
    except ValueError:
        raise ChoiceError(tr("Sun: give azimuth and elevation in degrees, such as 145.2,41.7.")) from None
    return azimuth, elevation


def sun_text(sun: Tuple[float, float]) -> str:
    """The inverse of `read_sun`, to the last digit: rounded angles would make another request."""
    return ",".join(f"{angle:.15g}" for angle in sun)


def _bands(text: str) -> Tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ChoiceError(tr("Bands: give numbers counted from 1, such as 1,2,3.")) from None


def _settings(text: str) -> Tuple[Tuple[str, str], ...]:
    pairs = []
    for part in filter(str.strip, re.split(SEPARATOR, text)):
        key, equals, value = part.partition("=")
        if not equals:
            raise ChoiceError(tr("Settings of the method: {part} is not KEY=VALUE.").format(part=part))
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


def _rectangle(text: str) -> Optional[QgsReferencedRectangle]:
    if not text:
        return None
    numbers, _, crs = text.partition("[")
    west, east, south, north = (float(part) for part in numbers.split(","))
    return QgsReferencedRectangle(
        QgsRectangle(west, south, east, north), QgsCoordinateReferenceSystem(crs.strip(" ]"))
    )


def _name(item: LayerOrPath) -> str:
    return item if isinstance(item, str) else str(item.id())


def _mask_name(reference: ReferenceChoice) -> str:
    """A reference whose mask is to be found, or that needs none, stands for its own mask."""
    mask = reference.mask
    return _name(mask.source) if mask is not None and mask.source else _name(reference.source)
