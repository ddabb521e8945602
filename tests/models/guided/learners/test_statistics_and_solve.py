"""Block statistics and local ridge against direct sums and numpy's least squares."""

import numpy as np
import pytest
from terramend.models.guided.learners import solve
from terramend.models.guided.learners.coarse import fit, penalties
from terramend.models.guided.learners.statistics import (
    CELL,
    LEVEL,
    cells_over,
    moments,
    to_cells,
    unpack,
    without_levels,
)


def data(seed=0, features=4, bands=2, shape=(45, 38)):
    random = np.random.default_rng(seed)
    x = random.standard_normal((features, *shape)).astype(np.float32)
    y = random.standard_normal((bands, *shape)).astype(np.float32)
    weight = (random.random(shape) * (random.random(shape) < 0.7)).astype(np.float32)
    y[:, weight == 0] = np.nan
    return x, y, weight


@pytest.mark.parametrize("place", [(0, 0), (13, 5), (16, 24)])
def test_moments_are_direct_sums(place):
    x, y, weight = data()
    row, column = place
    cells = cells_over(row, column, *weight.shape)
    made = moments(x, y, weight, cells, row, column)
    z = np.concatenate([np.ones((1, *weight.shape)), x, np.where(weight > 0, y, 0)]).astype(np.float64)
    for r in range(cells.rows):
        for c in range(cells.columns):
            top, left = cells.top + r * CELL - row, cells.left + c * CELL - column
            cut = np.s_[max(top, 0) : top + CELL, max(left, 0) : left + CELL]
            inside = z[(slice(None), *cut)].reshape(len(z), -1)
            direct = (inside * weight[cut].ravel()) @ inside.T
            np.testing.assert_allclose(unpack(made.packed[r, c][None], len(z))[0], direct, atol=1e-4)
    everything = (z * weight).reshape(len(z), -1) @ z.reshape(len(z), -1).T
    np.testing.assert_allclose(made.total(), everything, rtol=1e-4, atol=1e-3)


def test_cells_stay_where_they_are_whatever_the_tile():
    x, y, weight = data(shape=(64, 64))
    whole = moments(x, y, weight, cells_over(0, 0, 64, 64, size=8), 0, 0)
    cut = np.s_[:, 20:60, 12:50]
    cells = cells_over(20, 12, 40, 38, size=8)
    part = moments(x[cut], y[cut], weight[20:60, 12:50], cells, 20, 12)
    # Cells that lie in the part as a whole: rows 24..55 and columns 16..47.
    np.testing.assert_allclose(part.packed[1:5, 1:5], whole.packed[3:7, 2:6], rtol=1e-5, atol=1e-5)


def test_window_is_a_gaussian_sum_of_cells():
    x, y, weight = data()
    made = moments(x, y, weight, cells_over(0, 0, *weight.shape, size=8), 0, 0)
    window = made.window(1.5)
    rows, columns = made.packed.shape[:2]
    v, u = np.mgrid[:rows, :columns]
    r, c = 2, 3
    radius = int(np.ceil(2.7 * 1.5))
    near = (np.abs(v - r) <= radius) & (np.abs(u - c) <= radius)
    kernel = np.exp(-0.5 * ((v - r) ** 2 + (u - c) ** 2) / 1.5**2) * near
    direct = (made.packed * kernel[..., None]).sum((0, 1))
    np.testing.assert_allclose(window.packed[r, c], direct, rtol=1e-4, atol=1e-4)


def test_moments_without_levels_are_those_of_generalised_least_squares():
    x, y, _ = data(shape=(40, 24))
    weight = np.ones((40, 24), np.float32)
    weight[:5] = 0
    y = np.nan_to_num(y)
    cells = cells_over(0, 0, 40, 24)
    z = np.concatenate([np.ones((1, 40, 24)), x, y]).reshape(7, -1)
    rows, columns = np.divmod(np.arange(40 * 24), 24)
    cell = rows // CELL * 24 + columns // CELL
    seen = weight.ravel() > 0
    # The definition: errors of 1, and a level of variance LEVEL that the samples of a cell share.
    covariance = np.eye(seen.sum()) + LEVEL * np.equal.outer(cell[seen], cell[seen])
    direct = z[:, seen] @ np.linalg.solve(covariance, z[:, seen].T)
    made = moments(x, y, weight, cells, 0, 0).level_free()
    np.testing.assert_allclose(made.total(), direct, rtol=1e-4, atol=1e-2)
    free = without_levels(z, weight.ravel(), cell)
    np.testing.assert_allclose((free * weight.ravel()) @ free.T, direct, rtol=1e-6, atol=1e-6)


def test_ridge_is_numpys_least_squares_with_prior():
    random = np.random.default_rng(5)
    x, y = random.standard_normal((200, 3)), random.standard_normal((200, 2))
    prior = random.standard_normal((4, 2))
    penalty = np.array([0.5, 20.0, 20.0, 20.0])
    design = np.column_stack([np.ones(200), x])
    z = np.column_stack([design, y])
    made = solve.ridge((z.T @ z)[None], 2, penalty, prior[None])[0]
    # The prior as further rows of an ordinary least squares problem.
    rows = np.vstack([design, np.diag(np.sqrt(penalty))])
    right = np.vstack([y, np.sqrt(penalty)[:, None] * prior])
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    np.testing.assert_allclose(made, expected, atol=1e-10)


def test_apply_is_bilinear_in_the_coefficients():
    random = np.random.default_rng(7)
    field = solve.Field(random.standard_normal((6, 7, 4, 2)).astype(np.float32), 8.0, 0.0, 0.0)
    x = random.standard_normal((3, 41, 50)).astype(np.float32)
    row, column = 3, 2
    made = solve.apply(field, x, np.ones((41, 50), bool), row, column)
    v, u = np.mgrid[:41, :50]
    beta = field.at(v.ravel() + row + 0.5, u.ravel() + column + 0.5).reshape(41, 50, 4, 2)
    design = np.concatenate([np.ones((1, 41, 50), np.float32), x])
    np.testing.assert_allclose(made, np.einsum("pyx,yxpb->byx", design, beta), atol=1e-4)


def test_apply_reaches_all_that_is_wanted():
    field = solve.Field(np.ones((4, 4, 2, 1), np.float32), 8.0, 0.0, 0.0)
    wanted = np.zeros((32, 32), bool)
    wanted[5, 9] = wanted[31, 31] = True
    made = solve.apply(field, np.zeros((1, 32, 32), np.float32), wanted, 0, 0)
    assert np.isfinite(made[0][wanted]).all() and np.isnan(made[0, 20, 4])


def test_coarse_fit_finds_the_scenes_law():
    x, _, _ = data(1, features=3, shape=(96, 80))
    law = np.array([[0.5, 1.0, -2.0], [0.0, 0.3, 0.7]], np.float32)
    target = np.tensordot(law, x, 1) + np.float32(0.25)
    valid = np.broadcast_to(np.random.default_rng(2).random((96, 80)) < 0.6, target.shape)
    hidden = np.where(valid, target, np.float32(np.nan))
    penalty = penalties(3, 1e-3, 1e-3)
    field = fit(x, hidden, valid, np.ones((96, 80), np.float32), penalty, 1)
    made = solve.apply(field, x, np.ones((96, 80), bool), 0, 0)
    np.testing.assert_allclose(made, target, atol=2e-3)


def test_to_cells_marks_cells_that_hold_a_pixel():
    mask = np.zeros((20, 20), bool)
    mask[9, 17] = True
    cells = cells_over(4, 4, 20, 20, size=8)
    assert np.argwhere(to_cells(mask, cells, 4, 4)).tolist() == [[1, 2]]
