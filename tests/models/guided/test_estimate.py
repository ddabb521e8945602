"""What regressions say of a tile, against the same sums made everywhere and against the law of their mixture."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Tile
from terramend.models.guided import estimate, regression
from terramend.models.guided import features as feats
from terramend.models.guided.dates import impute
from terramend.models.guided.learners import coarse, robust, solve
from terramend.models.guided.learners.statistics import cells_over, grow, moments
from terramend.models.guided.regression import Settings
from terramend.models.guided.space.residual import Rim
from terramend.models.guided.state import standard_of
from terramend.models.holdout import distance_to_valid

from .scenes import blobs, hide, texture

PLAIN = Settings(random_features=0, ferns=0, components=4, fine=2)
SHAPE = (150, 160)


def scene(settings, seed=1, step=1):
    """(tile, target, regression): two dates with gaps of their own, and a band whose gaps are others."""
    truth = texture(SHAPE, seed, bands=2)
    dates = [truth + k * 0.5 * (texture(SHAPE, seed + k, bands=2) - 0.25) for k in (1, 2)]
    for k, date in enumerate(dates):
        date[:, blobs(SHAPE, seed + 7 + k, 0.2)] = np.nan
    image, gaps = hide(truth, blobs(SHAPE, seed + 5, 0.2) & (np.arange(SHAPE[1]) < 60))
    image[1, 40:50, 130:140], gaps[1, 40:50, 130:140] = np.nan, True
    tile = Tile(
        image, gaps, tuple(Reference(date.astype(np.float32), -k) for k, date in enumerate(dates)), step=step
    )
    target = standard_of(tile).scores(image)
    return tile, target, regression.learn(tile, target, settings)


@pytest.mark.parametrize(("distant", "step"), [(False, 1), (True, 1), (True, 2)])
def test_what_is_solved_around_gaps_is_what_would_be_solved_everywhere(distant, step):
    tile, target, known = scene(PLAIN, step=step)
    known = replace(known, distant=distant)
    tile, target = tile.cut(slice(0, 140), slice(37, 160)), target[:, :140, 37:]
    fits = estimate.fit(tile, target, known, PLAIN, globally=False)
    assert fits.globally is None and fits.ferns is None and len(fits.parts) == 1
    planes, _ = regression.channels_of(tile, known.chosen)
    complete, share = impute.complete(planes, known.joint)
    stack = feats.build(known.basis, complete)
    penalty = coarse.penalties(len(stack), PLAIN.slope, PLAIN.intercept)
    place = tile.corner
    cells = cells_over(*place, *target.shape[1:])
    whole = np.ones(target.shape[1:], bool)
    for band in (0, 1):
        valid, part = tile.valid[band], known.parts[0].field
        field = replace(part, values=part.values[..., band : band + 1])
        error = target[band : band + 1] - solve.apply(field, stack, whole, *place, step)
        weight = np.where(valid & (share > 0), 0.3 + 0.7 * share, 0).astype(np.float32)
        weight *= robust.cauchy(error, valid & (share > 0))
        sums = moments(stack, target[band : band + 1], weight, cells, *place).level_free()
        active = np.ones((cells.rows, cells.columns), bool)
        for sigma in (64, 12) if distant else (12,):
            field = solve.refine(sums, sigma * step, field, penalty, 1, active, step)
        expected = solve.apply(field, stack, whole, *place, step)[0]
        near = grow(tile.gaps[band], estimate.REACH)
        np.testing.assert_allclose(fits.parts[0][band][near], expected[near], atol=2e-4)


def test_a_part_of_the_word_is_asked_of_the_global_regression_where_it_counts():
    tile, target, known = scene(PLAIN)
    known = replace(known, local=0.3)
    fits = estimate.fit(tile, target, known, PLAIN, globally=True)
    said, whole = (
        estimate.predict(tile, target, known, PLAIN),
        estimate.close(tile, target, fits, known, PLAIN),
    )
    np.testing.assert_array_equal(said.mean, whole.mean)
    assert (
        np.abs(estimate.predict(tile, target, replace(known, local=1.0), PLAIN).mean - said.mean)[
            tile.gaps
        ].max()
        > 0.1
    )


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("fern", [False, True])
@pytest.mark.parametrize("local", [1.0, 0.4])
def test_means_and_deviations_follow_from_what_each_says_and_from_the_rim(parts, fern, local):
    random = np.random.default_rng(3)
    tile, target, known = scene(PLAIN)
    known = replace(
        known, local=local, coherence=np.array([0.9, 0.4]), noise=np.array([0.3, 2.0]), chosen=(1, 0)
    )
    near = np.stack([grow(gap, estimate.REACH) for gap in tile.gaps])

    def word():
        return np.where(
            near, np.nan_to_num(target) + 0.3 * random.standard_normal(target.shape), np.nan
        ).astype(np.float32)

    said, ferns = tuple(word() for _ in range(parts)), word() if fern else None
    overall = (0.2 * random.standard_normal(target.shape)).astype(np.float32)
    share = np.mean([np.isfinite(r.image[0]) for r in tile.references], axis=0, dtype=np.float32)
    made = estimate.close(tile, target, estimate.Fits(said, overall, ferns, share), known, PLAIN)
    for band, gap in enumerate(tile.gaps):
        parted = np.mean([part[band] for part in said], axis=0)
        fitted = parted if ferns is None else (parted + ferns[band]) / 2
        fitted = overall[band] + local * (fitted - overall[band])
        rim = Rim(near[band] & ~gap, distance_to_valid(gap))
        left = np.where(rim.known, target[band] - fitted, 0).astype(np.float32)
        mean = fitted + rim.carry(left, [0.9, 0.4][band], PLAIN.cycles)
        variance = rim.variance(left, 1.0) + np.var([part[band] for part in said], axis=0)
        variance += 0 if ferns is None else ((parted - ferns[band]) / 2) ** 2
        variance += (parted - overall[band]) ** 2 if local < 1 else 0
        certain = np.where(share > 0, share, 1) ** 0.25
        np.testing.assert_allclose(made.mean[band][gap], mean[gap], atol=1e-4)
        np.testing.assert_allclose(made.std[band][gap], (np.sqrt(variance) / certain)[gap], rtol=1e-3)
    first, second = (np.isfinite(tile.references[k].image[0]) for k in (1, 0))
    np.testing.assert_array_equal(made.there, first | second)
    np.testing.assert_array_equal(made.main, np.where(first, 1, np.where(second, 0, -1)))


def test_where_a_tile_shows_nothing_an_error_is_the_scenes():
    tile, target, known = scene(PLAIN)
    gaps = np.ones_like(tile.gaps)
    blind = replace(tile, image=np.full_like(tile.image, np.nan), gaps=gaps)
    known = replace(known, noise=np.array([0.3, 2.0]))
    fits = estimate.Fits((np.zeros_like(target),), None, None, np.ones(SHAPE, np.float32))
    made = estimate.close(blind, np.full_like(target, np.nan), fits, known, PLAIN)
    np.testing.assert_allclose(made.std, np.sqrt(known.noise)[:, None, None] + 0 * made.std, rtol=1e-6)
    assert not made.mean.any()


@pytest.mark.parametrize("features", [0, 12])
def test_ferns_speak_around_the_gaps_of_every_band_and_those_of_the_scene_do_not_learn_anew(features):
    settings = replace(PLAIN, ferns=20, random_features=features)
    tile, target, known = scene(settings)
    assert known.ferns is not None and len(known.parts) == (2 if features else 1)
    other = target**2
    near = np.any([grow(gap, estimate.REACH) for gap in tile.gaps], axis=0)
    own = replace(known, ferns=None)
    scenes, again, grown, changed = (
        estimate.fit(tile, aim, one, settings, globally=False).ferns
        for one, aim in ((known, target), (known, other), (own, target), (own, other))
    )
    np.testing.assert_array_equal(again, scenes)
    assert np.nanmax(np.abs(changed - grown)) > 0.1
    for said in (scenes, grown):
        assert np.isfinite(said[:, near]).all() and not np.isfinite(said).all()
