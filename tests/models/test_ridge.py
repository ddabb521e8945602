"""Ridge regression against its definition: the gradient of what it minimises is nought."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.ridge import ridge_weights


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 10**6))
def test_no_other_weights_cost_less(features, targets, seed):
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((features, 20)), random.standard_normal((targets, 20))
    penalty = random.uniform(0, 5, features)
    gram = x @ x.T
    kept = gram.copy()
    weights = ridge_weights(gram, x @ y.T, penalty)
    np.testing.assert_array_equal(gram, kept)
    np.testing.assert_allclose(x @ (y - weights.T @ x).T, penalty[:, None] * weights, atol=1e-8)


def test_many_at_once_one_target_and_one_penalty_for_all():
    random = np.random.default_rng(1)
    x = random.standard_normal((4, 3, 9))
    grams, cross = x @ x.transpose(0, 2, 1), random.standard_normal((4, 3, 2))
    each = [ridge_weights(gram, right, 0.5) for gram, right in zip(grams, cross, strict=True)]
    np.testing.assert_allclose(ridge_weights(grams, cross, np.full(3, 0.5)), each, rtol=1e-12)
    np.testing.assert_allclose(ridge_weights(grams[0], cross[0, :, 1], 0.5), each[0][:, 1], rtol=1e-12)


def test_a_penalty_shrinks_and_none_leaves_least_squares():
    gram, cross = np.diag([2.0, 8.0]), np.array([[2.0], [8.0]])
    np.testing.assert_allclose(ridge_weights(gram, cross, 0.0), [[1], [1]])
    np.testing.assert_allclose(ridge_weights(gram, cross, np.array([2.0, 0.0])), [[0.5], [1]])
    with pytest.raises(np.linalg.LinAlgError):
        ridge_weights(np.zeros((2, 2)), cross, 0.0)
