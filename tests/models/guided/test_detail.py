"""A scene that is seen coarse is learnt from windows at full size."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from terramend.models.base import Reference, Tile, digest
from terramend.models.guided import features, regression, uncertainty
from terramend.models.guided.learners import coarse, solve
from terramend.models.guided.model import Guided, of_quality
from terramend.models.planes import concat

SIDE, STEP = 384, 4


def scene(seed=0):
    """A smooth target with detail, and a date in which each pixel has noise of its own."""
    random = np.random.default_rng(seed)
    shape = (2, SIDE, SIDE)
    smooth = ndimage.gaussian_filter(random.standard_normal(shape), (0, 30, 30))
    fine = ndimage.gaussian_filter(random.standard_normal(shape), (0, 0.7, 0.7))
    truth = (0.02 * smooth / smooth.std() + 0.02 * fine / fine.std() + 0.3).astype(np.float32)
    noisy = truth + 0.02 * random.standard_normal(shape).astype(np.float32)
    rows, columns = np.indices(shape[1:])
    gaps = np.broadcast_to((rows // 32 % 3 == 1) & (columns // 32 % 3 == 1), shape).copy()
    image = np.where(gaps, np.float32(np.nan), truth)
    return Tile(image, gaps, (Reference(noisy, 5),)), truth


def seen_coarse(tile, *windows):
    def means(planes):
        blocks = planes.reshape(len(planes), SIDE // STEP, STEP, SIDE // STEP, STEP)
        return blocks.mean((2, 4)).astype(np.float32)

    return replace(
        tile,
        image=means(tile.image),
        gaps=np.isnan(means(tile.image)),
        references=tuple(replace(r, image=means(r.image)) for r in tile.references),
        step=STEP,
        pixel_size=(40.0, 40.0),
        detail=tuple(tile.cut(slice(r, r + 96), slice(c, c + 96)) for r, c in windows),
    )


def error(made, truth, tile):
    return float(np.sqrt(np.mean((made.mean - truth)[tile.gaps] ** 2)))


@pytest.mark.parametrize(("quality", "share"), [("fast", 0.93), ("default", 0.97), ("best", 0.97)])
def test_pixels_are_learnt_from_pixels_not_from_their_means(quality, share):
    tile, truth = scene()
    model = of_quality(quality)
    whole = error(model.predict(tile, model.prepare(tile)), truth, tile)
    overview = seen_coarse(tile)
    coarser = model.prepare(overview)
    closer = model.prepare(seen_coarse(tile, (0, 0), (96, 192), (288, 96)))
    assert coarser.regression.distant and closer.regression.distant
    known = error(model.predict(tile, closer), truth, tile)
    assert known < share * error(model.predict(tile, coarser), truth, tile)
    assert known < 1.07 * whole


def test_intervals_of_a_scene_seen_coarse_hold():
    tile, truth = scene(3)
    model = Guided()
    made = model.predict(tile, model.prepare(seen_coarse(tile, (0, 0), (96, 192), (288, 96))))
    inside = np.abs(made.mean - truth)[tile.gaps] < 1.645 * made.std[tile.gaps]
    assert 0.85 < inside.mean() < 0.97


def test_windows_that_do_not_show_a_date_teach_nothing():
    tile, _ = scene()
    overview = seen_coarse(tile, (0, 0), (96, 192))
    hidden = replace(overview.detail[1], references=(Reference(np.full((2, 96, 96), np.nan, np.float32), 5),))
    target = overview.image - 0.3
    alone = regression.learn(replace(overview, detail=()), target, regression.Settings())
    for windows in ((), (hidden, hidden)):
        said = regression.learn(
            replace(overview, detail=windows), target, regression.Settings(), [w.image - 0.3 for w in windows]
        )
        assert digest(said) == digest(alone)


def test_hidden_pixels_of_the_windows_weigh_what_was_learnt():
    tile, _ = scene()
    overview = seen_coarse(tile, (0, 0), (96, 192))
    trial = uncertainty.make_trial(overview)
    assert len(trial.tiles) == 2 and not trial.whole and trial.hidden.shape == (96, 192)
    for seen, window, truth in zip(trial.tiles, overview.detail, np.split(trial.truth, 2, -1), strict=True):
        np.testing.assert_array_equal(truth, window.image)
        assert (seen.row, seen.column, seen.step) == (window.row, window.column, 1)
    hidden = np.concatenate([np.isnan(t.image[0]) for t in trial.tiles], 1)
    assert (hidden >= trial.hidden).all() and not trial.hidden[np.isnan(trial.truth[0])].any()
    assert uncertainty.make_trial(replace(overview, detail=())).tiles[0].step == STEP


def test_windows_side_by_side_do_not_see_each_other():
    random = np.random.default_rng(0)
    parts = random.standard_normal((3, 4, 40, 50)).astype(np.float32)
    alone, together = [], np.empty((4 * features.EACH, 40, 150), np.float32)
    for part in parts:
        alone.append(np.empty((4 * features.EACH, 40, 50), np.float32))
        features.fine_features(part, alone[-1])
    features.fine_features(concat(list(parts)), together, 3)
    np.testing.assert_array_equal(together, concat(alone))


def test_one_set_of_coefficients_is_a_field_that_is_the_same_everywhere():
    random = np.random.default_rng(1)
    stack = random.standard_normal((3, 50, 60)).astype(np.float32)
    weights = random.standard_normal((2, 3)).astype(np.float32)
    target = np.tensordot(weights, stack, 1) + np.float32(0.5)
    valid = np.broadcast_to(random.random((50, 60)) < 0.7, target.shape)
    penalty, weight = coarse.penalties(3, 1e-3, 1e-3), np.ones((50, 60), np.float32)
    field = coarse.fit(stack, target, valid, weight, penalty, 1, ())
    assert field.alike
    where = random.random((50, 60)) < 0.5
    said = solve.apply(field, stack, where, 200, 300)
    np.testing.assert_allclose(said[:, where], target[:, where], atol=1e-2)
    assert np.isnan(said[:, ~where]).all()
    spread = replace(field, values=np.repeat(np.repeat(field.values, 3, 0), 2, 1), size=300.0)
    there = solve.apply(spread, stack, where, 200, 300)
    np.testing.assert_allclose(there[:, where], said[:, where], atol=1e-5)
