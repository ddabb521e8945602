"""Boosted ferns: the values of a plain implementation, what they learn and what they must not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.base import Reference, Tile
from terramend.models.guided.learners import ferns
from terramend.models.guided.model import Guided
from terramend.models.guided.regression import Settings

from ..scenes import patchwork


def pixels(count, seed=0, bands=2, side=64):
    random = np.random.default_rng(seed)
    leading, first, second = (
        random.standard_normal((n, count)).astype(np.float32) for n in (3, bands, bands)
    )
    rows, columns = random.integers(0, side, (2, count))
    return ferns.Pixels(leading, first, second, rows, columns)


def slowly(pixels, target, weight, count):
    """What `learn` and `predict` make of the same pixels, leaf by leaf and pixel by pixel."""
    inputs, said = pixels.inputs, pixels.base.astype(np.float64)
    low, high = (np.quantile(inputs, q, axis=1).astype(np.float32) for q in (0.003, 0.997))
    levels = np.clip((inputs - low[:, None]) * (np.float32(255) / (high - low))[:, None], 0, 255).astype(int)
    learnt = ferns.learn(pixels, target, weight, count)
    for which, bars in zip(learnt.which, learnt.bars, strict=True):
        leaves = {}
        for pixel in range(inputs.shape[1]):
            answers = tuple(levels[which, pixel] > bars)
            leaves.setdefault(answers, []).append(pixel)
        for members in leaves.values():
            left = target[:, members] - said[:, members]
            mean = (left * weight[members]).sum(1) / (weight[members].sum() + 3)
            said[:, members] += 2 / np.sqrt(count) * mean[:, None]
    return said


@pytest.mark.parametrize("bands", [1, 2, 9])
def test_values_are_those_of_a_plain_implementation(bands):
    some = pixels(300, bands=bands)
    target = np.random.default_rng(1).standard_normal((bands, 300)).astype(np.float32)
    weight = np.random.default_rng(2).uniform(0.3, 1, 300).astype(np.float32)
    made = ferns.predict(ferns.learn(some, target, weight, 25), some)
    np.testing.assert_allclose(made, slowly(some, target, weight, 25), atol=1e-5)


def test_what_lies_side_by_side_is_learnt():
    """A field that grew: everything beyond a line that runs aslant, whatever the dates say."""
    known, asked = pixels(4000, 3), pixels(4000, 4)

    def grown(some):
        return some.base + np.where(some.rows + 2 * some.columns > 90, 1.0, 0.0).astype(np.float32)

    learnt = ferns.learn(known, grown(known), np.ones(4000, np.float32), 100)
    error = ferns.predict(learnt, asked) - grown(asked)
    assert np.sqrt((error**2).mean()) < 0.25 * np.sqrt(((asked.base - grown(asked)) ** 2).mean())


def test_noise_is_hardly_learnt():
    known, asked = pixels(4000, 5), pixels(4000, 6)
    noise = np.random.default_rng(7).standard_normal(known.base.shape).astype(np.float32)
    learnt = ferns.learn(known, known.base + noise, np.ones(4000, np.float32), 100)
    assert (ferns.predict(learnt, asked) - asked.base).std() < 0.4


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(1, 10), st.integers(0, 99), st.floats(0, 1000))
def test_any_pixels_will_do(count, bands, seed, height):
    """Few, constant, or far from what was learnt: answers are finite, and hardly beyond what was seen."""
    some = pixels(count, seed, bands)
    same = replace(some, leading=np.full_like(some.leading, height))
    target = same.base + np.float32(1)
    learnt = ferns.learn(same, target, np.ones(count, np.float32), 50)
    far = replace(pixels(7, seed + 1, bands, side=10**5), leading=same.leading[:, :1].repeat(7, 1))
    made = ferns.predict(learnt, far)
    assert made.shape == (bands, 7) and np.isfinite(made).all()
    told = ferns.predict(learnt, same) - same.base
    step = 2 / np.sqrt(50)  # the part of a leaf's mean that one fern learns: none goes further beyond
    assert told.min() > -step and told.max() < 1 + step


def test_without_pixels_nothing_is_learnt():
    assert ferns.learn(pixels(0), np.zeros((2, 0), np.float32), np.zeros(0, np.float32), 10) is None


def ploughed(seed=0, side=128):
    """A date that tells all but the fields that were ploughed since, which are of one kind and lie together."""
    random = np.random.default_rng(seed)
    fields = random.integers(0, 5, (side // 8, side // 8)).repeat(8, 0).repeat(8, 1)
    rows, columns = np.indices((side, side))
    before = 0.1 + 0.05 * fields + random.normal(0, 0.004, (3, side, side))
    after = before + np.where((fields == 2) & (rows + columns < side), 0.08, 0.0)
    gaps = np.broadcast_to((rows // 12 % 3 == 1) & (columns // 12 % 2 == 0), after.shape).copy()
    truth = after.astype(np.float32)
    image = np.where(gaps, np.float32(np.nan), truth)
    return Tile(image, gaps, (Reference(before.astype(np.float32), -20),)), truth


def test_a_change_of_some_fields_is_filled_better_with_them():
    tile, truth = ploughed()

    def error(count):
        model = Guided(Settings(ferns=count))
        made = model.predict(tile, model.prepare(tile))
        return np.sqrt(((made.mean - truth)[tile.gaps] ** 2).mean())

    assert error(100) < 0.8 * error(0)


@pytest.mark.parametrize(("make", "part"), [(ploughed, "regression"), (patchwork, "guide")])
def test_a_trial_of_a_large_scene_never_asks_ferns_that_saw_what_is_hidden(make, part, monkeypatch):
    """The scene's ferns know the hidden pixels; each window of the trial grows its own without them."""
    tile, _ = make(side=320)
    grown = []
    learn = ferns.learn

    def watched(some, target, weight, count):
        grown.append(len(weight))
        return learn(some, target, weight, count)

    monkeypatch.setattr(ferns, "learn", watched)
    state = Guided().prepare(tile)
    assert getattr(state, part).ferns is not None and len(grown) == 2


def test_it_is_asked_along_lines_of_all_directions_where_a_pixel_lies():
    rows, columns = np.array([1, 0]), np.array([0, 1])
    ways = ferns.along(rows, columns)
    np.testing.assert_allclose(np.linalg.norm(ways, axis=1), 1, rtol=1e-6)
    turns = np.abs(ways[:, None, 0] * ways[:, 1] - ways[:, None, 1] * ways[:, 0])[
        ~np.eye(len(ways), dtype=bool)
    ]
    assert turns.min() == pytest.approx(np.sin(np.pi / len(ways)), rel=1e-4)  # none is parallel to another


def test_of_a_tile_what_is_known_teaches_and_what_is_near_is_told():
    random = np.random.default_rng(4)
    shape = (190, 210)
    leading, first, second = (random.standard_normal((2, *shape)).astype(np.float32) for _ in "abc")
    planes = ferns.Planes(leading, first, second, 40, 1000)
    weight = (random.random(shape) < 0.4) * random.uniform(0.3, 1, shape).astype(np.float32)
    target = np.where(weight > 0, first + np.sign(second), np.float32(np.nan))
    learnt = ferns.learn_in(planes, target, weight, 20)

    def pixels(where):
        rows, columns = np.nonzero(where)
        return ferns.Pixels(leading[:, where], first[:, where], second[:, where], rows + 40, columns + 1000)

    known, near = weight > 0, random.random(shape) < 0.9
    alone = ferns.learn(pixels(known), target[:, known], weight[known], 20)
    np.testing.assert_allclose(learnt.leaves, alone.leaves, atol=1e-6)
    made = ferns.predict_in(learnt, planes, near)
    np.testing.assert_allclose(made[:, near], ferns.predict(alone, pixels(near)), atol=1e-5)
    assert np.isnan(made[:, ~near]).all()
    cut = np.s_[:, 50:, 60:]
    part = ferns.Planes(leading[cut], first[cut], second[cut], 90, 1060)
    np.testing.assert_array_equal(
        ferns.predict_in(learnt, part, near[50:, 60:]), made[cut]
    )  # the same ground


def test_where_both_regressions_are_right_ferns_add_nothing():
    some = pixels(500)
    right = (some.first + some.second) / 2
    learnt = ferns.learn(some, right, np.ones(500, np.float32), 10)
    np.testing.assert_array_equal(ferns.predict(learnt, some), right)
