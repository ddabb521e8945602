"""Clouds that a date's mask missed are seen by the other dates, unless the target shares them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from terramend.models.base import Reference, Tile, digest
from terramend.models.guided.dates import outliers
from terramend.models.guided.model import of_quality

from ..scenes import thinned

SHAPE = (3, 96, 110)
CLOUD = np.s_[:, 40:60, 50:75]


def scene(dates=3, seed=0):
    """A target with a gap, and dates that are the same ground in another light; with the truth."""
    random = np.random.default_rng(seed)
    ground = ndimage.gaussian_filter(random.standard_normal(SHAPE), (0, 2, 2))
    truth = (0.3 + 0.05 * ground / ground.std()).astype(np.float32)
    references = [
        Reference((truth * (1 + 0.1 * k) + 0.004 * random.standard_normal(SHAPE)).astype(np.float32), k)
        for k in range(dates)
    ]
    gaps = np.zeros(SHAPE, bool)
    gaps[:, 35:70, 55:95] = True
    return Tile(np.where(gaps, np.float32(np.nan), truth), gaps, tuple(references)), truth


def spoilt(tile, date, by=0.25, where=CLOUD):
    image = tile.references[date].image.copy()
    image[where] += np.float32(by)
    references = list(tile.references)
    references[date] = replace(references[date], image=image)
    return replace(tile, references=tuple(references))


@pytest.mark.parametrize("dates", [2, 3, 5])
@pytest.mark.parametrize("by", [0.25, -0.25])
def test_a_missed_cloud_or_shadow_is_not_read(dates, by):
    tile, _ = scene(dates)
    tile = spoilt(tile, 1, by)
    known = outliers.learn(tile)
    seen = outliers.cleared(tile, known)
    away = np.isnan(seen.references[1].image)
    assert away[:, 42:58, 52:73].all() and away.sum() < 1.4 * away[CLOUD].sum()
    for date in {*range(dates)} - {1}:
        assert np.isfinite(seen.references[date].image).mean() > 0.995
    np.testing.assert_array_equal(seen.references[1].image[~away], tile.references[1].image[~away])


def test_ordinary_dates_are_read_as_they_are():
    tile, _ = scene()
    known = outliers.learn(tile)
    assert outliers.cleared(tile, known).references == tile.references
    assert outliers.learn(replace(tile, references=tile.references[:1])) is None
    assert outliers.cleared(tile, None) is tile


def test_what_the_target_shares_is_kept():
    tile, _ = scene(4)
    image = tile.image.copy()
    image[CLOUD] += np.float32(0.25)  # snow on both; half of it is under the gap
    tile = replace(spoilt(tile, 2), image=image)
    known = outliers.learn(tile)
    assert known.trusted[known.chosen.index(2)]
    assert outliers.cleared(tile, known).references[2] is tile.references[2]


def test_another_season_is_no_outlier():
    tile, _ = scene(4)
    tile = spoilt(tile, 0, where=np.s_[:, :, :45])
    known = outliers.learn(tile)
    assert np.isfinite(outliers.cleared(tile, known).references[0].image).mean() > 0.95


def test_dates_without_a_pixel_harm_nobody():
    tile, _ = scene(3)
    empty = Reference(np.full(SHAPE, np.nan, np.float32))
    tile = spoilt(replace(tile, references=(*tile.references, empty)), 1)
    seen = outliers.cleared(tile, outliers.learn(tile))
    assert np.isnan(seen.references[1].image[:, 42:58, 52:73]).all()
    bare = replace(tile, references=(empty, empty))
    assert outliers.learn(bare) is None


def test_a_date_that_no_window_shows_is_read_as_it_is():
    tile, _ = scene(3)
    hidden = replace(tile.references[2], image=np.full(SHAPE, np.nan, np.float32))
    small = replace(tile, step=2, detail=(replace(tile, references=(*tile.references[:2], hidden)),))
    known = outliers.learn(small)
    assert known.trusted[known.chosen.index(2)]
    seen = outliers.cleared(spoilt(tile, 1), known)
    assert seen.references[2] is tile.references[2]
    assert np.isnan(seen.references[1].image[:, 42:58, 52:73]).all()


def test_windows_at_full_size_teach_and_are_cleared():
    tile, _ = scene(3)
    tile = spoilt(tile, 1)
    known = outliers.learn(tile)
    small = replace(thinned(tile, 2), detail=(tile,))
    assert set(outliers.learn(small).chosen) == set(known.chosen)
    seen = outliers.cleared(small, known)
    expected = outliers.cleared(tile, known)
    for one, other in zip(seen.detail[0].references, expected.references, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_a_scene_that_is_seen_coarse_only_says_nothing():
    tile, _ = scene(3)
    assert outliers.learn(thinned(tile, 2)) is None


def test_a_cloud_does_not_make_the_clear_date_a_shadow():
    """Of two dates each is what the other is not, and the cloud is small: it hardly moves what is usual."""
    tile, _ = scene(2)
    seen = outliers.cleared(spoilt(tile, 1, 0.5, np.s_[:, 44:52, 60:68]), outliers.learn(tile))
    assert np.isnan(seen.references[1].image[:, 45:51, 61:67]).all()
    assert np.isfinite(seen.references[0].image[:, 40:56, 56:72]).all()


def test_a_date_that_is_alone_at_a_pixel_is_read():
    tile, _ = scene(3)
    for date in (0, 2):
        tile = spoilt(tile, date, np.nan)
    tile = spoilt(tile, 1)
    seen = outliers.cleared(tile, outliers.learn(tile))
    assert np.isfinite(seen.references[1].image[CLOUD]).all()


def test_where_more_than_a_fifth_of_a_date_stands_out_it_is_another_season():
    tile, _ = scene(4)
    for by, where in ((0.25, np.s_[:, :, :15]), (-0.25, np.s_[:, :, 95:])):
        tile = spoilt(tile, 0, by, where)
    known = outliers.learn(tile)
    assert known.trusted[known.chosen.index(0)]


@pytest.mark.parametrize("share", [1.0, 0.15, -0.5])
def test_what_the_target_shares_in_part_or_the_other_way_is_kept(share):
    tile, _ = scene(2)
    image = tile.image.copy()
    image[CLOUD] += np.float32(0.25 * share)
    known = outliers.learn(spoilt(replace(tile, image=image), 1))
    assert known.trusted[known.chosen.index(1)]


def test_what_little_of_a_cloud_is_seen_of_the_target_says_whether_it_shares_it():
    tile, _ = scene(2)
    tile = spoilt(tile, 1, where=np.s_[:, 40:60, 54:75])  # all but a column lies in the gap
    snow = tile.image.copy()
    snow[:, 40:60, 54] += np.float32(0.25)
    few = np.where(np.arange(96)[:, None] < 45, snow, np.float32(np.nan))  # which prove nothing
    for image, shared in ((tile.image, False), (snow, True), (few, False)):
        known = outliers.learn(replace(tile, image=image))
        assert known.trusted[known.chosen.index(1)] == shared


def test_a_strip_between_gaps_of_a_date_is_judged_by_what_is_there():
    tile, _ = scene(3)
    tile = spoilt(spoilt(tile, 1, np.nan, np.s_[:, 40:49, 20:50]), 1, np.nan, np.s_[:, 50:59, 20:50])
    strip = np.s_[:, 49:50, 20:50]
    tile = spoilt(tile, 1, 0.12, strip)
    assert np.isnan(outliers.cleared(tile, outliers.learn(tile)).references[1].image[strip]).all()


def test_a_band_that_is_the_same_everywhere_says_nothing():
    tile, _ = scene(3)
    flat = [r.image.copy() for r in tile.references]
    for image in flat:
        image[2] = 0.1
    tile = replace(
        tile, references=tuple(replace(r, image=i) for r, i in zip(tile.references, flat, strict=True))
    )
    known = outliers.learn(tile)
    seen = outliers.cleared(spoilt(tile, 1), known)
    assert np.isnan(seen.references[1].image[:, 42:58, 52:73]).all()
    other = spoilt(tile, 1, 0.1, np.s_[2, :, :])  # a tile shows another value of it
    assert outliers.cleared(other, known).references == other.references


@pytest.mark.parametrize("quality", ["default", "best"])
def test_a_gap_is_filled_better_where_a_date_has_a_missed_cloud(quality):
    tile, truth = scene(3)
    tile = spoilt(tile, 0)
    model = of_quality(quality)

    def wrong(model):
        state = model.prepare(tile)
        made = model.predict(tile, state)
        return np.sqrt(np.mean((made.mean - truth)[tile.gaps] ** 2))

    unaware = replace(model, settings=replace(model.settings, outliers=False))
    assert wrong(model) < 0.9 * wrong(unaware)


def test_fast_does_not_look():
    tile, _ = scene(2)
    assert of_quality("fast").prepare(tile).outliers is None
    assert digest(of_quality("default").prepare(tile)) == digest(of_quality("default").prepare(tile))
