"""One set of weights for the whole scene."""

import numpy as np
from terramend.models.guided.learners import global_regression, robust
from terramend.models.guided.learners.statistics import without_levels


def test_the_global_regression_finds_a_linear_relation_and_ignores_outliers():
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


def test_regressions_of_the_best_the_two_best_and_all_dates_are_averaged():
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


def test_weights_are_those_of_robust_least_squares_with_levels():
    """Two rounds of ridge, the intercept hardly penalised, where errors of a cell share a level."""
    random = np.random.default_rng(11)
    shape = (40, 36)  # cells of two rows and columns and a rest
    channels = random.standard_normal((3, *shape)).astype(np.float32)
    weight = random.uniform(0.3, 1, shape).astype(np.float32)
    weight[:12], channels[:, :12] = 0, 50  # nothing of the date is real there
    target = (
        np.tensordot([[1, -0.5, 0.2], [0.1, 0.4, 2]], channels, 1) + 3 + random.standard_normal((2, *shape))
    )
    target[:, 20:24] += 9
    valid = np.ones(target.shape, bool)
    valid[1, 30:] = False
    target = np.where(valid, target, np.nan).astype(np.float32)
    learnt = global_regression.learn(channels, np.zeros(3, int), target, valid, weight)
    made = learnt.weights

    seen = valid.all(0) & (weight > 0)
    rows, columns = np.nonzero(seen)
    samples = np.concatenate([np.ones((1, *shape)), channels, target])[:, seen].astype(np.float64)
    free = without_levels(samples, weight[seen], rows // 16 * 100 + columns // 16)
    x, y, w = free[:4].T, free[4:].T, weight[seen].astype(np.float64)
    penalty = np.diag([1e-3, *[0.003 * len(w)] * 3])
    for _ in range(2):
        expected = np.linalg.solve(x.T @ (w[:, None] * x) + penalty, x.T @ (w[:, None] * y))
        error = (y - x @ expected).T.astype(np.float32)[:, None]
        w = weight[seen] * robust.cauchy(error, np.ones((1, len(w)), bool))[0]
    np.testing.assert_allclose(made, expected.T, atol=1e-4)
    told = np.tensordot(made[:, 1:], channels, 1) + made[:, 0, None, None]
    np.testing.assert_allclose(global_regression.predict(learnt, channels), told, rtol=1e-5)
