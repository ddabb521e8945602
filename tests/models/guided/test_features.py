"""What the regression sees of many dates."""

import numpy as np
import pytest
from scipy import ndimage
from terramend.models.guided import features
from terramend.models.guided.dates.impute import Joint, learn
from terramend.models.guided.features import build, fine_features, make_basis, principal_axes, supervised_axes

from .scenes import texture


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


def test_directions_that_tell_of_the_target_come_strongest_first_and_each_once():
    channels = np.random.default_rng(2).standard_normal((4, 50, 50)).astype(np.float32)
    channels[1] += 20  # a level says nothing
    faint, strong = 0.3 * (channels[0] + channels[2]) + 5, channels[1] - 2 * channels[3]
    weight = (np.indices((50, 50))[0] >= 5).astype(np.float32)
    target = np.stack([faint, strong, strong, 0 * faint])
    target[:, weight == 0] = np.nan
    axes = supervised_axes(channels, target, weight)
    expected = np.array([[0, -1, 0, 2], [1, 0, 1, 0]]) / np.sqrt([[5], [2]])
    np.testing.assert_allclose(axes, expected, atol=0.03)
    assert not len(supervised_axes(channels, 0 * np.nan_to_num(target), weight))


def correlated(size=6, seed=3):
    mix = np.random.default_rng(seed).standard_normal((size, size))
    matrix = mix @ mix.T
    root = np.sqrt(np.diag(matrix))
    return Joint(np.zeros(size), np.ones(size), matrix / np.outer(root, root), np.zeros(size, int))


def test_principal_axes_are_those_of_the_correlation_largest_first():
    joint = correlated()
    axes = principal_axes(joint, 4).astype(np.float64)
    strength = np.diag(axes @ joint.correlation @ axes.T)
    np.testing.assert_allclose(axes @ joint.correlation, strength[:, None] * axes, atol=1e-5)
    np.testing.assert_allclose(strength, np.linalg.eigvalsh(joint.correlation)[:1:-1], rtol=1e-5)
    assert (axes[range(4), np.abs(axes).argmax(1)] > 0).all()


def test_principal_axes_beside_others_are_the_strongest_of_what_those_leave():
    joint = correlated()
    others = np.random.default_rng(4).standard_normal((2, 6)).astype(np.float32)
    axes = principal_axes(joint, 6, others).astype(np.float64)
    assert axes.shape == (4, 6)  # no more is left
    np.testing.assert_allclose(axes @ others.T, 0, atol=1e-5)
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=1e-5)
    within = axes @ joint.correlation @ axes.T
    np.testing.assert_allclose(within, np.diag(np.sort(np.diag(within))[::-1]), atol=1e-5)
    np.testing.assert_array_equal(principal_axes(joint, 1, others), axes[:1].astype(np.float32))


def test_fine_features_are_slopes_to_the_right_and_down_and_gaussian_means():
    rows, columns = np.indices((40, 50), np.float32)
    planes = np.stack([0.3 * columns - 0.2 * rows, texture((40, 50), 1)[0]])
    out = np.empty((2 * features.EACH, 40, 50), np.float32)
    fine_features(planes, out)
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(out[0][inside], 0.3, atol=1e-5)
    np.testing.assert_allclose(out[1][inside], -0.2, atol=1e-5)
    right, down = (ndimage.sobel(planes[1], axis) / 8 for axis in (1, 0))
    np.testing.assert_allclose(out[features.EACH][inside], right[inside], atol=1e-6)
    np.testing.assert_allclose(out[features.EACH + 1][inside], down[inside], atol=1e-6)
    for place, sigma in enumerate((1.0, 2.0, 6.0), features.EACH + 2):
        np.testing.assert_allclose(out[place], ndimage.gaussian_filter(planes[1], sigma), atol=1e-4)


@pytest.mark.parametrize(("count", "fine"), [(4, 2), (3, 9), (1, 1)])
def test_a_tile_is_described_as_the_scene_was_by_components_and_fine_features_of_half_their_deviation(
    count, fine
):
    channels = texture((48, 52), 5, bands=4)
    channels -= channels.mean((1, 2), keepdims=True)
    channels /= channels.std((1, 2), keepdims=True)
    target, weight = channels[:2] + channels[2:], np.ones((48, 52), np.float32)
    basis, stack = make_basis(
        learn(list(channels), np.zeros(4, int)), channels, target, weight, count, fine, 2
    )
    fine = min(fine, count)
    assert basis.fine == fine and basis.axes.shape == (count, 4)
    planes = stack[: count + features.EACH * fine]
    assert stack.shape == (len(planes) + 2, 48, 52)  # two are left to the caller
    np.testing.assert_allclose(planes[:count], np.tensordot(basis.axes, channels, 1), atol=1e-4)
    np.testing.assert_allclose(planes[count:].std((1, 2)), 0.5, rtol=1e-3)
    np.testing.assert_array_equal(build(basis, channels), planes)


def test_fine_features_of_what_is_the_same_everywhere_are_nought():
    channels = np.zeros((2, 30, 32), np.float32)
    target, weight = texture((30, 32), 6, bands=1), np.ones((30, 32), np.float32)
    basis, stack = make_basis(learn(list(channels), np.zeros(2, int)), channels, target, weight, 2, 2)
    assert not stack.any() and not build(basis, channels).any() and not basis.fine_scale.any()
