"""How stored values become reflectance: by option, tags, name or a guess that is said."""

import math

import makers
import numpy as np
import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.products.radiometry import in_words
from terramend.backend.raster.raster import telling
from terramend.backend.request import RADIOMETRIES
from terramend.backend.watch import Watch


def found(path, **options):
    watch = Watch()
    (raster,) = open_product([path], watch=watch, **options)
    return (raster.bands[0].gain, raster.bands[0].bias), raster, [notice.code for notice in watch.notices]


def tif(tmp_path, name="a.tif", dtype=np.uint16, high=9000, **options):
    image = np.random.default_rng(0).uniform(0.01, 1, (2, 40, 40)) * high
    return makers.write(tmp_path / name, image.astype(dtype), **options)


SINE = math.sin(math.radians(30))


@pytest.mark.parametrize(
    ("rule", "pair", "surface"),
    [
        ("reflectance", (1, 0), None), ("sentinel2", (1e-4, 0), None), ("sentinel2-offset", (1e-4, -0.1), None),
        ("landsat-c2-sr", (2.75e-5, -0.2), True), ("landsat-c1-sr", (1e-4, 0), True),
        ("landsat-c2-toa", (2e-5 / SINE, -0.1 / SINE), False), ("landsat-c1-toa", (2e-5 / SINE, -0.1 / SINE), False),
        ("dn", (1e-4, 0), None), ("auto", (1e-4, 0), None),
    ],
)  # fmt: skip
def test_every_option(tmp_path, rule, pair, surface):
    got, raster, _ = found(tif(tmp_path), radiometry=rule, sun=(120, 30))
    assert got == pytest.approx(pair)
    assert raster.surface is surface


def test_every_option_is_tested():
    marks = [m for m in test_every_option.pytestmark if m.name == "parametrize"]
    assert {case[0] for case in marks[0].args[1]} == set(RADIOMETRIES)


def test_toa_needs_the_sun(tmp_path):
    with pytest.raises(TerramendError, match="--sun"):
        found(tif(tmp_path), radiometry="landsat-c2-toa")


def test_tags_win_over_guesses_and_options_over_tags(tmp_path):
    path = tif(tmp_path, scales=(2e-4, 2e-4), offsets=(-0.05, -0.05))
    got, raster, codes = found(path)
    assert got == (2e-4, -0.05) and codes == []
    assert in_words(raster) == "reflectance = value × 0.0002 - 0.05"
    assert found(path, radiometry="sentinel2")[0] == (1e-4, 0)


@pytest.mark.parametrize(
    ("name", "pair", "surface"),
    [
        ("LC08_L2SP_192030_20200715_20200913_02_T1_SR_stack.tif", (2.75e-5, -0.2), True),
        ("LC08_CU_003010_20200715_20210504_02_SR_B4.TIF", (2.75e-5, -0.2), True),
        ("S2B_MSIL2A_20230115T102351_N0509_R065_T32TQM_20230115T140000.tif", (1e-4, -0.1), True),
        ("S2B_MSIL2A_20190115T102351_N0211_R065_T32TQM_20190115T140000.tif", (1e-4, 0), True),
        ("LC08_L1TP_192030_20200715_20200913_01_T1_toa.tif", (2e-5 / SINE, -0.1 / SINE), False),
    ],
)  # fmt: skip
def test_product_names_tell(tmp_path, name, pair, surface):
    got, raster, codes = found(tif(tmp_path, name), sun=(120, 30))
    assert got == pytest.approx(pair) and raster.surface is surface
    assert codes == []


def test_guesses_are_said(tmp_path):
    assert found(tif(tmp_path))[::2] == ((1e-4, 0), ["radiometry.guess"])
    assert found(tif(tmp_path, dtype=np.uint8, high=255))[::2] == ((1 / 255, 0), ["radiometry.guess"])
    assert found(tif(tmp_path, dtype=np.float32, high=0.8))[::2] == ((1, 0), [])
    assert found(tif(tmp_path, dtype=np.float32, high=80))[::2] == ((0.01, 0), ["radiometry.guess"])
    assert found(tif(tmp_path, dtype=np.float32, high=8000))[::2] == ((1e-4, 0), ["radiometry.guess"])
    assert found(tif(tmp_path, "S2_20200101.tif"))[::2] == ((1e-4, 0), [])
    late = found(tif(tmp_path, "S2_20230101.tif"))  # with the offset of baseline 04.00, or without?
    assert late[::2] == ((1e-4, 0), ["radiometry.guess"])


@pytest.mark.parametrize("high", [40, 4000])
def test_amounts_that_say_their_name_are_the_files_own_values(tmp_path, high):
    named = tif(tmp_path, dtype=np.float32, high=high, descriptions=("chlor_a", "tsm"))
    got, raster, codes = found(named)
    assert (got, in_words(raster), codes) == ((1, 0), "the file's own values", [])


def test_elevation_beside_reflectance_does_not_scale_it(tmp_path):
    """Metres of one band made ten-thousandths of the others; what it holds under clouds is observed all the same."""
    names = ("blue", "green", "elevation")
    image = np.random.default_rng(0).uniform(0.05, 0.4, (3, 40, 40)).astype(np.float32)
    image[2] *= 5000
    got, raster, codes = found(makers.write(tmp_path / "stack.tif", image, descriptions=names))
    assert (got, codes) == ((1, 0), [])
    assert [band.role for band in raster.bands] == ["optical", "optical", "index"]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_bands_named_as_collection_2_names_them_are_scaled_so(tmp_path, dtype):
    """Earth Engine's exports; others who named their bands so have scaled the values anew."""
    image = np.random.default_rng(0).uniform(7300, 20000, (2, 40, 40)).astype(dtype)
    image[:, :5] = 0
    names = ("SR_B4", "SR_B3")
    got, raster, codes = found(makers.write(tmp_path / "a.tif", image, descriptions=names))
    assert got == (2.75e-5, -0.2) and raster.surface is True and "radiometry.guess" in codes
    assert found(makers.write(tmp_path / "b.tif", image))[0] == (1e-4, 0)
    assert found(tif(tmp_path, dtype=dtype, high=9000, descriptions=names))[0] == (1e-4, 0)
    assert found(tif(tmp_path, dtype=np.float32, high=0.8, descriptions=names))[::2] == ((1, 0), [])


@pytest.mark.parametrize(("dark", "bright", "gain"), [(2, 40, 0.01), (20, 4000, 1e-4), (0.02, 0.4, 1)])
def test_dark_bands_are_scaled_as_the_bright_ones_are(tmp_path, dark, bright, gain):
    image = np.random.default_rng(0).uniform(0.5, 1, (2, 40, 40)) * np.array([dark, bright])[:, None, None]
    _, raster, _ = found(makers.write(tmp_path / "a.tif", image.astype(np.float32)))
    assert [band.gain for band in raster.bands] == [gain, gain]


def test_level_1_of_8_bits_is_not_taken_for_that_of_oli(tmp_path):
    path = tif(tmp_path, "LT05_L1TP_192030_19900715_20200913_02_T1.tif", dtype=np.uint8, high=255)
    assert found(path)[::2] == ((1 / 255, 0), ["radiometry.guess"])


@pytest.mark.parametrize(("day", "bias", "said"), [("20190614", 0, True), ("20230614", -0.1, False)])
def test_a_lone_tile_from_before_the_offset_may_have_it_all_the_same(tmp_path, day, bias, said):
    image = np.full((40, 40), 3000, np.uint16)
    path = makers.write(tmp_path / f"T32TPT_{day}T102601_B04_10m.jp2", image, driver="JP2OpenJPEG")
    got, _, codes = found(path)
    assert got == (1e-4, bias) and ("radiometry.guess" in codes) is said


def test_only_measured_bands_are_scaled(tmp_path):
    path = tif(tmp_path, descriptions=("B04", "SCL"))
    _, raster, _ = found(path, radiometry="sentinel2-offset")
    assert [(b.gain, b.bias) for b in raster.bands] == [(1e-4, -0.1), (1, 0)]


def test_floats_below_zero_are_no_light(tmp_path):
    """Radar in dB whose bands have no names; some of it may be above zero, as towns are."""
    decibel = np.full((2, 40, 40), -12.5, np.float32)
    decibel[:, :3, :3] = 4
    said, raster, codes = found(makers.write(tmp_path / "a.tif", decibel))
    assert said == (1, 0) and codes == [] and in_words(raster) == "the file's own values"
    assert telling(raster.bands) == (0, 1)


@pytest.mark.parametrize("option", ["auto", "sentinel2"])
def test_rasters_without_optical_bands_keep_their_own_values(tmp_path, option):
    """Landsat's surface temperature comes in kelvin; beside optical bands it would be in kilokelvin."""

    def lone(name, **tags):
        return makers.write(tmp_path / name, np.full((1, 40, 40), 4000, np.uint16), **tags)

    level_2 = lone("LC08_L2SP_195025_20200101_20200901_02_T1_ST_B10.tif")
    assert found(level_2, radiometry=option)[0] == pytest.approx((0.00341802, 149.0))
    assert found(lone("MOD11_LST.tif", scales=(0.02,), offsets=(0,)), radiometry=option)[0] == (0.02, 0)
    for name in ("MOD13_NDVI.tif", "LST_2020-01-13.tif", "S1_2020-01-13_VV.tif"):
        said, raster, codes = found(lone(name), radiometry=option)
        assert said == (1, 0) and codes == [] and in_words(raster) == "the file's own values"


def test_radar_keeps_its_own_values_beside_a_band_that_is_none(tmp_path):
    values = np.random.default_rng(0).uniform(0.02, 0.3, (3, 60, 60)).astype(np.float32)
    path = makers.write(tmp_path / "s1.tif", values, descriptions=("VV", "VH", "SCL"))
    (raster,) = open_product([path], watch=Watch())
    assert [band.role for band in raster.bands] == ["index", "index", "class"]
