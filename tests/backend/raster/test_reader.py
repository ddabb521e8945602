"""Reading by windows: exact samples, exact at tile edges, right against rasterio, bounded in memory."""

import contextlib
import os
from dataclasses import replace

import makers
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import Resampling, reproject
from terramend.backend.errors import TerramendError
from terramend.backend.raster import gdal
from terramend.backend.raster.gdal import FilePool
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.products.files import open_raster
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.reader import RasterReader
from terramend.backend.watch import Watch

CLEAR = {"radiometry": "reflectance", "watch": Watch()}


def raster_of(path, **options):
    return open_product([str(path)], **{**CLEAR, **options})[0]


def utm(epsg):
    return rasterio.crs.CRS.from_epsg(epsg).to_wkt()


TARGET = Grid(utm(32632), (10.0, 0, makers.LEFT, 0, -10.0, makers.TOP), 150, 130)


def smooth(bands=2, height=200, width=220):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([np.sin(rows / (9 + b)) + np.cos(columns / 11) + 2 for b in range(bands)])
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Rasters of the same ground on other grids, with holes."""
    folder = tmp_path_factory.mktemp("sources")
    image = smooth()
    image[0, 40:60, 30:70] = np.nan
    left, top = makers.LEFT - 200, makers.TOP + 200
    x, y = rasterio.warp.transform(makers.UTM, "EPSG:4326", [left], [top])
    other = rasterio.warp.transform(makers.UTM, "EPSG:32633", [left], [top])
    turned = Affine.translation(left, top) @ Affine.rotation(-8) @ Affine.scale(10, -10)
    return {
        "own": makers.write(folder / "own.tif", smooth(2, 130, 150)),
        "shifted": makers.write(folder / "shifted.tif", image, left=left, top=top),
        "off": makers.write(folder / "off.tif", image, left=left + 3.3, top=top - 4.4),
        "coarse": makers.write(folder / "coarse.tif", image, 31, left=left, top=top + 1000),
        "finer": makers.write(folder / "finer.tif", smooth(1, 700, 820), 2.5, left=left + 100, top=top - 100),
        "turned": makers.write(folder / "turned.tif", image, transform=turned),
        "geographic": makers.write(folder / "geo.tif", image, 0.0001, "EPSG:4326", x[0], y[0]),
        "zone": makers.write(
            folder / "zone.tif", image, 10, "EPSG:32633", other[0][0] - 300, other[1][0] + 300
        ),
    }


NAMES = ["own", "shifted", "off", "coarse", "finer", "turned", "geographic", "zone"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(data=st.data())
def test_a_pixel_has_one_value_whatever_window_it_is_read_through(sources, name, data):
    with RasterReader(raster_of(sources[name]), TARGET) as reader:
        whole = reader.reflectance(Window(-20, -20, 170, 190))
        row, column = data.draw(st.integers(-20, 149)), data.draw(st.integers(-20, 169))
        height = data.draw(st.integers(1, 150 - row))
        width = data.draw(st.integers(1, 170 - column))
        part = reader.reflectance(Window(row, column, height, width))
    expected = whole[:, row + 20 : row + 20 + height, column + 20 : column + 20 + width]
    assert part.tobytes() == expected.tobytes()
    assert np.isfinite(whole).mean() > 0.4


@pytest.mark.parametrize("name", ["off", "coarse", "turned", "geographic", "zone"])
def test_against_rasterio(sources, name):
    raster = raster_of(sources[name])
    with RasterReader(raster, TARGET) as reader, rasterio.open(sources[name]) as file:
        ours = reader.reflectance(TARGET.whole)
        theirs = np.full(ours.shape, np.nan, np.float32)
        reproject(
            file.read(), theirs, src_transform=file.transform, src_crs=file.crs, dst_transform=TARGET.affine,
            dst_crs=TARGET.crs, resampling=Resampling.bilinear, tolerance=0, src_nodata=np.nan, dst_nodata=np.nan,
            XSCALE=1, YSCALE=1,
        )  # fmt: skip
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.sum() > 0.97 * max(np.isfinite(ours).sum(), np.isfinite(theirs).sum())
    assert np.abs(ours - theirs)[both].max() < 5e-3
    assert np.abs(ours - theirs)[both].mean() < 2e-4


def test_shift_is_bit_exact_and_finer_pixels_are_means(sources):
    with (
        RasterReader(raster_of(sources["shifted"]), TARGET) as reader,
        rasterio.open(sources["shifted"]) as file,
    ):
        assert reader.reflectance(TARGET.whole).tobytes() == file.read()[:, 20:150, 20:170].tobytes()
    with RasterReader(raster_of(sources["finer"]), TARGET) as reader, rasterio.open(sources["finer"]) as file:
        means = file.read(1)[40:680, 40:800].reshape(160, 4, 190, 4).mean(axis=(1, 3))
        np.testing.assert_allclose(reader.reflectance(TARGET.whole)[0], means[:130, :150], rtol=1e-5)


def test_stored_samples_keep_dtype_and_nodata_outside(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (2, 40, 50)).astype(np.uint8)
    raster = raster_of(makers.write(tmp_path / "a.tif", image, nodata=7))
    with RasterReader(raster) as reader:
        inside = reader.samples(Window(3, 4, 10, 11))
        assert inside[0].dtype == np.uint8 and np.array_equal(inside, image[:, 3:13, 4:15])
        over = reader.samples(Window(-2, -3, 50, 60))[1]
        assert over.shape == (50, 60)
        assert np.array_equal(over[2:42, 3:53], image[1])
        assert (over[:2] == 7).all()
    half = Grid(raster.grid.crs, (20.0, 0, makers.LEFT, 0, -20.0, makers.TOP), 25, 20)
    with RasterReader(raster, half) as reader:
        assert np.array_equal(reader.samples(half.whole), image[:, 1::2, 1::2])


def test_what_is_not_observed_is_nan(tmp_path):
    image = np.full((3, 40, 40), 1000, np.int16)
    image[0, 0, 0] = -9999
    image[:, 5, 5] = 0
    path = makers.write(tmp_path / "a.tif", image, nodata=-9999)
    with RasterReader(raster_of(path, radiometry="sentinel2")) as reader:
        values = reader.reflectance(Window(0, 0, 40, 40))
    assert np.isnan(values).sum() == 1 and np.isnan(values[0, 0, 0])
    assert values[1, 5, 5] == 0
    filled = replace(raster_of(path), zero_fill=True)
    with RasterReader(filled) as reader:
        assert np.isnan(reader.reflectance(Window(5, 5, 1, 1), bands=[1])).all()
        outside = reader.reflectance(Window(39, 39, 2, 2))
        assert np.isfinite(outside[:, 0, 0]).all() and np.isnan(outside[:, 1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_that_are_no_measurement_are_nan_also_where_they_average(tmp_path, dtype):
    image = np.full((2, 40, 40), 0.2, dtype)
    image[0, :2, :2], image[1, 9, 9], image[1, 9, 10] = -3.4028234663852886e38, 1e35, np.inf
    raster = raster_of(makers.write(tmp_path / "a.tif", image))
    with np.errstate(all="raise"), RasterReader(raster) as reader:
        values = reader.reflectance(raster.grid.whole)
    assert np.isnan(values).sum() == 6 and np.nanmax(np.abs(values - 0.2)) < 1e-6
    with RasterReader(raster, raster.grid.coarse(4)) as reader:
        means = reader.reflectance(Window(0, 0, 10, 10))
    np.testing.assert_allclose(means, 0.2, rtol=1e-6)


@pytest.mark.parametrize("rows", [20, 1])
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int16", -9999),
        ("int16", -32767),
        ("int16", -32768),
        ("int32", -(2**31)),
        ("float32", -9999),
        ("float32", -32768),
        ("float32", -99999),
        ("float32", 1e20),  # of climate models
    ],
)
def test_nodata_by_custom_is_taken_for_that_and_said(tmp_path, dtype, value, rows):
    image = np.full((2, 80, 80), 1000, dtype)
    image[:, :rows, :20] = value  # much of it, or a few samples: no reflectance is that low
    watch = Watch()
    (raster,) = open_raster(str(makers.write(tmp_path / "a.tif", image)), watch)
    assert [band.nodata for band in raster.bands] == [value, value]
    assert str(value) in next(n.sentence for n in watch.notices if n.code == "raster.undeclared")
    (declared,) = open_raster(str(makers.write(tmp_path / "b.tif", image, nodata=-1)), watch)
    assert declared.bands[0].nodata == -1
    image[:, :rows, :20] = 7
    (plain,) = open_raster(str(makers.write(tmp_path / "c.tif", image)), watch)
    assert plain.bands[0].nodata is None


@pytest.mark.parametrize(
    ("dtype", "bands", "rows", "apart", "taken"),
    [
        ("uint16", 3, 20, 0, True),
        ("uint16", 3, 1, 0, False),  # a few saturated pixels
        ("uint16", 3, 20, 20, False),  # each band saturates elsewhere
        ("uint16", 1, 20, 0, False),
        ("int32", 3, 20, 0, False),
    ],
)
def test_the_largest_number_in_all_bands_is_nodata(tmp_path, dtype, bands, rows, apart, taken):
    image = np.full((bands, 80, 80), 1000, dtype)
    for number in range(bands):
        image[number, apart * number : apart * number + rows, :20] = 65535
    watch = Watch()
    (raster,) = open_raster(str(makers.write(tmp_path / "a.tif", image)), watch)
    assert {band.nodata for band in raster.bands} == {65535 if taken else None}
    assert ("raster.undeclared" in [n.code for n in watch.notices]) == taken
    (declared,) = open_raster(str(makers.write(tmp_path / "b.tif", image, nodata=0)), watch)
    assert declared.bands[0].nodata == 0


def test_alpha_and_stored_masks_hide(tmp_path):
    image = np.full((4, 40, 40), 200, np.uint8)
    image[3, :10] = 0
    with RasterReader(
        raster_of(makers.write(tmp_path / "a.tif", image, photometric="RGB", alpha="YES"))
    ) as reader:
        assert np.isnan(reader.reflectance(Window(0, 0, 20, 5), bands=[0, 1])[:, :10]).all()
    path = makers.write(tmp_path / "m.tif", image[:3])
    shown = np.full((40, 40), 255, np.uint8)
    shown[:, :8] = 0
    with rasterio.open(path, "r+") as file:
        file.write_mask(shown)
    with RasterReader(raster_of(path)) as reader:
        values = reader.reflectance(Window(0, 4, 20, 10))
    assert np.isnan(values[:, :, :4]).all() and np.isfinite(values[:, :, 4:]).all()


def test_many_files_are_never_open_at_once(tmp_path, monkeypatch):
    opened = []
    pool = FilePool(most=3)
    bands = [np.full((1, 40, 40), i, np.uint16) for i in range(8)]
    paths = [makers.write(tmp_path / f"x_20200101_B{i:02d}.tif", band) for i, band in enumerate(bands, 1)]
    monkeypatch.setattr(gdal, "open_dataset", lambda p, o=None: opened.append(rasterio.open(p)) or opened[-1])
    (raster,) = open_product(paths, **CLEAR)
    with RasterReader(raster, pool=pool) as reader:
        for _ in range(2):
            assert [band[5, 5] for band in reader.samples(raster.grid.whole)] == list(range(8))
            assert sum(not file.closed for file in opened) <= 3
    assert sum(not file.closed for file in opened) <= 3  # a shared pool outlives its readers
    pool.close()
    assert all(file.closed for file in opened)


def test_a_file_that_is_lent_is_nobody_elses(tmp_path):
    path = makers.write(tmp_path / "a.tif", np.ones((1, 40, 40), np.uint16))
    pool = FilePool()
    with pool.lent(path) as first, pool.lent(path) as second:
        assert first is not second
    assert first.closed + second.closed == 1
    with pool.lent(path) as again:
        assert again is first and not again.closed
    pool.close()
    assert again.closed


def test_levels_of_jpeg2000_lie_where_they_belong(tmp_path):
    rows, columns = np.mgrid[:1600, :1600]
    image = (3000 + 1000 * np.sin(rows / 40) * np.cos(columns / 50)).astype(np.uint16)
    path = makers.write(tmp_path / "a.jp2", image, driver="JP2OpenJPEG")
    with rasterio.open(path) as file:
        assert 4 in file.overviews(1)
    raster = raster_of(path, radiometry="sentinel2")
    coarse = raster.grid.coarse(16)
    with RasterReader(raster, coarse) as reader:
        values = reader.reflectance(coarse.whole)[0]
    means = image.reshape(100, 16, 100, 16).mean(axis=(1, 3)) / 1e4
    assert np.abs(values - means)[1:-1, 1:-1].max() < 0.0015  # 0.004 half a level's pixel away


def test_class_bands_come_by_the_nearest_pixel(tmp_path):
    image = np.stack([np.arange(1600).reshape(40, 40) % 7, np.arange(1600).reshape(40, 40)]).astype(np.uint16)
    path = makers.write(tmp_path / "a.tif", image, descriptions=("SCL", "B02"))
    shifted = Grid(utm(32632), (10.0, 0, makers.LEFT + 4, 0, -10.0, makers.TOP - 4), 30, 30)
    with RasterReader(raster_of(path), shifted) as reader:
        values = reader.reflectance(shifted.whole)
    assert np.array_equal(values[0], image[0, :30, :30])
    assert values[1, 0, 0] == pytest.approx(0.4 + 0.4 * 40)


@pytest.mark.parametrize("overviews", [(), (2, 4)])
def test_a_coarser_grid_gets_means_from_overviews_too(tmp_path, overviews):
    image = smooth(2, 512, 512)
    image[:, :100] = np.nan
    raster = raster_of(makers.write(tmp_path / "a.tif", image, overviews=overviews, tiled=True))
    with RasterReader(raster, raster.grid.coarse(8)) as reader:
        coarse = reader.reflectance(Window(0, 0, 64, 64))
        assert reader.reflectance(Window(16, 8, 8, 16)).tobytes() == coarse[:, 16:24, 8:24].tobytes()
    means = image.reshape(2, 64, 8, 64, 8)[:, 13:].mean(axis=(2, 4))
    np.testing.assert_allclose(coarse[:, 13:], means, rtol=1e-4)
    assert np.isnan(coarse[:, :12]).all()
    assert np.isfinite(coarse[:, 12]).all()  # half of it was observed


@pytest.mark.posix("rights of files")
@pytest.mark.parametrize("hidden", ["file", "folder"])
def test_what_may_not_be_read_is_neither_absent_nor_damaged(tmp_path, hidden):
    folder = tmp_path / "closed"
    folder.mkdir()
    path = folder / "a.tif"
    makers.write(path, np.ones((1, 8, 8), np.uint8))
    raster_of(path)
    root = os.geteuid() == 0
    with contextlib.ExitStack() as stack:
        place = folder if hidden == "folder" else path
        stack.callback(place.chmod, 0o700)
        place.chmod(0)
        if root:  # who may read all
            for above in (tmp_path, *tmp_path.parents[:2]):
                stack.callback(above.chmod, above.stat().st_mode)
                above.chmod(0o755)
            stack.callback(os.seteuid, 0)
            os.seteuid(65534)
        with pytest.raises(TerramendError) as caught:
            open_raster(str(path), Watch())
    assert caught.value.code == "file.access" and str(path) in str(caught.value)
