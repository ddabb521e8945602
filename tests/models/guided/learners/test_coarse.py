"""Coefficients for the whole scene, by plain least squares."""

import numpy as np
import pytest
from terramend.models.guided.learners import robust, solve
from terramend.models.guided.learners.coarse import fit, groups, penalties
from terramend.models.guided.learners.statistics import without_levels


def scene(seed=3, shape=(70, 50)):
    """(features, target, valid, weight): two laws with noise, a cloud that no mask names, and junk."""
    random = np.random.default_rng(seed)
    stack = random.standard_normal((3, *shape)).astype(np.float32)
    weight = random.uniform(0.3, 1, shape).astype(np.float32)
    law = [[1.0, -0.5, 0.2], [0.1, 0.4, 2.0]]
    target = np.tensordot(law, stack, 1) + 2 + 0.5 * random.standard_normal((2, *shape))
    target[:, 40:44] += 9
    weight[:20], stack[:, :20] = 0, 30  # nothing of the dates is real there
    valid = random.random(target.shape) < 0.8
    valid[1] = valid[0]
    return stack, np.where(valid, target, np.nan).astype(np.float32), valid, weight


def test_the_intercept_and_the_slopes_are_penalised_apart():
    assert penalties(2, 40.0, 5.0).tolist() == [5, 40, 40]


def ridge(x, y, w, penalty):
    return np.linalg.solve(x.T @ (w[:, None] * x) + np.diag(penalty), x.T @ (w[:, None] * y))


@pytest.mark.parametrize("apart", [False, True])
def test_one_set_for_the_scene_is_robust_ridge_where_errors_of_a_cell_share_a_level(apart):
    stack, target, valid, weight = scene()
    if apart:  # bands of different masks do not see each other
        valid = valid & np.stack([weight > -1, np.indices(weight.shape)[1] < 30])
        target = np.where(valid, target, np.float32(np.nan))
    penalty = penalties(3, 40.0, 5.0)
    made = fit(stack, target, valid, weight, penalty, 1, ()).values[0, 0]
    for bands in [[0], [1]] if apart else [[0, 1]]:
        seen = valid[bands[0]] & (weight > 0)
        x = np.concatenate([np.ones((1, seen.sum())), stack[:, seen]]).astype(np.float64)
        y, w = target[bands][:, seen].astype(np.float64), weight[seen].astype(np.float64)
        error = y - ridge(x.T, y.T, w, penalty).T.astype(np.float64) @ x
        w *= robust.cauchy(error.astype(np.float32)[:, None], np.ones((1, len(w)), bool))[0]
        rows, columns = np.nonzero(seen)
        free = without_levels(np.concatenate([x, y]), w, rows // 16 * 100 + columns // 16)
        expected = ridge(free[:4].T, free[4:].T, w, penalty)
        np.testing.assert_allclose(made[:, bands], expected, atol=1e-3)


def test_a_window_is_no_narrower_than_a_cell_of_the_solution():
    stack, target, valid, weight = scene()
    penalty = penalties(3, 40.0, 5.0)
    narrow, cell, wide = (
        fit(stack, target, valid, weight, penalty, 8, (s,)).values for s in (9.0, 256.0, 512.0)
    )
    np.testing.assert_array_equal(narrow, cell)  # 32 pixels of the overview, each 8 of the scene
    assert not np.allclose(narrow, wide, atol=1e-3)


def test_windows_follow_a_law_that_changes_over_the_scene():
    random = np.random.default_rng(5)
    stack = random.standard_normal((1, 128, 512)).astype(np.float32)
    slope = np.linspace(0, 2, 512, dtype=np.float32)
    target, valid = slope * stack, np.ones(stack.shape, bool)
    field = fit(stack, target, valid, np.ones((128, 512), np.float32), penalties(1, 1.0, 1.0), 1)
    told = solve.apply(field, np.ones_like(stack), valid[0], 0, 0)[0]
    assert np.abs(told - slope)[:, 96:-96].max() < 0.2


def test_bands_go_together_that_are_alike_in_each_mask():
    first = np.zeros((4, 3, 5), bool)
    first[1, 0, 0] = first[3, 0, 0] = True
    second = np.zeros((4, 3, 5), bool)
    second[2, 2, 4] = True
    assert groups(first) == [[0, 2], [1, 3]]
    assert groups(first, second) == [[0], [1, 3], [2]]
