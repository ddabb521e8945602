"""Pairs from published layouts, and draws that depend on nothing but seed and step."""

import cv2
import numpy as np
import pytest
import rasterio
from terramend.backend.datasets import catalog, paired
from terramend.backend.datasets.place import Date, Place
from terramend.backend.errors import TerramendError
from terramend.backend.training import aligndiff_samples, radar_bank
from terramend.backend.training.pairs import pair_bank
from terramend.backend.training.patches import Bank, clear_bank
from terramend.models.ddpm.model import RGB


def picture(path, value, side=40, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((side, side, channels), value, np.uint8)
    image[: side // 2] //= 2
    cv2.imwrite(str(path), image[..., ::-1] if channels == 3 else image[..., 0])


def raster(path, image, names=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = image.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=image.dtype
    ) as sink:
        sink.write(image)
        if names:
            sink.descriptions = names


def test_rice_and_cuhk(tmp_path):
    for side, value in (("cloud", 200), ("label", 100)):
        picture(tmp_path / "RICE1" / "train" / side / "7.png", value)
        picture(tmp_path / "CUHK-CR1" / side / "3.png", value)
        picture(tmp_path / "CUHK-CR1" / "nir" / side / "3.png", value, channels=1)
    picture(tmp_path / "RICE1" / "train" / "cloud" / "without_label.png", 9)
    rgb, four = pair_bank(tmp_path, RGB), pair_bank(tmp_path, (*RGB, 840.0))
    assert rgb.names == ("CUHK-CR1/cloud/3", "RICE1/train/cloud/7")
    assert four.names == ("CUHK-CR1/cloud/3",)
    assert len(paired.find(tmp_path)) == 2  # near infrared is no picture of its own
    pair = four.read(0)
    assert pair.cloudy.shape == (4, 40, 40)
    assert np.allclose(pair.cloudy[:, -1, -1], 200 / 255 * 2 - 1, atol=1e-6)
    assert np.allclose(pair.clear[:, 0, 0], 50 / 255 * 2 - 1, atol=1e-6)
    assert pair.cloud.all() and pair.known.all()


def test_sen12ms_cr(tmp_path):
    image = np.stack([np.full((30, 30), 100 * (band + 1), np.uint16) for band in range(13)])
    stem = "ROIs1158_spring"
    for patch in ("p30", "p31"):
        raster(tmp_path / f"{stem}_s2" / "s2_1" / f"{stem}_s2_1_{patch}.tif", image)
        cloudy = f"{stem}_s2_cloudy_1_{patch}.tif"
        raster(tmp_path / f"{stem}_s2_cloudy" / "s2_cloudy_1" / cloudy, image + 3000)
    bank = pair_bank(tmp_path, (*RGB, 842.0))
    pair = bank.read(0)
    reflectance = (np.array([400, 300, 200, 800]) / 10000) ** (1 / 2.2) * 2 - 1
    assert len(bank.names) == 2 and np.allclose(pair.clear[:, 0, 0], reflectance, atol=1e-6)
    assert pair.place == bank.read(1).place != pair.name  # patches of one region overlap


def test_any_folder_of_geotiff_pairs(tmp_path):
    image = np.random.default_rng(0).integers(300, 2000, (4, 33, 35)).astype(np.uint16)
    raster(tmp_path / "a" / "x_clear.tif", image, ("B02", "B03", "B04", "B08"))
    raster(tmp_path / "a" / "x_cloudy.tif", image + 2000, ("B02", "B03", "B04", "B08"))
    for word in ("clear", "cloudy"):  # reflectance as it is
        raster(
            tmp_path / "b" / f"x_{word}.tif", image.astype(np.float32) / 10000, ("B02", "B03", "B04", "B08")
        )
    raster(tmp_path / "clear" / "y.tif", image[:1])
    raster(tmp_path / "cloudy" / "y.tif", image[:1])
    assert [found.name for found in paired.find(tmp_path)] == ["a/x_cloudy", "b/x_cloudy", "cloudy/y"]
    bank = pair_bank(tmp_path, RGB)
    assert bank.names == ("a/x_cloudy", "b/x_cloudy")
    expected = (image[2] / 10000) ** (1 / 2.2) * 2 - 1
    assert all(np.allclose(bank.read(index).clear[0], expected, atol=1e-5) for index in (0, 1))


def test_draws_are_a_function_of_seed_and_step(tmp_path):
    random = np.random.default_rng(0)
    for name in "abc":
        image = random.integers(300, 2000, (3, 50, 61)).astype(np.uint16)
        raster(tmp_path / f"{name}_clear.tif", image, ("B04", "B03", "B02"))
        raster(tmp_path / f"{name}_cloudy.tif", image + 1000, ("B04", "B03", "B02"))
    bank, other = pair_bank(tmp_path, RGB), pair_bank(tmp_path, RGB)
    other.draw(5, 1, 3, 16)
    first, again = bank.draw(1, 7, 4, 24), other.draw(1, 7, 4, 24)
    for a, b in zip(first, again):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0], bank.draw(1, 8, 4, 24)[0])
    cloudy, clear, known = first
    assert cloudy.shape == clear.shape == (4, 3, 24, 24) and known.shape == (4, 1, 24, 24)
    assert (cloudy > clear).all()  # crops of both are of the same pixels
    small, _, seen = bank.draw(1, 7, 2, 32, shrink=2)  # 64 wanted, 50 x 61 there
    assert small.shape == (2, 3, 32, 32) and seen.all()


def test_data_sets_can_be_left_out(tmp_path):
    for name in ("RICE1", "CUHK-CR1"):
        for side in ("cloud", "label"):
            picture(tmp_path / name / side / "1.png", 90)
    assert pair_bank(tmp_path, RGB, without=("RICE1",)).names == ("CUHK-CR1/cloud/1",)
    with pytest.raises(TerramendError, match="no folder with pairs"):
        pair_bank(tmp_path, RGB, without=("RICE1", "CUHK-CR1"))


def test_what_is_no_pair_is_said(tmp_path):
    with pytest.raises(TerramendError, match="no folder with pairs of a cloudy and a clear image"):
        pair_bank(tmp_path, RGB)
    with pytest.raises(TerramendError, match="nowhere"):
        pair_bank(tmp_path / "nowhere", RGB)


def test_the_cloudy_image_of_a_pair_is_clear_for_nobody(tmp_path, monkeypatch):
    """Masks miss thin cloud: what was published as cloudy is no clear date, whatever its mask says."""
    image, none = np.full((3, 96, 96), 0.1, np.float32), np.zeros((96, 96), bool)
    dates = Date("cloudy", image, none), Date("clear", image, none)
    names = ("B02", "B03", "B04")
    place = Place("d", "p", names, (490.0, 560.0, 665.0), dates, pairs=(("cloudy", "clear"),))
    monkeypatch.setattr(catalog, "places", lambda _: [("d", "p")])
    monkeypatch.setattr(catalog, "read_place", lambda *_: place)
    monkeypatch.setattr(catalog, "left_out", lambda *_: ())
    assert clear_bank(tmp_path, RGB, 64).names == ("d/p/clear",)
    assert radar_bank.bank(tmp_path).names == ("d/p/clear",)
    assert len(aligndiff_samples.bank(tmp_path, (), 64, ()).scenes) == 1


def test_where_one_image_shows_nothing_the_pair_is_not_known(tmp_path):
    image = np.full((3, 40, 40), 0.1, np.float32)
    raster(tmp_path / "a_clear.tif", image, ("B04", "B03", "B02"))
    image[0, :, :20] = np.nan
    raster(tmp_path / "a_cloudy.tif", image, ("B04", "B03", "B02"))
    *_, known = pair_bank(tmp_path, RGB).draw(0, 0, 4, 40)
    assert (known.mean((1, 2, 3)) == 0.5).all()


def test_pairs_without_a_mask_are_cloudy_where_they_differ(data_pack):
    bank = pair_bank(data_pack / "val", RGB)
    shares = [bank.read(i).cloud.mean() for i, name in enumerate(bank.names) if name.startswith("rice")]
    assert len(shares) == 8 and max(shares) < 1


def test_large_scenes_are_drawn_as_much_more_often_as_they_are_larger():
    images = [np.full((1, side, side), value, np.float32) for side, value in ((10, 0), (30, 1))]
    bank = Bank(("small", "large"), (100, 900), lambda index: images[index])
    assert bank.draw(0, 0, 1000, 5).mean() == pytest.approx(0.9, abs=0.04)
