"""Polygons from GeoPackage, GeoJSON and Shapefile on grids."""

import json
import sqlite3
import struct
import sys

import numpy as np
import pytest
import shapefile
import shapely
from rasterio.crs import CRS
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.masks.extent import read_extent
from terramend.backend.raster.masks.polygons import Polygons, is_vector, read_polygons
from terramend.backend.watch import Watch

UTM = CRS.from_epsg(32633).to_wkt()
GRID = Grid(UTM, (10, 0, 500000, 0, -10, 5000000), 40, 30)
# Columns 5 to 15 and rows 4 to 9 of the grid, with a hole of columns 8 to 10 and rows 6 to 7.
SQUARE = shapely.Polygon(
    [(500050, 4999960), (500150, 4999960), (500150, 4999910), (500050, 4999910)],
    [[(500080, 4999940), (500100, 4999940), (500100, 4999930), (500080, 4999930)]],
)
EXPECTED = np.zeros((30, 40), bool)
EXPECTED[4:9, 5:15] = True
EXPECTED[6:7, 8:10] = False


def geopackage(path, layers, reference=32633, wkt=UTM, envelope=1):
    """A GeoPackage as OGC 12-128 describes it, written without GDAL."""
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, "
        "srs_id INTEGER, z TINYINT, m TINYINT)"
    )
    database.execute("CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER, definition TEXT)")
    database.execute("INSERT INTO gpkg_spatial_ref_sys VALUES ('x', ?, ?)", (reference, wkt))
    for name, geometries in layers.items():
        quoted = name.replace('"', '""')
        database.execute(f'CREATE TABLE "{quoted}" (fid INTEGER PRIMARY KEY, geom BLOB)')
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POLYGON', ?, 0, 0)", (name, reference)
        )
        for geometry in geometries:
            size = (0, 4, 6, 6, 8)[envelope]
            header = b"GP" + bytes([0, envelope << 1 | 1]) + struct.pack("<i", reference)
            header += struct.pack(f"<{size}d", *range(size))
            blob = None if geometry is None else header + shapely.to_wkb(geometry, output_dimension=3)
            database.execute(f'INSERT INTO "{quoted}" (geom) VALUES (?)', (blob,))
    database.commit()
    database.close()
    return str(path)


def geojson(path, geometry, crs=None):
    data = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(geometry))},
            {"type": "Feature", "properties": {}, "geometry": None},
        ],
    }
    if crs:
        data["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(data), "utf-8")
    return str(path)


def esri(path, geometry, wkt=UTM):
    with shapefile.Writer(str(path), shapeType=shapefile.POLYGON) as writer:
        writer.field("id", "N")
        writer.shape(json.loads(shapely.to_geojson(geometry)))
        writer.record(1)
        writer.null()
        writer.record(2)
    if wkt:
        path.with_suffix(".prj").write_text(wkt, "utf-8")
    return str(path)


def inside(path, grid=GRID, watch=None):
    return read_polygons(path, grid, watch or Watch()).inside(grid.whole)


@pytest.mark.parametrize("envelope", [0, 1, 2, 3, 4])
def test_geopackage(tmp_path, envelope):
    name = "Wälder 50% #1.gpkg" if sys.platform == "win32" else "Wälder 50% #1?.gpkg"
    path = geopackage(tmp_path / name, {'we"ird': [SQUARE, None]}, envelope=envelope)
    assert np.array_equal(inside(path), EXPECTED)
    assert is_vector(path)


def test_geojson_and_shapefile(tmp_path):
    assert np.array_equal(inside(geojson(tmp_path / "a.geojson", SQUARE, "EPSG:32633")), EXPECTED)
    assert np.array_equal(inside(esri(tmp_path / "a.shp", SQUARE)), EXPECTED)


def test_a_shapefile_in_capitals_has_its_crs(tmp_path):
    esri(tmp_path / "a.shp", SQUARE)
    for file in sorted(tmp_path.iterdir()):
        file.rename(tmp_path / file.name.upper())
    watch = Watch()
    assert np.array_equal(inside(str(tmp_path / "A.SHP"), watch=watch), EXPECTED)
    assert not watch.notices


def test_bare_geometry_and_feature(tmp_path):
    geometry = json.loads(shapely.to_geojson(SQUARE))
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    for number, data in enumerate(
        [{**geometry, "crs": crs}, {"type": "Feature", "geometry": geometry, "crs": crs}]
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(data), "utf-8")
        assert np.array_equal(inside(str(path)), EXPECTED)


def test_multipolygons_and_other_geometries(tmp_path):
    left, right = shapely.box(500000, 4999990, 500010, 5000000), shapely.box(500390, 4999990, 500400, 5000000)
    both, point = shapely.MultiPolygon([left, right]), shapely.Point(500200, 4999900)
    mixed = [shapely.GeometryCollection([point, both])]  # as clipping leaves them
    for number, shapes in enumerate([[both, point, shapely.Polygon()], mixed]):
        flags = inside(geopackage(tmp_path / f"{number}.gpkg", {"l": shapes}))
        assert np.argwhere(flags).tolist() == [[0, 0], [0, 39]]


def test_curved_polygons_are_said(tmp_path):
    path = geopackage(tmp_path / "a.gpkg", {"l": [SQUARE]})
    with sqlite3.connect(path) as database:
        (blob,) = database.execute("SELECT geom FROM l").fetchone()
        ring = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)  # a circular string of three points
        curved = blob[:40] + struct.pack("<BII", 1, 10, 1) + ring  # in a curve polygon
        database.execute("UPDATE l SET geom = ?", (curved,))
    with pytest.raises(TerramendError, match=r"a\.gpkg .*curved edges") as raised:
        inside(path)
    assert raised.value.code == "polygons.unreadable"


def test_degrees_onto_metres(tmp_path):
    shape = shapely.box(15.001, 45.15, 15.003, 45.152)
    grid = Grid(UTM, (10, 0, 500000, 0, -10, 5000000), 40, 80)
    flags = inside(geojson(tmp_path / "a.geojson", shape), grid)
    from rasterio.warp import transform

    x, y = transform("EPSG:4326", "EPSG:32633", [15.001, 15.003], [45.15, 45.152])
    rows, columns = np.nonzero(flags)
    assert columns.min() == pytest.approx((x[0] - 500000) / 10, abs=1)
    assert columns.max() == pytest.approx((x[1] - 500000) / 10, abs=1.5)
    assert rows.max() == pytest.approx((5000000 - y[0]) / 10, abs=1.5)
    assert flags.sum() == pytest.approx((x[1] - x[0]) * (y[1] - y[0]) / 100, rel=0.1)


@pytest.mark.parametrize(
    ("left", "boxes"),
    [
        (350.0, [(-9.75, -9.5)]), (-10.0, [(350.25, 350.5)]), (-370.0, [(-9.75, -9.5)]),
        (179.75, [(180.0, 180.25)]), (179.875, [(179.5, 180.0), (-180.0, -179.625), (100.0, 101.0)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mirrored", [False, True])
def test_longitudes_meet_whichever_way_they_are_counted(tmp_path, left, boxes, mirrored):
    """The eastern half of a raster of half a degree, or all of it."""
    size = -1 / 64 if mirrored else 1 / 64
    transform = (size, 0, left + 0.5 * mirrored, 0, -1 / 64, 10.5)
    place = Grid(CRS.from_epsg(4326).to_wkt(), transform, 32, 32)
    shape = shapely.MultiPolygon([shapely.box(west, 9, east, 11) for west, east in boxes])
    found = read_polygons(geojson(tmp_path / "a.geojson", shape), place, Watch())
    columns = found.inside(place.whole).all(axis=0)
    assert found.inside(place.whole).any(axis=0).tolist() == columns.tolist()
    expected = np.ones(32, bool) if len(boxes) > 1 else np.arange(32) >= 16
    assert columns.tolist() == (expected[::-1] if mirrored else expected).tolist()
    assert -32 <= found.bounds[0] < found.bounds[2] <= 64  # polygons that lie elsewhere are none of it


def test_windows_are_cut_from_the_whole(tmp_path):
    polygons = read_polygons(esri(tmp_path / "a.shp", SQUARE), GRID, Watch())
    for window in GRID.blocks(7):
        assert np.array_equal(polygons.inside(window), EXPECTED[window.slices])


def test_rotated_grid(tmp_path):
    grid = Grid(UTM, (6, 8, 500000, 8, -6, 5000000), 50, 50)
    flags = inside(esri(tmp_path / "a.shp", SQUARE), grid)
    rows, columns = np.mgrid[:50, :50] + 0.5
    x, y = 500000 + 6 * columns + 8 * rows, 5000000 + 8 * columns - 6 * rows
    assert np.array_equal(flags, shapely.contains_xy(SQUARE, x, y))
    assert flags.any()


@pytest.mark.parametrize("grid", [GRID, Grid(None, GRID.transform, 40, 30)])
def test_no_crs_is_said(tmp_path, grid):
    watch = Watch()
    assert np.array_equal(inside(esri(tmp_path / "a.shp", SQUARE, None), grid, watch), EXPECTED)
    assert [n.code for n in watch.notices] == (["polygons.no-crs"] if grid.crs else [])


def test_layers_are_named(tmp_path):
    path = geopackage(tmp_path / "a.gpkg", {"one": [SQUARE], "two": [shapely.box(0, 0, 1, 1)]})
    assert np.array_equal(inside(f"{path}|layername=one"), EXPECTED)
    for wrong in (path, f"{path}|layername=three"):
        with pytest.raises(TerramendError, match="it has one, two") as raised:
            inside(wrong)
        assert raised.value.code == "polygons.layer"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.kml", b"<kml/>", "polygons.format"),
        ("a.geojson", b"{", "polygons.unreadable"),
        ("a.geojson", b"[1]", "polygons.unreadable"),
        ("a.geojson", b"[" * 100_000, "polygons.unreadable"),
        ("a.geojson", b'{"type": "FeatureCollection"}', "polygons.unreadable"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": []}', "polygons.none"),
        ("a.geojson", b'{"type": "Point", "coordinates": [1, 2]}', "polygons.none"),
        ("a.geojson", b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "polygons.unreadable"),
        ("a.gpkg", b"not a database, but long enough to be read as one" * 9, "polygons.unreadable"),
        ("a.shp", b"nonsense", "polygons.unreadable"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TerramendError) as raised:
        inside(str(path))
    assert raised.value.code == code
    assert str(path) in str(raised.value)


def test_a_geopackage_whose_tables_are_damaged_is_no_vector(tmp_path):
    path = geopackage(tmp_path / "a.gpkg", {"a": [SQUARE]})
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = NULL")
    database.close()
    assert not is_vector(path)


def test_a_polygon_with_an_infinite_number_is_left_out(tmp_path):
    rings = (
        "1e999 4999960 500150 4999960 500150 4999910 500050 4999910 500050 4999960",
        "500050 4999960 500150 4999960 500150 4999910 500050 4999910",
    )
    polygons = (f"<Polygon><exterior><posList>{ring}</posList></exterior></Polygon>" for ring in rings)
    (tmp_path / "a.gml").write_text(f'<a srsName="EPSG:32633">{"".join(polygons)}</a>')
    found = inside(str(tmp_path / "a.gml"))
    assert found[4:9, 5:15].all() and found.sum() == 50


def test_polygons_of_other_formats_are_taken_for_no_raster():
    assert is_vector("clouds.kml") and is_vector("CLOUDS.DXF") and not is_vector("clouds.img")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TerramendError) as raised:
        inside(str(tmp_path / "none.gpkg"))
    assert raised.value.code == "raster.missing"


def test_polygons_on_the_web_are_not_said_to_be_missing():
    with pytest.raises(TerramendError, match="only local files are"):
        inside("https://example.org/clouds.geojson")


def test_extent_as_bounds():
    area = read_extent("500050,4999910,500150,4999960", GRID, Watch())
    rows, columns = np.nonzero(area.inside(GRID.whole))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 8, 5, 14)


@pytest.mark.parametrize("reach", [2.0**31 + 100, 1e15])
@pytest.mark.parametrize("side", range(4))
def test_an_area_may_reach_as_far_as_it_likes(reach, side):
    """GDAL counts to 2^31 pixels; of a raster in degrees 4e5 of them are more."""
    sides = [15.0, 10.0, 25.0, 20.0]
    sides[side] = -reach if side < 2 else reach
    beyond = shapely.box(-2 * reach, 5, -1.5 * reach, 6)
    area = Polygons(np.array([shapely.box(*sides), beyond], dtype=object))
    left, top, right, bottom = np.clip(sides, 0, [40, 30, 40, 30]).astype(int)
    expected = np.zeros((30, 40), bool)
    expected[top:bottom, left:right] = True
    assert np.array_equal(area.inside(GRID.whole), expected)
    assert np.isfinite(area.bounds).all()


def test_extent_as_polygons(tmp_path):
    area = read_extent(geopackage(tmp_path / "area.gpkg", {"l": [SQUARE]}), GRID, Watch())
    assert np.array_equal(area.inside(Window(4, 5, 5, 10)), EXPECTED[4:9, 5:15])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1,2,3", "extent.text"),
        ("a,b,c,d", "extent.text"),
        ("5,0,5,1", "extent.text"),
        ("nan,0,5,1", "extent.text"),
        ("0,0,1,1", "extent.apart"),
    ],
)
def test_extents_that_cannot_be(text, code):
    with pytest.raises(TerramendError) as raised:
        read_extent(text, GRID, Watch())
    assert raised.value.code == code


def test_coordinates_that_their_crs_cannot_have_are_said(tmp_path):
    """Metres in a GeoJSON that names no CRS, so that they are read as degrees."""
    path = tmp_path / "metres.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(SQUARE)))
    with pytest.raises(TerramendError) as caught:
        read_polygons(str(path), GRID, Watch())
    assert caught.value.code == "polygons.place" and "check their CRS" in str(caught.value)
