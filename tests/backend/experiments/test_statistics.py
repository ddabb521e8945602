"""Distances between sets of images and of features, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from terramend.backend.experiments import statistics

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("counts", [(60, 50), (5, 7)])  # more and fewer than there are features
def test_fid_is_the_distance_of_two_gaussians(counts) -> None:
    mixing = RANDOM.standard_normal((8, 8))
    real, made = RANDOM.standard_normal((counts[0], 8)), 0.3 + RANDOM.standard_normal((counts[1], 8)) @ mixing
    first, second = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    apart = real.mean(0) - made.mean(0)
    expected = apart @ apart + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert statistics.frechet_distance(real, made) == pytest.approx(expected, rel=1e-6)
    assert statistics.frechet_distance(real, real + 2) == pytest.approx(8 * 4)


def test_kid_is_the_unbiased_squared_mmd() -> None:
    real, made = RANDOM.standard_normal((6, 4)), 0.5 + RANDOM.standard_normal((5, 4))

    def kernel(a, b):
        return (sum(x * y for x, y in zip(a, b)) / 4 + 1) ** 3

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j])
        for part in (real, made)
    ]
    between = np.mean([kernel(a, b) for a in real for b in made])
    assert statistics.kernel_distance(real, made) == pytest.approx(sum(within) - 2 * between)


def test_a_wave_has_its_power_at_its_frequency() -> None:
    side, height = 16, 0.5
    wave = height * np.cos(2 * np.pi * 3 * np.arange(side) / side) * np.ones((side, 1)) + 0.2
    found = np.exp(statistics.spectrum(np.tile(wave, (2, 3, 1, 1)).astype(np.float32)))
    column, row = np.meshgrid(np.fft.fftfreq(side, 1 / side), np.fft.fftfreq(side, 1 / side))
    places = (np.rint(np.hypot(column, row)) == 3).sum()
    expected = np.zeros(side // 2)
    expected[2] = 2 * (height * side**2 / 2) ** 2 / side**2 / places  # at +3 and -3 along the rows
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_spectra_that_are_a_factor_apart_are_its_logarithm_apart() -> None:
    images = RANDOM.standard_normal((3, 2, 16, 16))
    assert statistics.spectrum_distance(images, 3 * images + 1) == pytest.approx(2 * np.log(3), rel=1e-6)


def test_histograms_that_are_shifted_are_the_shift_apart() -> None:
    images = RANDOM.standard_normal((3, 2, 8, 8))
    shifted = images + np.array([0.1, 0.5])[:, None, None]
    assert statistics.histogram_distance(images, shifted) == pytest.approx(0.3)
