"""`guided` as a whole: laws it must find, seams it must not show, errors it must know."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided import estimate, global_regression, regression, spatial, uncertainty
from terramend.models.guided.features import make_basis, supervised_axes
from terramend.models.guided.impute import complete, complete_further, conditional, learn, learn_further
from terramend.models.guided.model import Guided, of_quality
from terramend.models.guided.select import select
from terramend.models.registry import find

from .scenes import blobs, texture


def hide(truth, gap):
    gaps = np.broadcast_to(gap, truth.shape)
    return np.where(gaps, np.nan, truth).astype(np.float32), gaps.copy()


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
    assert state.regression is not None and state.reference_share < 1
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


def test_select_ranks_by_correlation_and_clear_share():
    truth = texture((60, 60), 1)
    gap = blobs((60, 60), 2, 0.3)
    image, _ = hide(truth, gap)
    random = np.random.default_rng(3)
    good = truth + 0.01 * random.standard_normal(truth.shape)
    cloudy = truth.copy()
    cloudy[:, gap] = np.nan
    bad = texture((60, 60), 9)
    references = tuple(Reference(np.asarray(r, np.float32)) for r in (bad, cloudy, good))
    chosen = select(image, ~gap, gap, references)
    assert chosen[0] == 2 and 1 not in chosen


def test_directions_that_tell_of_the_target_survive_a_cut_by_variance():
    random = np.random.default_rng(6)
    channels = random.standard_normal((8, 60, 60)).astype(np.float32)
    channels[:6] += 3 * random.standard_normal((60, 60)).astype(np.float32)  # loud, and says nothing
    channels /= channels.std((1, 2), keepdims=True)
    target = (channels[6] - 0.5 * channels[7])[None]
    weight = np.ones((60, 60), np.float32)
    axes = supervised_axes(channels, target, weight)
    np.testing.assert_allclose(np.abs(axes[0][6:]), np.array([1, 0.5]) / np.hypot(1, 0.5), atol=0.02)
    joint = learn(channels, np.arange(8) // 4)
    basis, _ = make_basis(joint, channels, target, weight, 3, 0)
    np.testing.assert_allclose(basis.axes[1:] @ basis.axes[0], 0, atol=1e-5)


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


def test_the_plain_regression_finds_a_linear_relation_and_ignores_outliers():
    random = np.random.default_rng(7)
    channels = random.standard_normal((5, 40, 40)).astype(np.float32)
    true = random.standard_normal((2, 5)).astype(np.float32)
    target = np.tensordot(true, channels, 1).astype(np.float32) + np.float32(0.3)
    spoilt = target.copy()
    spoilt[:, :2] += 8  # a cloud that no mask names
    valid = np.ones(target.shape, bool)
    valid[:, 20:] = False
    one = np.zeros(5, int)
    learnt = global_regression.learn(channels, one, spoilt, valid, np.ones((40, 40), np.float32))
    error = global_regression.predict(learnt, channels) - target
    clear = np.concatenate([np.ones((1, 800), np.float32), channels[:, :20].reshape(5, -1)])
    ordinary = np.linalg.lstsq(clear.T, spoilt[:, :20].reshape(2, -1).T, rcond=None)[0]
    told = (ordinary[1:].T @ channels.reshape(5, -1) + ordinary[:1].T).reshape(target.shape)
    assert np.std(error[:, 20:]) < 0.1 * target.std()
    assert np.abs(error[:, 20:].mean()) < 0.5 * np.abs((told - target)[:, 20:].mean())
    weight = np.ones((40, 40), np.float32)
    nothing = global_regression.learn(channels, one, target, np.zeros_like(valid), weight)
    assert not nothing.weights.any()


def test_plain_regressions_of_the_best_the_two_best_and_all_dates_are_averaged():
    random = np.random.default_rng(9)
    channels = random.standard_normal((6, 30, 30)).astype(np.float32)
    target = random.standard_normal((1, 30, 30)).astype(np.float32)
    valid, weight = np.ones(target.shape, bool), np.ones((30, 30), np.float32)
    owner = np.repeat([0, 1, 2], 2)
    whole = global_regression.predict(
        global_regression.learn(channels, owner, target, valid, weight), channels
    )
    parts = []
    for dates in (1, 2, 3):
        seen = channels[: 2 * dates]
        alone = global_regression.learn(seen, np.zeros(len(seen), int), target, valid, weight)
        parts.append(global_regression.predict(alone, seen))
    np.testing.assert_allclose(whole, np.mean(parts, axis=0), atol=1e-5)


def test_the_plain_regression_reads_more_of_a_series_than_the_local_one():
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
        state = replace(state, regression=replace(state.regression, local=0.0), reference_share=1.0)
        errors[dates] = rmse(method.predict(tile, state), truth, tile.gaps)
    assert errors[20] < 0.9 * errors[8]


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
    assert state.nonlinear > 0.5  # as it is before hidden pixels prove it
    curved = rmse(method.predict(tile, state), truth, gaps)
    straight = replace(state, nonlinear=0.0)
    assert curved < 0.9 * rmse(method.predict(tile, straight), truth, gaps)


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


def test_the_deviation_is_larger_where_the_picture_changes_from_pixel_to_pixel():
    picture = np.zeros((1, 40, 40), np.float32)
    picture[:, :, 20:] = 1.0
    picture[:, :5] = np.nan  # nothing was predicted there
    std = uncertainty.by_contrast(np.full(picture.shape, 0.5, np.float32), picture)
    edge, ground = np.sqrt(2) / 3, np.sqrt(4e-4)  # a step's deviation in a 3 x 3 window; the least
    np.testing.assert_allclose(std[0, 10:-1, 19:21], 0.5 * edge**0.25, rtol=1e-5)
    np.testing.assert_allclose(std[0, 10:-1, 2:18], 0.5 * ground**0.25, rtol=1e-5)


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


def test_the_stiffer_surface_keeps_curvature_where_the_plate_flattens_it():
    rows, columns = np.indices((48, 48), np.float32)
    truth = np.sin(rows / 3) * np.cos(columns / 2.5)
    hidden = np.random.default_rng(3).random((48, 48)) < 0.35
    image = np.where(hidden, np.float32(np.nan), truth)
    errors = [np.sqrt(np.mean((spatial.fill(image, stiff=k) - truth)[hidden] ** 2)) for k in (0.0, 0.5, 1.0)]
    assert errors[2] < errors[1] < errors[0]
    assert np.array_equal(spatial.fill(image, stiff=1.0)[~hidden], truth[~hidden])


def test_sweeps_of_the_stiffer_surface_are_stable():
    values = np.random.default_rng(5).standard_normal((40, 40)).astype(np.float32)
    moving = np.zeros((40, 40), bool)
    moving[4:36, 4:36] = True
    assert np.abs(spatial.stiffen(values, moving, 400)).max() < 10


def test_few_pixels_lean_on_the_plain_regression_and_a_trial_decides():
    random = np.random.default_rng(11)
    other = texture((40, 40), 2, bands=6)
    mix = random.standard_normal((6, 6)).astype(np.float32) * 0.3 + np.eye(6, dtype=np.float32)
    truth = np.tensordot(mix, other, 1).astype(np.float32)
    gap = blobs((40, 40), 4, 0.35)
    image = np.where(gap, np.float32(np.nan), truth)
    tile = Tile(image, np.broadcast_to(gap, image.shape).copy(), (Reference(other, 5, "other"),))
    method = of_quality()
    state = method.prepare(tile)
    assert 0 <= state.regression.local <= 1 and 0 <= state.regression.plate <= 1 and 0 <= state.stiff <= 1
    error = (method.predict(tile, state).mean - truth)[:, gap]
    assert np.sqrt(np.mean(error**2)) < 0.25 * truth.std()
