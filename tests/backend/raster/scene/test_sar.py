"""Radar backscatter: whatever form it is stored in, VV and VH in dB come out."""

import makers
import numpy as np
import pytest
import rasterio
from affine import Affine
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.products.files import open_raster
from terramend.backend.raster.scene.guides import open_guide
from terramend.backend.raster.scene.polarisations import files_of
from terramend.backend.raster.scene.sar import SarReader
from terramend.backend.watch import Watch

RNG = np.random.default_rng(3)
VV = (-9 + 2 * RNG.standard_normal((64, 64))).astype(np.float32)
VH = VV - 7


def read(tmp_path, image, grid=None, nearest=False, **options):
    watch = Watch()
    (raster,) = open_raster(makers.write(tmp_path / "s1.tif", image, **options), watch)
    grid = grid or raster.grid
    with SarReader(raster, grid, watch, nearest) as reader:
        return reader.read(grid.whole), [notice.code for notice in watch.notices]


@pytest.mark.parametrize("form", ["dB", "dB x 100", "scaled dB", "linear", "amplitude"])
def test_every_form_becomes_db(tmp_path, form):
    pair = np.stack([VV, VH])
    options = {"descriptions": ("VV", "VH")}
    if form == "dB x 100":
        pair = np.round(pair * 100).astype(np.int16)
    elif form == "scaled dB":
        pair = np.round(pair * 100).astype(np.int16)
        options |= {"scales": (0.01, 0.01), "offsets": (0, 0)}
    elif form == "linear":
        pair = 10 ** (pair / 10)
    elif form == "amplitude":
        pair = np.round(1000 * 10 ** (pair / 20)).astype(np.uint16)
    found, codes = read(tmp_path, pair, **options)
    expected = np.stack([VV, VH]) + (60 if form == "amplitude" else 0)  # uncalibrated: off by a constant
    assert np.abs(found - expected).max() < (0.1 if form == "amplitude" else 0.006)
    assert codes == ([f"sar.{form}"] if form in ("amplitude", "linear") else [])


def test_order_by_name_or_brightness(tmp_path):
    swapped = np.stack([VH, VV])
    found, codes = read(tmp_path, swapped, descriptions=("Sigma0_VH", "Sigma0_VV"))
    assert np.array_equal(found, np.stack([VV, VH])) and codes == []
    found, codes = read(tmp_path, swapped)
    assert np.array_equal(found, np.stack([VV, VH])) and codes == ["sar.order"]


def test_names_that_are_swapped_are_followed_and_warned_of(tmp_path):
    pair = np.stack([VH, VV])
    found, codes = read(tmp_path, pair, descriptions=("VV", "VH"))
    assert np.array_equal(found, pair) and codes == ["sar.swapped"]


@pytest.mark.parametrize("form", ["dB", "linear"])
def test_coarser_radar_is_repeated_where_that_is_asked(tmp_path, form):
    pair = np.stack([VV, VH]) if form == "dB" else 10 ** (np.stack([VV, VH]) / 10)
    options = {"descriptions": ("VV", "VH")}
    coarse = read(tmp_path, pair, **options)[0]
    (raster,) = open_raster(str(tmp_path / "s1.tif"), Watch())
    fine = Grid(raster.grid.crs, tuple(raster.grid.affine @ Affine.scale(1 / 3))[:6], 192, 192)
    nearest, _ = read(tmp_path, pair, fine, nearest=True, **options)
    assert np.array_equal(nearest, coarse.repeat(3, 1).repeat(3, 2))
    smooth, _ = read(tmp_path, pair, fine, **options)
    assert not np.array_equal(smooth, nearest)
    assert np.allclose(smooth[:, 1::3, 1::3], coarse, atol=1e-4)  # where centres meet


def test_one_polarisation(tmp_path):
    found, codes = read(tmp_path, VH[None], descriptions=("VH",))
    assert np.isnan(found[0]).all() and np.array_equal(found[1], VH) and codes == []
    found, codes = read(tmp_path, VV[None])
    assert np.array_equal(found[0], VV) and np.isnan(found[1]).all() and codes == ["sar.one"]


def test_nodata_and_zero_power_are_not_observed(tmp_path):
    linear = 10 ** (np.stack([VV, VH]) / 10)
    linear[:, :5] = 0
    found, _ = read(tmp_path, linear, descriptions=("VV", "VH"))
    assert np.isnan(found[:, :5]).all() and np.isfinite(found[:, 5:]).all()
    stored = np.stack([VV, VH])
    stored[:, :5] = -9999
    found, _ = read(tmp_path, stored, descriptions=("VV", "VH"), nodata=-9999)
    assert np.isnan(found[:, :5]).all() and np.array_equal(found[:, 5:], np.stack([VV, VH])[:, 5:])


@pytest.mark.parametrize("times", [1, 100])
def test_zero_is_no_backscatter_in_db_either(tmp_path, times):
    stored = (np.stack([VV, VH]) * times).astype(np.float32 if times == 1 else np.int16)
    stored[:, :5] = 0
    found, _ = read(tmp_path, stored, descriptions=("VV", "VH"))
    assert np.isnan(found[:, :5]).all() and np.isfinite(found[:, 5:]).all()


def test_an_optical_image_is_refused(tmp_path):
    with pytest.raises(TerramendError, match="--reference"):
        read(tmp_path, np.stack([VV, VH, VV, VH]), descriptions=("blue", "green", "red", "nir"))


def test_the_other_polarisation_is_read_from_the_file_beside(tmp_path):
    vv = makers.write(tmp_path / "S1A_20200105_RTC10_VV.tif", 10 ** (VV[None] / 10))
    vh = makers.write(tmp_path / "S1A_20200105_RTC10_VH.tif", 10 ** (VH[None] / 10))
    for first, second in ((vv, vh), (vh, vv)):
        watch = Watch()
        raster = open_guide(first, Grid.of(rasterio.open(first)), "--sar", watch)
        with SarReader(raster, raster.grid, watch) as reader:
            assert np.abs(reader.read(raster.grid.whole) - np.stack([VV, VH])).max() < 0.001
        assert [notice.code for notice in watch.notices] == ["sar.beside", "sar.linear"]
        assert files_of(first) == (first, second)


def test_another_polarisation_elsewhere_is_not_taken(tmp_path):
    vv = makers.write(tmp_path / "iw-vv.rtc.tif", VV[None])
    makers.write(tmp_path / "iw-vh.rtc.tif", VH[None, :32])
    watch = Watch()
    raster = open_guide(vv, Grid.of(rasterio.open(vv)), "--sar", watch)
    assert len(raster.bands) == 1 and not watch.notices


@pytest.mark.parametrize("name", ["S1_VV_VH.tif", "servvice.tif", "gone_VV.tif", "/vsizip/a.zip/VV.tif"])
def test_names_without_another_polarisation(tmp_path, name):
    (tmp_path / "gone_VH.tif").touch()
    (tmp_path / "serhhice.tif").touch()
    path = str(tmp_path / name)
    assert files_of(path) == (path,) and files_of(None) == ()
