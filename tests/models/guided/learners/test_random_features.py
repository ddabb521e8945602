"""The nonlinear regression: a law that no line follows, outliers, numbers by hand."""

import numpy as np
import pytest
from terramend.models import threads
from terramend.models.guided.learners import random_features

SHAPE, RIDGE = (80, 100), 20.0


def inputs(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


def curved(stack):
    """(2, H, W) of inputs (P, H, W): what a linear function follows only in part."""
    return np.stack([np.abs(stack[0]) + stack[0] / 2, stack[0] * stack[1] + stack[1]]).astype(np.float32)


def error(units, stack, target, where):
    known = random_features.learn(stack, target, where.astype(np.float32), units, RIDGE)
    return float(np.sqrt(np.mean((random_features.predict(stack, known) - curved(stack))[:, ~where] ** 2)))


def test_a_bent_law_is_found_and_more_units_find_more_of_it():
    stack = inputs(4)
    where = np.random.default_rng(1).random(SHAPE) < 0.7
    target = curved(stack)
    few, many = (error(units, stack, target, where) for units in (12, 192))
    assert many < 0.6 * few and many < 0.4 * target.std()


def test_pixels_of_weight_0_are_not_looked_at_and_outliers_count_little():
    stack = inputs(3)
    where = np.random.default_rng(2).random(SHAPE) < 0.7
    target = curved(stack)
    plain = random_features.learn(stack, target, where.astype(np.float32), 48, RIDGE)
    hidden = np.where(where, target, np.float32(np.nan))
    same = random_features.learn(stack, hidden, where.astype(np.float32), 48, RIDGE)
    np.testing.assert_array_equal(same.weights, plain.weights)
    spoilt = target.copy()
    spoilt[:, 10:16, 10:30] += 20.0
    assert error(48, stack, spoilt, where) < 1.3 * error(48, stack, target, where)


def test_what_it_says_is_what_its_numbers_mean():
    stack = inputs(3)
    known = random_features.learn(stack, curved(stack), np.ones(SHAPE, np.float32), 5, RIDGE)
    hidden = np.tanh(np.tensordot(known.directions, stack, 1) + known.offsets[:, None, None])
    features = np.concatenate([np.ones((1, *SHAPE), np.float32), hidden, stack])
    expected = np.tensordot(known.weights.T, features, 1)
    np.testing.assert_allclose(random_features.predict(stack, known), expected, atol=1e-4)


def test_the_weights_are_those_of_a_ridge_regression():
    random = np.random.default_rng(5)
    x = np.concatenate([np.ones((1, 20000)), random.standard_normal((6, 20000))]).astype(np.float32)
    y, weight = random.standard_normal((2, 20000)).astype(np.float32), random.random(20000).astype(np.float32)
    root = np.sqrt(weight.astype(np.float64))
    rows = np.concatenate([(x * root).T, np.diag(np.sqrt(np.r_[1.0, np.full(6, RIDGE)]))])
    goal = np.concatenate([(y * root).T, np.zeros((7, 2))])
    expected = np.linalg.lstsq(rows, goal, rcond=None)[0]
    np.testing.assert_allclose(random_features._ridge(x, y, weight, RIDGE), expected, atol=1e-6)


def test_few_pixels_teach_nothing():
    stack = inputs(2)
    assert (
        random_features.learn(stack, curved(stack), (np.indices(SHAPE)[0] < 40).astype(np.float32), 8, RIDGE)
        is None
    )


@pytest.mark.parametrize("threaded", [1, 2])
def test_directions_lean_to_inputs_that_tell_and_have_one_deviation(threaded):
    stack = inputs(5)
    stack[4] *= 100.0  # large, but says nothing
    target = stack[:1] + 0.5 * stack[1:2]
    with threads.allowed(threaded):
        known = random_features.learn(stack, target, np.ones(SHAPE, np.float32), 400, RIDGE)
    power = (known.directions**2 * stack.var(axis=(1, 2))).mean(0)
    np.testing.assert_allclose(power.sum(), 1, atol=0.02)
    assert power[0] > 2 * power[1] > 10 * power[2] and power[4] < 0.05
