"""Missed cloud at the rim of gaps is seen, and a good mask is not blamed."""

import cv2
import numpy as np
import pytest
from terramend.backend.raster.scene.missed_cloud import missed_share, say_missed, say_specks, specks_share
from terramend.backend.watch import Watch
from terramend.models.base import Reference, Tile


def tile(missed, references=True, side=160):
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.random((side, side)).astype(np.float32), (0, 0), 4)
    cloud = np.zeros((side, side), np.uint8)
    cv2.circle(cloud, (80, 80), 30, 1, -1)
    mask = cv2.erode(cloud, np.ones((2 * missed + 1,) * 2, np.uint8)).astype(bool)
    image = np.stack([ground, 0.8 * ground + 0.1]) + 0.004 * rng.standard_normal((2, side, side))
    image[:, cloud.astype(bool)] += 0.3
    image = image.astype(np.float32)
    image[:, mask] = np.nan
    other = 1.1 * np.stack([ground, ground]) + 0.02 + 0.004 * rng.standard_normal((2, side, side))
    gaps = np.broadcast_to(mask, image.shape)
    dates = (Reference(other.astype(np.float32), 5, "other"),) if references else ()
    return Tile(image, gaps, dates)


def test_missed_cloud_is_seen():
    assert missed_share(tile(missed=3)) > 0.5


def test_a_good_mask_is_not_blamed():
    assert missed_share(tile(missed=0)) < 0.02


def test_it_is_said():
    watch = Watch()
    say_missed(tile(missed=0), watch)
    assert watch.notices == []
    say_missed(tile(missed=3), watch)
    assert "may miss cloud" in watch.notices[0].sentence


def test_nothing_to_judge_by():
    assert missed_share(tile(3, references=False)) is None
    whole = tile(3)
    assert missed_share(Tile(whole.image, np.zeros_like(whole.gaps), whole.references)) is None


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_flat_scenes_do_no_harm(value):
    flat = np.full((1, 60, 60), value, np.float32)
    gaps = np.zeros((1, 60, 60), bool)
    gaps[:, 20:40, 20:40] = True
    image = np.where(gaps, np.float32(np.nan), flat)
    assert missed_share(Tile(image, gaps, (Reference(flat, 1, "flat"),))) == 0


def test_coarse_pixels_at_the_edge_of_a_gap_are_no_missed_cloud():
    """Target and date are one picture; blocks of 4 pixels that the gap cuts hold other parts of it."""
    rng = np.random.default_rng(7)
    ground = cv2.GaussianBlur(rng.random((1, 640, 640)).astype(np.float32)[0], (0, 0), 1.5)[None]
    gap = cv2.GaussianBlur(rng.standard_normal((640, 640)), (0, 0), 12) > 0.03
    target = np.where(gap, np.nan, ground)
    blocks = target.reshape(1, 160, 4, 160, 4).swapaxes(2, 3).reshape(1, 160, 160, 16)
    known = np.isfinite(blocks).sum(-1)
    coarse = np.where(known >= 8, np.nansum(blocks, -1) / np.maximum(known, 1), np.nan).astype(np.float32)
    other = ground.reshape(1, 160, 4, 160, 4).mean((2, 4)).astype(np.float32)
    seen = Tile(coarse, np.isnan(coarse), (Reference(other, 5, "other"),), step=4)
    assert missed_share(seen) < 0.03


def speckled(share, clear=0.0, references=True):
    """A cloud whose mask misses single pixels; `clear`: how many of those are ground."""
    seen = tile(0, references)
    rng = np.random.default_rng(9)
    gaps = seen.gaps[0]
    missed = gaps & (rng.random(gaps.shape) < share)
    image = seen.image.copy()
    ground = np.stack([tile(80).image[0], tile(80).image[1]]) - np.float32(0.3)
    image[:, missed] = np.where(rng.random(gaps.shape) < clear, ground, ground + np.float32(0.3))[:, missed]
    return Tile(image, np.broadcast_to(gaps & ~missed, image.shape), seen.references)


def test_single_pixels_that_the_mask_missed_are_said():
    seen, watch = speckled(0.01), Watch()
    assert specks_share(seen) > 0.7
    say_specks([tile(0), seen], 1.5, watch)
    assert watch.notices[0].code == "mask.specks" and "--grow 3px" in watch.notices[0].sentence


def test_single_pixels_of_clear_ground_are_not_blamed():
    watch = Watch()
    say_specks([speckled(0.01, clear=1.0), tile(0)], 0, watch)
    assert watch.notices == []
    assert specks_share(speckled(0.01, clear=1.0)) < 0.1
    assert specks_share(tile(0)) is None


def test_single_pixels_are_judged_by_other_dates_alone():
    """Without any, a gap that lies over a lake would make its shore look like missed cloud."""
    assert specks_share(speckled(0.01, references=False)) is None
