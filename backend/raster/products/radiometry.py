"""How stored values become reflectance: by option, tags, product name, or a guess that is said.

Rules (gain, bias for reflectance = stored * gain + bias):

- Sentinel-2 MSI: 1/10000; from processing baseline 04.00 (25 January 2022) stored values carry an
  offset of +1000, so the bias is -0.1 (ESA, S2 Products Specification 14.9).
- Landsat Collection 2 surface reflectance: 2.75e-5, -0.2; surface temperature 0.00341802 K, +149 K
  (USGS, Landsat Collection 2 Level 2 Science Product Guide).
- Landsat Level 1 OLI reflectance: 2e-5, -0.1, divided by the sine of the sun's elevation (USGS, Landsat 8
  Data Users Handbook). Collection 1 surface reflectance (LaSRC, LEDAPS): 1e-4.
- Thermal bands beside optical ones are kept in kilokelvin, so that they too are numbers around 0.3.

Where no band is optical, temperatures and indices stay what the file or its product says: its own values.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import TerramendError
from ...watch import Watch
from ..gdal import sparse_sample
from ..raster import Band, Raster, in_own_values, is_light, is_reflectance
from . import dates

OFFSET_SINCE = datetime.date(2022, 1, 25)
KILO = 1e-3

FIXED = {
    "reflectance": (1.0, 0.0),
    "sentinel2": (1e-4, 0.0),
    "sentinel2-offset": (1e-4, -0.1),
    "landsat-c2-sr": (2.75e-5, -0.2),
    "landsat-c1-sr": (1e-4, 0.0),
}
DARKEST = 6000
"""What Collection 2 stores at least for surface reflectance (7273 for 0, shadows fall a little below)."""
LANDSAT_TOA = (2e-5, -0.1)
LANDSAT_ST = (0.00341802 * KILO, 149.0 * KILO)
LANDSAT_C1_BT = (0.1 * KILO, 0.0)

_LANDSAT = re.compile(
    r"L[COTEM]0[1-9]_L(1TP|1GT|1GS|2SP|2SR)_\d{6}_\d{8}_\d{8}_0([12])_(T1|T2|RT|A1|A2)", re.IGNORECASE
)
_ARD = re.compile(r"L[COTEM]0[1-9]_(CU|AK|HI)_\d{6}_\d{8}_\d{8}_02_S[RT]", re.IGNORECASE)
"""Analysis ready tiles of the United States."""
_ESPA = re.compile(r"L[COTEM]0[1-9]\d{6}\d{8}01(T1|T2|RT)|_(sr|toa|bt)_band\d", re.IGNORECASE)
_C2_SR = re.compile(r"SR_B[1-7]$")
"""Names of Landsat's bands in Collection 2 alone, also where Earth Engine exports them."""
_BASELINE = re.compile(r"_N(\d{4})_R\d{3}", re.IGNORECASE)
_S2_TILE = re.compile(r"T\d{2}[A-Z]{3}_(\d{8})T\d{6}_(B\w\w)", re.IGNORECASE)


def apply(raster: Raster, radiometry: str, watch: Watch) -> Raster:
    """The raster with gains and biases for `radiometry`, one of `request.RADIOMETRIES`.

    Bands whose file states scale and offset, or whose product does, come with them; `auto` keeps those
    and looks further only where gain is 1 and bias is 0.

    Raises:
        TerramendError: `radiometry.sun` where the sun's elevation is needed and unknown.
    """
    text = " ".join(dict.fromkeys([raster.name, *(band.path for band in raster.bands)]))
    if not is_reflectance(raster.bands):
        return replace(raster, bands=tuple(_own(band, landsat_rule(text)) for band in raster.bands))
    surface = _level_by_name(text) if raster.surface is None else raster.surface
    if radiometry != "auto":
        bands = tuple(_forced(band, raster, radiometry) for band in raster.bands)
        said = radiometry != "dn"
        return replace(raster, bands=bands, surface=_level(radiometry, surface), said=said)
    rule = rule_of(text)
    if rule is not None and rule.endswith("-toa") and all(band.dtype == "uint8" for band in raster.bands):
        rule = None  # TM and ETM+ count in 8 bits; what they mean only the metadata tells
    if rule is not None and not any((b.gain, b.bias) != (1, 0) for b in raster.bands if b.role == "optical"):
        # Old dates too were processed anew, with the offset: only the baseline tells.
        if rule == "sentinel2" and not _BASELINE.search(text):
            watch.notice("radiometry.guess", name=raster.name, rule="the stored value times 0.0001")
        return apply(raster, rule, watch)
    if _is_c2(raster):
        gain, bias = FIXED["landsat-c2-sr"]
        rule = f"the stored value times {gain:g} - {-bias:g}"
        watch.notice("radiometry.guess", name=raster.name, rule=rule)
        return apply(raster, "landsat-c2-sr", watch)
    # One rule for all bands: a dark one would pass for percent, or for reflectance, alone.
    high = max((_percentile(b, 98) for b in raster.bands if _unscaled(b)), default=0.0)
    if high < 0:  # as radar in dB: light is not below zero all over
        return replace(raster, bands=in_own_values(raster.bands))
    bands = tuple(_guessed(band, raster, high, watch) for band in raster.bands)
    return replace(raster, bands=bands, surface=_level(rule or "", surface))


def as_dates(raster: Raster, shown: Sequence[Band], watch: Watch) -> Raster:
    """The raster, its unscaled floats in the scale of the bands that other dates show, if it has no values.

    A date that is clouded all over tells nothing to guess by, and is filled in what the others are in.
    """
    unscaled = [b for b in raster.bands if _unscaled(b)]
    if not unscaled or any(_percentile(b, 98) for b in unscaled):
        return raster
    floats = [b for b in shown if b.role == "optical" and np.dtype(b.dtype).kind == "f"]
    scales = {(b.gain, b.bias) for b in floats if not _unscaled(b) or _percentile(b, 98)}
    if len(scales) != 1 or scales == {(1, 0)}:
        return raster
    gain, bias = scales.pop()
    watch.notice("radiometry.guess", name=raster.name, rule=f"the stored value times {gain:g}")
    bands = tuple(replace(b, gain=gain, bias=bias) if _unscaled(b) else b for b in raster.bands)
    return replace(raster, bands=bands)


def _unscaled(band: Band) -> bool:
    return band.role == "optical" and np.dtype(band.dtype).kind == "f" and (band.gain, band.bias) == (1, 0)


def _own(band: Band, rule: str | None) -> Band:
    """A band of a raster without optical ones, in its own values: Landsat's surface temperature in kelvin."""
    plain = np.dtype(band.dtype).kind in "iu" and (band.gain, band.bias) == (1, 0)
    if band.role != "thermal" or rule != "landsat-c2-sr" or not plain:
        return band
    return replace(band, gain=LANDSAT_ST[0] / KILO, bias=LANDSAT_ST[1] / KILO)


def rule_of(text: str) -> str | None:
    """The radiometry that product names in `text` tell, or None."""
    landsat = landsat_rule(text)
    if landsat:
        return landsat
    baseline = _BASELINE.search(text)
    if baseline and re.search(r"S2[ABCD]_MSIL", text):
        return "sentinel2-offset" if 400 <= int(baseline.group(1)) < 9999 else "sentinel2"
    tile = _S2_TILE.search(text)
    if tile and ".jp2" in text.lower():
        sensed = dates.date_in(tile.group(1))
        return "sentinel2-offset" if sensed and sensed >= OFFSET_SINCE else "sentinel2"
    return None


def landsat_rule(text: str) -> str | None:
    """The radiometry that a Landsat product's name tells, or None."""
    if _ESPA.search(text):
        return "landsat-c1-toa" if re.search(r"_toa_band\d", text, re.IGNORECASE) else "landsat-c1-sr"
    landsat = _LANDSAT.search(text)
    if landsat is None:
        return "landsat-c2-sr" if _ARD.search(text) else None
    level = "sr" if landsat.group(1).startswith("2") else "toa"
    return f"landsat-c{landsat.group(2)}-{level}"


def _forced(band: Band, raster: Raster, radiometry: str) -> Band:
    if band.role not in ("optical", "thermal"):
        return band
    whole = np.dtype(band.dtype).kind in "iu"
    if radiometry == "dn":
        return replace(band, gain=_plain(band.dtype), bias=0.0)
    if band.role == "thermal":
        if (band.gain, band.bias) != (1, 0):
            return band
        if radiometry == "landsat-c2-sr" and whole:
            return replace(band, gain=LANDSAT_ST[0], bias=LANDSAT_ST[1])
        return replace(band, gain=LANDSAT_C1_BT[0] if whole else KILO, bias=0.0)
    if radiometry in ("landsat-c1-toa", "landsat-c2-toa"):
        if band.dtype == "int16":  # ESPA's top-of-atmosphere product
            return replace(band, gain=1e-4, bias=0.0)
        if raster.sun is None:
            raise TerramendError("radiometry.sun", name=raster.name)
        sine = math.sin(math.radians(raster.sun[1]))
        return replace(band, gain=LANDSAT_TOA[0] / sine, bias=LANDSAT_TOA[1] / sine)
    gain, bias = FIXED[radiometry]
    return replace(band, gain=gain, bias=bias)


def _guessed(band: Band, raster: Raster, high: float, watch: Watch) -> Band:
    """Tags are kept; else what the dtype and the values suggest, said as a notice.

    Args:
        high: the 98th percentile of the brightest float band.
    """
    if band.role in ("class", "qa", "alpha") or (band.gain, band.bias) != (1, 0):
        return band
    kind = np.dtype(band.dtype)
    if band.role == "index":
        return replace(band, gain=_plain(band.dtype))
    if band.role == "thermal":
        return replace(band, gain=LANDSAT_C1_BT[0] if kind.kind in "iu" else KILO)
    if kind.kind == "f":
        if high <= 3:
            return band
        gain = 0.01 if high <= 150 else 1e-4
        watch.notice("radiometry.guess", name=raster.name, rule=f"the stored value times {gain:g}")
        return replace(band, gain=gain)
    gain = _plain(band.dtype)
    if kind.itemsize == 1:
        watch.notice("radiometry.guess", name=raster.name, rule="the stored value divided by 255")
    elif raster.sensor != "sentinel2" or (raster.date is not None and raster.date >= OFFSET_SINCE):
        watch.notice("radiometry.guess", name=raster.name, rule="the stored value divided by 10000")
    return replace(band, gain=gain)


def _plain(dtype: str) -> float:
    """The gain of plain numbers: uint8 over 255, other whole numbers over 10000."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return 1.0
    return 1 / 255 if kind.itemsize == 1 else 1e-4


def _is_c2(raster: Raster) -> bool:
    """Whether bands are named as Collection 2 names them, and hold values as it stores them."""
    named = [b for b in raster.bands if _C2_SR.match(b.description) and (b.gain, b.bias) == (1, 0)]
    return bool(named) and all(_percentile(band, 2) > DARKEST for band in named)


def _percentile(band: Band, percent: float) -> float:
    """Of a sparse sample of what was observed, which no zero was; 0 where there is nothing."""
    values = sparse_sample(band.path, band.index)
    values = values[np.isfinite(values) & (values != 0)]
    if band.nodata is not None:
        values = values[values != band.nodata]
    return float(np.percentile(values, percent)) if values.size else 0.0


def _level_by_name(text: str) -> bool | None:
    """Surface or top of atmosphere, where a Sentinel-2 or HLS product's name says it."""
    found = re.search(r"MSI_?L(1C|2A)|(HLS)\.[LS]30", text, re.IGNORECASE)
    return None if found is None else (found.group(1) or "2A").upper() == "2A"


def _level(radiometry: str, known: bool | None) -> bool | None:
    if radiometry.endswith("-sr"):
        return True
    return False if radiometry.endswith("-toa") else known


def in_words(raster: Raster) -> str:
    """How the first optical band's values become reflectance, and of which level, for people."""
    band = next((b for b in raster.bands if b.role == "optical"), None)
    if band is None or not is_light(raster, band):
        return "the file's own values"
    level = {True: "surface reflectance", False: "top-of-atmosphere reflectance", None: "reflectance"}
    if (band.gain, band.bias) == (1, 0):
        return level[raster.surface]
    sign = "-" if band.bias < 0 else "+"
    bias = f" {sign} {abs(band.bias):g}" if band.bias else ""
    return f"{level[raster.surface]} = value × {band.gain:g}{bias}"
