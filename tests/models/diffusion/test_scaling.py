"""What networks see, and the way back."""

import numpy as np
from terramend.models.base import Tile
from terramend.models.diffusion import scaling


def test_there_and_back():
    image = np.linspace(0, 1, 50, dtype=np.float32).reshape(2, 5, 5)
    assert np.allclose(scaling.reflected(scaling.shown(image)), image, atol=1e-6)
    assert np.allclose(scaling.reflected(scaling.shown(image / 2, 0.5), 0.5), image / 2, atol=1e-6)
    assert scaling.shown(image).min() == -1 and scaling.shown(image).max() == 1
    mean, scale = np.array([0.2, 0.4]), np.array([0.1, 0.3])
    back = scaling.restored(scaling.standardised(image, mean, scale), mean, scale)
    assert np.allclose(back, image, atol=1e-6)
    assert np.allclose(scaling.shown(np.array([[[0.5]]], np.float32))[0, 0, 0], 0.5 ** (1 / 2.2) * 2 - 1)
    assert np.array_equal(scaling.centred(np.array([-1, 0.25, 3], np.float32)), [-1, -0.5, 1])


def test_moments_are_those_of_valid_samples():
    image = np.stack([np.arange(16, dtype=np.float32).reshape(4, 4), np.full((4, 4), np.nan, np.float32)])
    gaps = np.zeros(image.shape, bool)
    gaps[0, 2:] = True
    mean, spread = scaling.moments(Tile(image, gaps))
    assert np.allclose(mean, [3.5, 0]) and np.allclose(spread, [np.std(np.arange(8)), 0.05])
    flat = np.full(image.shape, 0.1, np.float32)
    assert np.allclose(scaling.moments(Tile(flat, gaps)), [[0.1] * 2, [1e-3] * 2])
