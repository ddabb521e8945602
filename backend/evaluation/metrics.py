"""Every number of the evaluation, in one file; each is tested against scikit-image or a closed form.

Values are reflectance; PSNR and SSIM take a range of 1. All numbers are of the scored pixels
alone: what was hidden and whose truth is known. The picture that is scored is the truth with
the prediction pasted into the gap, so the known pixels favour nobody.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special, stats

from ...models.bands import ndvi, red_and_near_infrared
from ...models.base import Flags

Array = NDArray[np.floating]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal coverages at which hits are counted; the report shows 50, 80, 90 and 95 %."""

SAMPLE = 128
"""Standard deviations and errors that are kept of each case, to rank them over many."""


def rmse(error: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


def mae(error: Array) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(error), dtype=np.float64))


def psnr(error: Array) -> float:
    """-20 log10 RMSE in dB, range 1; 100 dB at most."""
    return min(-20 * math.log10(max(rmse(error), 1e-12)), 100.0)


def sam(predicted: Array, truth: Array) -> float:
    """Mean angle in degrees between spectra, (B, N) each; NaN with one band."""
    if len(truth) < 2:
        return math.nan
    p, t = predicted.astype(np.float64), truth.astype(np.float64)
    norms = np.linalg.norm(p, axis=0) * np.linalg.norm(t, axis=0)
    cosine = (p * t).sum(0) / np.where(norms > 0, norms, np.nan)
    known = np.isfinite(cosine)
    return float(np.degrees(np.arccos(np.clip(cosine[known], -1, 1)).mean())) if known.any() else math.nan


def ssim_map(first: Array, second: Array) -> Array:
    """(H, W) structural similarity (Wang et al. 2004): Gaussian window of sigma 1.5, 11 wide, range 1."""

    def blurred(plane: Array) -> Array:
        return ndimage.gaussian_filter(plane, 1.5, truncate=3.5, mode="reflect")

    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = blurred(a), blurred(b)
    variance_a, variance_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return np.asarray(top / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)))


def ssim(picture: Array, truth: Array, scored: Flags) -> float:
    """Mean over bands and scored pixels of the similarity map; unknown truth counts as equal."""
    unknown = ~np.isfinite(truth)
    a, b = np.where(unknown, 0, picture), np.where(unknown, 0, truth)
    return float(np.mean([ssim_map(x, y)[scored].mean() for x, y in zip(a, b, strict=True)]))


def _steps(picture: Array, scored: Flags) -> tuple[Array, Array]:
    """Absolute differences of neighbours: across the gap's edge, and inside the gap."""
    across, inside = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(picture, axis=axis + 1))
        ahead = np.take(scored, range(1, scored.shape[axis]), axis)
        behind = np.take(scored, range(scored.shape[axis] - 1), axis)
        across.append(step[:, ahead ^ behind].ravel())
        inside.append(step[:, ahead & behind].ravel())
    return np.concatenate(across), np.concatenate(inside)


def _ratio(first: Array, second: Array) -> float:
    both = np.isfinite(first) & np.isfinite(second)
    below = float(second[both].sum(dtype=np.float64))
    return float(first[both].sum(dtype=np.float64)) / below if below > 0 else math.nan


def seam_and_sharpness(picture: Array, truth: Array, scored: Flags) -> tuple[float, float]:
    """Mean step across the gap's edge, and inside it, each over that of the truth (1 is ideal)."""
    edge, inner = _steps(picture, scored)
    true_edge, true_inner = _steps(truth, scored)
    return _ratio(edge, true_edge), _ratio(inner, true_inner)


def crps(error: Array, std: Array) -> float:
    """Mean continuous ranked probability score of Gaussians (Gneiting and Raftery 2007, eq. 21)."""
    z = error / std
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    score = std * (z * (2 * special.ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return float(np.mean(score, dtype=np.float64))


def coverage(error: Array, std: Array, level: float) -> float:
    """Share of errors inside the central Gaussian interval of nominal `level`."""
    return float(np.mean(np.abs(error) <= stats.norm.ppf(0.5 + level / 2) * std))


def rank_correlation(std: Array, error: Array) -> float:
    """Spearman's rho of std with |error|; NaN where one of them does not vary."""
    size = np.abs(error)
    if np.ptp(std) == 0 or np.ptp(size) == 0:
        return math.nan
    return float(np.corrcoef(stats.rankdata(std), stats.rankdata(size))[0, 1])


def score(
    mean: Array,
    truth: Array,
    scored: Flags,
    wavelengths: tuple[float, ...],
    std: Array | None = None,
    change: Array | None = None,
) -> dict[str, float | list[float]]:
    """All numbers of one prediction.

    Args:
        mean, truth, std: (B, H, W). `mean` is finite at scored pixels.
        scored: (H, W), the pixels that count.
        change: (B,) standard deviation of what the truth, another date, differs by from the target's date:
            no `std` knows of it, so hits are counted a second time with it added.
    """
    error = mean[:, scored] - truth[:, scored]
    picture = np.where(scored, mean, truth)
    seam, sharp = seam_and_sharpness(picture, truth, scored)
    numbers: dict[str, float | list[float]] = {
        "rmse": rmse(error),
        "mae": mae(error),
        "bias": float(np.mean(error, dtype=np.float64)),
        "psnr": psnr(error),
        "sam": sam(mean[:, scored], truth[:, scored]),
        "ssim": ssim(picture, truth, scored),
        "seam": seam,
        "sharp": sharp,
        "band_rmse": [rmse(band) for band in error],
    }
    pair = red_and_near_infrared(wavelengths)
    if pair is not None:
        gap = ndvi(mean[:, scored], *pair) - ndvi(truth[:, scored], *pair)
        known = gap[np.isfinite(gap)]
        numbers["ndvi"] = rmse(known) if known.size else math.nan
    if std is not None:
        numbers.update(uncertainty(error, std[:, scored]))
        if change is not None and "hits" in numbers:
            widened = np.hypot(std[:, scored], change[:, None])
            numbers["hits_with_change"] = uncertainty(error, widened)["hits"]
    return numbers


def uncertainty(error: Array, std: Array) -> dict[str, float | list[float]]:
    """How well `std` tells the error; samples without a std are left out and their share given."""
    known = np.isfinite(std) & (std > 0)
    numbers: dict[str, float | list[float]] = {"std_share": float(known.mean())}
    if not known.any():
        return numbers
    e, s = error[known].astype(np.float64), std[known].astype(np.float64)
    numbers["hits"] = [coverage(e, s, level) for level in LEVELS]
    numbers["width90"] = float(np.mean(2 * stats.norm.ppf(0.95) * s))
    numbers["crps"] = crps(e, s)
    numbers["rank"] = rank_correlation(s, e)
    every = slice(None, None, max(1, e.size // SAMPLE))
    numbers["stated"], numbers["missed"] = (
        [float(f"{value:.4g}") for value in values[every][:SAMPLE]] for values in (s, np.abs(e))
    )
    return numbers
