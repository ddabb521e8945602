"""What an output keeps of its target besides the pixels: names, colours, scales, tags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader, DatasetWriter

from .gdal import open_dataset, scaling_of
from .raster import Band, Raster, holds
from .texts import descriptions, units

OURS = "TERRAMEND_"
"""Prefix of the tags that Terramend writes itself."""

Tags = Mapping[str, Mapping[str, str]]
"""Tags by namespace; the empty name is the default one."""

_NOT_KEPT = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE"}
_STALE = ("STATISTICS_", OURS)
_SEEN = {ColorInterp.red: (620, 690), ColorInterp.green: (520, 580), ColorInterp.blue: (450, 515)}
"""Nanometres between which a band is shown in this colour."""


@dataclass(frozen=True)
class BandMetadata:
    """One band's description, unit, scale and offset, colours and tags."""

    description: str | None
    unit: str | None
    scale: float
    offset: float
    colour: ColorInterp
    colormap: Mapping[int, tuple[int, int, int, int]] | None
    tags: Tags


@dataclass(frozen=True)
class Metadata:
    """What is kept of a target.

    Attributes:
        bands: in output order. tags: of the dataset; for several files, those they share.
        dtype: one for the output: the smallest that holds every band's values exactly.
        nodata: the output's, or None.
        has_mask: whether the target carries a mask of its own beside its bands.
        overviews: reduction factors of the target's overviews.
        interleave: `pixel` or `band`.
    """

    bands: tuple[BandMetadata, ...]
    tags: Tags
    dtype: str
    nodata: float | None
    has_mask: bool
    overviews: tuple[int, ...]
    interleave: str


def read_metadata(raster: Raster) -> Metadata:
    """Read what the output of a raster keeps.

    Raises:
        TerramendError: `raster.*` when a file cannot be opened.
    """
    paths = list(dict.fromkeys(band.path for band in raster.bands))
    bands: dict[int, BandMetadata] = {}
    tags: list[Tags] = []
    overviews: list[tuple[int, ...]] = []
    masked, interleave = False, "pixel"
    for path in paths:
        with open_dataset(path) as source:
            tags.append(_tags(source, 0))
            for position, band in enumerate(raster.bands):
                if band.path == path:
                    bands[position] = _band(source, band, alone=len(paths) == 1)
                    overviews.append(tuple(source.overviews(band.index)))
            own_mask = [flags == [MaskFlags.per_dataset] for flags in source.mask_flag_enums]
            masked |= len(paths) == 1 and any(own_mask)
            if len(paths) == 1 and source.interleaving is not None:
                interleave = source.interleaving.value.lower()
    dtype = np.result_type(*(np.dtype(band.dtype) for band in raster.bands))
    kept = tuple(bands[position] for position in range(len(raster.bands)))
    return Metadata(
        kept if len(paths) == 1 else _in_true_colour(kept, raster.bands),
        _shared(tags),
        dtype.name,
        _nodata(raster, dtype),
        masked,
        max(overviews, default=()),
        "band" if interleave == "band" else "pixel",
    )


def write_metadata(output: DatasetWriter, kept: Metadata) -> None:
    """Give a freshly created dataset what was kept; before its first pixel is written."""
    output.colorinterp = [band.colour for band in kept.bands]
    output.descriptions = tuple(band.description or "" for band in kept.bands)
    output.units = tuple(band.unit or "" for band in kept.bands)
    if any((band.scale, band.offset) != (1.0, 0.0) for band in kept.bands):
        output.scales = tuple(band.scale for band in kept.bands)
        output.offsets = tuple(band.offset for band in kept.bands)
    for number, band in enumerate(kept.bands, 1):
        if band.colormap is not None:
            output.write_colormap(number, dict(band.colormap))
        _write_tags(output, number, band.tags)
    _write_tags(output, 0, kept.tags)


def std_metadata(kept: Metadata) -> Metadata:
    """Of the deviation's file: the target's bands and units as plain float32, NaN where unknown."""
    bands = tuple(
        replace(band, scale=1.0, offset=0.0, colour=ColorInterp.undefined, colormap=None, tags={})
        for band in kept.bands
    )
    return replace(
        kept, bands=bands, tags=_place_only(kept), dtype="float32", nodata=math.nan, has_mask=False
    )


def provenance_metadata(kept: Metadata) -> Metadata:
    """Of the provenance file: two bands, 255 where there is nothing to say."""

    def band(description: str, unit: str | None) -> BandMetadata:
        return BandMetadata(description, unit, 1.0, 0.0, ColorInterp.undefined, None, {})

    bands = (band("source of the pixel", None), band("age of the main reference", "days"))
    return replace(kept, bands=bands, tags=_place_only(kept), dtype="uint8", nodata=255, has_mask=False)


def _place_only(kept: Metadata) -> dict[str, dict[str, str]]:
    """Of the target's tags the one that says what the georeference refers to."""
    point = kept.tags.get("", {}).get("AREA_OR_POINT")
    return {"": {"AREA_OR_POINT": point}} if point else {}


def _band(source: DatasetReader, band: Band, alone: bool) -> BandMetadata:
    i = band.index - 1
    colour = source.colorinterp[i]
    colormap = source.colormap(band.index) if colour == ColorInterp.palette else None
    description = descriptions(source)[i]
    if not alone:  # single-band files of a product: the product's name for the band says more
        description = band.description or description
        if colour in (ColorInterp.gray, ColorInterp.palette):
            colour, colormap = ColorInterp.undefined, None  # GeoTIFF has one palette for a file
    tags = _tags(source, band.index)
    return BandMetadata(
        description, units(source)[i], *scaling_of(source, band.index), colour, colormap, tags
    )


def _in_true_colour(kept: tuple[BandMetadata, ...], bands: tuple[Band, ...]) -> tuple[BandMetadata, ...]:
    """Bands of a file each, which tells no colour: programs show the first three as red, green, blue."""
    colours = {}
    for colour, (least, most) in _SEEN.items():
        place = next((i for i, band in enumerate(bands) if least <= band.wavelength <= most), None)
        if place is None:
            return kept
        colours[place] = colour
    return tuple(replace(band, colour=colours.get(i, band.colour)) for i, band in enumerate(kept))


def _tags(source: DatasetReader, band: int) -> Tags:
    """Tags of the dataset (0) or a band, without statistics and our own of an earlier fill."""
    kept: dict[str, dict[str, str]] = {}
    for space in ["", *source.tag_namespaces(band)]:
        if space in _NOT_KEPT:
            continue
        try:
            tags = source.tags(band, ns=space or None)
        except UnicodeDecodeError:  # XML that is not in UTF-8; of other tags rasterio leaves such out itself
            continue
        kept[space] = {key: text for key, text in tags.items() if not key.startswith(_STALE)}
    return kept


def _write_tags(output: DatasetWriter, band: int, tags: Tags) -> None:
    for space, values in tags.items():
        if space.startswith("xml:"):
            # XML comes as one text, GDAL's writer wants NAME=VALUE: cut it at a sign of its own
            text = "".join(values.values())
            name, equals, value = text.partition("=")
            if equals:
                output.update_tags(band, ns=space, **{name: value})
        else:
            output.update_tags(band, ns=space or None, **values)


def _shared(tags: list[Tags]) -> Tags:
    """The tags that all files agree on."""
    if len(tags) == 1:
        return tags[0]
    first, *others = tags
    kept = {
        space: {k: v for k, v in values.items() if all(o.get(space, {}).get(k) == v for o in others)}
        for space, values in first.items()
    }
    return {space: values for space, values in kept.items() if values}


def _nodata(raster: Raster, dtype: np.dtype[Any]) -> float | None:
    """The first declared nodata value that the output's samples can equal."""
    declared = (band.nodata for band in raster.bands if band.nodata is not None)
    return next((value for value in declared if dtype.kind == "f" or holds(dtype, value)), None)
