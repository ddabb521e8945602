"""What a band is, by its name: role and centre wavelength."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..masks.names import kind_of_file, mask_kind_of, words_of

NAN = math.nan

SENTINEL2 = {
    "B01": 443, "B02": 492, "B03": 560, "B04": 665, "B05": 704, "B06": 740, "B07": 783,
    "B08": 833, "B8A": 865, "B09": 945, "B10": 1374, "B11": 1614, "B12": 2202,
}  # fmt: skip
"""Nanometres, Sentinel-2 MSI (ESA, S2 User Handbook)."""
OLI = {
    "1": 443, "2": 482, "3": 561, "4": 655, "5": 865, "6": 1609, "7": 2201, "8": 590, "9": 1373,
    "10": 10895, "11": 12005,
}  # fmt: skip
"""Nanometres, Landsat 8/9 OLI and TIRS (USGS)."""
TM = {"1": 485, "2": 560, "3": 660, "4": 835, "5": 1650, "6": 11450, "7": 2220, "8": 710}
"""Nanometres, Landsat 4-7 TM and ETM+ (USGS)."""
MSS = {"4": 550, "5": 650, "6": 750, "7": 950}
"""Nanometres, Landsat 4-5 MSS; 1-3 count the same bands from 4 too."""
MODIS = {"1": 645, "2": 858, "3": 469, "4": 555, "5": 1240, "6": 1640, "7": 2130}
"""Nanometres, MODIS's land bands (MOD09 user guide)."""

COLOURS = {
    "coastal": 443, "coastalblue": 443, "aerosol": 443, "blue": 490, "greeni": 531,
    "green": 560, "yellow": 605, "red": 660, "rededge": 720,
    "nir": 842, "nir08": 865, "nir09": 945, "nirnarrow": 865, "narrownir": 865, "nearinfrared": 842,
    "cirrus": 1375, "swir": 1610, "swir1": 1610, "swir16": 1610, "swir2": 2200, "swir22": 2200,
    "pan": 590, "panchromatic": 590,
}  # fmt: skip

AGREED = ("b02", "b03", "b04", "b08", "b8a")
"""Names that mean the same colour in Sentinel-2 and both HLS products, and nothing in others."""

_ALPHA = re.compile(r"^(alpha|band[ _]?alpha|opacity)$")
_QA = re.compile(
    r"(^|[^a-z])(qa|qa60|qa\d+|bqa|udm|udm2|quality|pixel_?qa|radsat|valid_?mask|datamask|dqf?|"
    r"(state|qc)(_\w+)?)([^a-z]|$)|_qa_|qa_pixel"
)
_QUALITY_OF = re.compile(r"qc_(day|night)|quality_flag")
"""Layers of MODIS and VIIRS, as files' names end in them."""
_COVER = r"land[ _]?(cover|use)|world_?cover|corine|nlcd|lc_type\d|lulc"
_COVERED = re.compile(rf"(^|[^a-z])({_COVER})([^a-z]|$)")
_CLASS = re.compile(
    rf"(^|[^a-z])(scl|fmask|class(es|ification)?|{_COVER}|"
    r"label|labels|clm|cld|cloud_?mask|mask|cloud_?prob(ability)?|cldprb|snwprb|clouds?|shadows?)([^a-z]|$)"
)
_WATER = r"chl|chla|chlor_?a|chlorophyll|tsm|spm|turbidity|kd_?\d+|sst"
_AT_NIGHT = r"(avg|median)_rad|avg_rade\d+h|dnb|svdnb|ntl|night_?lights?"
"""Of light at night alone: other radiance is a band's, and what its name says of its colour counts."""
_AMOUNT = rf"{_WATER}|{_AT_NIGHT}|precip|precipitation|rainfall|soil[ _]?moisture|sm_surface|biomass"
_TERRAIN = r"dem|dsm|dtm|srtm|elevation|altitude|height|slope|aspect|hillshade"
_SCALAR = (
    rf"{_AMOUNT}|{_TERRAIN}|"
    r"ndvi|evi2?|savi|msavi|ndwi|mndwi|ndmi|ndsi|nbr2?|lai|fapar|fcover|ndbi|gndvi|ndre"
)
_INDEX = re.compile(
    rf"(^|[^a-z])({_SCALAR}|"
    r"aot|aod|optical_depth|wvp|(solar|sensor)?(zenith|azimuth)|vaa|vza|saa|sza|[sv]zen|raz|day_of_year)([^a-z]|$)"
)
_THERMAL = re.compile(
    r"(^|[^a-z])(thermal|tir|tirs[12]?|lwir\d*|lst|st_b\d+|temperature|bt(_band\d+)?)([^a-z]|$)"
)
_RADAR = re.compile(r"(^|[^a-z0-9])(vv|vh|hh|hv)([^a-z0-9]|$)")
"""Polarisations, which radar's bands are named by."""
_MEASURED = re.compile(rf"(?<![a-z])({_SCALAR}|lst|vv|vh|hh|hv|day|night)(?![a-z])")


def is_radar(name: str) -> bool:
    """Whether the name of a band, or of a file with one, says radar."""
    return _RADAR.search(name.strip().lower()) is not None


def measured_by(name: str) -> frozenset[str]:
    """What a band's name says that it measures: an index, an amount, a polarisation, by day or by night."""
    return frozenset(found.group(1) for found in _MEASURED.finditer(name.lower()))


def role_of(name: str, *, alpha: bool = False, palette: bool = False) -> str:
    """A role of `raster.Band`, from a band's description or its file's name.

    Args:
        name: description; unknown or empty means `optical`.
        alpha, palette: what the file's colour interpretation says.
    """
    text = name.strip().lower()
    if alpha or _ALPHA.search(text):
        return "alpha"
    if palette:
        return "class"
    if _QA.search(text):
        return "qa"
    if _CLASS.search(text):
        return "class"
    if _THERMAL.search(text):
        return "thermal"
    if _INDEX.search(text):
        return "index"
    return "optical"


def wavelength_of(name: str, sensor: str = "") -> float:
    """Centre wavelength in nanometres of a band called `name`, NaN if the name does not tell."""
    text = name.strip().lower()
    number = re.search(r"(?:^|[^a-z0-9])(?:sr_|toa_|st_)?b(?:and)?[ _]?0*(\d{1,2}a?)(?:[^a-z0-9]|$)", text)
    if number:
        found = number.group(1).upper()
        table = _table(sensor)
        if table is SENTINEL2:
            found = found.zfill(3 if found.endswith("A") else 2)
            found = "B8A" if found.endswith("A") else f"B{found}"
        if table and found in table:
            return float(table[found])
    if not sensor and text in AGREED:
        return float(SENTINEL2[text.upper()])
    text = re.sub(r"(red|coastal)[ _-](edge|blue)", r"\1\2", text)
    squeezed = re.sub(r"[^a-z0-9]", "", text)
    if squeezed in COLOURS:
        return float(COLOURS[squeezed])
    words = [word for word in re.split(r"[^a-z0-9]+", text) if word in COLOURS]
    if words:
        return float(COLOURS[words[-1]])
    stated = re.search(r"(\d+(?:\.\d+)?)\s*(nm|nanomet|um|µm|micromet)", text)
    if stated:
        return float(stated.group(1)) * (1 if stated.group(2).startswith("n") else 1000)
    return NAN


def naming(names: Sequence[str | None], sensor: str) -> str:
    """The sensor whose names a file's bands bear: its own, or Sentinel-2 where B08 or B8A is among them.

    Landsat's B11 is thermal and Sentinel-2's is not; no product with Landsat's names has those two.
    """
    bears = any((name or "").strip().lower() in ("b08", "b8a") for name in names)
    return "sentinel2" if not sensor and bears else sensor


def _table(sensor: str) -> dict[str, int] | None:
    if sensor.startswith("sentinel2"):
        return SENTINEL2
    if sensor in ("landsat8", "landsat9"):
        return OLI
    if sensor in ("landsat4", "landsat5", "landsat7"):
        return TM
    if sensor.startswith("landsat"):
        return MSS
    if sensor == "modis":
        return MODIS
    return None


def role_of_file(stem: str) -> str:
    """The role of a file's only band, from the file's name alone.

    A mask is named so at its end (`..._SCL_20m`, `..._QA_PIXEL`, `..._cloudmask`) or begins with `mask`:
    `clouds_removed` is no mask. A map of land cover, or an index, may say so anywhere, unless it ends in a
    band's name: `slope_county_B04` is light.
    """
    words = words_of(stem)
    tail, last = "_".join(words[-2:]), words[-1] if words else ""
    if kind_of_file(stem):
        return "qa" if role_of(tail) == "qa" else "class"
    if _QUALITY_OF.fullmatch(tail.lower()):
        return "qa"
    if mask_kind_of(last) or (words and words[0].lower() in ("mask", "cloudmask")):
        return "class"
    role = role_of(stem)
    band = math.isfinite(wavelength_of(last, "sentinel2"))
    if role_of(last) == "optical" and not band and _COVERED.search(stem.lower()):
        return role
    if role == "index" and role_of(last) == "optical" and band:
        return "optical"
    return role if role in ("index", "thermal") or role_of(last) == role else "optical"
