"""What names and tags tell: roles, wavelengths, sensors, mask kinds, dates, sun."""

import datetime
from pathlib import Path

import pytest
from terramend.backend.datasets import folder
from terramend.backend.raster.masks.names import mask_kind_of
from terramend.backend.raster.products.dates import date_in, date_of_tags, sun_of_tags
from terramend.backend.raster.products.roles import naming, role_of, role_of_file, wavelength_of
from terramend.backend.raster.products.sensors import sensor_of
from terramend.backend.raster.products.siblings import accompanies


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("", "optical"), ("B04", "optical"), ("SR_B5", "optical"), ("blue", "optical"), ("Band 7", "optical"),
        ("nir", "optical"), ("swir16", "optical"), ("coastal aerosol", "optical"), ("cirrus", "optical"),
        ("red edge 1", "optical"), ("reflectance_red", "optical"),
        ("ST_B10", "thermal"), ("thermal infrared", "thermal"), ("LST", "thermal"), ("tirs1", "thermal"),
        ("land surface temperature", "thermal"), ("brightness_temperature", "thermal"),
        ("QA_PIXEL", "qa"), ("BQA", "qa"), ("QA60", "qa"), ("pixel_qa", "qa"), ("udm2", "qa"), ("QA_RADSAT", "qa"),
        ("SCL", "class"), ("Fmask", "class"), ("cloud mask", "class"), ("landcover", "class"),
        ("esa_worldcover", "class"), ("LC_Type1", "class"), ("land use", "class"), ("NLCD_2019", "class"),
        ("cloud probability", "class"), ("clouds", "class"),
        ("NDVI", "index"), ("EVI", "index"), ("ndwi_mean", "index"), ("solar zenith", "index"),
        ("chlor_a", "index"), ("CHL_NN", "index"), ("chl-oc4me", "index"), ("CHLA", "index"), ("Kd_490", "index"),
        ("kd490", "index"), ("TSM_NN", "index"), ("spm", "index"), ("turbidity", "index"), ("avg_rad", "index"),
        ("avg_rade9h", "index"), ("Gap_Filled_DNB_BRDF-Corrected_NTL", "index"), ("nightlights", "index"),
        ("AOD_550", "index"), ("Optical_Depth_047", "index"), ("sst", "index"), ("precipitation", "index"),
        ("soil moisture", "index"), ("sm_surface", "index"), ("biomass", "index"),
        ("elevation", "index"), ("elevation_m", "index"), ("DEM", "index"), ("slope", "index"), ("aspect", "index"),
        ("Oa08_radiance", "optical"), ("radiance 665 nm", "optical"), ("Rrs_443", "optical"),
        ("alpha", "alpha"), ("Alpha", "alpha"),
    ],
)  # fmt: skip
def test_roles(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("stem", "role"),
    [
        ("T32TQM_20200101T101010_SCL_20m", "class"), ("LC08_L2SP_1_T1_QA_PIXEL", "qa"), ("scene_cloudmask", "class"),
        ("mask_scene", "class"), ("HLS.S30.T32.v2.0.Fmask", "class"), ("clouds_removed", "optical"),
        ("scene_masked", "optical"), ("scene", "optical"), ("MOD13_NDVI_2020", "index"), ("x_20200101_red", "optical"),
        ("MOD09A1.A2020153.h18v04.061_sur_refl_qc_500m", "qa"), ("MOD09A1.A2020153.h18v04.061_sur_refl_szen", "index"),
        ("MOD09GA.A2020153.h18v04.061_state_1km", "qa"), ("MSK_CLASSI_B00", "class"),
        ("landcover_2017", "class"), ("ESA_WorldCover_10m_2021_v200_N45E012_Map", "class"),
        ("nlcd_2019_land_cover_l48_20210604", "class"), ("landcover_2017_B5", "optical"), ("lulc_ndvi", "optical"),
        ("unmasked_cloudy_scene", "optical"), ("LC08_x_ST_B10", "thermal"), ("", "optical"),
        ("chlor_a_2023", "index"), ("srtm_n37_w123_1arc_v3", "index"), ("slope_county_20200101_B04", "optical"),
        ("Copernicus_DSM_COG_10_N46_00_E010_00_DEM", "index"), ("height_red", "optical"), ("A2023001.L3m_DAY_CHL_chlor_a_4km", "index"), ("2023-01-01_turbidity", "index"),
        ("SVDNB_npp_20230101-20230131_00N060E_vcmcfg_v10_c202302.avg_rade9h", "index"),
    ],
)  # fmt: skip
def test_roles_of_files(stem, role):
    assert role_of_file(stem) == role


@pytest.mark.parametrize(
    "stem", ["2020-01-31_cloud_free", "clouds-removed_2020", "cloud free", "a_gap_filled"]
)
def test_what_was_freed_of_clouds_is_no_mask(stem):
    assert mask_kind_of(stem) is None
    assert mask_kind_of(f"{stem}_mask") == "auto"
    assert folder.kind(Path(f"{stem.replace(' ', '_')}.tif")) == "optical"


@pytest.mark.parametrize(
    ("stem", "kind"),
    [
        ("CopDEM", "terrain"), ("CopDEM_30m", "terrain"), ("Copernicus_DSM_COG_10_N46_00_E011_00_DEM", "terrain"),
        ("dtm10m", "terrain"), ("srtm30", "terrain"), ("NASADEM_HGT_n46e011", "terrain"), ("place-elevation", "terrain"),
        ("S1A_IW_GRDH_1SDV_20200101T052601_20200101T052626_030606_0381D8", "sar"), ("Sentinel1_20200101", "sar"),
        ("sentinel-1_20200101", "sar"), ("2020-01-01_s1", "sar"), ("20200101_SAR", "sar"), ("S1D_20260101", "sar"),
        ("S2A_20200101", "optical"), ("sentinel-2_20200101", "optical"), ("S10_20200101", "optical"),
        ("demo_20200101", "optical"), ("academy_20200101", "optical"),
    ],
)  # fmt: skip
def test_terrain_and_radar_by_the_names_that_they_come_with(stem, kind):
    assert folder.kind(Path(f"{stem}.tif")) == kind
    assert accompanies(stem) == (kind != "optical")


@pytest.mark.parametrize(
    ("name", "sensor", "wavelength"),
    [
        ("B8A", "sentinel2", 865), ("B08", "sentinel2", 833), ("band 12", "sentinel2", 2202), ("B4", "sentinel2", 665),
        ("SR_B5", "landsat8", 865), ("B5", "landsat5", 1650), ("band4", "landsat7", 835), ("B10", "landsat9", 10895),
        ("nir", "", 842), ("Blue", "", 490), ("toa_red", "", 660), ("560 nm", "", 560), ("1.61 um", "", 1610),
        ("swir22", "", 2200), ("coastal_blue", "", 443), ("green_i", "", 531), ("Vegetation red edge", "", 720),
        ("sur_refl_b01", "modis", 645), ("b04", "modis", 555), ("Nadir_Reflectance_Band3", "modis", 469),
        ("B02", "", 492), ("b8a", "", 865),
    ],
)  # fmt: skip
def test_wavelengths(name, sensor, wavelength):
    assert wavelength_of(name, sensor) == wavelength


@pytest.mark.parametrize(
    ("name", "sensor"),
    [("Band 3", ""), ("B4", ""), ("B05", ""), ("sur_refl_b02", ""), ("x", "sentinel2"), ("B13", "sentinel2")],
)
def test_unknown_wavelengths(name, sensor):
    assert wavelength_of(name, sensor) != wavelength_of(name, sensor)


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("S2A_MSIL2A_20200101T101010_N0213_R022_T32TQM_20200101T101010.SAFE", "sentinel2"),
        ("T32TQM_20200101T101010_B04_10m.jp2", "sentinel2"), ("S2_20200101.tif", "sentinel2"),
        ("HLS.S30.T32TQM.2020182T101559.v2.0.B04.tif", "sentinel2"), ("HLS.L30.T32.v2.0.B04.tif", "landsat8"),
        ("LC09_L2SP_192030_20220715_20220913_02_T1_SR_B4.TIF", "landsat9"), ("LE71920302003180EDC00_B3.TIF", "landsat7"),
        ("LT05_L1TP_192030_19900715_20200913_01_T1", "landsat5"),
        ("LC08_CU_003010_20200715_20210504_02_SR_B4.TIF", "landsat8"), ("MOD09A1.A2020153.h18v04.061_sur_refl_b02.tif", "modis"), ("20200601T102559_20200601T103000_T32TPT.tif", "sentinel2"),
        ("scene.tif", ""), ("CLC2018.tif", ""),
    ],
)  # fmt: skip
def test_sensors(name, sensor):
    assert sensor_of(name) == sensor


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("T32TQM_20200131T101010_B04.jp2", (2020, 1, 31)), ("LC08_L2SP_192030_20200715_20200913_02_T1", (2020, 7, 15)),
        ("LC081920302018071001T1_sr_band1.tif", (2018, 7, 10)), ("LC81920302013180LGN00_B4.TIF", (2013, 6, 29)),
        ("HLS.S30.T32TQM.2020182T101559.v2.0", (2020, 6, 30)), ("MOD09GA.A2019001.h18v04", (2019, 1, 1)),
        ("scene_2021-05-06.tif", (2021, 5, 6)), ("2021_05_06_x", (2021, 5, 6)), ("2020-06-14T10:26:01.024Z", (2020, 6, 14)),
    ],
)  # fmt: skip
def test_dates(text, date):
    assert date_in(text) == datetime.date(*date)


@pytest.mark.parametrize(
    "text", ["scene", "20201301", "19500101", "29990101", "20991231", "123456789012", "v2020", "20200230"]
)
def test_no_dates(text):
    assert date_in(text) is None


def test_tags():
    assert date_of_tags({"TIFFTAG_DATETIME": "2022:01:01 00:00:00"}) is None  # when it was written
    assert date_of_tags({"NC_GLOBAL#time_coverage_start": "2019-03-04"}) == datetime.date(2019, 3, 4)
    assert sun_of_tags({"SUN_AZIMUTH": "-150", "MEAN_SOLAR_ZENITH_ANGLE": "30"}) == (210, 60)
    assert sun_of_tags({"SUN_AZIMUTH": "150"}) is None
    assert sun_of_tags({"SUN_AZIMUTH": "150", "SUN_ELEVATION": "-3"}) is None
    assert sun_of_tags({"SUN_AZIMUTH": "east", "SUN_ELEVATION": "40"}) is None


@pytest.mark.parametrize(
    ("names", "sensor", "expected"),
    [
        (("B02", "B03", "B04", "B08", "B11", "B12"), "", "sentinel2"),
        (("B8A", None, "B12"), "", "sentinel2"),
        (("B02", "B03", "B04", "B05", "B10", "B11"), "", ""),  # HLS of Landsat: B11 is thermal
        (("B8", "B11"), "landsat8", "landsat8"),
    ],
)
def test_bands_that_only_sentinel2_has_tell_its_names(names, sensor, expected):
    assert naming(names, sensor) == expected
    if expected == "sentinel2":
        assert wavelength_of("B12", expected) == 2202
