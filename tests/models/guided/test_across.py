"""Bands that were observed tell of those that were not."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile, digest
from terramend.models.guided import across
from terramend.models.guided.model import of_quality

from .scenes import blobs, hide, texture
from .test_detail import seen_coarse
from .test_guided import rmse

SHAPE = (160, 152)
STRIPES = np.broadcast_to((np.arange(SHAPE[0]) % 20 < 10)[:, None], SHAPE)


def scene(seed=0, bands=(3,), gap=STRIPES, clouds=None, shape=SHAPE):
    """Three bands, and a fourth and fifth that are mixes of these; some have gaps of their own."""
    first = texture(shape, seed)
    mix = np.array([[0.5, -0.3, 0.6], [-0.2, 0.8, 0.3]], np.float32)
    truth = np.concatenate([first, np.tensordot(mix, first, 1) + 0.1]).astype(np.float32)
    image, gaps = hide(truth, np.zeros(shape, bool) if clouds is None else clouds)
    for band in bands:
        gaps[band] |= gap
        image[band][gap] = np.nan
    return Tile(image, gaps, wavelengths=(490, 560, 665, 842, 1610)), truth


def filled(tile, quality="default"):
    model = of_quality(quality)
    return model.predict(tile, model.prepare(tile))


@pytest.mark.parametrize("quality", ["fast", "default", "best"])
def test_a_band_that_is_a_mix_of_the_others_is_filled_all_but_exactly(quality):
    tile, truth = scene()
    made = filled(tile, quality)
    assert rmse(made, truth, tile.gaps) < 0.03 * truth[3].std()
    assert (made.source[STRIPES] == Source.REFERENCE).all() and (made.source[~STRIPES] == Source.VALID).all()
    assert (made.reference == -1).all()
    assert np.isnan(made.mean[~tile.gaps]).all() and (made.std[tile.gaps] > 0).all()


def test_groups_are_bands_of_which_the_same_others_tell_and_none_tells_of_itself():
    other = np.roll(STRIPES, 10, 0)
    tile, _ = scene(bands=(3, 4))
    assert across.learn(tile) == (across.Group((3, 4), ((0, 1, 2),)),)
    gaps = tile.gaps.copy()
    gaps[4] = other
    two = replace(tile, gaps=gaps)
    two = replace(two, image=np.where(gaps, np.nan, scene()[1]).astype(np.float32))
    assert across.learn(two) == (
        across.Group((3,), ((0, 1, 2), (4,))),
        across.Group((4,), ((0, 1, 2), (3,))),
    )
    for group in across.learn(two):
        assert not set(group.bands) & {band for lot in group.others for band in lot}
        own = across.seen(two, group)
        assert [len(reference.image) for reference in own.references] == [3, 1]
        assert own.wavelengths == tuple(two.wavelengths[band] for band in group.bands)


def test_two_bands_that_are_broken_apart_tell_of_each_other():
    tile, truth = scene(bands=(3, 4))
    gaps = tile.gaps.copy()
    gaps[4] = np.roll(STRIPES, 5, 0)
    tile = replace(tile, gaps=gaps, image=np.where(gaps, np.nan, truth).astype(np.float32))
    made = filled(tile)
    assert rmse(made, truth, gaps) < 0.04 * truth[3].std()


def test_where_gaps_agree_or_differ_by_their_rims_nothing_changes(monkeypatch):
    clouds = blobs(SHAPE, 3, 0.3)
    tile, _ = scene(bands=(), clouds=clouds)
    rims = tile.gaps.copy()
    rims[0] = np.roll(clouds, 1, 1) | clouds
    rims[1, :3] = True  # the edge of its footprint
    rims = replace(tile, gaps=rims, image=np.where(rims, np.float32(np.nan), tile.image))
    edges, _ = scene(bands=(1,), gap=np.indices(SHAPE)[0] < 1)
    model = of_quality()
    for one in (tile, rims, edges):
        assert across.learn(one) == ()
        state = model.prepare(one)
        made = model.predict(one, state)
        with monkeypatch.context() as patched:
            patched.setattr(across, "learn", lambda overview: ())
            patched.delattr(across, "seen")
            assert digest(model.prepare(one)) == digest(state)
            assert digest(model.predict(one, state)) == digest(made)


def test_bands_with_many_kinds_of_gaps_are_left_alone():
    truth = texture(SHAPE, 1, bands=8)
    gaps = np.stack([blobs(SHAPE, seed, 0.2) for seed in range(8)])
    tile = Tile(np.where(gaps, np.nan, truth).astype(np.float32), gaps)
    assert across.learn(tile) == ()


@pytest.mark.parametrize("dates", [0, 1])
def test_what_no_band_shows_is_filled_as_ever(dates, monkeypatch):
    clouds = blobs(SHAPE, 3, 0.3)
    tile, truth = scene(clouds=clouds)
    random = np.random.default_rng(5)
    noisy = truth + 0.03 * random.standard_normal(truth.shape).astype(np.float32)
    tile = replace(tile, references=(Reference(noisy, -10),) * dates)
    made = filled(tile)
    monkeypatch.setattr(across, "learn", lambda overview: ())
    plain = filled(tile)
    own = tile.gaps[3] & ~clouds
    assert np.array_equal(made.mean[:, clouds], plain.mean[:, clouds])
    assert np.array_equal(made.std[:, clouds], plain.std[:, clouds])
    assert rmse(made, truth, tile.gaps & own) < 0.2 * rmse(plain, truth, tile.gaps & own)
    assert (made.source[own] == Source.REFERENCE).all() and (made.reference[own] == -1).all()
    np.testing.assert_array_equal(made.source[clouds], plain.source[clouds])
    assert set(np.unique(made.reference[clouds])) <= {-1, 0}


def test_many_dates_that_correlate_better_do_not_stand_before_the_bands():
    tile, truth = scene()
    random = np.random.default_rng(5)
    noisy = [truth + 0.02 * random.standard_normal(truth.shape).astype(np.float32) for _ in range(9)]
    tile = replace(tile, references=tuple(Reference(image, day) for day, image in enumerate(noisy, 1)))
    model = of_quality()
    state = model.prepare(tile)
    ((_, known),) = state.told
    assert known.regression.chosen[0] == 9 and len(known.regression.chosen) == 8
    assert rmse(model.predict(tile, state), truth, tile.gaps) < 0.1 * truth[3].std()


def test_lines_that_an_overview_does_not_show_are_told_by_its_windows():
    shape = (384, 384)
    lines = np.broadcast_to((np.arange(384) % 16 == 5)[:, None], shape)
    tile, truth = scene(gap=lines, shape=shape)
    overview = seen_coarse(tile, (0, 0), (96, 192), (288, 96))
    image = truth.reshape(5, 96, 4, 96, 4).mean((2, 4))
    overview = replace(overview, image=image, gaps=np.zeros(image.shape, bool))
    model = of_quality()
    made = model.predict(tile, model.prepare(overview))
    assert (made.source[lines] == Source.REFERENCE).all()
    assert rmse(made, truth, tile.gaps) < 0.05 * truth[3].std()


def test_intervals_cover_what_they_promise():
    inside = []
    for seed in (100, 120, 140):
        tile, truth = scene(seed, gap=blobs(SHAPE, seed, 0.3))
        noise = 0.01 * np.random.default_rng(seed).standard_normal(truth.shape).astype(np.float32)
        made = filled(replace(tile, image=tile.image + noise))
        inside.append((np.abs(made.mean - truth - noise) <= 1.645 * made.std)[tile.gaps])
    assert 0.83 < np.concatenate(inside).mean() < 0.96
