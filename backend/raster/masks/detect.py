"""Which kind of mask a file is: by name, description and tags first, then by its values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from ...errors import TerramendError
from ...request import Mask
from ...watch import Watch
from ..texts import descriptions
from .kinds import Decoder, layout_decoder, plain_decoder, probability_decoder
from .names import mask_kind_of
from .tables import (
    BQA_C1,
    BQA_PRE,
    CLM,
    CLOUD_PROBABILITY_THRESHOLD,
    FMASK,
    HLS_FMASK,
    LAYOUTS,
    MAJA_CLM,
    MAJA_CLM_VENUS,
    MAJA_MG2,
    MSK_CLASSI,
    PIXEL_QA_C1,
    PLAIN_KINDS,
    PYTHON_FMASK,
    QA60,
    QA_PIXEL,
    Layout,
)

OWN_TAG = "TERRAMEND_MASK"
"""Tag of the masks that `terramend mask` writes: band 1 is 1 at gaps."""
TAGS = ("long_name", "standard_name", "description", "NETCDF_VARNAME", "TIFFTAG_IMAGEDESCRIPTION", "BandName")
"""Tags whose text may say what a layer is."""


def find_decoder(
    mask: Mask, dataset: DatasetReader, *, bands: int, threshold: float | None, watch: Watch
) -> Decoder:
    """How to read a mask raster.

    Args:
        bands: of the raster that it belongs to: a plain mask with as many holds one a band.
        threshold: percent for cloud probabilities; None for the default.

    Raises:
        TerramendError: `mask.ambiguous`, `mask.bands`, `mask.value`.
    """
    kind, band = mask.kind, _band_of(dataset, mask.kind)
    if kind == "auto":
        kind, band = _by_text(dataset, mask.path) or (_by_values(dataset, mask.path, bands, watch), 1)
    nodata = dataset.nodatavals[band - 1]
    if kind.split("=", 1)[0] in PLAIN_KINDS:
        each = 1 < bands == _count(dataset, bands, watch)
        planes = tuple(range(1, bands + 1)) if each else (band,)
        return plain_decoder(kind, planes, nodata)
    if kind == "cloudprob":
        scale = _percent_scale(dataset, band, mask.path, watch)
        return probability_decoder(
            band, scale, CLOUD_PROBABILITY_THRESHOLD if threshold is None else threshold, nodata
        )
    layout = _layout(kind, dataset, band, mask.path, watch)
    needed = max(field.band for tests in (*layout.classes.values(), layout.fill) for field in tests)
    if needed > dataset.count:
        raise TerramendError("mask.bands", path=mask.path, kind=kind, found=dataset.count, needed=needed)
    return layout_decoder(layout, band, nodata)


def _by_text(dataset: DatasetReader, path: str) -> tuple[str, int] | None:
    """Kind and band by description, then file name, then tags."""
    name = PurePath(path).name
    if dataset.tags().get(OWN_TAG):
        return "nonzero", 1
    for band, description in enumerate(descriptions(dataset), start=1):
        if kind := _kind_of(description):
            # An HLS layer is described as Fmask only; its file's name says HLS.
            return ("hls_fmask" if _kind_of(f"{name} {description}") == "hls_fmask" else kind), band
    if kind := _kind_of(name):
        return kind, 1
    for tags in (dataset.tags(), dataset.tags(1)):
        for key in TAGS:
            if kind := _kind_of(tags.get(key)):
                return kind, 1
    return None


def _kind_of(text: str | None) -> str | None:
    """The kind that a text names; a mere "mask" or "clouds" names none."""
    kind = mask_kind_of(text) if text else None
    return None if kind == "auto" else kind


def _band_of(dataset: DatasetReader, kind: str) -> int:
    """The band whose description names the kind, else the first."""
    for band, description in enumerate(descriptions(dataset), start=1):
        named = _kind_of(description)
        if named == kind or (named == "fmask" and kind == "hls_fmask"):
            return band
    return 1


def _by_values(dataset: DatasetReader, path: str, bands: int, watch: Watch) -> str:
    """`nonzero` where only 0 and 1, or only 0 and 255, stand in the file."""
    count = _count(dataset, bands, watch)
    if count not in (1, bands):
        raise _ambiguous(path, f"it has {count} bands")
    nodata = dataset.nodatavals[0]
    seen: set[float] = set()
    for values in _strips(dataset, dataset.indexes[:count], watch):
        found = np.unique(values)
        seen.update(float(v) for v in found[np.isfinite(found)] if v != nodata)
        if not (seen <= {0, 1} or seen <= {0, 255}):
            some = ", ".join(f"{v:g}" for v in sorted(seen)[:4])
            raise _ambiguous(path, f"it holds values such as {some}")
    return "nonzero"


def _ambiguous(path: str, why: str) -> TerramendError:
    return TerramendError("mask.ambiguous", path=path, why=why, option="--gaps-kind")


def _count(dataset: DatasetReader, bands: int, watch: Watch) -> int:
    """Bands before an alpha band, which programs put last.

    GDAL declares the last of four 8-bit bands so too where nobody says otherwise. As the mask of the last of
    `bands` it counts, unless it is opaque wherever another marks something.
    """
    if dataset.count == 1 or dataset.colorinterp[-1] != ColorInterp.alpha:
        return dataset.count
    if dataset.count != bands or np.dtype(dataset.dtypes[-1]).kind == "f":
        return dataset.count - 1
    opaque = np.iinfo(dataset.dtypes[-1]).max
    strips = _strips(dataset, dataset.indexes, watch)
    shown = all((values[-1] == opaque)[values[:-1].any(axis=0)].all() for values in strips)
    return dataset.count - shown


def _layout(kind: str, dataset: DatasetReader, band: int, path: str, watch: Watch) -> Layout:
    """Which of a kind's layouts a file has."""
    name, nodata = PurePath(path).name.lower(), dataset.nodatavals[band - 1]
    if kind == "qa_pixel":  # Collection 2 always sets confidences from bit 8 on, Collection 1 ends at bit 10
        return PIXEL_QA_C1 if 1 < _highest(dataset, band, watch, enough=1 << 11) < 1 << 11 else QA_PIXEL
    if kind == "bqa":  # bits 14-15 are never empty before collections, never used in Collection 1
        return BQA_PRE if _highest(dataset, band, watch, enough=1 << 13) >= 1 << 13 else BQA_C1
    if kind in ("fmask", "clm"):  # Fmask's codes end at 4 or 5, s2cloudless' at 1; else they are bits
        highest = _highest(dataset, band, watch, below=255)
        if kind == "clm":
            return _maja(name) if highest > 1 else CLM
        if highest > 5:
            return HLS_FMASK
        return PYTHON_FMASK if nodata == 0 or highest == 5 else FMASK
    if kind == "maja":
        return _maja(name)
    if kind == "qa60":
        three = dataset.count >= 3 and dataset.dtypes[0] == "uint8"
        return MSK_CLASSI if three or "classi" in name else QA60
    return LAYOUTS[kind][0]


def _maja(name: str) -> Layout:
    """MAJA's table of a file: the geophysical mask, and VENµS's clouds, go by its name."""
    if "mg2" in name:
        return MAJA_MG2
    return MAJA_CLM_VENUS if re.search(r"(^|[^a-z])(venus|clm_xs)", name) else MAJA_CLM


def _percent_scale(dataset: DatasetReader, band: int, path: str, watch: Watch) -> float:
    """Percent per stored unit: fractions, percents, or the 0..255 of Sentinel Hub's CLP."""
    highest = _highest(dataset, band, watch, enough=101)
    names = f"{PurePath(path).name} {descriptions(dataset)[band - 1] or ''}".lower()
    if highest > 100 or re.search(r"(^|[^a-z])clp([^a-z]|$)", names):
        return 100 / 255
    return 100.0 if np.dtype(dataset.dtypes[band - 1]).kind == "f" and highest <= 1 else 1.0


def _highest(
    dataset: DatasetReader, band: int, watch: Watch, below: float = math.inf, enough: float = math.inf
) -> float:
    """The highest value under `below` that is not nodata (0 if none is); stops once it is `enough`."""
    nodata, highest = dataset.nodatavals[band - 1], 0.0
    for values in _strips(dataset, [band], watch):
        known = np.ones(values.shape, bool) if nodata is None else values != nodata
        if values.dtype == np.int16:
            values = values.view(np.uint16)  # bit fields in a signed file
        with np.errstate(invalid="ignore"):
            known &= values < min(below, np.finfo(np.float64).max)
        highest = max(highest, float(np.max(values, initial=0, where=known)))
        if highest >= enough:
            break
    return highest


def _strips(dataset: DatasetReader, bands: Sequence[int], watch: Watch) -> Iterator[NDArray[Any]]:
    """The values of whole-width strips, one after the other."""
    rows = max(64, (1 << 24) // max(dataset.width * len(bands), 1))
    for row in range(0, dataset.height, rows):
        watch.check()
        yield dataset.read(list(bands), window=((row, min(row + rows, dataset.height)), (0, dataset.width)))
