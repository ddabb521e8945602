"""Landsat products, Collection 1 and 2, Level 1 and 2: a folder, a tar, or the MTL file.

Source of names and rules: USGS, Landsat Collection 2 Level 1 and 2 Data Format Control Books, Landsat 8
Data Users Handbook. The metadata file (MTL, as txt, json or xml) is used where there is one; else names and
documented scalings. Bands come in the order of their number; 0 is fill where the file declares nothing.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import TerramendError
from ...request import Mask
from ...watch import Watch
from ..gdal import open_dataset, scaling_of
from ..grid import Grid
from ..product_files import ProductFiles, open_product_files
from ..raster import Band, Raster
from . import dates, radiometry
from .files import grid_of
from .roles import wavelength_of
from .sensors import credits_of, sensor_of

Groups = dict[str, dict[str, str]]

_MTL = re.compile(r"_MTL\.(json|txt|xml)$", re.IGNORECASE)
_FILE = re.compile(
    r"^(?P<id>L[COTEM]\d\d.*?)_(?P<kind>SR_|ST_|sr_band|toa_band|bt_band|band)?B?(?P<number>\d{1,2})"
    r"(?P<vcid>_VCID_\d)?\.tif$",
    re.IGNORECASE,
)
_QA = (("_QA_PIXEL.TIF", "qa_pixel"), ("_pixel_qa.tif", "qa_pixel"), ("_BQA.TIF", "bqa"))


def open_landsat(path: str, watch: Watch) -> tuple[Raster, ...] | None:
    """The rasters of a Landsat product (the panchromatic band alone), finest first; None if it is none.

    Raises:
        TerramendError: `product.file`, `product.empty`, `product.scenes`, `radiometry.sun`.
    """
    files = open_product_files(str(Path(path).parent) if _MTL.search(Path(path).name) else path)
    if files is None:
        return None
    metadata = [n for n in files.names if _MTL.search(n)]
    images = _images(files)
    if not metadata and not images:
        return None
    scenes = {_scene(n) for n in files.names if n.count("/") < 2 and _FILE.search(PurePosixPath(n).name)}
    if not images:
        raise TerramendError("product.empty", path=path, what="band images (_B2.TIF, _SR_B2.TIF and so on)")
    if len(scenes) > 1:
        raise TerramendError("product.scenes", path=path, count=len(scenes))
    if path.lower().endswith((".gz", ".tgz")):
        watch.notice("product.compressed", path=path)
    stem = _product(PurePosixPath(next(iter(images.values()))).name)
    own = [n for n in metadata if stem.upper() in n.upper()]
    groups = _read_mtl(files, own or metadata) if metadata else {}
    return _rasters(path, files, images, groups)


def _scene(name: str) -> str:
    """Path, row and date of a file, whatever its product's level."""
    found = re.search(r"(\d{6})_?(\d{8}|\d{7})", PurePosixPath(name).name)
    return "".join(found.groups()) if found else ""


def _images(files: ProductFiles) -> dict[str, str]:
    """Files by band: `2`, `10`, `ST10`; surface reflectance where a folder holds both levels."""
    found: dict[str, tuple[int, str]] = {}
    for name in files.names:
        file = PurePosixPath(name).name
        match = _FILE.search(file)
        if match is None or name.count("/") > 1:
            continue
        if match.group("vcid") == "_VCID_2":
            continue
        kind = (match.group("kind") or "").lower()
        rank = {"sr_": 0, "st_": 0, "sr_band": 0, "toa_band": 1, "bt_band": 1}.get(kind, 2)
        key = ("T" if kind in ("st_", "bt_band") else "") + match.group("number").lstrip("0")
        if key not in found or rank < found[key][0]:
            found[key] = (rank, name)
    best = min((rank for key, (rank, _) in found.items() if not key.startswith("T")), default=2)
    return {
        key: name
        for key, (rank, name) in sorted(found.items(), key=lambda item: (int(item[0].lstrip("T")), item[0]))
        if rank == best or key.startswith("T")
    }


def _rasters(path: str, files: ProductFiles, images: dict[str, str], groups: Groups) -> tuple[Raster, ...]:
    first = PurePosixPath(next(iter(images.values()))).name
    sensor = _sensor(groups, first)
    sun = _sun(groups)
    date = dates.date_in(_value(groups, "DATE_ACQUIRED") or "") or dates.date_in(first)
    rule = radiometry.landsat_rule(first) or ("landsat-c1-toa" if groups else None)
    by_grid: dict[Grid, list[Band]] = {}
    for key, name in images.items():
        band, grid = _band(files.gdal(name), key, sensor)
        scaled = _from_mtl(band, key, groups, rule, sun)
        by_grid.setdefault(grid, []).append(scaled)
    quality = [(n, kind) for ending, kind in _QA for n in files.matching(ending) if n.count("/") < 2]
    masks = [Mask(files.gdal(name), kind) for name, kind in quality]
    return tuple(
        Raster(
            name=_product(first),
            grid=grid,
            bands=tuple(bands),
            date=date,
            sun=sun,
            sensor=sensor,
            surface=None if rule is None else rule.endswith("-sr"),
            masks=tuple(masks[:1]),
            credits=credits_of("landsat", date),
        )
        for grid, bands in by_grid.items()
    )


def _product(name: str) -> str:
    """A product's name from that of one of its band files."""
    return re.sub(r"_(SR_|ST_|toa_|bt_|band|B\d).*$", "", name, flags=re.IGNORECASE)


def _band(name: str, key: str, sensor: str) -> tuple[Band, Grid]:
    with open_dataset(name) as file:
        grid = grid_of(file, name)
        nodata = file.nodatavals[0]
        dtype = file.dtypes[0]
        gain, bias = scaling_of(file, 1)
    digits = key.lstrip("T")
    wavelength = wavelength_of(f"B{digits}", sensor)
    thermal = key.startswith("T") or wavelength > 8000
    if nodata is None and dtype != "int16":
        nodata = 0.0  # the fill value of Level 1; Level 2 declares its own
    description = f"{'ST_' if key.startswith('T') else ''}B{digits}"
    role = "thermal" if thermal else "optical"
    return Band(name, 1, description, role, wavelength, dtype, nodata, gain, bias), grid


def _from_mtl(
    band: Band, key: str, groups: Groups, rule: str | None, sun: tuple[float, float] | None
) -> Band:
    """Gain and bias by the metadata; untouched where it does not say (rules by name follow)."""
    digits = key.lstrip("T")
    if band.role == "thermal":
        surface = _pair(groups, "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", "TEMPERATURE", f"ST_B{digits}")
        if surface and key.startswith("T"):
            return replace(band, gain=surface[0] * radiometry.KILO, bias=surface[1] * radiometry.KILO)
        if not key.startswith("T"):
            radiance = _pair(groups, "RESCALING", "RADIANCE", digits) or (0.1, 0.0)
            return replace(band, gain=radiance[0] * 0.01, bias=radiance[1] * 0.01)  # W/(m2 sr um) / 100
        return band
    level2 = rule is not None and rule.endswith("-sr")
    if level2:
        found = _pair(groups, "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", "REFLECTANCE", digits)
        return replace(band, gain=found[0], bias=found[1]) if found else band
    found = _pair(groups, "RESCALING", "REFLECTANCE", digits)
    if found and sun and band.dtype != "int16":
        sine = math.sin(math.radians(sun[1]))
        return replace(band, gain=found[0] / sine, bias=found[1] / sine)
    return band


def _pair(groups: Groups, group: str, what: str, band: str) -> tuple[float, float] | None:
    """Multiplier and addend of a band, from the group whose name ends so."""
    for name, values in groups.items():
        if not name.endswith(group):
            continue
        for suffix in (band, f"{band}_VCID_1"):
            try:
                return float(values[f"{what}_MULT_BAND_{suffix}"]), float(values[f"{what}_ADD_BAND_{suffix}"])
            except (KeyError, ValueError):
                continue
    return None


def _sensor(groups: Groups, name: str) -> str:
    craft = re.search(r"LANDSAT_?(\d)", _value(groups, "SPACECRAFT_ID") or "")
    return f"landsat{craft.group(1)}" if craft else sensor_of(name)


def _sun(groups: Groups) -> tuple[float, float] | None:
    return dates.sun_of_tags({k: _value(groups, k) or "" for k in ("SUN_AZIMUTH", "SUN_ELEVATION")})


def _value(groups: Groups, key: str) -> str | None:
    return next((values[key] for values in groups.values() if key in values), None)


def _read_mtl(files: ProductFiles, names: list[str]) -> Groups:
    """Groups of the metadata file, whichever of its three forms is there."""
    name = min(names, key=lambda n: (n.count("/"), n.rsplit(".", 1)[1].lower()))  # json, txt, xml
    ending = name.rsplit(".", 1)[1].lower()
    if ending == "json":
        try:
            tree = json.loads(files.text(name))
        except (ValueError, RecursionError) as error:
            raise TerramendError("product.file", path=files.path, file=name, why=str(error)) from error
        return _flatten(tree)
    if ending == "xml":
        return {g.tag: {e.tag: (e.text or "").strip() for e in g} for g in files.xml(name)}
    return _odl(files.text(name))


def _flatten(tree: Any) -> Groups:
    """The groups of the JSON form, which lie one level below the root."""
    root = next((v for v in tree.values() if isinstance(v, dict)), {}) if isinstance(tree, dict) else {}
    return {k: {a: str(b) for a, b in v.items()} for k, v in root.items() if isinstance(v, dict)}


def _odl(text: str) -> Groups:
    """The groups of the text form: `GROUP = NAME`, `KEY = VALUE`, `END_GROUP = NAME`."""
    groups: Groups = {}
    group = ""
    for line in text.splitlines():
        key, found, value = (part.strip() for part in line.partition("="))
        value = value.strip('"')
        if key == "GROUP":
            group = value
        elif found and key != "END_GROUP":
            groups.setdefault(group, {})[key] = value
    return groups
