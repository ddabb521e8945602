"""The line in time: on random walks it must be the Brownian bridge, and know how far off it is."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.classical.time import between
from terramend.models.guided import timeline
from terramend.models.registry import find

from .scenes import texture

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
