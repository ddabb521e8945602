"""One set of weights for the whole scene."""

import numpy as np
from terramend.models.guided import global_regression


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
