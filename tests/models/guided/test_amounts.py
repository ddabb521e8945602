"""Amounts that spread over orders of magnitude are filled as logarithms, and nothing else is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.base import Prediction, Reference, Source, Tile, sources
from terramend.models.guided import amounts
from terramend.models.guided.model import of_quality

from .scenes import blobs, hide, texture

SHAPE = (96, 112)


def fields(seed=0, dates=2, shape=SHAPE, spread=1.2):
    """(B, H, W) lognormal fields of `dates` + 1 days, median 1, that share most of their logarithm."""
    common = texture(shape, seed, 1, blur=2) - 0.25
    days = [common + 0.5 * (texture(shape, seed + 10 + k, 1, blur=2) - 0.25) for k in range(dates + 1)]
    return [np.exp(spread * day / day.std()).astype(np.float32) for day in days]


def scene(seed=0, dates=2, zeros=0.0, **more):
    """(tile, truth): clouded fields and other dates of them; a share of the pixels holds nothing."""
    truth, *others = fields(seed, dates, **more)
    for day in (truth, *others):
        day[:, np.random.default_rng(seed).random(day.shape[1:]) < zeros] = 0
    image, gaps = hide(truth, blobs(truth.shape[1:], seed + 3, 0.25))
    return Tile(image, gaps, tuple(Reference(day, 5 * k + 5) for k, day in enumerate(others))), truth


def filled(tile, quality="default"):
    model = of_quality(quality)
    return model.predict(tile, model.prepare(tile))


@pytest.mark.parametrize("dates", [0, 1, 3])
@pytest.mark.parametrize("zeros", [0.0, 0.1])
def test_logarithms_are_nearer_to_the_truth_and_never_negative(dates, zeros, monkeypatch):
    tile, truth = scene(1, dates, zeros)
    said = filled(tile)
    assert (said.mean[tile.gaps] >= 0).all() and np.isnan(said.mean[~tile.gaps]).all()
    monkeypatch.setattr(amounts, "learn", lambda overview: None)
    plain = filled(tile)

    def error(made):
        return np.abs(made.mean - truth)[tile.gaps].mean()

    assert error(said) < (1.0 if zeros else 0.97) * error(plain)


@pytest.mark.parametrize("dates", [0, 2])
def test_intervals_hold_the_truth(dates):
    inside = []
    for seed in range(4):
        tile, truth = scene(20 + seed, dates)
        said = filled(tile)
        inside.append((np.abs(said.mean - truth) <= 1.645 * said.std)[tile.gaps].mean())
    assert 0.84 < np.mean(inside) < 0.97


def test_a_unit_is_only_a_factor():
    tile, _ = scene(2)
    milli = replace(
        tile,
        image=1e-3 * tile.image,
        references=tuple(replace(r, image=1e-3 * r.image) for r in tile.references),
    )
    said, small = filled(tile), filled(milli)
    for one, other in ((said.mean, small.mean), (said.std, small.std)):
        np.testing.assert_allclose(1e3 * other[tile.gaps], one[tile.gaps], rtol=0.02)


def test_light_and_other_values_stay_as_they_are():
    tile, _ = scene(3, 1)
    assert amounts.learn(tile) is not None
    assert amounts.learn(replace(tile, wavelengths=(842.0,))) is None
    decibel = 10 * np.log10(tile.image)
    kelvin = 290 + 5 * np.log(tile.image)
    below = np.where(tile.image > np.nanmin(tile.image), tile.image, -1)
    half_zero = np.where(tile.image < np.nanmedian(tile.image), 0, tile.image)
    for image in (
        decibel,
        kelvin,
        below,
        half_zero,
        np.full_like(tile.image, np.nan),
        np.zeros_like(tile.image),
    ):
        assert amounts.learn(replace(tile, image=image.astype(np.float32), references=())) is None
    ground, _ = hide(texture(SHAPE, 3, 1), tile.gaps[0])
    two = Tile(np.concatenate([tile.image, ground]), np.concatenate([tile.gaps, tile.gaps]))
    assert amounts.learn(two) is None, "one band that spreads little makes the raster light"
    assert amounts.learn(replace(two, wavelengths=(math.nan, 842.0))) is None
    assert of_quality("fast").prepare(two).findings.logarithms is False
    assert of_quality("fast").prepare(tile).findings.logarithms is True


def test_each_date_has_the_scale_of_what_it_shows():
    tile, _ = scene(4, 1)
    ground = texture(SHAPE, 5, 2).astype(np.float32)
    other = fields(9, 0)[0]
    mixed = Reference(np.concatenate([tile.references[0].image, 7 * other, ground]), 3)
    few = Reference(np.empty((0, *SHAPE), np.float32))
    unlike = Reference(np.concatenate([ground, 7 * other]), alike=False)
    known = amounts.learn(replace(tile, references=(mixed, few, unlike)))
    first, none, last = known.others
    assert first[0] == known.knee[0] and first[1] == pytest.approx(7 * np.quantile(other, 0.25))
    assert np.isnan(first[2:]).all() and not len(none)
    assert np.isnan(last[:2]).all() and last[2] == first[1]
    seen = amounts.scaled(replace(tile, references=(mixed, few, unlike)), known)
    np.testing.assert_array_equal(seen.references[2].image[:2], ground)
    assert of_quality("fast").prepare(replace(tile, references=(mixed, unlike))).findings.logarithms


def test_a_date_that_was_clouded_all_over_learns_the_scale_from_the_others():
    truth, before, after = fields(6)
    tile = Tile(
        np.full_like(truth, np.nan), np.ones(truth.shape, bool), (Reference(before, -5), Reference(after, 5))
    )
    said, knee = filled(tile), amounts.learn(tile).knee[0]
    halfway = (np.arcsinh(before / (2 * knee)) + np.arcsinh(after / (2 * knee))) / 2
    np.testing.assert_allclose(said.mean, 2 * knee * np.sinh(halfway), rtol=1e-4)
    assert (said.std > 0).all()


def test_a_large_scene_learns_the_scale_from_its_windows():
    tile, _ = scene(7, 1)
    window = replace(tile, row=16, column=16)
    largest = 3 * np.nanmax(tile.image)
    coarse = replace(tile, image=np.full_like(tile.image, largest), step=8, detail=(window,))
    known = amounts.learn(coarse)
    assert known.knee == amounts.learn(tile).knee
    assert known.high > largest, "what the windows do not show may be filled"
    assert amounts.learn(replace(coarse, image=-coarse.image)) is None
    seen = amounts.scaled(coarse, known)
    np.testing.assert_array_equal(seen.detail[0].image, amounts.scaled(tile, known).image)


values = st.floats(0, 1e6, width=32, allow_subnormal=False)


@settings(max_examples=200)
@given(st.lists(values, min_size=1, max_size=20), st.floats(2.0**-10, 2.0**10, width=32))
def test_there_and_back(amount, knee):
    image = np.array(amount, np.float32).reshape(1, 1, -1)
    gaps = np.ones(image.shape, bool)
    known = amounts.Amounts(*(np.array(x, np.float32) for x in ([knee], [], [0], [1e7])))
    known = replace(known, others=(known.knee,))
    tile = Tile(image, gaps, (Reference(image),))
    scaled = amounts.scaled(tile, known)
    np.testing.assert_array_equal(scaled.image, scaled.references[0].image)
    order = np.argsort(image[0, 0], kind="stable")
    assert (np.diff(scaled.image[0, 0, order]) >= 0).all()
    main = np.zeros(image.shape[1:], np.int16)
    said = Prediction(scaled.image, np.full_like(image, 0.1), sources(gaps, image, Source.SURROUNDINGS), main)
    back = amounts.told(said, known)
    np.testing.assert_allclose(back.mean, image, rtol=3e-5, atol=1e-6 * knee)
    np.testing.assert_allclose(back.std, 0.1 * np.hypot(image, 2 * knee), rtol=1e-4)
    assert amounts.told(said, None) is said and amounts.scaled(tile, None) is tile


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(3, 4), st.floats(0.02, 0.9), st.floats(0.0, 0.3))
def test_no_reflectance_of_several_bands_is_taken_for_amounts(seed, bands, level, water):
    """Ground between 0 and 1 with a lake, whose bands nobody named."""
    rng = np.random.default_rng(seed)
    image = level + 0.3 * level * (texture((32, 32), seed, bands) - 0.25) / 0.06
    image[:, rng.random((32, 32)) < water] *= 0.1
    image = np.clip(image, 0, None).astype(np.float32)
    assert amounts.learn(Tile(image, np.zeros(image.shape, bool))) is None


def test_the_scale_is_that_of_the_lower_quartile_and_fills_go_a_quarter_of_the_range_above_it():
    tile, _ = scene(4, 2)
    image = tile.image + np.float32(0.3)
    known = amounts.learn(replace(tile, image=image))
    seen = image[~tile.gaps]
    np.testing.assert_allclose(known.knee, np.quantile(seen, 0.25), rtol=1e-4)
    np.testing.assert_allclose(known.low, seen.min(), rtol=1e-6)
    np.testing.assert_allclose(known.high, seen.max() + 0.25 * (seen.max() - seen.min()), rtol=1e-5)
