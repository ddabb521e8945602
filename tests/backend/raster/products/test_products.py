"""Rasters that are no named product: any GDAL raster, groups, services, what files say of themselves."""

import datetime
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import makers
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from scipy.io import netcdf_file
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Window
from terramend.backend.raster.masks.layers import open_masks
from terramend.backend.raster.masks.polygons import is_vector
from terramend.backend.raster.metadata import read_metadata
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.reader import RasterReader
from terramend.backend.request import Mask
from terramend.backend.watch import Watch


def image(bands=4, side=64, dtype=np.uint16, low=1, high=9000, seed=0):
    return np.random.default_rng(seed).integers(low, high, (bands, side, side)).astype(dtype)


def one(path, **options):
    (raster,) = open_product([str(path)], watch=options.pop("watch", Watch()), **options)
    return raster


def test_geotiff_says_what_it_is(tmp_path):
    path = makers.write(
        tmp_path / "S2_cut.tif", image(), nodata=0, tags={"date": "2021-05-06", "SUN_AZIMUTH": "140", "SUN_ELEVATION": "41"},
        descriptions=("B02", "B8A", "NDVI", "SCL"), scales=(1e-4, 1e-4, 1, 1), offsets=(-0.1, -0.1, 0, 0),
    )  # fmt: skip
    watch = Watch()
    raster = one(path, watch=watch)
    assert [band.role for band in raster.bands] == ["optical", "optical", "index", "class"]
    assert [band.wavelength for band in raster.bands[:2]] == [492, 865]
    assert (raster.bands[0].gain, raster.bands[0].bias, raster.bands[0].nodata) == (1e-4, -0.1, 0)
    assert raster.date == datetime.date(2021, 5, 6)
    assert raster.sun == (140, 41)
    assert [(mask.path, mask.kind) for mask in raster.masks] == [(path, "scl")]
    assert not watch.notices


def test_overrides(tmp_path):
    path = makers.write(tmp_path / "a.tif", image(), crs=None)
    raster = one(
        path, crs="EPSG:32633", nodata=7, date="2020-02-02", sun=(1, 2), radiometry="sentinel2-offset"
    )
    assert rasterio.crs.CRS.from_wkt(raster.grid.crs).to_epsg() == 32633
    assert {band.nodata for band in raster.bands} == {7}
    assert (raster.date, raster.sun) == (datetime.date(2020, 2, 2), (1, 2))
    assert {(band.gain, band.bias) for band in raster.bands} == {(1e-4, -0.1)}
    with pytest.raises(TerramendError, match="no CRS"):
        one(path, crs="EPSG:999999")


def test_alpha_and_palette(tmp_path):
    pixels = image(4, dtype=np.uint8, high=255)
    pixels[3, :, 20:] = 255
    pixels[3, :10] = 0  # and what fades to the left
    path = makers.write(tmp_path / "rgba.tif", pixels, photometric="RGB", alpha="YES")
    assert [band.role for band in one(path).bands] == ["optical", "optical", "optical", "alpha"]
    assert [band.wavelength for band in one(path).bands[:3]] == [660, 560, 490]
    path = makers.write(tmp_path / "classes.tif", image(1, dtype=np.uint8, high=5))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
        file.colorinterp = [ColorInterp.palette]
    assert one(path).bands[0].role == "class"


@pytest.mark.parametrize(
    ("name", "role"), [("", "optical"), ("nir", "optical"), ("SCL", "class"), ("alpha", "alpha")]
)
def test_the_fourth_of_four_bytes_is_no_alpha_for_that(tmp_path, name, role):
    """GDAL declares it so unless told otherwise; near infrared would be made opaque where it was filled."""
    names = ("red", "green", "blue", name) if name else None
    pixels = image(4, dtype=np.uint8, high=255)
    if name:
        pixels[3] = 255  # as alpha is, but what it is called counts
    path = makers.write(tmp_path / "a.tif", pixels, descriptions=names)
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    watch = Watch()
    assert one(path, watch=watch).bands[3].role == role
    assert ("raster.alpha" in [notice.code for notice in watch.notices]) == (role != "alpha")


@pytest.mark.parametrize(
    ("make", "seen"),
    [
        (makers.make_safe, {"B04": "red", "B03": "green", "B02": "blue"}),
        (makers.make_landsat_c2, {"B4": "red", "B3": "green", "B2": "blue"}),
    ],
)
def test_what_is_filled_of_a_product_is_shown_in_true_colour(tmp_path, make, seen):
    """Its bands come in a file each, which says no colour; the first three would be blue, green and red."""
    for raster in open_product([str(make(tmp_path))], watch=Watch()):
        kept = {band.description: band.colour.name for band in read_metadata(raster).bands}
        expected = seen if seen.keys() <= kept.keys() else {}  # coarser bands have no true colour
        assert {name: colour for name, colour in kept.items() if colour != "undefined"} == expected


@pytest.mark.parametrize("edge", ["top", "left", "none", "inside"])
def test_undeclared_zero_fill_is_found_at_the_edge(tmp_path, edge):
    pixels = image(3, side=200)
    if edge == "top":
        pixels[:, :20] = 0
    elif edge == "left":
        pixels[:, 50:120, :12] = 0
    elif edge == "inside":
        pixels[:, 80:120, 80:120] = 0
    watch = Watch()
    raster = one(makers.write(tmp_path / "a.tif", pixels), watch=watch)
    assert raster.zero_fill == (edge in ("top", "left"))
    assert ("raster.zero-fill" in [n.code for n in watch.notices]) == raster.zero_fill
    with RasterReader(raster) as reader:
        values = reader.reflectance(raster.grid.whole)
    expected = (pixels == 0).all(axis=0) if raster.zero_fill else np.zeros((200, 200), bool)
    assert np.array_equal(np.isnan(values[0]), expected)


def test_vrt_zip_and_missing(tmp_path):
    path = makers.write(tmp_path / "a.tif", image())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "inner/a.tif")
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("readme.txt", "no raster")
    expected = image()
    for way in (path, f"vrt://{path}", f"/vsizip/{tmp_path}/a.zip/inner/a.tif", str(tmp_path / "a.zip")):
        with RasterReader(one(way)) as reader:
            assert np.array_equal(reader.samples(Window(0, 0, 64, 64)), expected), way
    with pytest.raises(TerramendError, match="no rasters"):
        one(tmp_path / "text.zip")
    for absent in (
        tmp_path / "nothing.tif",
        "nothing.SAFE",
        "x" * 300 + ".tif",
        "LC08_MTL.txt",
        "MTD_MSIL2A.xml",
    ):
        with pytest.raises(TerramendError, match="does not exist"):
            one(absent)
    with pytest.raises(TerramendError, match="cannot be read"):
        one("<VRTDataset rasterXSize='3'>" + " " * 5000)
    with pytest.raises(TerramendError, match="cannot be read"):
        one(f"/vsizip/{tmp_path}/a.zip/inner/b.tif")
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(TerramendError, match=r"broken.tif cannot be read"):
        one(tmp_path / "broken.tif")
    (tmp_path / "broken.zip").write_bytes(b"PK nothing")
    with pytest.raises(TerramendError, match="archive"):
        one(tmp_path / "broken.zip")


SERVER = """
import http.server, pathlib, sys

folder = pathlib.Path(sys.argv[1])

class Ranged(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file = folder / self.path[1:]
        if not file.is_file():
            return self.send_error(404)
        body = file.read_bytes()
        wanted = self.headers.get("Range")
        first, _, last = (wanted or f"bytes=0-{len(body) - 1}").removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or len(body)), len(body) - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[first : last + 1])

    do_HEAD = do_GET

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranged)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def web(tmp_path):
    """The address of a web server for `tmp_path` that serves byte ranges, in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


def test_web_addresses(tmp_path, web):
    makers.write(tmp_path / "a.tif", image())
    for way in (f"{web}/a.tif", f"/vsicurl/{web}/a.tif"):
        raster = one(way)
        assert raster.name == "a.tif"
        with RasterReader(raster) as reader:
            assert np.array_equal(reader.samples(Window(0, 0, 64, 64)), image())
    with pytest.raises(TerramendError, match="cannot be read"):
        one(f"{web}/b.tif")


def test_geopackage(tmp_path):
    path = tmp_path / "a.gpkg"
    makers.write(
        path, image(3, dtype=np.uint8, high=255), driver="GPKG", TILE_FORMAT="PNG", RASTER_TABLE="one"
    )
    raster = one(path)
    assert raster.grid.width == 64
    with rasterio.open(path) as file, RasterReader(raster) as reader:
        assert np.array_equal(reader.samples(raster.grid.whole), file.read())
    makers.write(
        path,
        image(3, dtype=np.uint8, side=32, high=255),
        driver="GPKG",
        APPEND_SUBDATASET="YES",
        RASTER_TABLE="two",
    )
    with pytest.raises(TerramendError, match="several rasters"):
        one(path)
    assert one(f"GPKG:{path}:two").grid.width == 32


def make_netcdf(path, **variables):
    with netcdf_file(path, "w") as file:
        file.Conventions = "CF-1.8"
        file.time_coverage_start = "2019-03-04T10:00:00Z"
        for axis, values in (
            ("y", makers.TOP - 5 - 10 * np.arange(64)),
            ("x", makers.LEFT + 5 + 10 * np.arange(64)),
        ):
            file.createDimension(axis, 64)
            variable = file.createVariable(axis, "f8", (axis,))
            variable[:] = values
            variable.standard_name, variable.units = f"projection_{axis}_coordinate", "m"
        crs = file.createVariable("crs", "i4", ())
        crs.spatial_ref = rasterio.crs.CRS.from_string(makers.UTM).to_wkt()
        file.createDimension("time", 3)
        file.createVariable("time", "f8", ("time",))[:] = 0, 5, 10
        for name, values in variables.items():
            variable = file.createVariable(name, "i2", ("time", "y", "x")[-values.ndim :])
            variable[:] = values
            variable.grid_mapping, variable.scale_factor = "crs", 0.0001
    return str(path)


def test_a_mask_that_holds_several_is_asked_which(tmp_path):
    path = make_netcdf(tmp_path / "a.nc", clouds=image(1)[0], shadows=image(1)[0])
    grid = one(makers.write(tmp_path / "a.tif", image())).grid
    for kind in ("auto", "scl"):
        with pytest.raises(TerramendError, match=r"a\.nc holds several rasters.*shadows"):
            open_masks(
                (Mask(path, kind),), grid, grid, grow=None, classes=(), cloud_threshold=None, watch=Watch()
            )


def test_a_zarr_is_a_raster_though_a_folder(tmp_path):
    path = makers.write(tmp_path / "a.tif", image(3))
    rasterio.shutil.copy(path, tmp_path / "a.zarr", driver="Zarr")
    raster = one(tmp_path / "a.zarr")
    assert len(raster.bands) == 3 and raster.grid.transform == one(path).grid.transform


def test_times_of_a_cube_are_said_to_be_taken_for_bands(tmp_path):
    path, watch = make_netcdf(tmp_path / "a.nc", red=image(3, dtype=np.int16)), Watch()
    assert len(one(path, watch=watch).bands) == 3
    (notice,) = watch.notices
    assert notice.code == "raster.times" and "3 times" in notice.sentence


def test_netcdf_variables_are_bands(tmp_path):
    blue, red = image(2, dtype=np.int16)
    path, watch = make_netcdf(tmp_path / "a.nc", blue=blue, red=red), Watch()
    raster = one(path, watch=watch)
    assert not watch.notices
    assert [band.description for band in raster.bands] == ["blue", "red"]
    assert [band.wavelength for band in raster.bands] == [490, 660]
    assert raster.bands[0].gain == pytest.approx(0.0001)
    assert raster.date == datetime.date(2019, 3, 4)
    assert raster.grid.transform == (10, 0, makers.LEFT, 0, -10, makers.TOP)
    with RasterReader(raster) as reader:
        assert np.array_equal(reader.samples(raster.grid.whole), [blue, red])
    single = one(f'NETCDF:"{path}":red')
    assert [(band.description, band.wavelength) for band in single.bands] == [("red", 660)]


def test_a_vrt_may_be_given_as_its_text(tmp_path):
    path = makers.write(tmp_path / "a.tif", image(1, 40))
    source = f'<SimpleSource><SourceFilename relativeToVRT="0">{path}</SourceFilename></SimpleSource>'
    band = f'<VRTRasterBand dataType="UInt16" band="1">{source}</VRTRasterBand>'
    assert (
        one(f'<VRTDataset {" " * 300} rasterXSize="40" rasterYSize="40">{band}</VRTDataset>').grid.width == 40
    )


def test_services_are_refused(tmp_path):
    (tmp_path / "wms.xml").write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}.png</ServerUrl></Service>'
        "<DataWindow><UpperLeftX>-20037508</UpperLeftX><UpperLeftY>20037508</UpperLeftY>"
        "<LowerRightX>20037508</LowerRightX><LowerRightY>-20037508</LowerRightY><TileLevel>5</TileLevel>"
        "</DataWindow><Projection>EPSG:3857</Projection><BandsCount>3</BandsCount></GDAL_WMS>"
    )
    for way in (
        "type=xyz&url=https://tile.example.org/{z}/{x}/{y}.png&zmax=19",
        "crs=EPSG:3857&format=image/png&layers=a&url=https://example.org/wms",
        "WMS:https://example.org/?SERVICE=WMS",
        "https://example.org/wms?service=WMS&request=GetMap",
        str(tmp_path / "wms.xml"),
    ):
        with pytest.raises(TerramendError, match="map service"):
            one(way)


def test_control_points_only(tmp_path):
    path = tmp_path / "gcps.tif"
    points = [GroundControlPoint(r, c, 10 + c / 100, 50 - r / 100) for r in (0, 60) for c in (0, 60)]
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint16", gcps=points, crs="EPSG:4326"
    ) as file:
        file.write(image(1))
    with pytest.raises(TerramendError, match="control points"):
        one(path)
    path = tmp_path / "rpcs.tif"
    numbers = " ".join(["1"] + ["0"] * 19)
    rpc = {f"{axis}_{part}_COEFF": numbers for axis in ("LINE", "SAMP") for part in ("NUM", "DEN")}
    rpc |= {
        f"{name}_{what}": "1"
        for name in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
        for what in ("OFF", "SCALE")
    }
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint16") as file:
        file.write(image(1))
        file.update_tags(ns="RPC", **rpc)
    with pytest.raises(TerramendError, match="RPCs only"):
        one(path)


@pytest.mark.posix("such pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a.tif", "a.gpkg", "a.zip"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(TerramendError, match=f"{name} is a pipe"):
            one(tmp_path / name)
    assert not is_vector(str(tmp_path / "a.gpkg"))


@pytest.mark.parametrize("kind", ["descriptions", "units"])
def test_texts_in_latin_1(tmp_path, kind):
    """As ENVI's headers often are; rasterio takes UTF-8 only."""
    path = Path(makers.write(tmp_path / "a.tif", image(3)))
    with rasterio.open(path, "r+") as file:
        setattr(file, kind, ["EEEE", "blau", "grün"])
    path.write_bytes(path.read_bytes().replace(b"EEEE", b"\xb5m\xe9t"))
    kept = read_metadata(one(path)).bands
    said = [band.description if kind == "descriptions" else band.unit for band in kept]
    assert said == ["µmét", "blau", "grün"]


def test_xml_in_latin_1_is_left_out(tmp_path):
    path = Path(makers.write(tmp_path / "a.tif", image(3), tags={"kept": "yes"}))
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="xml:XMP", **{"<?xpacket begin": "'' id=''?><x>EEEE</x><?xpacket end='w'?>"})
    path.write_bytes(path.read_bytes().replace(b"EEEE", b"caf\xe9"))
    tags = read_metadata(one(path)).tags
    assert tags[""]["kept"] == "yes" and "xml:XMP" not in tags


@pytest.mark.posix("names beyond UTF-8")
def test_names_beyond_utf_8(tmp_path):
    """Of a file in a folder, and of a VRT's source: what GDAL says of it rasterio would not pass on."""
    (tmp_path / "date").mkdir()
    source = Path(makers.write(tmp_path / "a.tif", image(3)))
    rasterio.shutil.copy(source, tmp_path / "v.vrt", driver="VRT")
    (tmp_path / "v.vrt").write_bytes((tmp_path / "v.vrt").read_bytes().replace(b"a.tif", b"caf\xe9.tif"))
    with pytest.raises(TerramendError, match=r"v\.vrt, .* not in UTF-8"):
        one(tmp_path / "v.vrt")
    try:
        source.rename(os.fsdecode(os.fsencode(tmp_path / "date") + b"/caf\xe9.tif"))
    except OSError:
        pytest.skip("this file system holds names in UTF-8 only")
    with pytest.raises(TerramendError, match="not in UTF-8"):
        one(tmp_path / "date")


def test_complex_numbers_are_refused(tmp_path):
    path = makers.write(tmp_path / "slc.tif", np.ones((1, 40, 40), np.complex64))
    with pytest.raises(TerramendError, match="complex"):
        one(path)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
)
def test_every_number_type_is_read_as_it_is(tmp_path, dtype):
    pixels = np.arange(100).reshape(1, 10, 10).astype(dtype)
    raster = one(makers.write(tmp_path / "a.tif", pixels), radiometry="reflectance")
    with RasterReader(raster) as reader:
        stored, values = np.stack(reader.samples(raster.grid.whole)), reader.reflectance(raster.grid.whole)
    assert stored.dtype == dtype and np.array_equal(stored, pixels)
    assert values.dtype == np.float32 and np.array_equal(values, pixels.astype(np.float32))


def test_group_of_files(tmp_path):
    red = makers.write(tmp_path / "x_20200101_red.tif", image(1, seed=1))
    nir = makers.write(tmp_path / "x_20200101_nir.tif", image(1, seed=2))
    swir = makers.write(tmp_path / "x_20200101_swir1.tif", image(1, side=32, seed=3), size=20)
    mask = makers.write(tmp_path / "x_20200101_fmask.tif", image(1, dtype=np.uint8, high=5))
    rasters = open_product([red, nir, swir, mask], watch=Watch())
    assert [[band.wavelength for band in raster.bands] for raster in rasters] == [[660, 842], [1610]]
    assert [m.kind for m in rasters[0].masks] == ["fmask"]
    assert {raster.date for raster in rasters} == {datetime.date(2020, 1, 1)}
    with RasterReader(rasters[0]) as reader:
        assert np.array_equal(
            reader.samples(Window(0, 0, 64, 64)), np.concatenate([image(1, seed=1), image(1, seed=2)])
        )


def test_undeclared_fill_of_a_group_is_that_of_all_its_files(tmp_path):
    red, nir = image(1, side=200, seed=1), image(1, side=200, seed=2)
    red[:, :30] = nir[:, :20] = 0
    paths = [
        makers.write(tmp_path / f"x_20200101_{name}.tif", band) for name, band in (("red", red), ("nir", nir))
    ]
    (raster,) = open_product(paths, watch=Watch())
    with RasterReader(raster) as reader:
        values = reader.reflectance(raster.grid.whole)
    assert np.isnan(values[:, :20]).all() and np.isfinite(values[:, 20:]).all()


def test_files_of_a_group_may_write_one_crs_in_several_ways(tmp_path):
    bands = image(2)
    first = makers.write(tmp_path / "a_B02.tif", bands[0])
    other = makers.write(tmp_path / "a_B03.tif", bands[1], crs="+proj=utm +zone=32 +datum=WGS84 +units=m")
    (raster,) = open_product((first, other), watch=Watch())
    assert len(raster.bands) == 2


def test_groups_that_are_none(tmp_path):
    first = makers.write(tmp_path / "x_20200101_red.tif", image(1))
    later = makers.write(tmp_path / "x_20200111_nir.tif", image(1))
    apart = makers.write(tmp_path / "x_20200101_nir.tif", image(1), left=makers.LEFT + 1e5)
    for paths, code in (([first, later], "product.dates"), ([first, apart], "product.apart")):
        with pytest.raises(TerramendError) as caught:
            open_product(paths, watch=Watch())
        assert caught.value.code == code
        json.dumps(caught.value.to_json())  # as QGIS gets it


@pytest.mark.parametrize("named", [True, False])
def test_a_mask_of_several_bands_is_no_image(tmp_path, named):
    flags = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")
    stem = "20200601_101530_51_2262_3B"
    makers.write(tmp_path / f"{stem}_AnalyticMS_SR.tif", np.full((4, 40, 40), 900, np.uint16), nodata=0)
    udm2 = np.zeros((8, 40, 40), np.uint8)
    mask = makers.write(tmp_path / f"{stem}_udm2.tif", udm2, descriptions=flags if named else None)
    (raster,) = open_product((str(tmp_path),), watch=Watch())
    assert len(raster.bands) == 4
    assert [(Path(found.path), found.kind) for found in raster.masks] == [(Path(mask), "udm2")]


def test_a_folder_of_maja_is_the_corrected_bands_and_its_cloud_mask(tmp_path):
    stem = "SENTINEL2B_20200601-105855-123_L2A_T31TCJ_C_V2-2"
    image = np.full((40, 40), 900, np.int16)
    image[:10] = -10000
    for name in ("SRE_B2", "SRE_B3", "FRE_B2", "FRE_B3"):
        makers.write(tmp_path / stem / f"{stem}_{name}.tif", image)
    makers.write(tmp_path / stem / f"{stem}_ATB_R1.tif", np.ones((2, 40, 40), np.uint8))
    for name in ("CLM_R1", "EDG_R1", "MG2_R1"):
        makers.write(tmp_path / stem / "MASKS" / f"{stem}_{name}.tif", np.zeros((40, 40), np.uint8))
    watch = Watch()
    (raster,) = open_product((str(tmp_path / stem),), watch=watch)
    assert [Path(band.path).stem[-6:] for band in raster.bands] == ["FRE_B2", "FRE_B3"]
    assert [band.nodata for band in raster.bands] == [-10000, -10000]
    assert [mask.kind for mask in raster.masks] == ["maja"]
    assert raster.date == datetime.date(2020, 6, 1)


def test_a_folder_of_enmap_is_its_spectra_and_its_masks_of_clouds(tmp_path):
    stem = "ENMAP01-____L2A-DT0000001234_20220801T101010Z_001_V010200_20220802T101010Z"
    makers.write(tmp_path / f"{stem}-SPECTRAL_IMAGE.TIF", image(6).astype(np.int16), nodata=-32768)
    for name in ("CLASSES", "CIRRUS", "HAZE", "SNOW", "TESTFLAGS_VNIR", "CLOUD", "CLOUDSHADOW"):
        makers.write(tmp_path / f"{stem}-QL_QUALITY_{name}.TIF", np.zeros((64, 64), np.uint8))
    for name in ("PIXELMASK_SWIR", "VNIR"):
        makers.write(tmp_path / f"{stem}-QL_{name}.TIF", np.ones((3, 64, 64), np.uint8))
    (raster,) = open_product((str(tmp_path),), watch=Watch())
    assert len(raster.bands) == 6 and raster.date == datetime.date(2022, 8, 1)
    assert [Path(mask.path).stem.rsplit("_", 1)[1] for mask in raster.masks] == ["CLOUD", "CLOUDSHADOW"]


def test_a_folder_tells_the_date_that_its_files_do_not(tmp_path):
    for name in ("B02", "B03"):
        makers.write(tmp_path / "2020-06-01_tile" / f"{name}.tif", np.full((40, 40), 900, np.uint16))
    (raster,) = open_product((str(tmp_path / "2020-06-01_tile"),), watch=Watch())
    assert raster.date == datetime.date(2020, 6, 1)


def test_angles_terrain_and_earlier_outputs_in_a_folder_of_bands_are_no_bands(tmp_path):
    stem = "HLS.S30.T32TPT.2021152T102559.v2.0"
    for name in ("B02", "B03", "SAA", "SZA"):
        makers.write(tmp_path / f"{stem}.{name}.tif", np.full((40, 40), 900, np.int16), nodata=-9999)
    makers.write(tmp_path / "dem.tif", np.full((40, 40), 900, np.int16))
    makers.write(tmp_path / "mended.tif", image(2, 40), tags={"TERRAMEND_VERSION": "0.1.0"})
    (raster,) = open_product((str(tmp_path),), watch=Watch())
    assert [band.description for band in raster.bands] == ["B02", "B03"]
