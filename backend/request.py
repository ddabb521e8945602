"""What is asked for and what was done: frozen dataclasses, one validator, canonical JSON.

Standard library only, Python 3.9: the dock, the toolbox, the command line, batch tables
and cluster workers all build and read these. The hash of the canonical JSON names the
request; it leaves out what may not change a single output byte (paths of the outputs,
workers, memory, temporary folder), so that 1 or N workers write the same bytes.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import math
import re
import typing
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any, Mapping, Optional, Tuple

from .errors import TerramendError

SCHEMA_VERSION = 1

MODES = ("fill", "clear")
QUALITIES = ("fast", "default", "best")
DEVICES = ("auto", "cpu", "cuda")
UNFILLED = ("keep", "nodata")
MASK_KINDS = (
    "auto", "none", "nonzero", "zero", "nodata", "value", "qa_pixel", "bqa", "scl", "fmask",
    "hls_fmask", "clm", "cloudprob", "qa60", "udm2", "maja", "modis_state", "polygons",
)  # fmt: skip
"""Mask kinds; `value` is written `value=V[,V...]`."""
MASK_WORDS = ", ".join(kind + ("=V,..." if kind == "value" else "") for kind in MASK_KINDS)
"""The same as people write them."""
CLASSES = ("cloud", "shadow", "cirrus", "snow", "water", "saturated", "unclassified")
DEFAULT_CLASSES = ("cloud", "shadow", "cirrus")
RADIOMETRIES = (
    "auto", "reflectance", "sentinel2", "sentinel2-offset", "landsat-c2-sr", "landsat-c2-toa",
    "landsat-c1-sr", "landsat-c1-toa", "dn",
)  # fmt: skip


@dataclass(frozen=True)
class Mask:
    """A gap mask: a raster or polygon file and how its values are to be read."""

    path: str
    kind: str = "auto"


@dataclass(frozen=True)
class Reference:
    """Another date of the same place. No masks: found beside it, or an error that asks."""

    path: str
    masks: Tuple[Mask, ...] = ()
    date: Optional[str] = None


@dataclass(frozen=True)
class FillRequest:
    """One fill (or clear) of one target.

    Attributes:
        target: what to fill: one raster or product, or several single-band rasters.
        output: path of the GeoTIFF to write.
        mode: `fill` (known gaps) or `clear` (thin cloud, every pixel may change).
        gaps: masks whose union is filled; empty: the product's own QA, else its nodata.
        grow: growth of the masks, `3px` or `30m`; None: the documented default per kind.
        classes: classes that count as gap where a mask has classes.
        cloud_threshold: percent from which a cloud probability is a gap (default 40).
        fill_swath_edges: whether nodata within the convex hull of the observed pixels is a gap too.
        own_mask: whether the product's own QA counts beside `gaps`.
        missed: whether cloud and shadow count that the scene shows and no mask marks.
        references: other dates, each with its own masks.
        references_from: a folder, or a JSON list, of further references. references_clear: whether those of
            them that have no mask are clear wherever they hold values.
        dem: elevation raster in metres. sar: Sentinel-1 VV, VH.
        sun: azimuth and elevation of the sun in degrees; None: from the product's tags.
        date: acquisition date of the target, ISO; None: from tags or file name.
        radiometry: how stored values become reflectance.
        bands: 1-based bands to fill; empty: all that can be filled.
        extent: `W,S,E,N` in the target's CRS, or a polygon file; only gaps inside are filled.
        target_crs, target_nodata: overrides of what the file says (QGIS layer settings).
        unfilled: what becomes of gaps that could not be filled.
        model: a registry name, or `auto`. settings: its options, key and value.
        seed: of the random numbers of diffusion methods, and of the clouds that an accuracy check draws;
            other methods give the same pixels for every seed.
        device: where networks, and `guided` with references, compute.
        std, provenance: paths of the extra outputs, or None.
        weights_map, trajectory: paths of PNG pictures of a diffusion model's steps, or None.
        hash_inputs: full SHA-256 of the inputs in the tags.
        creation_options: `KEY=VALUE` for the GeoTIFF driver (`COG=YES` asks for a COG).
        overwrite, memory_limit (GB), jobs (0: choose), tmp: how the run is carried out.
    """

    target: Tuple[str, ...]
    output: str
    mode: str = "fill"
    gaps: Tuple[Mask, ...] = ()
    grow: Optional[str] = None
    classes: Tuple[str, ...] = DEFAULT_CLASSES
    cloud_threshold: Optional[float] = None
    fill_swath_edges: bool = False
    own_mask: bool = False
    missed: bool = False
    references: Tuple[Reference, ...] = ()
    references_from: Optional[str] = None
    references_clear: bool = False
    dem: Optional[str] = None
    sar: Optional[str] = None
    sun: Optional[Tuple[float, float]] = None
    date: Optional[str] = None
    radiometry: str = "auto"
    bands: Tuple[int, ...] = ()
    extent: Optional[str] = None
    target_crs: Optional[str] = None
    target_nodata: Optional[float] = None
    unfilled: str = "keep"
    model: str = "auto"
    quality: str = "default"
    settings: Tuple[Tuple[str, str], ...] = ()
    seed: int = 0
    device: str = "auto"
    std: Optional[str] = None
    provenance: Optional[str] = None
    weights_map: Optional[str] = None
    trajectory: Optional[str] = None
    hash_inputs: bool = False
    creation_options: Tuple[str, ...] = ()
    overwrite: bool = False
    memory_limit: Optional[float] = None
    jobs: int = 0
    tmp: Optional[str] = None
    schema_version: int = SCHEMA_VERSION


PICTURES = ("weights_map", "trajectory")
NOT_HASHED = ("output", "std", "provenance", *PICTURES, "overwrite", "memory_limit", "jobs", "tmp")


@dataclass(frozen=True)
class FillResult:
    """What a fill did.

    Attributes:
        request_hash: name of the request. outputs: files written, main file first.
        std, provenance: of the main file, or None. stds, provenances: of every output, where asked for.
        model, model_reason: what was used, and why. reasons: why, each sentence as in `notices`.
        tried: what `auto` measured on hidden pixels: `with`, `rmse` (in `unit`), `samples`, `chosen`.
        weights_sha256: of the network, or None. device: what really computed.
        gap_samples, gap_fraction: samples asked for, and their share of the footprint.
        unfilled_samples: gaps that no method could fill.
        expected_error: root mean square of the standard deviations of filled samples, in `unit`; None for
            `clear`.
        references: name, date and use of each reference.
        pictures: PNG files, where asked for.
        notices: `Notice.to_json()` of all that the user should know.
        unit: of errors, of `units.WORDS`.
        seconds: time per stage. workers: tiles predicted at once.
    """

    request_hash: str
    outputs: Tuple[str, ...]
    std: Optional[str]
    provenance: Optional[str]
    model: str
    model_reason: str
    quality: str
    weights_sha256: Optional[str]
    device: str
    seed: int
    gap_samples: int
    gap_fraction: float
    unfilled_samples: int
    expected_error: Optional[float]
    references: Tuple[Mapping[str, Any], ...]
    notices: Tuple[Mapping[str, Any], ...]
    seconds: Mapping[str, float]
    workers: int
    software_version: str
    tried: Tuple[Mapping[str, Any], ...] = ()
    stds: Tuple[str, ...] = ()
    provenances: Tuple[str, ...] = ()
    pictures: Tuple[str, ...] = ()
    unit: str = "reflectance"
    reasons: Tuple[Mapping[str, Any], ...] = ()
    schema_version: int = SCHEMA_VERSION


def figure(error: float, unit: str, sign: str = "") -> str:
    """An error in `units.WORDS[unit]` as all doors tell it; `sign` `+`: with its sign."""
    if unit == "kilokelvin":
        return f"{1000 * error:{sign}.2f}"
    if not sign and unit == "reflectance" and 0 < error < 0.001:  # of values that were guessed to be that
        return f"{error:.2g}"
    return f"{error:{sign}{'.3g' if unit == 'values' else '.4f'}}"  # a file's values may be of any size


def metres(size: float) -> str:
    """The size of a pixel in three digits, as all doors tell it: 0.5, 30, 5570."""
    return f"{float(f'{size:.3g}'):g} m"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: one text for one value."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def semantic_fields(request: FillRequest) -> dict[str, Any]:
    """The request's fields that may change an output byte."""
    return {k: v for k, v in asdict(request).items() if k not in NOT_HASHED}


def request_hash(request: FillRequest) -> str:
    """SHA-256 (hex) of the canonical JSON of the semantic fields."""
    return hashlib.sha256(canonical_json(semantic_fields(request)).encode()).hexdigest()


def to_json(request: FillRequest) -> dict[str, Any]:
    """The request as a JSON object (all fields)."""
    return typing.cast("dict[str, Any]", json.loads(canonical_json(request)))


def from_json(data: Any) -> FillRequest:
    """Build and validate a request from a JSON object.

    Raises:
        TerramendError: `request.version` or `request.field`, naming the field.
    """
    if not isinstance(data, Mapping):
        raise _wrong("request", "it must be a JSON object")
    version = data.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise TerramendError("request.version", found=version, expected=SCHEMA_VERSION)
    request = _build(FillRequest, data, "")
    _check(request)
    return request


def validate(request: FillRequest) -> None:
    """Check types, and every rule that needs no file. Raises `request.field` for the first fault."""
    _build(FillRequest, asdict(request), "")
    _check(request)


def _check(request: FillRequest) -> None:
    """The rules that need no file."""
    if not request.target or not all(request.target):
        raise _wrong("target", "give the raster to fill")
    if not request.output:
        raise _wrong("output", "give the path of the GeoTIFF to write")
    for name, allowed in (
        ("mode", MODES), ("quality", QUALITIES), ("device", DEVICES),
        ("unfilled", UNFILLED), ("radiometry", RADIOMETRIES),
    ):  # fmt: skip
        if getattr(request, name) not in allowed:
            raise _wrong(name, f"{getattr(request, name)!r} is none of {', '.join(allowed)}")
    unknown = [name for name in request.classes if name not in CLASSES]
    if unknown:
        raise _wrong("classes", f"{unknown[0]!r} is none of {', '.join(CLASSES)}")
    if not all(reference.path.replace(";", "").strip() for reference in request.references):
        raise _wrong("references", "a reference needs a path")
    for mask in request.gaps + tuple(m for r in request.references for m in r.masks):
        _check_mask(mask)
    if request.missed and request.mode == "clear":
        raise _wrong("missed", "thin cloud is looked for in all of the raster: leave it out")
    if request.grow is not None and not re.fullmatch(r"\d{1,9}(\.\d+)?(px|m)?", request.grow):
        raise _wrong("grow", f"{request.grow!r} is no distance such as 3px or 30m")
    percent = request.cloud_threshold
    if percent is not None and percent != 0 and not 1 <= percent <= 100:  # below 1 a share was meant
        raise _wrong("cloud_threshold", "it is a percentage between 0 and 100: 40, and not 0.4")
    for name, date in [("date", request.date)] + [("references", r.date) for r in request.references]:
        if date is not None:
            _check_date(name, date)
    if request.sun is not None:
        azimuth, elevation = request.sun
        if not (0 <= azimuth <= 360 and 0 < elevation <= 90):
            raise _wrong("sun", "azimuth is 0 to 360 and elevation above 0 up to 90 degrees")
    if any(band < 1 for band in request.bands) or len(set(request.bands)) != len(request.bands):
        raise _wrong("bands", "bands are counted from 1 and named once")
    if request.memory_limit is not None and not request.memory_limit > 0:
        raise _wrong("memory_limit", "it is a number of gigabytes above 0")
    if request.jobs < 0:
        raise _wrong("jobs", "it is 0 (choose) or a number of workers")
    if not 0 <= request.seed < 2**63:
        raise _wrong("seed", "it is a whole number from 0 to 2^63 - 1")
    for option in request.creation_options:
        if not re.fullmatch(r"[A-Za-z_0-9]+=.+", option):
            raise _wrong("creation_options", f"{option!r} is not KEY=VALUE")


def _check_mask(mask: Mask) -> None:
    if not mask.path and mask.kind != "none":
        raise _wrong("gaps", "a mask needs a path")
    kind = mask.kind.split("=", 1)[0]
    if kind not in MASK_KINDS or (kind == "value") != ("=" in mask.kind):
        raise _wrong("gaps.kind", f"{mask.kind!r} is no mask kind; the kinds are {MASK_WORDS}")


def _check_date(name: str, text: str) -> None:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        raise _wrong(name, f"{text!r} is no date such as 2024-06-30") from None


def _wrong(name: str, why: str) -> TerramendError:
    return TerramendError("request.field", field=name, why=why)


def _build(cls: Any, data: Any, path: str) -> Any:
    """A frozen dataclass from JSON, its types checked against the annotations."""
    if not isinstance(data, Mapping):
        raise _wrong(path.rstrip("."), f"each is a {cls.__name__} with a path")
    hints = _hints(cls)
    names = {f.name for f in fields(cls)}
    unknown = sorted(set(data) - names)
    if unknown:
        raise _wrong(path + str(unknown[0]), "this version does not know it")
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in data]
    if missing:
        raise _wrong(path + missing[0], "it is missing")
    return cls(**{k: _coerce(hints[k], v, path + k) for k, v in data.items()})


_hints = functools.cache(typing.get_type_hints)  # a table may have thousands of rows


def _coerce(hint: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:  # Optional[...]
        return None if value is None else _coerce(arguments[0], value, path)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(path, "it must be a list")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_coerce(arguments[0], v, path) for v in value)
        if len(value) != len(arguments):
            raise _wrong(path, f"it must hold {len(arguments)} values")
        return tuple(_coerce(a, v, path) for a, v in zip(arguments, value))
    if is_dataclass(hint):
        return _build(hint, value, path + ".")
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # JSON's whole numbers have no end
            number = math.inf
        if not math.isfinite(number):
            raise _wrong(path, "it must be a finite number")
        return number
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _wrong(path, f"it must be of type {hint.__name__}")
    if hint is str and not is_text(value):
        raise _wrong(path, f"{value!r} holds a sign that is none in UTF-8; give the file another name")
    return value


def is_text(value: str) -> bool:
    """Whether GDAL, JSON and the file system can all hold a text: not half a sign of UTF-16, no null."""
    try:
        return b"\0" not in value.encode("utf-8")
    except UnicodeEncodeError:  # also how Python shows a file name that is not in UTF-8
        return False
