"""Dates that are missing at a pixel follow from those that are there."""

import numpy as np
import pytest
from terramend.models.guided.dates.impute import (
    Joint,
    beyond_the_others,
    complete,
    complete_further,
    conditional,
    learn,
    learn_further,
)

from ..scenes import blobs, texture


def test_missing_dates_take_their_conditional_mean():
    random = np.random.default_rng(4)
    latent = random.standard_normal((2, 80, 80))
    mix = random.standard_normal((6, 2))
    channels = np.tensordot(mix, latent, 1).astype(np.float32)
    owner = np.array([0, 0, 0, 1, 1, 1])
    hole = blobs((80, 80), 5, 0.25)
    holed = channels.copy()
    holed[3:, hole] = np.nan
    joint = learn(holed, owner)
    filled, share = complete(holed, joint)
    restored = filled * joint.scale[:, None, None] + joint.mean[:, None, None]
    error = (restored - channels)[3:, hole]
    assert np.sqrt(np.mean(error**2)) < 0.1 * channels[3:, hole].std()
    assert (share[hole] == 0.5).all() and (share[~hole] == 1).all()
    there = np.array([True, True, True, False, False, False])
    exact = joint.correlation[3:, :3] @ np.linalg.inv(joint.correlation[:3, :3] + joint.penalty * np.eye(3))
    np.testing.assert_allclose(conditional(joint, there, ~there), exact, atol=1e-5)


def test_further_dates_follow_from_the_complete_ones_and_from_their_own_rim():
    random = np.random.default_rng(12)
    known = texture((80, 72), 1)
    known -= known.mean((1, 2), keepdims=True)
    known /= known.std((1, 2), keepdims=True)
    ramp = np.linspace(-1, 1, 72, dtype=np.float32)  # what the known channels do not know
    mixed = np.tensordot(random.standard_normal((2, 3)), known, 1)
    truth = (0.3 + 0.05 * (mixed + ramp)).astype(np.float32)
    whole, partly, never = truth, truth.copy(), np.full_like(truth, np.nan)
    partly[:, 20:50, 20:50] = np.nan
    partly[1, :5] = np.nan  # a date is missing where one of its channels is
    planes, owner = [*whole, *partly, *never], np.repeat([0, 1, 2], 2)
    further = learn_further(planes, owner, known)
    made = complete_further(planes, known, further)
    np.testing.assert_array_equal(made[:3], known)
    expected = (truth - truth.mean((1, 2), keepdims=True)) / truth.std((1, 2), keepdims=True)
    np.testing.assert_allclose(made[3:5], expected, atol=1e-3)
    clear = np.isfinite(partly).all(0)
    expected = (truth - further.mean[2:4, None, None]) / further.scale[2:4, None, None]
    np.testing.assert_allclose(made[5:7, clear], expected[:, clear], atol=1e-5)
    alone = np.tensordot(further.weights[2:4], known, 1)
    errors = [np.abs(filled - expected)[:, ~clear].mean() for filled in (made[5:7], alone)]
    assert errors[0] < 0.2 * errors[1]
    assert not made[7:].any()


def test_gaps_of_a_lone_date_leave_no_step_beside_them():
    rows, columns = np.mgrid[:64, :96].astype(np.float32)
    plane = np.stack([rows + 2 * columns, columns - rows])
    holed = plane.copy()
    stripe = (rows + columns / 4) % 24 < 9
    holed[:, stripe] = np.nan
    owner = np.zeros(2, int)
    filled, share = complete(holed, learn(holed, owner))
    np.testing.assert_array_equal(share, np.where(stripe, np.float32(0), np.float32(1)))
    steps = np.abs(np.diff(filled, axis=1))
    slope = np.median(steps, axis=(1, 2), keepdims=True)
    inside = np.s_[:, 12:-12, 12:-12]  # at the border a membrane is free
    assert (steps[inside] < 4 * slope).all()


def test_without_gaps_channels_are_z_scores_and_without_dates_their_mean():
    channels = texture((40, 44), 3, bands=4)
    owner = np.array([0, 0, 1, 1])
    joint = learn(list(channels), owner)
    z = (channels - channels.mean((1, 2), keepdims=True)) / channels.std((1, 2), keepdims=True)
    np.testing.assert_allclose(joint.mean, channels.mean((1, 2), dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(joint.scale, channels.std((1, 2), dtype=np.float64), rtol=1e-4)
    common = channels[0].size
    expected = np.corrcoef(z.reshape(4, -1)) * np.where(np.eye(4, dtype=bool), 1, common / (common + 50))
    np.testing.assert_allclose(joint.correlation, expected, atol=1e-3)
    filled, share = complete(list(channels), joint)
    np.testing.assert_allclose(filled, z, atol=1e-3)
    assert (share == 1).all()
    filled, share = complete([np.full_like(plane, np.nan) for plane in channels], joint)
    assert not filled.any() and not share.any()


def test_what_a_date_is_beyond_the_others_has_nothing_of_them():
    correlation = np.array([[1, 0.5, 0.3], [0.5, 1, 0.2], [0.3, 0.2, 1]])
    joint = Joint(np.zeros(3), np.ones(3), correlation, np.array([0, 1, 1]), penalty=0.0)
    mine, weights = beyond_the_others(joint, 1)
    assert mine.tolist() == [1, 2]
    np.testing.assert_allclose(weights, [[-0.5, 1, 0], [-0.3, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(weights @ correlation[:, 0], 0, atol=1e-6)


def test_the_ridge_is_stronger_where_fewer_pixels_taught():
    few, many = (learn(list(texture(shape, 5, bands=2)), np.array([0, 1])) for shape in ((12, 12), (90, 90)))
    assert few.penalty == pytest.approx(0.01 + 150 / 144) and many.penalty == pytest.approx(0.01 + 150 / 8100)


def test_dates_that_are_compared_on_different_pixels_make_a_sound_whole():
    """Each two of three agree where the third is missing, but for the last two, which are opposed."""
    plane = texture((60, 66), 7, bands=1, blur=1)[0] - np.float32(0.25)
    thirds = np.arange(66) // 22
    planes = [np.where(thirds == k, np.float32(np.nan), plane) for k in range(3)]
    planes[2][:, thirds == 0] *= -1
    joint = learn(planes, np.arange(3))
    assert np.linalg.eigvalsh(joint.correlation).min() > 0
    filled, _ = complete(planes, joint)
    assert np.abs(filled).max() < 10  # deviations


def test_a_channel_that_is_the_same_everywhere_says_nothing_and_harms_nothing():
    random = np.random.default_rng(8)
    told, flat = texture((40, 44), 3, bands=2), np.full((40, 44), 0.2, np.float32)
    told[1, 10:20, 10:20] = flat[30:, 30:] = np.nan
    owner = np.array([0, 1, 2])
    filled, _ = complete([*told, flat], learn([*told, flat], owner))
    alone, _ = complete(list(told), learn(list(told), owner[:2]))
    assert not filled[2].any()
    np.testing.assert_allclose(filled[:2], alone, atol=1e-3)
    known = random.standard_normal((2, 40, 44)).astype(np.float32)
    made = complete_further([flat], known, learn_further([flat], np.array([0]), known))
    assert np.abs(made[2]).max() < 1e-3
    elsewhere = complete_further([flat + np.float32(0.1)], known, learn_further([flat], np.array([0]), known))
    assert np.abs(elsewhere[2]).max() < 1  # a tile shows another value than all of the overview


def test_a_date_that_only_a_tile_shows_is_taken_in_without_harm():
    """The overview of a large scene may have no pixel of a date that is clear in a few tiles."""
    known, never = texture((30, 34), 3), np.full((30, 34), np.nan, np.float32)
    further = learn_further([never], np.array([0]), known)
    made = complete_further([known[0]], known, further)
    assert np.isfinite(made).all() and not further.weights.any()
