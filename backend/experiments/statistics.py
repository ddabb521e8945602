"""How far generated images are from real ones, without a network: bands and power spectra."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...models.base import Floats


def histogram_distance(real: Floats, made: Floats) -> float:
    """Mean over bands of the Wasserstein-1 distance between pixel values of (N, C, H, W) sets."""
    distances = [
        stats.wasserstein_distance(real[:, band].ravel(), made[:, band].ravel())
        for band in range(real.shape[1])
    ]
    return float(np.mean(distances))


def spectrum(images: Floats) -> NDArray[np.float64]:
    """Natural logarithm of the mean power per radial frequency, (bins,), of (N, C, H, W) squares.

    The mean of each image is removed; the bins are whole frequencies from 1 to half the side.
    """
    side = images.shape[-1]
    centred = images - images.mean((2, 3), keepdims=True)
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean((0, 1)) / side**2
    frequency = np.fft.fftfreq(side, 1 / side)
    radius = np.rint(np.hypot(*np.meshgrid(frequency, frequency))).astype(int)
    sums = np.bincount(radius.ravel(), power.ravel())
    counts = np.bincount(radius.ravel())
    return np.asarray(np.log((sums / counts)[1 : side // 2 + 1] + 1e-12))


def spectrum_distance(real: Floats, made: Floats) -> float:
    """Root mean square difference of the two `spectrum` curves."""
    return float(np.sqrt(np.mean((spectrum(real) - spectrum(made)) ** 2)))


def frechet_distance(real: NDArray[np.float64], made: NDArray[np.float64]) -> float:
    """FID of two (N, D) feature sets (Heusel et al. 2017, eq. 6)."""
    difference = real.mean(0) - made.mean(0)
    first = (real - real.mean(0)) / np.sqrt(len(real) - 1)
    second = (made - made.mean(0)) / np.sqrt(len(made) - 1)
    # The covariances are S1 = A'A and S2 = B'B, so tr((S1 S2)^(1/2)) is the sum of the singular
    # values of AB': an N x N problem instead of a D x D one.
    shared = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    return float(difference @ difference + (first**2).sum() + (second**2).sum() - 2 * shared)


def kernel_distance(real: NDArray[np.float64], made: NDArray[np.float64]) -> float:
    """KID: unbiased squared MMD with the kernel (x.y/D + 1)^3 (Binkowski et al. 2018, section 4)."""
    width = real.shape[1]

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((a @ b.T / width + 1) ** 3)

    n, m = len(real), len(made)
    within = kernel(real, real), kernel(made, made)
    pairs = [(k.sum() - np.trace(k)) / (c * (c - 1)) for k, c in zip(within, (n, m), strict=True)]
    return float(pairs[0] + pairs[1] - 2 * kernel(real, made).mean())
