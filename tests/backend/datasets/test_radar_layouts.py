"""Triplets in published layouts, and that no test region gets into training."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from terramend.backend.datasets import radar_layouts as layouts
from terramend.backend.errors import TerramendError
from terramend.backend.training import radar_bank

SEASONS = {"ROIs1158": "spring", "ROIs1868": "summer", "ROIs1970": "fall", "ROIs2017": "winter"}


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"driver": "GTiff", "height": image.shape[1], "width": image.shape[2], "count": len(image)}
    with rasterio.open(path, "w", dtype=image.dtype, **options) as sink:
        sink.write(image)


def patch(root, campaign, number, value=1000, kinds=("s1", "s2", "s2_cloudy")):
    """A 4 x 4 patch of SEN12MS-CR."""
    base = f"{campaign}_{SEASONS[campaign]}"
    for kind in kinds:
        bands, dtype, fill = (2, np.float32, -12.5) if kind == "s1" else (13, np.uint16, value)
        image = np.full((bands, 4, 4), fill + 4000 * (kind == "s2_cloudy"), dtype)
        write(root / f"{base}_{kind}" / f"{kind}_{number}" / f"{base}_{kind}_{number}_p30.tif", image)


def test_no_test_region_of_sen12mscr_is_trained_on(tmp_path):
    """Numbers that hold a test region's digits, or lie in them, are other regions."""
    for campaign, number in layouts.TEST:
        patch(tmp_path, campaign, number)
        for other in {int(f"1{number}"), int(str(number)[:-1] or 7), int(str(number)[1:] or 9)}:
            if (campaign, other) not in layouts.TEST | layouts.VALIDATION:
                patch(tmp_path, campaign, other)
    found = layouts.find(tmp_path)
    regions = {t.region for t in found}
    assert regions > layouts.TEST and None not in regions
    used = {layouts.region(name) for name in radar_bank.bank(tmp_path).names}
    assert used == regions - layouts.TEST and len(used) >= 10
    assert {layouts.split_of(where) for where in layouts.TEST} == {"test"}


def test_splits_do_not_touch():
    assert len(layouts.TEST) == 10 and len(layouts.TEST_SERIES) == 13
    assert not (layouts.TEST | layouts.TEST_SERIES) & layouts.VALIDATION
    assert (
        layouts.split_of(("ROIs1868", 100)) == "train" and layouts.split_of(("ROIs1868", 100), True) == "test"
    )
    assert layouts.split_of(("ROIs2017", 22)) == "val"


@pytest.mark.parametrize(
    ("name", "learnt"),
    [
        ("ROIs1158_spring_s2/s2_32/ROIs1158_spring_s2_32_p30", True),
        ("ROIs1158_spring_s2/s2_31/ROIs1158_spring_s2_31_p30", False),  # test
        ("ROIs1158_spring_s2/s2_17/ROIs1158_spring_s2_17_p30", False),  # validation
        ("ROIs1868_summer_s2/s2_100/ROIs1868_summer_s2_100_p30", True),
        ("ROIs1868/100/S2/0/s2_ROIs1868_100_ImgNo_0_2018-01-03_patch_5", False),  # test of the series alone
        ("train/planet_cloudfree_fall/planet_cloudfree_fall_1/planet_cloudfree_fall_1_p_4", True),
        ("val/planet_cloudfree_fall/planet_cloudfree_fall_1/planet_cloudfree_fall_1_p_4", False),
        ("test/planet_cloudfree_fall/planet_cloudfree_fall_1/planet_cloudfree_fall_1_p_4", False),
    ],
)
def test_what_is_kept_to_judge_by_is_not_trained_on(name, learnt):
    path = Path(f"{name}.tif")
    assert layouts.trained_on(layouts.Triplet(name, layouts.region(name), path, path, path, ())) == learnt


def test_pixels_are_repeated_by_the_nearest_centre():
    assert layouts.repeated(np.arange(3)[None], (1, 5)).tolist() == [[0, 0, 1, 2, 2]]


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("ROIs1970_fall_139_p839", ("ROIs1970", 139)),
        ("ROIs1970_fall_s2_13_p9.tif", ("ROIs1970", 13)),
        ("a/ROIs1158_spring_s2_cloudy_1_p30.tif", ("ROIs1158", 1)),
        ("s2_ROIs1158_106_ImgNo_0_2018-01-03_patch_0.tif", ("ROIs1158", 106)),
        ("sen12mscr_sample_139", None),
    ],
)
def test_regions_are_read_as_wholes(name, region):
    assert layouts.region(name) == region
    assert layouts.held_out(name) == (region in layouts.TEST)


def test_the_pack_has_one_and_it_is_left_out(data_pack):
    bank = radar_bank.bank(data_pack / "train", ("planet_cr",))
    assert not [
        name for name in bank.names if "ROIs1970_fall_139" in name or "planet" in name or "rice" in name
    ]
    assert sum("s1_s2_triplets" in bank.names[index] for index in bank.with_radar) == 13


def test_reads_sen12mscr(tmp_path):
    patch(tmp_path, "ROIs1158", 3)
    patch(tmp_path, "ROIs1158", 4, kinds=("s2", "s2_cloudy"))
    (found,) = layouts.find(tmp_path)
    cloudy, clear, sar, cloud = found.read()
    assert cloudy.shape == clear.shape == (13, 4, 4) and sar.shape == (2, 4, 4) and cloud is None
    assert (
        clear[0, 0, 0] == pytest.approx(0.1)
        and cloudy[0, 0, 0] == pytest.approx(0.5)
        and sar[0, 0, 0] == -12.5
    )
    scene = radar_bank.bank(tmp_path).read(0)
    assert scene.clear.shape == (6, 4, 4) and scene.cloud.all() and np.isfinite(scene.clear).all()


def test_reads_sen12mscr_ts(tmp_path):
    for date, value in enumerate((5000, 1000, 3000)):
        folder, tail = tmp_path / "ROIs1158" / "8", f"ROIs1158_8_ImgNo_{date}_2018-0{date + 1}-03_patch_7.tif"
        write(folder / "S2" / str(date) / f"s2_{tail}", np.full((13, 4, 4), value, np.uint16))
        write(
            folder / "S1" / str(date) / f"s1_{tail.replace('-03', '-05')}",
            np.full((2, 4, 4), -9.0, np.float32),
        )
    found = layouts.find(tmp_path)
    assert [t.clear.name[:30] for t in found] == ["s2_ROIs1158_8_ImgNo_1_2018-02-"] * 2  # the darkest
    assert {t.cloudy.parent.name for t in found} == {"0", "2"} and found[0].region == ("ROIs1158", 8)
    assert found[0].read()[2].mean() == -9


def test_reads_planet_cr(tmp_path):
    random = np.random.default_rng(0)
    for word, bands, size in (("planet_cloudfree", 4, 12), ("planet_cloudy", 4, 12), ("S1", 2, 4)):
        path = tmp_path / "train" / f"{word}_fall" / f"{word}_fall_1" / f"{word}_fall_1_p_4.tif"
        image = random.uniform(-20, -5, (bands, size, size)).astype(np.float32)
        write(
            path, image if word == "S1" else random.integers(0, 3000, (bands, size, size)).astype(np.uint16)
        )
    mask = tmp_path / "train" / "cloudmask_fall" / "cloudmask_fall_1" / "cloudmask_fall_1_p_4.npy"
    mask.parent.mkdir(parents=True)
    np.save(mask, np.eye(12, dtype=np.uint8))
    (found,) = layouts.find(tmp_path)
    _, clear, sar, cloud = found.read()
    assert found.region == ("fall", 1) and np.array_equal(cloud, np.eye(12, dtype=bool))
    assert sar.shape == (2, 12, 12) and np.array_equal(
        sar[:, ::3, ::3], sar[:, 2::3, 2::3]
    )  # nearest: blocks of 3
    assert not np.array_equal(found.read(bilinear=True)[2], sar)
    scene = radar_bank.bank(tmp_path).read(0)
    assert np.isfinite(scene.clear[:4]).all() and np.isnan(scene.clear[4:]).all()
    assert np.array_equal(scene.clear[:4], clear)
    (tmp_path / "train").rename(tmp_path / "test")  # as published: its test lies beside its train
    with pytest.raises(TerramendError):
        radar_bank.bank(tmp_path)


def test_own_scenes_with_radar_are_learnt_from(tmp_path):
    bands = ("B02", "B03", "B04", "B08", "B11", "B12")
    for place in ("Alpha", "Bravo"):
        for name in ("S2_20190612", "S2_20190702"):
            write(tmp_path / place / f"{name}.tif", np.full((6, 128, 128), 1000, np.uint16))
            with rasterio.open(tmp_path / place / f"{name}.tif", "r+") as target:
                target.descriptions = bands
        cloud = np.zeros((1, 128, 128), np.uint8)
        cloud[:, 20:90, 30:80] = 1
        write(tmp_path / place / "S2_20190702_cloudmask.tif", cloud)
        write(tmp_path / place / "S1A_20190611.tif", np.full((2, 128, 128), -12.5, np.float32))
        write(tmp_path / place / "slope.tif", np.full((1, 128, 128), 0.5, np.float32))
    bank = radar_bank.bank(tmp_path)
    assert bank.names == ("Alpha/Alpha/2019-06-12", "Bravo/Bravo/2019-06-12") and bank.with_radar == (0, 1)
    scene = bank.read(0)
    assert scene.clear == pytest.approx(0.1) and scene.sar[0] == pytest.approx(-12.5)
    assert scene.cloudy is None and [int(shape.sum()) for shape in bank.shapes] == [70 * 50] * 2
    assert [Path(notice.arguments["path"]).name for notice in bank.left] == ["slope.tif"] * 2


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(
        TerramendError, match="clear dates of at least 96 x 96 pixels with three of the bands"
    ):
        radar_bank.bank(tmp_path)
