"""Dates that are copies of the raster, or mosaics made of it, are told of; other images are not."""

import cv2
import makers
import numpy as np
import pytest
from terramend.backend.fill import fill
from terramend.backend.inspect import inspect
from terramend.backend.raster.scene.copies import copied_share, say_copies
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch
from terramend.models.base import Reference as TileReference
from terramend.models.base import Tile


def ground(seed, bands=3, side=90):
    """Smooth reflectance in whole ten-thousandths."""
    rng = np.random.default_rng(seed)
    planes = [cv2.GaussianBlur(rng.random((side, side)).astype(np.float32), (0, 0), 3) for _ in range(bands)]
    return np.rint(np.stack(planes) * 5000).astype(np.float32) / 10000


GAP = np.zeros((90, 90), bool)
GAP[30:60, 20:70] = True


def tile(image, other, alike=True):
    gaps = np.broadcast_to(GAP, image.shape)
    return Tile(np.where(gaps, np.float32(np.nan), image), gaps, (TileReference(other, 5, "other", alike),))


def share(image, other, alike=True):
    seen = tile(image, other, alike)
    return copied_share(seen, seen.references[0])


def test_a_copy_is_one_also_with_more_bands_and_after_rounding():
    image = ground(1)
    cloudy = np.where(GAP, np.float32(0.7), image)
    assert share(image, cloudy) == 1
    assert share(image, np.concatenate([cloudy, ground(2, 1)])) == 1
    assert share(image, (cloudy * np.float32(3.7)) / np.float32(3.7)) == 1


def test_a_mosaic_is_one_by_the_part_that_is_of_the_target():
    image = ground(1)
    mosaic = np.where(np.arange(90) < 63, image, ground(2))
    expected = (~GAP[:, :63]).sum() / (~GAP).sum()
    assert share(image, mosaic) == pytest.approx(expected, abs=0.01)


def test_another_date_of_the_same_ground_is_none():
    image = ground(1)
    later = np.rint((image * 0.9 + 0.01 + 0.02 * ground(3)) * 10000).astype(np.float32) / 10000
    assert share(image, later) < 0.02


def test_no_rain_on_both_dates_is_no_copy():
    rain, later = (np.maximum(ground(seed, 1) - 0.255, 0) for seed in (1, 2))
    assert (rain == 0).mean() > 0.5
    assert (rain == later).mean() > 0.3
    assert share(rain, later) < 0.02
    dry = np.zeros((1, 90, 90), np.float32)
    assert share(dry, dry) is None


def test_what_cannot_be_compared_is_not_blamed():
    image = ground(1)
    assert share(image, image, alike=False) is None
    assert share(image, image[:2]) is None
    assert share(image, np.where(np.arange(90) < 5, image, np.float32(np.nan))) is None


def test_it_is_said_once_with_how_many_more():
    image, watch = ground(1), Watch()
    seen = tile(image, image)
    copies = [TileReference(image, days, f"copy {days}") for days in (1, 2)]
    say_copies(Tile(seen.image, seen.gaps, (TileReference(ground(2), 5, "other"), *copies)), watch)
    assert [(n.code, n.arguments.get("name")) for n in watch.notices] == [
        ("reference.copy", "copy 1"), ("notice.alike", None),
    ]  # fmt: skip
    assert "100 %" in watch.notices[0].sentence


def test_an_unmasked_original_beside_its_masked_copy_is_told_of(tmp_path):
    """Clouds were set to nodata in a copy; the original is given as another date."""
    image = (ground(1) * 10000).astype(np.uint16)
    original = makers.write(tmp_path / "scene_20200101.tif", np.where(GAP, np.uint16(7000), image))
    masked = makers.write(tmp_path / "masked_20200101.tif", np.where(GAP, np.uint16(0), image), nodata=0)
    clear = Reference(original, masks=(Mask("", "none"),))
    watch = Watch()
    inspect(FillRequest((masked,), "out.tif", references=(clear,)), watch)
    assert [n.arguments["name"] for n in watch.notices if n.code == "reference.copy"] == [
        "scene_20200101.tif"
    ]
    watch = Watch()
    fill(FillRequest((masked,), str(tmp_path / "out.tif"), references=(clear,), model="nearest"), watch)
    assert "reference.copy" not in [n.code for n in watch.notices]  # a method that looks at no other date
