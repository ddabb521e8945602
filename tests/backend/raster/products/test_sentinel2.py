"""Sentinel-2 products of either level, as folder, zip, metadata file and granule."""

import datetime
import shutil

import makers
import numpy as np
import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Window
from terramend.backend.raster.masks.gapmap import GAP, build_gap_map
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.reader import RasterReader
from terramend.backend.request import DEFAULT_CLASSES
from terramend.backend.watch import Watch

ALL = Window(0, 0, 240, 240)


@pytest.fixture(scope="module")
def l2a(tmp_path_factory):
    return makers.make_safe(tmp_path_factory.mktemp("s2"))


@pytest.fixture(scope="module")
def l1c(tmp_path_factory):
    return makers.make_safe(tmp_path_factory.mktemp("s2"), "1C")


def test_l2a_comes_at_its_own_resolutions(l2a):
    rasters = open_product([str(l2a)], watch=Watch())
    names = [[band.description for band in raster.bands] for raster in rasters]
    assert names == [
        ["B02", "B03", "B04", "B08"],
        ["B05", "B06", "B07", "B8A", "B11", "B12"],
        ["B01", "B09"],
    ]
    assert [raster.grid.pixel_size[0] for raster in rasters] == [10, 20, 60]
    for raster in rasters:
        assert raster.date == datetime.date(2022, 6, 14)
        assert raster.sun == (147.25, 63.5)
        assert raster.surface is True
        assert raster.sensor == "sentinel2"
        assert raster.zero_fill
        assert raster.credits == "contains modified Copernicus Sentinel data 2022"
        (mask,) = raster.masks
        assert mask.kind == "scl" and mask.path.endswith("_SCL_20m.jp2")
    assert [band.wavelength for band in rasters[0].bands] == [492, 560, 665, 833]


def test_values_are_those_of_the_files_with_the_offset(l2a):
    raster = open_product([str(l2a)], watch=Watch())[0]
    with RasterReader(raster) as reader:
        stored, values = np.stack(reader.samples(ALL)), reader.reflectance(ALL)
    expected = np.stack([makers.numbers(b, 10) for b in ("B02", "B03", "B04", "B08")])
    assert np.array_equal(stored, expected)
    np.testing.assert_allclose(values, (expected - 1000.0) / 10000, atol=1e-6)


@pytest.mark.parametrize("baseline", ["02.14", "03.01"])
def test_early_baselines_have_no_offset(tmp_path, baseline):
    product = makers.make_safe(tmp_path, baseline=baseline, side=60)
    band = open_product([str(product)], watch=Watch())[0].bands[0]
    assert (band.gain, band.bias) == (1e-4, 0.0)


def test_l1c_has_its_own_offset_bands_and_mask(l1c):
    rasters = open_product([str(l1c)], watch=Watch())
    assert [b.description for b in rasters[2].bands] == ["B01", "B09", "B10"]
    assert rasters[0].surface is False
    assert {(b.gain, b.bias) for r in rasters for b in r.bands} == {(1e-4, -0.1)}
    (mask,) = rasters[0].masks
    assert mask.kind == "qa60" and mask.path.endswith("MSK_CLASSI_B00.jp2")


@pytest.mark.parametrize(("cloudy", "packed"), [(True, ""), (False, ""), (True, "zip")])
def test_early_l1c_has_cloud_polygons(tmp_path, cloudy, packed):
    product = makers.make_safe(tmp_path, "1C", "02.06", 60, cloudy)
    if packed:
        name = str(tmp_path / product.name.removesuffix(".SAFE"))
        archive = shutil.make_archive(name, packed, product.parent, product.name)
        shutil.rmtree(product)
        product = archive
    raster = open_product([str(product)], watch=Watch())[0]
    (mask,) = raster.masks
    assert mask.kind == ("polygons" if cloudy else "none")
    gaps = build_gap_map(
        raster, (), grow="0", classes=DEFAULT_CLASSES, cloud_threshold=None, fill_swath_edges=False, extent=None,
        directory=tmp_path, watch=Watch(),
    )  # fmt: skip
    with gaps:
        found = gaps.read(raster.grid.whole)[0] == GAP
    expected = np.zeros((60, 60), bool)
    if cloudy:
        expected[10:20, 10:30] = True
        expected[14:16, 15:17] = False
    assert np.array_equal(found, expected)


def test_products_of_2016_have_long_names(tmp_path):
    product = makers.make_safe(tmp_path, "1C", "02.02", 60)
    granule = next((product / "GRANULE").iterdir())
    stem = "S2A_OPER_MSI_L1C_TL_EPA__20160614T102601_A000734_T32TPT"
    for file in list(granule.rglob("*.jp2")):
        file.rename(file.with_name(f"{stem}_{file.name[-7:]}"))
    (granule / "MTD_TL.xml").rename(granule / f"{stem.replace('MSI', 'MTD')}.xml")
    old = "S2A_OPER_MTD_SAFL1C_PDMC_20160614T102601_R108_V20160614T102601_20160614T102601.xml"
    (product / "MTD_MSIL1C.xml").rename(product / old)
    for way in (product, product / old, granule):
        rasters = open_product([str(way)], watch=Watch())
        assert [len(raster.bands) for raster in rasters] == [4, 6, 3]
        assert rasters[0].surface is False and rasters[0].sun == (147.25, 63.5)


def test_every_way_in_gives_the_same(l2a, tmp_path):
    folder = open_product([str(l2a)], watch=Watch())
    archive = shutil.make_archive(str(tmp_path / l2a.name.removesuffix(".SAFE")), "zip", l2a.parent, l2a.name)
    granule = next((l2a / "GRANULE").iterdir())
    ways = [str(l2a / "MTD_MSIL2A.xml"), str(granule), str(granule / "MTD_TL.xml"), archive]
    ways += [f"/vsizip/{archive}/{l2a.name}", f"/vsizip/{archive}/{l2a.name}/MTD_MSIL2A.xml"]
    for way in ways:
        rasters = open_product([way], watch=Watch())
        assert [r.grid for r in rasters] == [r.grid for r in folder], way
        assert [[b.gain for b in r.bands] for r in rasters] == [[b.gain for b in r.bands] for r in folder]
        assert rasters[0].name == folder[0].name
        assert (rasters[0].date, rasters[0].sun) == (folder[0].date, folder[0].sun)
        with RasterReader(rasters[0]) as ours, RasterReader(folder[0]) as theirs:
            assert np.array_equal(ours.samples(ALL), theirs.samples(ALL))


def test_gdal_subdataset_names_mean_that_resolution(l2a):
    (raster,) = open_product([f"SENTINEL2_L2A:{l2a / 'MTD_MSIL2A.xml'}:20m:EPSG_32632"], watch=Watch())
    assert raster.grid.pixel_size[0] == 20
    assert raster.bands[0].bias == -0.1


def test_a_lone_band_knows_its_product(l2a):
    file = next(l2a.rglob("*_B8A_20m.jp2"))
    (raster,) = open_product([str(file)], watch=Watch())
    (band,) = raster.bands
    assert (band.description, band.wavelength, band.gain, band.bias) == ("B8A", 865, 1e-4, -0.1)
    assert raster.date == datetime.date(2022, 6, 14)


def test_a_folder_of_loose_bands(l2a, tmp_path):
    for file in [*l2a.rglob("*_B0[24]_10m.jp2"), *l2a.rglob("*_SCL_20m.jp2")]:
        shutil.copy(file, tmp_path / file.name)
    (raster,) = open_product([str(tmp_path)], watch=Watch())
    assert [band.description for band in raster.bands] == ["B02", "B04"]
    assert [band.bias for band in raster.bands] == [-0.1, -0.1]
    assert [mask.kind for mask in raster.masks] == ["scl"]


def test_two_granules_need_a_choice(l2a, tmp_path):
    copy = shutil.copytree(l2a, tmp_path / l2a.name)
    granule = next((copy / "GRANULE").iterdir())
    shutil.copytree(granule, granule.parent / "L2A_T32TQT_A036458_20220614T103221")
    with pytest.raises(TerramendError, match="2 granules"):
        open_product([str(copy)], watch=Watch())
    assert open_product([str(granule)], watch=Watch())[0].grid.width == 240


@pytest.mark.parametrize(
    ("tile", "day", "bias"),
    [
        ("", "2022-06-14", -0.1),
        ("", "2021-06-14", 0),
        ("N05.00", "2018-06-14", -0.1),
        ("N02.14", "2022-06-14", 0),
    ],
)
def test_a_granule_without_its_product_knows_its_offset(l2a, tmp_path, tile, day, bias):
    granule = shutil.copytree(next((l2a / "GRANULE").iterdir()), tmp_path / "L2A_T32TPT")
    text = (granule / "MTD_TL.xml").read_text().replace("2022-06-14", day)
    said = f"<TILE_ID>S2A_OPER_MSI_L2A_TL_2APS_{tile and '20220614T1_A036458_T32TPT_' + tile}</TILE_ID><SENSING_TIME"
    (granule / "MTD_TL.xml").write_text(text.replace("<SENSING_TIME", said))
    fine = open_product([str(granule)], watch=Watch())[0]
    assert [band.bias for band in fine.bands] == [bias] * 4
    assert fine.date == datetime.date.fromisoformat(day)


def test_broken_metadata_is_named(l2a, tmp_path):
    copy = shutil.copytree(l2a, tmp_path / l2a.name)
    (copy / "MTD_MSIL2A.xml").write_text("<a><b></a>")
    with pytest.raises(TerramendError, match="MTD_MSIL2A"):
        open_product([str(copy)], watch=Watch())
    (copy / "MTD_MSIL2A.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(TerramendError, match="document type"):
        open_product([str(copy)], watch=Watch())


def test_no_images(tmp_path):
    (tmp_path / "MTD_MSIL2A.xml").write_text("<a/>")
    with pytest.raises(TerramendError) as caught:
        open_product([str(tmp_path)], watch=Watch())
    assert caught.value.code == "product.empty"
