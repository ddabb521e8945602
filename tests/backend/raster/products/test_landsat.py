"""Landsat products of both collections and levels, as folder, tar and metadata file."""

import datetime
import shutil
import tarfile

import makers
import numpy as np
import pytest
import rasterio
from terramend.backend.errors import TerramendError
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.reader import RasterReader
from terramend.backend.watch import Watch


def check_c2(raster):
    assert [band.description for band in raster.bands] == [f"B{i}" for i in range(1, 8)] + ["ST_B10"]
    assert [band.role for band in raster.bands] == ["optical"] * 7 + ["thermal"]
    assert {(round(b.gain, 12), b.bias) for b in raster.bands[:7]} == {(2.75e-05, -0.2)}
    assert raster.bands[7].gain == pytest.approx(3.41802e-6)
    assert raster.bands[7].bias == pytest.approx(0.149)
    assert raster.bands[3].wavelength == 655
    assert (raster.date, raster.surface) == (datetime.date(2020, 7, 15), True)
    (mask,) = raster.masks
    assert mask.kind == "qa_pixel" and mask.path.endswith("_QA_PIXEL.TIF")


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_collection_2_level_2(tmp_path, form):
    product = makers.make_landsat_c2(tmp_path, form)
    for way in (product, product / f"{makers.LANDSAT_ID}_MTL.{form}"):
        (raster,) = open_product([str(way)], watch=Watch())
        check_c2(raster)
        assert raster.sun == (139.5, 30.0)
        assert (raster.sensor, raster.name) == ("landsat8", makers.LANDSAT_ID)
    with RasterReader(raster) as reader:
        values = reader.reflectance(raster.grid.whole)
    with rasterio.open(product / f"{makers.LANDSAT_ID}_SR_B4.TIF") as file:
        stored = file.read(1)
    assert np.isnan(values[:, :2][:7]).all()
    np.testing.assert_allclose(values[3, 2:], stored[2:] * 2.75e-05 - 0.2, atol=1e-6)


def test_without_metadata_names_and_rules_serve(tmp_path):
    (raster,) = open_product([str(makers.make_landsat_c2(tmp_path, form=""))], watch=Watch())
    check_c2(raster)
    assert raster.sun is None


@pytest.mark.parametrize(("kind", "inside"), [("tar", ""), ("tar.gz", ""), ("tar", "./")])
def test_tar(tmp_path, kind, inside):
    product = makers.make_landsat_c2(tmp_path)
    archive = tmp_path / f"{makers.LANDSAT_ID}.{kind}"
    with tarfile.open(archive, "w:gz" if kind.endswith("gz") else "w") as tar:
        for file in sorted(product.iterdir()):
            tar.add(file, inside + file.name)
    watch = Watch()
    (raster,) = open_product([str(archive)], watch=watch)
    check_c2(raster)
    (folder,) = open_product([str(product)], watch=Watch())
    with RasterReader(raster) as ours, RasterReader(folder) as theirs:
        assert np.array_equal(ours.samples(raster.grid.whole), theirs.samples(raster.grid.whole))
    assert [n.code for n in watch.notices] == (["product.compressed"] if kind == "tar.gz" else [])


def test_collection_1_level_1_is_top_of_atmosphere(tmp_path):
    pan, raster = open_product([str(makers.make_landsat_c1_l1(tmp_path))], watch=Watch())
    assert [band.description for band in pan.bands] == ["B8"]
    assert [band.description for band in raster.bands] == [f"B{i}" for i in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)]
    assert raster.surface is False
    assert raster.bands[0].gain == pytest.approx(4e-5)  # over the sine of 30 degrees
    assert raster.bands[0].bias == pytest.approx(-0.2)
    assert [b.role for b in raster.bands[-2:]] == ["thermal", "thermal"]
    assert raster.bands[-1].gain == pytest.approx(3.342e-6)
    assert {band.nodata for band in raster.bands} == {0.0}  # the documented fill, undeclared here
    assert [mask.kind for mask in raster.masks] == ["bqa"]


def test_level_1_without_metadata_needs_the_sun(tmp_path):
    product = makers.make_landsat_c1_l1(tmp_path)
    next(product.glob("*_MTL.txt")).unlink()
    with pytest.raises(TerramendError, match="--sun"):
        open_product([str(product)], watch=Watch())
    raster = open_product([str(product)], sun=(140, 30), watch=Watch())[1]
    assert raster.bands[0].gain == pytest.approx(4e-5)


def test_espa_surface_reflectance_of_collection_1(tmp_path):
    name = "LC081920302018071001T1"
    rng = np.random.default_rng(0)
    for band in range(1, 8):
        makers.write(
            tmp_path / f"{name}_sr_band{band}.tif",
            rng.integers(0, 5000, (30, 30)).astype(np.int16),
            30,
            nodata=-9999,
        )
        makers.write(
            tmp_path / f"{name}_toa_band{band}.tif",
            rng.integers(0, 5000, (30, 30)).astype(np.int16),
            30,
            nodata=-9999,
        )
    makers.write(tmp_path / f"{name}_bt_band10.tif", np.full((30, 30), 2900, np.int16), 30, nodata=-9999)
    makers.write(tmp_path / f"{name}_pixel_qa.tif", np.full((30, 30), 322, np.uint16), 30, nodata=1)
    (raster,) = open_product([str(tmp_path)], watch=Watch())
    assert [band.description for band in raster.bands] == [f"B{i}" for i in range(1, 8)] + ["ST_B10"]
    assert all("_sr_band" in band.path for band in raster.bands[:7])
    assert {(b.gain, b.bias, b.nodata) for b in raster.bands[:7]} == {(1e-4, 0.0, -9999.0)}
    assert raster.bands[7].gain == pytest.approx(1e-4)  # 2900 tenths of a kelvin are 0.29 kK
    assert (raster.date, raster.surface) == (datetime.date(2018, 7, 10), True)
    assert [mask.kind for mask in raster.masks] == ["qa_pixel"]


def test_lone_band_of_a_product(tmp_path):
    product = makers.make_landsat_c2(tmp_path)
    (raster,) = open_product([str(product / f"{makers.LANDSAT_ID}_SR_B5.TIF")], watch=Watch())
    (band,) = raster.bands
    assert (band.description, band.wavelength, band.gain, band.bias) == ("SR_B5", 865, 2.75e-5, -0.2)
    (raster,) = open_product([str(product / f"{makers.LANDSAT_ID}_ST_B10.TIF")], watch=Watch())
    assert raster.bands[0].role == "thermal"


def test_two_scenes_in_one_folder(tmp_path):
    product = makers.make_landsat_c2(tmp_path)
    for file in list(product.glob("*_SR_B?.TIF")):
        shutil.copy(file, product / file.name.replace("20200715", "20200731"))
    with pytest.raises(TerramendError, match="2 scenes"):
        open_product([str(product)], watch=Watch())


def test_both_levels_in_one_folder_give_the_surface(tmp_path):
    product = makers.make_landsat_c2(tmp_path)
    first = product.name.replace("L2SP", "L1TP")
    for band in range(1, 8):
        makers.write(product / f"{first}_B{band}.TIF", np.full((40, 40), 9000, np.uint16), 30)
    groups = {k: v for k, v in makers.MTL_C2["LANDSAT_METADATA_FILE"].items() if "LEVEL2" not in k}
    (product / f"{first}_MTL.txt").write_text(makers.mtl_text({"LANDSAT_METADATA_FILE": groups}, "txt"))
    (raster,) = open_product([str(product)], watch=Watch())
    check_c2(raster)


def test_metadata_without_images(tmp_path):
    (tmp_path / "LC08_L2SP_X_MTL.txt").write_text(makers.mtl_text(makers.MTL_C2, "txt"))
    with pytest.raises(TerramendError, match="band images"):
        open_product([str(tmp_path)], watch=Watch())
    with pytest.raises(TerramendError, match="does not exist"):
        open_product([str(tmp_path / "LC08_MTL.txt")], watch=Watch())
