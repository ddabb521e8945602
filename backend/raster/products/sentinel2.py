"""Sentinel-2 products: a .SAFE folder, its zip, or one of its metadata files; L1C and L2A.

Source of names and rules: ESA, Sentinel-2 Products Specification Document 14.9. A band comes at its native
resolution only. Digital number 0 is "no data"; from processing baseline 04.00 reflectance is
(number + offset) / quantification value.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element  # nosec B405 - a type; see product_files.parse_xml

from ...errors import TerramendError
from ...request import Mask
from ..gdal import open_dataset
from ..grid import Grid
from ..product_files import ProductFiles, number, open_product_files
from ..raster import Band, Raster
from . import dates
from .files import grid_of
from .radiometry import OFFSET_SINCE
from .roles import SENTINEL2
from .sensors import credits_of

NATIVE = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10,
    "B8A": 20, "B09": 60, "B10": 60, "B11": 20, "B12": 20,
}  # fmt: skip
"""Metres."""
IDS = tuple(NATIVE)
"""Bands in the order of their `band_id` in the metadata."""

_PRODUCT = re.compile(r"(?:^|/)(?:S2[ABCD]_OPER_)?MTD_(?:MSIL|SAFL)(1C|2A)[^/]*\.xml$", re.IGNORECASE)
_TILE = re.compile(r"(?:^|/)(?:MTD_TL|S2[ABCD]_OPER_MTD_L(?:1C|2A)_TL[^/]*)\.xml$", re.IGNORECASE)
_BAND = re.compile(r"_(B\d[\dA])(?:_(\d\d)m)?\.jp2$", re.IGNORECASE)


@dataclass(frozen=True)
class _Scaling:
    quantification: float
    offsets: dict[str, float]

    def of(self, band: str) -> tuple[float, float]:
        return 1 / self.quantification, self.offsets.get(band, 0.0) / self.quantification


def open_sentinel2(path: str) -> tuple[Raster, ...] | None:
    """The rasters of a Sentinel-2 product, finest first; None if the path is no such product.

    Raises:
        TerramendError: `product.granules`, `product.empty`, `product.file`.
    """
    files, within = _find(path)
    if files is None:
        return None
    products = [n for n in files.names if _PRODUCT.search(n)]
    tiles = sorted({n for n in files.names if _TILE.search(n) and n.startswith(within)})
    if not products and not tiles:
        return None
    if len(tiles) > 1:
        raise TerramendError("product.granules", path=path, count=len(tiles))
    product = min(products, key=lambda n: n.count("/")) if products else None
    inside = tiles[0].rpartition("/")[0] if tiles else ""
    return _rasters(path, files, product, tiles[0] if tiles else None, inside)


def _find(path: str) -> tuple[ProductFiles | None, str]:
    """The product's files, and the part of them that the path names."""
    place = Path(path)
    if place.suffix.lower() == ".xml":
        if not (_PRODUCT.search(place.name) or _TILE.search(place.name)):
            return None, ""
        place = place.parent
    elif not place.is_dir():
        return open_product_files(path), ""
    # A granule's folder: its product lies two folders above.
    above = place.resolve().parents
    if len(above) > 1 and above[0].name == "GRANULE":
        return open_product_files(str(above[1])), f"GRANULE/{place.resolve().name}/"
    return open_product_files(str(place)), ""


def _rasters(
    path: str, files: ProductFiles, product: str | None, tile: str | None, inside: str
) -> tuple[Raster, ...]:
    chosen = _images(files, inside)
    if not chosen:
        raise TerramendError("product.empty", path=path, what="band images (B02.jp2 and so on)")
    about = files.xml(product) if product else None
    level2 = _level2(product or "", next(iter(chosen.values())))
    tile_about = files.xml(tile) if tile else None
    sun, sensed = _angles(tile_about) if tile_about is not None else (None, None)
    sensed = sensed or _sensed(about) or dates.date_in(PurePosixPath(next(iter(chosen.values()))).name)
    scaling = _scaling(about) if about is not None else _by_name(files, tile_about, sensed)
    by_grid: dict[Grid, list[Band]] = {}
    for band in (b for b in IDS if b in chosen):
        name = files.gdal(chosen[band])
        with open_dataset(name) as file:
            grid, dtype = grid_of(file, name), file.dtypes[0]
        gain, bias = scaling.of(band)
        by_grid.setdefault(grid, []).append(
            Band(name, 1, band, "optical", float(SENTINEL2[band]), dtype, None, gain, bias)
        )
    return tuple(
        Raster(
            name=_name(path, files, product),
            grid=grid,
            bands=tuple(bands),
            date=sensed,
            sun=sun,
            sensor="sentinel2",
            surface=level2,
            masks=_masks(files, inside, level2),
            zero_fill=True,
            credits=credits_of("sentinel2", sensed),
        )
        for grid, bands in by_grid.items()
    )


def _images(files: ProductFiles, inside: str) -> dict[str, str]:
    """File of each band at its native resolution, or at the finest there is."""
    found: dict[str, tuple[int, str]] = {}
    for name in files.names:
        match = _BAND.search(name)
        if match is None or not name.startswith(inside) or "/QI_DATA/" in name:
            continue
        band = match.group(1).upper()
        if band not in NATIVE:
            continue
        metres = int(match.group(2) or NATIVE[band])
        distance = abs(metres - NATIVE[band])
        if band not in found or distance < found[band][0]:
            found[band] = (distance, name)
    return {band: name for band, (_, name) in found.items()}


def _scaling(about: Element) -> _Scaling:
    """Quantification value and offsets, with those of baselines before 04.00 as default."""
    values = [about.find(f".//{tag}") for tag in ("BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")]
    quantification = next((n for v in values if (n := number(v))), 10000.0)
    offsets = {}
    for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        for element in about.iter(tag):
            index, value = element.get("band_id", ""), number(element)
            if index.isdigit() and int(index) < len(IDS) and value is not None:
                offsets[IDS[int(index)]] = value
    return _Scaling(quantification, offsets)


def _by_name(files: ProductFiles, tile: Element | None, sensed: datetime.date | None) -> _Scaling:
    """Without the product's metadata: the baseline of product or tile tells of offsets, else the date."""
    name = str(Path(files.path).resolve()) + " ".join(files.names[:1])
    tile_id = tile.findtext(".//TILE_ID", "").strip() if tile is not None else ""
    baseline = re.search(r"_N(\d\d)(\d\d)_R\d{3}", name) or re.search(r"_N(\d\d)\.(\d\d)$", tile_id)
    if baseline is None:
        late = sensed is not None and sensed >= OFFSET_SINCE
    else:
        late = 400 <= int("".join(baseline.groups())) < 9999
    return _Scaling(10000.0, dict.fromkeys(IDS, -1000.0) if late else {})


def _level2(product: str, image: str) -> bool:
    match = _PRODUCT.search(product)
    if match:
        return match.group(1).upper() == "2A"
    return re.search(r"_\d\dm\.jp2$", image) is not None or "L2A" in image


def _angles(tile: Element) -> tuple[tuple[float, float] | None, datetime.date | None]:
    """Sun's azimuth and elevation, and the date."""
    zenith, azimuth = (number(tile.find(f".//Mean_Sun_Angle/{n}_ANGLE")) for n in ("ZENITH", "AZIMUTH"))
    sun = None
    if zenith is not None and azimuth is not None and zenith < 90:
        sun = (azimuth % 360, 90 - zenith)
    return sun, dates.date_in(tile.findtext(".//SENSING_TIME", ""))


def _sensed(about: Element | None) -> datetime.date | None:
    if about is None:
        return None
    texts = (about.findtext(f".//{t}", "") for t in ("DATATAKE_SENSING_START", "PRODUCT_START_TIME"))
    return next((date for text in texts if (date := dates.date_in(text))), None)


def _masks(files: ProductFiles, inside: str, level2: bool) -> tuple[Mask, ...]:
    """The scene classification (L2A); the cloud mask (L1C), which is polygons before baseline 04.00.

    A file without polygons says that there is no cloud.
    """
    for ending in ("_SCL_20m.jp2", "_SCL_60m.jp2") if level2 else ("MSK_CLASSI_B00.jp2",):
        for name in files.matching(ending):
            if name.startswith(inside):
                return (Mask(files.gdal(name), "scl" if level2 else "qa60"),)
    for name in () if level2 else files.matching("MSK_CLOUDS_B00.gml"):
        if name.startswith(inside):
            clouds = files.xml(name).find(".//Polygon") is not None
            return (Mask(files.gdal(name), "polygons") if clouds else Mask("", "none"),)
    return ()


def _name(path: str, files: ProductFiles, product: str | None) -> str:
    """The product's own name."""
    for text in (*(PurePosixPath(product).parts[:-1] if product else ()), Path(files.path).resolve().name):
        if re.match(r"S2[ABCD]_", text):
            return text.removesuffix(".zip").removesuffix(".SAFE")
    return Path(path).name
