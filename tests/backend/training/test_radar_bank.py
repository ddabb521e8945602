"""Samples with radar: three kinds, each a function of seed and step."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.backend.training.radar_bank import Bank, Scene, Shares


def bank(height=70, width=64, sar=True, cloudy=True):
    random = np.random.default_rng(0)
    clear = random.uniform(0.05, 0.4, (6, height, width)).astype(np.float32)
    cloud = np.zeros((height, width), bool)
    cloud[10:40, 10:50] = True
    over = np.where(cloud, np.float32(0.9), clear)
    radar = np.full((2, height, width), -10, np.float32)
    scene = Scene(
        "a", "p", clear, over if cloudy else None, cloud if cloudy else None, radar if sar else None
    )
    shape = np.zeros((128, 128), bool)
    shape[:, 40:90] = True
    which = (0,)
    return Bank(("a",), lambda _: scene, (shape,), which if sar else (), () if sar else which)


PLAIN = {"blind": 0.0, "four": 0.0, "coarse": 0.0}


def test_draws_are_a_function_of_seed_and_step():
    first, again, other = (bank().draw(3, step, 4, 32, Shares()) for step in (5, 5, 6))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["given"], other["given"])
    assert {key: value.shape for key, value in first.items()} == {
        "given": (4, 10, 32, 32), "clear": (4, 6, 32, 32), "weigh": (4, 1, 32, 32), "known": (4, 6, 32, 32),
    }  # fmt: skip
    assert all(np.isfinite(value).all() and value.dtype == np.float32 for value in first.values())


def test_gaps_are_marked_and_hold_a_surface_instead_of_the_truth():
    drawn = bank().draw(0, 0, 8, 32, Shares(pair=0, haze=0, **PLAIN))
    gap = drawn["given"][:, 6] > 0.5
    assert 0.04 <= gap.mean() <= 0.75 and np.array_equal(gap, drawn["weigh"][:, 0] > 0.5)
    for given, clear, hole in zip(drawn["given"], drawn["clear"], gap):
        assert np.allclose(given[:6, ~hole], np.clip(clear[:, ~hole], 0, 1), atol=1e-6)
        assert given[:6, hole].std() < 0.6 * clear[:, hole].std()


def test_pairs_are_the_real_cloud_and_haze_brightens():
    drawn = bank().draw(0, 0, 8, 32, Shares(pair=1, **PLAIN))
    cloud = drawn["weigh"][:, 0] > 0.5
    assert (drawn["given"][:, 6] == 0).all() and cloud.any()
    more = (drawn["given"][:, :6] - drawn["clear"]).mean(1)
    assert more[cloud].min() > 0.1 and np.abs(more[~cloud]).max() < 1e-6
    drawn = bank().draw(0, 0, 8, 32, Shares(pair=0, haze=1, **PLAIN))
    cloud = drawn["weigh"][:, 0] > 0.5
    more = (drawn["given"][:, :6] - np.clip(drawn["clear"], 0, 1)).max(1)
    assert (drawn["given"][:, 6] == 0).all() and cloud.any()
    assert more[cloud].min() > 0.04 and more[~cloud].max() < 0.06


def test_published_pairs_are_drawn_as_they_are():
    """Xu et al. 2023 crop, and say of nothing else that is done to a pair."""
    drawn = bank().draw(0, 0, 8, 32, Shares(pair=1, vary=False, **PLAIN))
    truth = bank().read(0).clear
    known = np.sort(truth.reshape(6, -1))
    for clear, given, cloud in zip(drawn["clear"], drawn["given"], drawn["weigh"][:, 0] > 0.5):
        for band in range(6):
            assert np.isin(clear[band], known[band]).all() and (given[band][cloud] == np.float32(0.9)).all()
        np.testing.assert_allclose(given[7], 1 - 10 / 25, rtol=1e-6)  # -10 dB


def test_what_the_cloudy_image_does_not_show_is_not_known():
    scene = bank().read(0)
    cloudy = scene.cloudy.copy()
    cloudy[:, :, ::2] = np.nan
    half = Bank(("a",), lambda _: replace(scene, cloudy=cloudy), (), (0,), ())
    drawn = half.draw(0, 0, 4, 32, Shares(pair=1, **PLAIN))
    assert drawn["known"].mean() == 0.5 and (drawn["given"][:, :6][drawn["known"] == 0] == 0).all()


def test_radar_and_bands_that_are_withheld():
    drawn = bank().draw(0, 0, 4, 32, Shares(pair=1, blind=1, four=1, coarse=0))
    assert (drawn["given"][:, 7:] == 0).all() and (drawn["given"][:, 4:6] == 0).all()
    assert (drawn["known"][:, 4:] == 0).all() and (drawn["known"][:, :4] == 1).all()
    seen = bank().draw(0, 0, 4, 32, Shares(pair=1, **PLAIN))["given"]
    assert (seen[:, 9] == 1).all() and (seen[:, 7] > 0).all()
    assert (bank(sar=False).draw(0, 0, 4, 32, Shares(**PLAIN))["given"][:, 7:] == 0).all()


@pytest.mark.parametrize("size", [32, 64, 96])
def test_images_smaller_than_a_crop_are_continued(size):
    drawn = bank(height=50, width=60).draw(0, 0, 3, size, Shares())
    assert drawn["given"].shape == (3, 10, size, size) and np.isfinite(drawn["given"]).all()


def test_what_continues_an_image_is_known_and_fits_in_all_planes():
    drawn = bank(height=50, width=60).draw(0, 0, 4, 64, Shares(pair=1, vary=False, **PLAIN))
    assert (drawn["known"] == 1).all()
    values = [np.unique(clear[0]).size for clear in drawn["clear"]]
    assert values == 4 * [50 * 60]  # all of the image, and of what lies beyond nothing else
    cloud = np.broadcast_to(drawn["weigh"] > 0.5, drawn["clear"].shape)
    given = drawn["given"][:, :6]
    assert (given[cloud] == np.float32(0.9)).all() and np.array_equal(given[~cloud], drawn["clear"][~cloud])
