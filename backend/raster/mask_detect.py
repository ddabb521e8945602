"""Which kind of mask a file is: by name, description and tags first, then by its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from ..errors import TerramendError
from ..request import Mask
from ..watch import Watch
from .grid import Grid
from .mask_kinds import Decoder, layout_decoder, plain_decoder, probability_decoder
from .mask_tables import (
    BQA_C1,
    BQA_PRE,
    CLOUD_PROBABILITY_THRESHOLD,
    FMASK,
    LAYOUTS,
    MAJA_CLM,
    MAJA_MG2,
    MSK_CLASSI,
    PIXEL_QA_C1,
    PLAIN_KINDS,
    PYTHON_FMASK,
    QA60,
    QA_PIXEL,
    Layout,
)
from .polygons import is_vector as is_vector

# In this order: the more particular names stand before those that they contain.
NAMES: tuple[tuple[str, str], ...] = (
    ("qa_pixel", r"qa[ _-]?pixel|pixel[ _-]?qa"),
    ("bqa", r"\bbqa\b"),
    ("maja", r"\bclm[ _-](r\d|xs)\b|\bmg2\b|\bmaja\b"),
    ("cloudprob", r"cld ?prb|cloud ?prob(ability)?|\bclp\b"),
    ("qa60", r"\bqa ?60\b|msk classi"),
    ("hls_fmask", r"\bhls\b.*\bfmask"),
    ("fmask", r"fmask"),
    ("scl", r"\bscl\b|scene classification"),
    ("clm", r"\bclm\b"),
    ("udm2", r"udm ?2"),
    ("modis_state", r"state ?(qa|1km|500m)|sur refl state"),
)
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
        kind, band = _by_text(dataset, mask.path) or (_by_values(dataset, mask.path, watch), 1)
    nodata = dataset.nodatavals[band - 1]
    if kind.split("=", 1)[0] in PLAIN_KINDS:
        planes = tuple(range(1, bands + 1)) if 1 < bands == dataset.count else (band,)
        return plain_decoder(kind, planes, nodata)
    if kind == "cloudprob":
        scale = _percent_scale(dataset, band, mask.path, watch)
        return probability_decoder(
            band, scale, CLOUD_PROBABILITY_THRESHOLD if threshold is None else threshold, nodata
        )
    layout = _layout(kind, dataset, band, mask.path, watch)
    needed = max(f.band for tests in layout.classes.values() for f in tests)
    if needed > dataset.count:
        raise TerramendError("mask.bands", path=mask.path, kind=kind, found=dataset.count, needed=needed)
    return layout_decoder(layout, band, nodata)


def _words(text: str) -> str:
    """Lower case, with one space for each run of separators."""
    return re.sub(r"[\s_.\-:/\\]+", " ", text.lower())


def _kind_of(text: str) -> str | None:
    words = _words(text)
    return next((kind for kind, pattern in NAMES if re.search(pattern, words)), None)


def _by_text(dataset: DatasetReader, path: str) -> tuple[str, int] | None:
    """Kind and band by description, then file name, then tags."""
    for band, description in enumerate(dataset.descriptions, start=1):
        if description and (kind := _kind_of(description)):
            # An HLS layer is described as Fmask only; its name says that it is HLS.
            whole = f"{PurePath(path).name} {description}"
            return (_kind_of(whole) or kind) if kind == "fmask" else kind, band
    if kind := _kind_of(PurePath(path).name):
        return kind, 1
    for tags in (dataset.tags(), dataset.tags(1)):
        for key in TAGS:
            if key in tags and (kind := _kind_of(tags[key])):
                return kind, 1
    return None


def _band_of(dataset: DatasetReader, kind: str) -> int:
    """The band whose description names the kind, else the first."""
    for band, description in enumerate(dataset.descriptions, start=1):
        named = _kind_of(description) if description else None
        if named == kind or (named == "fmask" and kind == "hls_fmask"):
            return band
    return 1


def _by_values(dataset: DatasetReader, path: str, watch: Watch) -> str:
    """`nonzero` where only 0 and 1, or only 0 and 255, stand in the file."""
    if dataset.count > 1 and len(set(dataset.dtypes)) > 1:
        raise TerramendError(
            "mask.ambiguous", path=path, why=f"it has {dataset.count} bands of different types"
        )
    nodata = dataset.nodatavals[0]
    seen: set[float] = set()
    for values in _blocks(dataset, list(dataset.indexes), watch):
        found = np.unique(values)
        seen.update(float(v) for v in found[np.isfinite(found)] if v != nodata)
        if len(seen) > 2 or not (seen <= {0, 1} or seen <= {0, 255}):
            some = ", ".join(f"{v:g}" for v in sorted(seen)[:4])
            raise TerramendError("mask.ambiguous", path=path, why=f"it holds values such as {some}")
    return "nonzero"


def _layout(kind: str, dataset: DatasetReader, band: int, path: str, watch: Watch) -> Layout:
    """Which of a kind's layouts a file has."""
    if kind == "qa_pixel":  # Collection 2 always sets confidences from bit 8 on, Collection 1 ends at bit 10
        return PIXEL_QA_C1 if 1 < _highest(dataset, band, watch) < 2048 else QA_PIXEL
    if kind == "bqa":  # bits 14-15 are never empty before collections, never used in Collection 1
        return BQA_PRE if _highest(dataset, band, watch) >= 1 << 13 else BQA_C1
    if kind == "fmask":
        nodata = dataset.nodatavals[band - 1]
        return PYTHON_FMASK if nodata == 0 or _highest(dataset, band, watch, below=255) == 5 else FMASK
    words = _words(PurePath(path).name)
    if kind == "maja":
        return MAJA_MG2 if "mg2" in words else MAJA_CLM
    if kind == "qa60":
        return (
            MSK_CLASSI if "classi" in words or (dataset.count >= 3 and dataset.dtypes[0] == "uint8") else QA60
        )
    return LAYOUTS[kind][0]


def _highest(dataset: DatasetReader, band: int, watch: Watch, below: int = 1 << 16) -> int:
    """The highest value under `below` that is not nodata; 0 if there is none."""
    nodata, highest = dataset.nodatavals[band - 1], 0
    for values in _blocks(dataset, [band], watch):
        numbers = values[np.isfinite(values)].astype(np.int64) & 0xFFFF
        numbers = numbers[numbers < below]
        if nodata is not None and np.isfinite(nodata):
            numbers = numbers[numbers != int(nodata) & 0xFFFF]
        highest = max(highest, int(numbers.max(initial=0)))
    return highest


def _percent_scale(dataset: DatasetReader, band: int, path: str, watch: Watch) -> float:
    """Percent per stored unit: fractions, percents, or the 0..255 of Sentinel Hub's CLP."""
    nodata, highest = dataset.nodatavals[band - 1], 0.0
    for values in _blocks(dataset, [band], watch):
        known = values[np.isfinite(values) & (values != nodata if nodata is not None else True)]
        highest = max(highest, float(known.max(initial=0)))
    if np.dtype(dataset.dtypes[band - 1]).kind == "f" and highest <= 1:
        return 100.0
    if highest <= 100:
        text = _words(f"{PurePath(path).name} {dataset.descriptions[band - 1] or ''}")
        return 100 / 255 if re.search(r"\bclp\b", text) else 1.0
    return 100 / 255


def _blocks(dataset: DatasetReader, bands: list[int], watch: Watch) -> Iterator[NDArray[Any]]:
    """The values of whole-width strips, one after the other."""
    rows = max(64, (1 << 24) // max(dataset.width * len(bands), 1))
    grid = Grid(None, (1, 0, 0, 0, 1, 0), dataset.width, dataset.height)
    for row in range(0, grid.height, rows):
        watch.check()
        yield dataset.read(bands, window=((row, min(row + rows, grid.height)), (0, grid.width)))
