"""The line in time: on random walks it must be the Brownian bridge, and know how far off it is."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.classical.time import between
from terramend.models.guided.dates import timeline
from terramend.models.registry import find

from ..scenes import texture

BANDS = 2
ALL = tuple(range(BANDS))


def walk(days, shape=(64, 72), level=0.01, pixels=0.01, seed=0):
    """Images (B, H, W) of days in order: a land whose level and pixels walk at random, each a day's step."""
    random = np.random.default_rng(seed)
    image, out, before = texture(shape, seed, BANDS), [], days[0]
    for day in days:
        step = np.sqrt(day - before)
        image = image + step * level * random.standard_normal((BANDS, 1, 1))
        image = image + step * pixels * random.standard_normal(image.shape)
        out.append(image.astype(np.float32))
        before = day
    return out


def scene(days, target, observed=None, **options):
    """A tile of the day at place `target` of which only a mask (H, W) was observed, and its truth."""
    images = walk(days, **options)
    truth = images[target]
    seen = np.zeros(truth.shape[1:], bool) if observed is None else observed
    dates = [Reference(x, d - days[target]) for k, (x, d) in enumerate(zip(images, days)) if k != target]
    image = np.where(seen, truth, np.nan).astype(np.float32)
    return Tile(image, np.broadcast_to(~seen, truth.shape).copy(), tuple(dates)), truth


def learnt(tile):
    return timeline.learn(tile, [ALL] * len(tile.references))


def patch(shape=(64, 72), side=6):
    seen = np.zeros(shape, bool)
    seen[20 : 20 + side, 30 : 30 + side] = True
    return seen


def test_the_span_is_the_variance_of_a_bridge_and_beyond_the_last_date_of_a_walk():
    def span(*days):
        return between(tuple(Reference(np.zeros((1, 1, 1), np.float32), d) for d in days), 1, (1, 1)).span[
            0, 0
        ]

    assert span(-10, 30) == pytest.approx(10 * 30 / 40)
    assert span(-10) == span(-10, -25) == 10 and span(30) == 30
    assert span(0, 8) == 0
    assert np.isnan(span(None)) and np.isnan(span())


def test_what_dates_wander_in_a_day_is_found():
    tile, _ = scene(range(0, 200, 5), 20, level=0.004, pixels=0.01)
    known = learnt(tile)
    np.testing.assert_allclose(np.sqrt(known.rate), 0.01, rtol=0.1)
    span = 2.5  # five days to either side
    np.testing.assert_allclose(np.sqrt(known.doubt / span / 2.5), 0.004, rtol=0.5)  # _ELSEWHEN is 2.5
    assert (known.weight == 1).all() and (known.level == 0).all()


def test_a_cloud_that_the_mask_of_one_date_missed_is_no_drift():
    """One date of 39 whose half is white: its surprise is 20 times that of the others."""
    tile, _ = scene(range(0, 200, 5), 20, level=0.004, pixels=0.01)
    clouded = tile.references[18].image.copy()
    clouded[:, :, :36] = 0.6
    references = list(tile.references)
    references[18] = replace(references[18], image=clouded)
    clear, seen = learnt(tile), learnt(replace(tile, references=tuple(references)))
    assert (seen.rate < 1.4 * clear.rate).all() and (seen.doubt < 2 * clear.doubt).all()


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_scene_without_any_observed_pixel_takes_the_line(quality):
    inside = []
    for seed in range(12):
        tile, truth = scene(range(0, 80, 10), 4, seed=seed)
        model = find("guided").create(quality=quality)
        made = model.predict(tile, model.prepare(tile))
        before, after = tile.references[3], tile.references[4]
        np.testing.assert_allclose(made.mean, (before.image + after.image) / 2, atol=1e-5)
        assert (made.source == Source.REFERENCE).all() and set(np.unique(made.reference)) <= {3, 4}
        inside.append(float((np.abs(made.mean - truth) < 1.645 * made.std).mean()))
    assert 0.85 < np.mean(inside) <= 1


def test_tiles_of_a_clouded_scene_are_the_whole():
    tile, _ = scene(range(0, 80, 10), 4)
    model = find("guided").create()
    state = model.prepare(tile)
    whole, part = model.predict(tile, state), model.predict(tile.cut(slice(16, 48), slice(8, 40)), state)
    for name in ("mean", "std"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, 16:48, 8:40])


def test_a_few_pixels_say_how_far_the_level_is_off():
    tile, truth = scene(range(0, 80, 10), 4, observed=patch(), level=0.03, pixels=0.002)
    known, blind = learnt(tile), learnt(scene(range(0, 80, 10), 4, level=0.03, pixels=0.002)[0])
    line = between(tile.references, BANDS, truth.shape[1:]).values
    np.testing.assert_allclose(known.level, (truth - line).mean((1, 2)), atol=0.004)
    assert (known.doubt < 0.05 * blind.doubt).all()


def test_the_fewer_pixels_the_more_the_line_counts_and_the_deviation_says_so():
    wide = []
    for side in (2, 6, 12):
        tile, truth = scene(range(0, 80, 10), 4, observed=patch(side=side), seed=5)
        model = find("guided").create()
        state = model.prepare(tile)
        made = model.predict(tile, state)
        gap = tile.gaps
        assert (np.abs(made.mean - truth) < 1.645 * made.std)[gap].mean() > 0.8
        wide.append(
            (float(state.timeline.weight.max()), float(np.sqrt(np.mean((made.mean - truth)[gap] ** 2))))
        )
        assert state.findings.line == wide[-1][0]
    weights, errors = zip(*wide)
    assert 1 > weights[0] > weights[1] > weights[2] > 0
    assert max(errors) < 0.06  # the land's own spread is 0.06, and regressions on so few go beyond that


def test_where_enough_was_observed_nothing_changes():
    tile, _ = scene(range(0, 80, 10), 4, observed=patch(side=27))  # 15.8 % of the scene
    assert learnt(tile) is None


def test_dates_with_other_bands_and_none_at_all_draw_no_line():
    tile, _ = scene(range(0, 80, 10), 4)
    unlike = replace(tile, references=tuple(replace(r, alike=False) for r in tile.references))
    model = find("guided").create()
    for other in (unlike, replace(tile, references=())):
        state = model.prepare(other)
        assert state.timeline is None and state.findings.line == 0
        assert not np.isfinite(model.predict(other, state).mean).any()
    some = timeline.learn(tile, [ALL, (1,), (0,), (0, 1, 2), *[ALL] * 3])
    assert some.dates == (0, 3, 4, 5, 6)  # without those whose first bands are not read


def test_one_date_is_copied_with_its_own_spread_as_the_deviation():
    tile, _ = scene(range(0, 80, 10), 4)
    tile = replace(tile, references=tile.references[:1])
    known, image = learnt(tile), tile.references[0].image
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_array_equal(made.mean, image)
    np.testing.assert_allclose(known.spread, image.std((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(made.std, np.broadcast_to(known.spread[:, None, None], image.shape), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3)])
def test_a_date_of_a_few_pixels_does_not_pass_for_sure(shape):
    """The spread of one pixel is zero."""
    tile, _ = scene((0, 10), 0, shape=shape)
    model = find("guided").create("default")
    said = model.predict(tile, model.prepare(tile))
    assert np.array_equal(said.mean, tile.references[0].image) and (said.std >= 0.1).all()


def test_dates_that_are_not_known_are_copied_and_compared_all_the_same():
    tile, _ = scene(range(0, 80, 10), 4)
    tile = replace(tile, references=tuple(replace(r, days=None) for r in tile.references))
    made = find("guided").create().predict(tile, find("guided").create().prepare(tile))
    np.testing.assert_array_equal(made.mean, tile.references[0].image)
    assert np.isfinite(made.std).all() and (made.std > 0).all()


def test_where_no_date_is_clear_a_clouded_scene_stays_unfilled():
    tile, _ = scene(range(0, 40, 10), 2)
    hole = np.s_[:, 10:20, 10:20]
    references = []
    for reference in tile.references:
        image = reference.image.copy()
        image[hole] = np.nan
        references.append(replace(reference, image=image))
    tile = replace(tile, references=tuple(references))
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    filled = np.isfinite(made.mean)
    assert not filled[hole].any() and filled.sum() == made.mean.size - BANDS * 100
    assert (made.source[10:20, 10:20] == Source.UNFILLED).all()


@pytest.mark.parametrize("step", [1, 4])
def test_the_level_that_a_few_pixels_show_is_believed_by_how_many_blocks_they_lie_in(step):
    """What is known of a level before and what is seen of it, each by its certainty."""
    tile, truth = scene(range(0, 80, 10), 4, observed=patch(), level=0.03, pixels=0.02)
    seen = learnt(replace(tile, step=step))
    before = learnt(replace(tile, image=np.full_like(tile.image, np.nan), gaps=np.ones_like(tile.gaps))).doubt
    off = (truth - between(tile.references, BANDS, truth.shape[1:]).values)[:, patch()].mean(axis=1)
    rows, columns = (place * step // 8 for place in np.nonzero(patch()))
    error = 5 * seen.rate / len(set(zip(rows.tolist(), columns.tolist())))  # five days of span
    np.testing.assert_allclose(seen.level, off * before / (before + error), rtol=1e-4)
    np.testing.assert_allclose(seen.doubt, before * error / (before + error), rtol=1e-4)


def test_a_fill_is_a_mixture_of_both_laws():
    """Mean and deviation of one draw from the line's law by its weight, else from the regression's."""
    random = np.random.default_rng(3)
    shape = (4, 12, 14)
    early, late = (random.random(shape).astype(np.float32) for _ in "ab")
    early[:, 8:], late[:, :, 10:] = np.nan, np.nan  # neither is clear in a corner
    dates = (Reference(early[:1] * 0, 3, alike=False), Reference(early, -6), Reference(late, 0))
    gaps = np.ones(shape, bool)
    gaps[:, 0] = gaps[1, :, 8:] = False
    tile = Tile(np.where(gaps, np.nan, np.float32(0.5)), gaps, dates)
    weight = np.array([0.3, 0.8, 0.0, 0.5], np.float32)
    level, doubt, rate, spread = (random.uniform(0.01, 0.1, 4).astype(np.float32) for _ in "abcd")
    spread *= 10
    known = timeline.Timeline((1, 2), weight, level, doubt, rate, spread, True)
    said, sure = random.random(shape).astype(np.float32), random.uniform(0.01, 3, shape).astype(np.float32)
    said[:, 4:6] = sure[:, 6:7] = np.nan  # the regression says nothing
    mean, std = said.copy(), sure.copy()
    source, main = np.full(shape[1:], Source.SURROUNDINGS, np.uint8), np.full(shape[1:], -1, np.int16)
    timeline.mix(tile, known, mean, std, source, main)

    own = np.where(np.isfinite(late), late, early) + level[:, None, None]
    span = np.where(np.isfinite(late[0]), 1, 6)  # a day at least, also of the same day
    variance = rate[:, None, None] * span + doubt[:, None, None]
    there = gaps & np.isfinite(own) & (weight > 0)[:, None, None]
    told = np.isfinite(said) & np.isfinite(sure)
    w = np.broadcast_to(weight[:, None, None], shape)
    sure2 = np.minimum(sure, spread[:, None, None]) ** 2
    second = w * (variance + own**2) + (1 - w) * (sure2 + said**2)
    mixed = w * own + (1 - w) * said
    np.testing.assert_allclose(mean[there & told], mixed[there & told], rtol=1e-5)
    np.testing.assert_allclose(std[there & told], np.sqrt(second - mixed**2)[there & told], rtol=1e-4)
    np.testing.assert_allclose(mean[there & ~told], own[there & ~told], rtol=1e-6)
    np.testing.assert_allclose(std[there & ~told], np.sqrt(variance)[there & ~told], rtol=1e-5)
    np.testing.assert_array_equal(mean[~there], said[~there])
    np.testing.assert_array_equal(std[~there], sure[~there])
    leans = (there & ((w > 0.5) | ~told)).any(axis=0)
    np.testing.assert_array_equal(source, np.where(leans, Source.REFERENCE, Source.SURROUNDINGS))
    np.testing.assert_array_equal(main, np.where(leans, np.where(np.isfinite(late[0]), 2, 1), -1))


def test_of_a_wide_landscape_a_region_is_enough():
    tile, _ = scene(range(0, 80, 10), 4, observed=patch(side=5))
    assert learnt(replace(tile, step=32)) is not None  # 25 of 4608 pixels, and a tenth of 512 x 512
    assert learnt(replace(tile, step=64)) is None


def test_the_share_that_was_observed_is_of_all_of_the_scene():
    tile, _ = scene(range(0, 80, 10), 4, observed=patch(side=25))  # 13.6 %, and 15.7 % of the rest
    assert learnt(tile) is not None


def test_a_band_that_was_observed_is_left_to_the_regressions():
    tile, truth = scene(range(0, 80, 10), 4)
    image, gaps = tile.image.copy(), tile.gaps.copy()
    gaps[0, 10:] = False
    image[0, 10:] = truth[0, 10:]
    known = learnt(replace(tile, image=image, gaps=gaps))
    assert known.weight.tolist() == [0, 1]


def test_dates_of_which_one_is_not_known_are_all_a_day_away():
    tile, _ = scene(range(0, 80, 10), 4)
    unknown = replace(tile, references=(*tile.references[:-1], replace(tile.references[-1], days=None)))
    known = learnt(unknown)
    assert not known.dated
    none = learnt(replace(tile, references=tuple(replace(r, days=None) for r in tile.references)))
    mean, std = np.full_like(tile.image, np.nan), np.full_like(tile.image, np.nan)
    source, main = np.zeros(tile.image.shape[1:], np.uint8), np.zeros(tile.image.shape[1:], np.int16)
    for one in (known, none):
        timeline.mix(unknown, one, mean, std, source, main)
        np.testing.assert_allclose(std, np.sqrt(one.rate + one.doubt)[:, None, None] + 0 * std, rtol=1e-5)


def test_far_dates_say_nothing_of_how_the_near_ones_wander():
    tile, _ = scene(range(0, 210, 10), 10)
    wild = tuple(Reference(texture((64, 72), 50 + k, BANDS), 900 + 10 * k) for k in range(4))
    near, all_ = learnt(tile), learnt(replace(tile, references=(*wild, *tile.references)))
    assert len(near.dates) == 20 and len(all_.dates) == 24
    for name in ("rate", "doubt", "spread"):
        np.testing.assert_array_equal(getattr(near, name), getattr(all_, name))


def test_dates_that_share_a_few_pixels_are_not_compared():
    """Half of their spread's square is what two pixels of a land that one knows nothing of differ by."""
    tile, _ = scene((0, 10, 20), 1)
    for columns, compared in ((1, False), (2, True)):
        images = [r.image.copy() for r in tile.references]
        images[0][:, :, 36 + columns :], images[1][:, :, :36] = np.nan, np.nan
        images[1][:, 40:, 36:38] = np.nan  # 40 pixels a column are common
        dates = tuple(replace(r, image=i) for r, i in zip(tile.references, images, strict=True))
        known = learnt(replace(tile, references=dates))
        assert np.allclose(known.rate, known.spread**2 / 20, rtol=0.02) != compared


def test_dates_that_are_all_alike_are_copied_surely():
    tile, _ = scene(range(0, 80, 10), 4, observed=patch())
    same = tuple(replace(r, image=tile.references[0].image) for r in tile.references)
    tile = replace(tile, references=same)
    known = learnt(tile)
    assert np.isfinite(known.level).all() and (known.rate > 0).all() and (known.doubt > 0).all()


def test_what_is_seen_where_no_date_is_clear_says_nothing_of_the_level():
    tile, _ = scene(range(0, 80, 10), 4, observed=patch())
    torn = [np.where(patch() & (np.arange(72) < 33), np.float32(np.nan), r.image) for r in tile.references]
    tile = replace(
        tile, references=tuple(replace(r, image=i) for r, i in zip(tile.references, torn, strict=True))
    )
    half = tile.hiding(patch() & (np.arange(72) < 33))
    known, same = learnt(tile), learnt(half)
    np.testing.assert_array_equal(known.level, same.level)
    np.testing.assert_array_equal(known.doubt, same.doubt)
    assert np.isfinite(known.level).all()
