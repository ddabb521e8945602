"""Trials on hidden pixels, and what they say of errors."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Tile
from terramend.models.guided import uncertainty
from terramend.models.guided.model import of_quality
from terramend.models.holdout import distance_to_valid


def trial_of(hidden, truth):
    image = np.where(hidden, np.float32(np.nan), truth)
    tile = Tile(image, np.broadcast_to(hidden, truth.shape).copy())
    return uncertainty.Trial((tile,), truth, hidden, np.ones(hidden.shape, np.float32), True)


def test_a_trial_moves_a_share_by_what_its_blocks_agree_on():
    random = np.random.default_rng(3)
    truth = random.standard_normal((2, 96, 96)).astype(np.float32)
    hidden = random.random((96, 96)) < 0.3
    trial, scale = trial_of(hidden, truth), np.ones(2, np.float32)
    worse = truth + random.standard_normal(truth.shape).astype(np.float32)
    agreed = uncertainty.share_of_first(trial, 0.6 * truth + 0.4 * worse, worse, scale, 0.0)
    assert agreed > 0.95  # the first is better wherever one looks
    assert uncertainty.share_of_first(trial, worse, truth, scale, 1.0) < 0.05


def test_a_small_patch_proves_little_and_too_few_blocks_nothing():
    random = np.random.default_rng(4)
    truth, scale = random.standard_normal((1, 96, 96)).astype(np.float32), np.ones(1, np.float32)
    noise = random.choice([-1, 1], truth.shape).astype(np.float32)
    right = np.kron(np.tile([[1, 1], [0, 1]], (6, 6)), np.ones((8, 8))).astype(bool)  # 3 of 4 blocks agree
    first, second = np.where(right, truth, truth + noise), np.where(right, truth + noise, truth)

    def share(side):
        hidden = np.zeros((96, 96), bool)
        hidden[:side, :side] = True
        return uncertainty.share_of_first(trial_of(hidden, truth), first, second, scale, 0.2)

    assert share(8) == 0.2
    three = np.zeros((96, 96), bool)
    three[:8, :24] = True
    two = three & (np.arange(96) < 16)
    better = truth + noise / 2  # of what the second errs it errs half, everywhere
    said = [
        uncertainty.share_of_first(trial_of(part, truth), better, truth + noise, scale, 0.2)
        for part in (two, three)
    ]
    assert said == [0.2, pytest.approx(1)]
    assert 0.2 < share(16) < 0.4 < share(48) < share(96) < 0.75


def test_factors_find_how_errors_compare_with_what_is_said_at_every_distance():
    random = np.random.default_rng(8)
    hidden = random.random((120, 120)) < 0.9
    distance = np.where(hidden, 1 + 40 * random.random((120, 120)), 0).astype(np.float32)
    truth = random.standard_normal((1, 120, 120)).astype(np.float32)
    std = np.full(truth.shape, 0.1, np.float32)
    error = 2 * std * uncertainty.growth(distance) * random.standard_normal(truth.shape)
    trial = replace(trial_of(hidden, truth), distance=distance)
    np.testing.assert_allclose(uncertainty.factors(trial, truth + error, std), 2 * 1.05, rtol=0.1)


def test_one_place_that_changed_does_not_widen_all_that_lies_as_far():
    """Far from valid pixels errors are 5 times as large: in one place, then wherever one looks."""
    random = np.random.default_rng(9)
    near = random.random((160, 160)) < 0.3
    truth = random.standard_normal((1, 160, 160)).astype(np.float32)
    std = np.full(truth.shape, 0.1, np.float32)

    def far_and_near(side):
        far = np.zeros(near.shape, bool)
        far[:side, :side] = True
        distance = np.where(far, np.float32(20), np.float32(1))
        error = np.where(far, 5, 1) * std * uncertainty.growth(distance) * random.standard_normal(truth.shape)
        trial = replace(trial_of(near | far, truth), distance=distance)
        return uncertainty.factors(trial, truth + error, std)[0, [3, 0]] / 1.05

    np.testing.assert_allclose(far_and_near(16), [1.4, 1], rtol=0.15)
    np.testing.assert_allclose(far_and_near(112), [4.8, 1], rtol=0.15)


@pytest.mark.parametrize("quality", ["fast", "default", "best"])
def test_errors_grow_no_further_than_a_tile_sees_around_itself(quality):
    """Further off, a distance is that to what the tile happens to hold: neighbours would disagree."""
    seen = np.float32(of_quality(quality).context)
    assert uncertainty.growth(seen) == uncertainty.growth(10 * seen) > uncertainty.growth(np.float32(8))


def test_a_small_scene_is_tried_several_times_and_no_pixel_is_hidden_twice():
    random = np.random.default_rng(6)
    image = random.standard_normal((2, 64, 64)).astype(np.float32)
    gaps = np.zeros(image.shape, bool)
    gaps[:, 10:30, 10:30] = True
    image[gaps] = np.nan
    trial = uncertainty.make_trial(Tile(image, gaps))
    parts = np.split(trial.hidden, len(trial.tiles), axis=1)
    assert len(parts) == 4 and trial.whole
    assert sum(part.astype(int) for part in parts).max() == 1
    for tile, part, truth in zip(trial.tiles, parts, np.split(trial.truth, len(parts), axis=2), strict=True):
        assert np.isnan(tile.image[:, part]).all()
        np.testing.assert_array_equal(tile.gaps, gaps | part)
        np.testing.assert_array_equal(truth[:, part], image[:, part])
    large = Tile(np.zeros((1, 600, 600), np.float32), np.pad(gaps[:1], ((0, 0), (0, 536), (0, 536))))
    assert len(uncertainty.make_trial(large).tiles) == 1
    for bands, tries in ((20, 4), (250, 2), (400, 1)):  # what many bands cost, they do not prove
        many = Tile(np.repeat(image[:1], bands, 0), np.repeat(gaps[:1], bands, 0))
        assert len(uncertainty.make_trial(many).tiles) == tries


def test_a_large_scene_is_tried_where_its_share_of_gaps_is_met_at_distances_of_scene_pixels():
    """All of the gap lies in the last corner, that no other window shows."""
    side = 2 * uncertainty.SIDE + 88
    image, gaps = (
        np.random.default_rng(7).random((1, side, side)).astype(np.float32),
        np.zeros((1, side, side), bool),
    )
    gaps[0, 460:500, 470:500] = True
    seen = uncertainty.make_trial(Tile(image, gaps, step=4))
    (tile,) = seen.tiles
    first = side - 88 - uncertainty.SIDE
    np.testing.assert_array_equal(seen.truth, image[:, first : first + 256, first : first + 256])
    np.testing.assert_array_equal(seen.distance, 4 * distance_to_valid(tile.gaps[0]))
    assert not seen.whole


def test_the_deviation_is_larger_where_the_picture_changes_from_pixel_to_pixel():
    picture = np.zeros((1, 40, 40), np.float32)
    picture[:, :, 20:] = 1.0
    picture[:, :5] = np.nan  # nothing was predicted there
    std = uncertainty.by_contrast(np.full(picture.shape, 0.5, np.float32), picture)
    edge, ground = np.sqrt(2) / 3, np.sqrt(4e-4)  # a step's deviation in a 3 x 3 window; the least
    np.testing.assert_allclose(std[0, 10:-1, 19:21], 0.5 * edge**0.25, rtol=1e-5)
    np.testing.assert_allclose(std[0, 10:-1, 2:18], 0.5 * ground**0.25, rtol=1e-5)


def test_errors_grow_by_a_power_of_the_distance():
    distance = np.array([0, 1, 8, 32, 500], np.float32)
    expected = np.array([1, 1, 8, 32, 32]) ** 0.35
    np.testing.assert_allclose(uncertainty.growth(distance), expected, rtol=1e-6)


def test_nothing_is_tried_where_hardly_a_pixel_is_valid():
    image = np.full((2, 40, 40), np.nan, np.float32)
    image[:, :4, :4] = 0.2
    assert uncertainty.make_trial(Tile(image, np.isnan(image))) is None


def test_gain_is_the_share_of_the_squared_error_that_is_gone():
    hidden = np.array([[True, True, False]])
    truth = np.array([[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]], np.float32)
    trial = uncertainty.Trial((), truth, hidden, np.ones((1, 3), np.float32), True)
    second = truth + np.array([2.0, 20.0], np.float32)[:, None, None]
    first = second.copy()
    first[0, 0, 1] = 2.0  # one of four samples right, and what is not hidden does not count
    first[..., 2] = 99.0
    scale = np.array([1.0, 10.0], np.float32)
    assert uncertainty.gain(trial, first, second, scale) == pytest.approx(0.25)
    assert uncertainty.gain(trial, second, truth, scale) == 0.0
