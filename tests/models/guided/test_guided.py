"""`guided` as a whole: laws it must find, seams it must not show, errors it must know."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided import estimate, regression
from terramend.models.guided.model import Guided, of_quality
from terramend.models.registry import find

from .scenes import blobs, hide, texture


def rmse(made, truth, gaps):
    return float(np.sqrt(np.mean((made.mean - truth)[gaps] ** 2)))


def linear_scene(shape=(160, 152), noise=0.0, seed=0, share=0.3):
    """A target that is a linear mix of two references' bands, plus noise."""
    first, second = texture(shape, seed), texture(shape, seed + 1)
    random = np.random.default_rng(seed + 2)
    mix = random.uniform(-0.3, 0.6, (4, 6))
    truth = np.tensordot(mix, np.concatenate([first, second]), 1) + 0.05
    truth = (truth + noise * random.standard_normal(truth.shape)).astype(np.float32)
    image, gaps = hide(truth, blobs(shape, seed + 3, share))
    return Tile(image, gaps, (Reference(first, -10), Reference(second, 6))), truth


@pytest.mark.parametrize("quality", ["fast", "default", "best"])
def test_exact_when_the_target_is_a_linear_function_of_the_references(quality):
    tile, truth = linear_scene()
    model = find("guided").create(quality=quality)
    made = model.predict(tile, model.prepare(tile))
    assert rmse(made, truth, tile.gaps) < 0.02 * truth.std()
    gap = tile.gaps.any(0)
    assert (made.source[gap] == Source.REFERENCE).all()
    assert set(np.unique(made.reference[gap])) <= {0, 1}


def test_references_with_gaps_of_their_own_still_serve():
    tile, truth = linear_scene(noise=0.004, seed=20)
    holed = []
    for k, reference in enumerate(tile.references):
        image = reference.image.copy()
        image[:, blobs(image.shape[1:], 50 + k, 0.3)] = np.nan
        holed.append(replace(reference, image=image))
    tile = replace(tile, references=tuple(holed))
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    assert np.isfinite(made.mean[tile.gaps]).all()
    neither = tile.gaps.any(0) & ~np.isfinite(holed[0].image[0]) & ~np.isfinite(holed[1].image[0])
    assert neither.any() and (made.source[neither] == Source.SURROUNDINGS).all()
    either = tile.gaps & ~neither
    harmonic = find("harmonic").create()
    alone = harmonic.predict(tile, harmonic.prepare(tile))
    assert rmse(made, truth, either) < 0.6 * rmse(alone, truth, either)


def test_useless_references_leave_it_to_the_surroundings():
    truth = texture((128, 128), 5, blur=3)
    image, gaps = hide(truth, blobs((128, 128), 6, 0.3))
    tile = Tile(image, gaps, (Reference(texture((128, 128), 77), -3),))
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    alone = replace(tile, references=())
    space = model.predict(alone, model.prepare(alone))
    assert rmse(made, truth, gaps) < 1.1 * rmse(space, truth, gaps)


def test_a_cloud_that_the_mask_missed_does_not_spoil_the_fit():
    tile, truth = linear_scene(noise=0.003, seed=30)
    clean = find("guided").create()
    before = rmse(clean.predict(tile, clean.prepare(tile)), truth, tile.gaps)
    spoilt = tile.image.copy()
    spoilt[:, 100:116, 20:44] += 0.4  # bright pixels that count as valid
    cloudy = replace(tile, image=spoilt)
    far = tile.gaps.copy()
    far[:, 84:132, 4:60] = False
    after = clean.predict(cloudy, clean.prepare(cloudy))
    assert rmse(after, truth, far) < 2.0 * before


def test_tiles_agree_with_the_whole():
    tile, _ = linear_scene(noise=0.01, seed=40, shape=(256, 240))
    model = find("guided").create()
    state = model.prepare(tile)
    whole = model.predict(tile, state)
    top, left, context = 72, 56, 64
    part = tile.cut(slice(top, None), slice(left, None))
    made = model.predict(part, state)
    core = np.s_[:, context:, context:]
    inner, outer = part.gaps[core], np.s_[:, top + context :, left + context :]
    difference = np.abs(made.mean[core] - whole.mean[outer])[inner]
    # A tenth of the noise: far below what an eye or a statistic could see.
    assert difference.max() < 2e-3 and np.sqrt(np.mean(difference**2)) < 2e-4


@pytest.mark.parametrize("dates", [0, 2])
def test_a_tile_that_is_all_gap_rests_on_the_scene(dates):
    tile, truth = linear_scene(noise=0.005, seed=60, shape=(160, 160))
    gaps = tile.gaps.copy()
    gaps[:, 48:112, 48:112] = True
    tile = replace(tile, gaps=gaps, image=np.where(gaps, np.nan, truth).astype(np.float32))
    tile = replace(tile, references=tile.references[:dates])
    model = find("guided").create()
    state = model.prepare(tile)
    cut = np.s_[:, 48:112, 48:112]
    part = replace(
        tile,
        image=tile.image[cut],
        gaps=gaps[cut],
        references=tuple(replace(r, image=r.image[cut]) for r in tile.references),
        row=48,
        column=48,
    )
    made = model.predict(part, state)
    assert np.isfinite(made.mean).all() and (made.std > 0).all()
    if dates:
        assert rmse(made, truth[cut], gaps[cut]) < 0.02


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_tile_that_is_all_gap_rests_on_a_weak_date_and_the_scene(quality):
    truth = texture((200, 200), 60, bands=2, blur=12)
    gap = np.zeros((200, 200), bool)
    gap[40:160, 40:160] = True
    image, gaps = hide(truth, gap)
    scene = Tile(image, gaps, (Reference(texture((200, 200), 61, bands=2, blur=3), 5),))
    model = find("guided").create(quality=quality)
    state = model.prepare(scene)
    assert state.regression is not None and state.weights.references < 1
    made = model.predict(scene.cut(slice(60, 140), slice(60, 140)), state)
    assert np.isfinite(made.mean).all() and np.isfinite(made.std).all()


def test_a_tile_that_is_all_gap_is_no_surer_than_the_scene():
    truth = texture((160, 400), 5)
    gap = np.zeros(truth.shape[1:], bool)
    gap[:, 90:] = True
    image, gaps = hide(truth, gap)
    tile, model = Tile(image, gaps), Guided()
    state = model.prepare(tile)
    whole = model.predict(tile, state)
    part = model.predict(tile.cut(slice(0, 160), slice(200, 360)), state)
    inside = np.s_[:, :, 30:130]
    ratio = part.std[inside] / whole.std[:, :, 200:360][inside]
    assert ratio.min() > 0.5 and ratio.max() < 2


def test_bands_with_the_same_valid_pixels_but_other_gaps_are_filled_apart():
    tile, truth = linear_scene(noise=0.002, seed=70)
    outside = tile.gaps[0].copy()
    outside[:80] = False
    gaps = tile.gaps.copy()
    gaps[0] &= ~outside  # what is a gap in the other bands lies outside the first one
    tile = replace(tile, gaps=gaps)
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    assert rmse(made, truth, gaps & outside) < 1.5 * rmse(made, truth, gaps & ~outside)
    assert np.isnan(made.mean[0][outside]).all()


def test_terrain_helps_in_relief_and_is_left_alone_elsewhere():
    shape = (160, 160)
    height = 400 * texture(shape, 8, bands=1, blur=4)[0]
    down, across = np.gradient(height, 30.0)
    slope = np.arctan(np.hypot(down, across))
    light = (np.cos(slope) + 0.6 * across - 0.3 * down).astype(np.float32)
    terrain = np.stack([height, slope, light]).astype(np.float32)
    gap = blobs(shape, 9, 0.35)
    shaded = (texture(shape, 10, blur=6) + 2.0 * (light - light.mean())).astype(np.float32)
    flat = texture(shape, 11, blur=2)
    model = find("guided").create()
    for truth, least, most in ((shaded, 0.0, 0.75), (flat, 0.9, 1.06)):
        image, gaps = hide(truth, gap)
        tile = Tile(image, gaps, terrain=terrain, pixel_size=(30.0, 30.0))
        made = model.predict(tile, model.prepare(tile))
        plain = replace(tile, terrain=None)
        alone = model.predict(plain, model.prepare(plain))
        ratio = rmse(made, truth, gaps) / rmse(alone, truth, gaps)
        assert least < ratio < most
        if most < 1:
            assert (made.source[gap] == Source.GUIDE).all()


def test_a_fill_rests_on_terrain_only_where_that_takes_some_of_the_error():
    height, slope, light = texture((160, 160), 8, blur=4)
    truth = texture((160, 160), 10, blur=6) + 2 * (light - light.mean())
    image, gaps = hide(truth, blobs((160, 160), 9, 0.35))
    terrain = np.stack([400 * height, slope, light])
    tile = Tile(image, gaps, terrain=terrain, pixel_size=(30.0, 30.0))
    model = find("guided").create()
    state = model.prepare(tile)
    assert state.weights.guide_tells and state.weights.guide > 0.5
    made = model.predict(tile, state)
    hardly = model.predict(tile, replace(state, weights=replace(state.weights, guide_tells=False)))
    gap = gaps.any(0)
    assert (made.source[gap] == Source.GUIDE).all() and (hardly.source[gap] == Source.SURROUNDINGS).all()
    np.testing.assert_array_equal(hardly.mean, made.mean)


@pytest.mark.parametrize("dates", [0, 2])
def test_intervals_cover_what_they_promise(dates):
    inside = []
    for seed in (100, 120, 140):
        tile, truth = linear_scene(noise=0.01, seed=seed)
        tile = replace(tile, references=tile.references[:dates])
        model = find("guided").create()
        made = model.predict(tile, model.prepare(tile))
        inside.append((np.abs(made.mean - truth) <= 1.645 * made.std)[tile.gaps])
    assert 0.83 < np.concatenate(inside).mean() < 0.96


def test_the_global_regression_reads_more_of_a_series_than_the_local_one():
    tile, truth = linear_scene(seed=9)
    random = np.random.default_rng(10)
    noisy = [truth + 0.02 * random.standard_normal(truth.shape).astype(np.float32) for _ in range(16)]
    tile = replace(tile, references=tuple(Reference(image, day) for day, image in enumerate(noisy)))
    errors = {}
    for dates, more in ((8, 0), (20, 8)):
        method = Guided(regression.Settings(dates=dates))
        state = method.prepare(tile)
        assert len(state.regression.chosen) == 8
        assert len(state.regression.global_fit.more) == more
        weights = replace(state.weights, references=1.0)
        state = replace(state, regression=replace(state.regression, local=0.0), weights=weights)
        errors[dates] = rmse(method.predict(tile, state), truth, tile.gaps)
    assert errors[20] < 0.9 * errors[8]


def test_a_shore_that_follows_height_comes_back():
    shape = (128, 120)
    height = 100 * (texture(shape, 21, bands=1, blur=4)[0] - 0.25)
    truth = np.where(height < 1, 0.05, 0.3)[None].astype(np.float32)
    truth += 0.01 * np.random.default_rng(22).standard_normal(truth.shape).astype(np.float32)
    image, gaps = hide(truth, blobs(shape, 23, 0.3))
    flat = np.zeros_like(height)
    tile = Tile(image, gaps, terrain=np.stack([height, flat, flat]).astype(np.float32))
    method = of_quality()
    state = method.prepare(tile)
    assert state.weights.nonlinear > 0.5  # as it is before hidden pixels prove it
    curved = rmse(method.predict(tile, state), truth, gaps)
    straight = replace(state, weights=replace(state.weights, nonlinear=0.0))
    assert curved < 0.9 * rmse(method.predict(tile, straight), truth, gaps)


def test_the_deviation_is_larger_where_regressions_differ():
    tile, _ = linear_scene(noise=0.01, seed=5)
    method = of_quality()
    learnt = replace(method.prepare(tile).regression, local=0.5)
    target = np.where(tile.gaps, np.float32(np.nan), tile.image)
    fits = estimate.fit(tile, target, learnt, method.settings, globally=True)
    local = (fits.parts[0] + fits.parts[1]) / 2
    agreed = replace(fits, globally=local)
    differing = replace(fits, globally=np.where(tile.gaps, local + 0.3, local))
    told, wider = (estimate.close(tile, target, f, learnt, method.settings) for f in (agreed, differing))
    np.testing.assert_allclose((wider.std**2 - told.std**2)[tile.gaps], 0.09, atol=1e-4)


def test_few_pixels_lean_on_the_global_regression_and_a_trial_decides():
    random = np.random.default_rng(11)
    other = texture((40, 40), 2, bands=6)
    mix = random.standard_normal((6, 6)).astype(np.float32) * 0.3 + np.eye(6, dtype=np.float32)
    truth = np.tensordot(mix, other, 1).astype(np.float32)
    gap = blobs((40, 40), 4, 0.35)
    image = np.where(gap, np.float32(np.nan), truth)
    tile = Tile(image, np.broadcast_to(gap, image.shape).copy(), (Reference(other, 5, "other"),))
    method = of_quality()
    state = method.prepare(tile)
    assert (
        0 <= state.regression.local <= 1
        and 0 <= state.regression.plate <= 1
        and 0 <= state.weights.stiff <= 1
    )
    error = (method.predict(tile, state).mean - truth)[:, gap]
    assert np.sqrt(np.mean(error**2)) < 0.25 * truth.std()


def test_stripes_of_the_only_other_date_do_not_spoil_what_fills_those_of_the_target():
    shape = (198, 150)
    common = texture(shape, 0, blur=3)
    truth = common + 0.5 * texture(shape, 1, blur=3)
    other = 0.7 * common + 0.5 * texture(shape, 2, blur=3)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    down = rows + 0.2 * columns
    holes = (down + 11) % 33 < 13
    other[:, holes] = np.nan
    image, gaps = hide(truth, down % 33 < 13)
    tile = Tile(image, gaps, (Reference(other, -16),))
    alone = replace(tile, references=())
    model = find("guided").create()
    shown = gaps & ~holes
    error, smooth = (rmse(model.predict(one, model.prepare(one)), truth, shown) for one in (tile, alone))
    assert error < 0.8 * smooth
