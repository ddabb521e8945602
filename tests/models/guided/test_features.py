"""What the regression sees of many dates."""

import numpy as np
from terramend.models.guided.features import make_basis, supervised_axes
from terramend.models.guided.impute import learn


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
