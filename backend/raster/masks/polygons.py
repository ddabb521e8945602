"""Polygons as gap masks and extents: GeoPackage, GeoJSON, Shapefile, and Sentinel-2's GML.

Read with the standard library (JSON, SQLite), pyshp and shapely rather than with a second
build of GDAL (100 MB, two PROJs in one process); anything else QGIS or ogr2ogr saves as
GeoPackage. A pixel is inside where its centre is.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import rasterio.crs
import rasterio.errors
import rasterio.features
import shapefile
import shapely
import shapely.errors
from affine import Affine
from numpy.typing import NDArray

from ...errors import TerramendError
from ...failure import reason
from ...watch import Watch
from ..gdal import is_gdal_name
from ..grid import Grid, Window, to_crs
from ..product_files import in_archive
from .gml import read_gml

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".gml")
OTHERS = (".kml", ".kmz", ".gpx", ".dxf", ".tab", ".mif", ".fgb", ".sqlite", ".csv")
"""Of polygons too, but not read: said so, instead of that they are no raster."""
LAYER = "|layername="
"""What stands between file and layer in QGIS's sources."""
REACH = 2.0**30
"""Pixels from the grid's corner at which polygons are cut: GDAL burns nothing of one that reaches 2^31."""

Geometries = NDArray[np.object_]

_UNREADABLE = (
    OSError, LookupError, TypeError, AttributeError, ValueError, RecursionError, struct.error, sqlite3.Error,
    shapefile.ShapefileException, shapely.errors.ShapelyError, rasterio.errors.CRSError,
)  # fmt: skip
"""What the readers raise on files that are damaged or not what they seem."""


class Polygons:
    """Polygons in pixel coordinates of a grid (column, row from its corner)."""

    def __init__(self, geometries: Geometries) -> None:
        far = (np.abs(shapely.bounds(geometries)) > REACH).any(axis=1)
        geometries[far] = shapely.clip_by_rect(geometries[far], -REACH, -REACH, REACH, REACH)
        self._geometries = geometries[~shapely.is_empty(geometries)]
        self._bounds = shapely.bounds(self._geometries)

    def touches(self, window: Window) -> bool:
        """Whether the bounds of any polygon reach into the window."""
        return bool(self._near(window).any())

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all polygons together, in pixels."""
        left, top = self._bounds[:, :2].min(axis=0)
        right, bottom = self._bounds[:, 2:].max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def _near(self, window: Window) -> NDArray[np.bool_]:
        b, right, bottom = self._bounds, window.column + window.width, window.row + window.height
        return (b[:, 0] < right) & (b[:, 2] > window.column) & (b[:, 1] < bottom) & (b[:, 3] > window.row)

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """(h, w) bool: pixels of the window whose centre lies in a polygon."""
        near = self._near(window)
        if not near.any():
            return np.zeros((window.height, window.width), bool)
        burned = rasterio.features.rasterize(
            list(self._geometries[near]),
            out_shape=(window.height, window.width),
            transform=Affine.translation(window.column, window.row),
            dtype=np.uint8,
        )
        return burned.view(np.bool_)


def is_vector(path: str) -> bool:
    """Whether a path names polygons by its suffix (a GeoPackage of rasters does not)."""
    file = path.split(LAYER)[0]
    if Path(file).suffix.lower() not in SUFFIXES:
        return Path(file).suffix.lower() in OTHERS
    if not file.lower().endswith(".gpkg"):
        return True
    try:
        return LAYER in path or (Path(file).is_file() and bool(_gpkg_layers(file)))
    except _UNREADABLE:
        return False


def read_polygons(path: str, grid: Grid, watch: Watch) -> Polygons:
    """Read a file's polygons onto a grid.

    Args:
        path: file, or `file.gpkg|layername=NAME` where it has several layers.

    Raises:
        TerramendError: `raster.missing`, `polygons.format`, `polygons.layer`, `polygons.unreadable`,
            `polygons.none`, `polygons.place`.
    """
    file, _, layer = path.partition(LAYER)
    layer = layer.split("|")[0]
    archived = in_archive(file)
    if archived is None and is_gdal_name(file):
        raise TerramendError("polygons.unreadable", path=file, why="only local files are")
    if not (archived[0] if archived else Path(file)).is_file():
        raise TerramendError("raster.missing", path=file)
    readers = {".gpkg": _gpkg, ".geojson": _geojson, ".json": _geojson, ".shp": _shapefile, ".gml": _gml}
    reader = readers.get(Path(file).suffix.lower())
    if reader is None:
        raise TerramendError("polygons.format", path=file)
    try:
        geometries, crs = reader(file, layer)
    except _UNREADABLE as error:
        raise TerramendError("polygons.unreadable", path=file, why=reason(error)) from error
    geometries = shapely.get_parts(shapely.get_parts(geometries))  # of collections, then of multipolygons
    geometries = shapely.force_2d(geometries[shapely.get_type_id(geometries) == 3])  # Polygon
    geometries = geometries[~shapely.is_empty(geometries)]
    if not len(geometries):
        raise TerramendError("polygons.none", path=file)
    if crs is None or grid.crs is None:
        if (crs is None) != (grid.crs is None):
            watch.notice("polygons.no-crs", path=file)
        crs = grid.crs
    return Polygons(_to_pixels(geometries, crs, grid, file))


def box(west: float, south: float, east: float, north: float, grid: Grid) -> Polygons:
    """A rectangle in the grid's own CRS."""
    rectangle = np.array([shapely.box(west, south, east, north)], dtype=object)
    return Polygons(_to_pixels(rectangle, grid.crs, grid, ""))


def _to_pixels(geometries: Geometries, crs: str | None, grid: Grid, file: str) -> Geometries:
    """Geometries in the grid's pixel coordinates; `file` is named where these are none of their CRS."""
    points = shapely.get_coordinates(geometries)
    if crs is not None and grid.crs is not None and crs != grid.crs:
        source, target = rasterio.crs.CRS.from_wkt(crs), rasterio.crs.CRS.from_wkt(grid.crs)
        if source != target:
            try:
                x, y = to_crs(source, target, points[:, 0], points[:, 1])
            except ValueError:
                raise TerramendError("polygons.place", path=file, crs=source.to_string()[:40]) from None
            points = np.column_stack([x, y])
    observed = np.isfinite(points).all(axis=1)  # where the target's CRS reaches, and the file holds numbers
    if not observed.all():
        counts = shapely.get_num_coordinates(geometries)
        whole = np.logical_and.reduceat(observed, np.cumsum(counts) - counts)
        geometries, points = geometries[whole], points[np.repeat(whole, counts)]
    x, y = points[:, 0], points[:, 1]
    if grid.crs is None and grid.affine.e > 0 and y.size and y.min() + y.max() < 0:
        y = -y  # QGIS shows a raster that lies nowhere with its rows counted downwards from 0
    columns, rows = ~grid.affine @ (x, y)
    moved = shapely.set_coordinates(geometries.copy(), np.column_stack([columns, rows]))
    return _by_turns(moved[np.isfinite(shapely.bounds(moved)).all(axis=1)], grid)


def _by_turns(geometries: Geometries, grid: Grid) -> Geometries:
    """Those that reach into the grid by a whole turn of longitude too; all where none does.

    A raster of 0 to 360 degrees meets polygons of -180 to 180, and one across 180 those on both sides.
    """
    a, b, _, d, _, _ = grid.transform
    if b or d or not grid.geographic:
        return geometries
    turns = [np.array([k * 360 / a, 0]) for k in (-1, 0, 1)]
    everywhere = np.concatenate([shapely.transform(geometries, turn.__add__) for turn in turns])
    bounds = shapely.bounds(everywhere)
    reaching = everywhere[(bounds[:, 0] < grid.width) & (bounds[:, 2] > 0)]
    return reaching if len(reaching) else geometries


def _gpkg_layers(file: str) -> list[tuple[str, str, int]]:
    """Name, geometry column and spatial reference of each feature layer."""
    with _connected(file) as database:
        rows = database.execute("SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns")
        return [(str(name), str(column), int(reference)) for name, column, reference in rows]


def _connected(file: str) -> closing[sqlite3.Connection]:
    """A read-only connection that is closed at the end."""
    path = Path(file).resolve().as_posix()  # /a/b, C:/a/b or //server/share/b
    address = f"file://{path if path.startswith('/') else '/' + path}"
    return closing(sqlite3.connect(f"{quote(address, safe='/:')}?mode=ro", uri=True))


def _gpkg(file: str, layer: str) -> tuple[Geometries, str | None]:
    layers = [found for found in _gpkg_layers(file) if not layer or found[0] == layer]
    if len(layers) != 1:
        names = ", ".join(found[0] for found in _gpkg_layers(file)) or "none"
        raise TerramendError("polygons.layer", path=file, layers=names)
    name, column, reference = layers[0]
    with _connected(file) as database:
        query = f"SELECT {_quoted(column)} FROM {_quoted(name)}"  # noqa: S608 # nosec B608 - quoted names
        blobs = [row[0] for row in database.execute(query) if row[0] is not None]
        found = database.execute(
            "SELECT definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?", (reference,)
        ).fetchone()
    known = reference > 0 and found is not None and found[0] != "undefined"
    crs = rasterio.crs.CRS.from_wkt(found[0]).to_wkt() if known else None
    try:
        return shapely.from_wkb([_bare_wkb(blob) for blob in blobs]), crs
    except NotImplementedError:
        raise ValueError("some have curved edges, which the geometry type Polygon has not") from None


def _bare_wkb(blob: bytes) -> bytes:
    """A GeoPackage geometry without its header: magic, version, flags, srs id, envelope."""
    if blob[:2] != b"GP":
        raise ValueError("a geometry is not in GeoPackage form")
    envelope = (blob[3] >> 1) & 0b111
    return blob[8 + (0, 32, 48, 48, 64)[envelope] :]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _geojson(file: str, _layer: str) -> tuple[Geometries, str | None]:
    data = json.loads(Path(file).read_text("utf-8-sig"))
    features = data["features"] if data.get("type") == "FeatureCollection" else [data]
    geometries = [f.get("geometry") if f.get("type") == "Feature" else f for f in features]
    name = ((data.get("crs") or {}).get("properties") or {}).get("name", "OGC:CRS84")
    crs = rasterio.crs.CRS.from_user_input("EPSG:4326" if "CRS84" in name else name)
    return _shaped([g for g in geometries if g]), crs.to_wkt()


def _shapefile(file: str, _layer: str) -> tuple[Geometries, str | None]:
    with shapefile.Reader(file) as reader:
        shapes = [s.__geo_interface__ for s in reader.iterShapes() if s.shapeType != shapefile.NULL]
    beside = [Path(file).with_suffix(suffix) for suffix in (".prj", ".PRJ")]
    texts = [path.read_text("utf-8") for path in beside if path.is_file()]
    crs = rasterio.crs.CRS.from_wkt(texts[0]).to_wkt() if texts else None
    return _shaped(shapes), crs


def _gml(file: str, _layer: str) -> tuple[Geometries, str | None]:
    return read_gml(file)


def _shaped(shapes: Sequence[dict[str, Any]]) -> Geometries:
    return shapely.from_geojson([json.dumps(shape) for shape in shapes])
