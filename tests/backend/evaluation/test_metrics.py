"""Every metric against scikit-image or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from skimage import metrics as skimage
from terramend.backend.evaluation import metrics

RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.random((3, 48, 40)).astype(np.float32)
NOISY = (TRUTH + RANDOM.normal(0, 0.05, TRUTH.shape)).astype(np.float32)


def test_rmse_mae_psnr_are_those_of_scikit_image() -> None:
    error = NOISY - TRUTH
    assert metrics.rmse(error) == pytest.approx(math.sqrt(skimage.mean_squared_error(TRUTH, NOISY)), rel=1e-5)
    assert metrics.psnr(error) == pytest.approx(
        skimage.peak_signal_noise_ratio(TRUTH, NOISY, data_range=1.0), abs=1e-4
    )
    assert metrics.mae(np.array([1.0, -3.0])) == 2.0
    assert metrics.psnr(np.zeros(4)) == 100.0


def test_ssim_map_is_that_of_scikit_image() -> None:
    _, theirs = skimage.structural_similarity(
        TRUTH[0].astype(float), NOISY[0].astype(float), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=1.0, full=True,
    )  # fmt: skip
    np.testing.assert_allclose(metrics.ssim_map(TRUTH[0], NOISY[0]), theirs, atol=1e-9)


def test_ssim_counts_scored_pixels_only_and_ignores_unknown_truth() -> None:
    scored = np.zeros((48, 40), bool)
    scored[10:20, 10:20] = True
    picture = np.where(scored, NOISY, TRUTH)
    expected = np.mean([metrics.ssim_map(a, b)[scored].mean() for a, b in zip(picture, TRUTH, strict=True)])
    assert metrics.ssim(picture, TRUTH, scored) == pytest.approx(expected)
    hole = TRUTH.copy()
    hole[:, 40:, 30:] = np.nan
    assert metrics.ssim(np.where(scored, NOISY, hole), hole, scored) == pytest.approx(expected)


def test_sam_is_the_angle() -> None:
    a, b = np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]])
    assert metrics.sam(a, b) == pytest.approx(45.0)
    assert metrics.sam(7 * a, a) == pytest.approx(0.0, abs=1e-5)
    assert math.isnan(metrics.sam(a[:1], b[:1]))
    dark = np.zeros((2, 1))  # has no angle
    assert metrics.sam(np.hstack([a, dark]), np.hstack([b, b])) == pytest.approx(45.0)


@given(st.floats(0.1, 10.0))
@settings(max_examples=20)
def test_sam_does_not_see_brightness(scale: float) -> None:
    spectra = TRUTH.reshape(3, -1) + 0.1
    assert metrics.sam(spectra * scale, spectra) == pytest.approx(0.0, abs=0.05)


def test_seam_and_sharpness_of_the_truth_are_one_and_of_a_flat_fill_none() -> None:
    scored = np.zeros((48, 40), bool)
    scored[8:30, 8:30] = True
    assert metrics.seam_and_sharpness(TRUTH, TRUTH, scored) == (pytest.approx(1.0), pytest.approx(1.0))
    flat = np.where(scored, np.float32(0.5), TRUTH)
    assert metrics.seam_and_sharpness(flat, TRUTH, scored)[1] == 0.0


def test_seam_of_a_step_on_a_ramp() -> None:
    ramp = np.tile(np.arange(20.0) * 0.01, (1, 10, 1))
    scored = np.zeros((10, 20), bool)
    scored[:, 5:10] = True
    raised = ramp + np.where(scored, 0.03, 0.0)
    # left edge: 0.01 + 0.03, right edge: |0.01 - 0.03|, of 0.01 each
    assert metrics.seam_and_sharpness(raised, ramp, scored)[0] == pytest.approx((0.04 + 0.02) / 0.02)


def test_crps_is_the_integral_of_its_definition() -> None:
    for error, std in ((0.3, 1.0), (-1.2, 0.5), (0.0, 2.0)):

        def square(x: float, error: float = error, std: float = std) -> float:
            return float((stats.norm.cdf(x, 0, std) - (x >= error)) ** 2)

        expected = integrate.quad(square, -20, error)[0] + integrate.quad(square, error, 20)[0]
        assert metrics.crps(np.array([error]), np.array([std])) == pytest.approx(expected, rel=1e-6)


def test_coverage_of_a_gaussian_is_nominal() -> None:
    random = np.random.default_rng(4)
    std = random.uniform(0.5, 2.0, 200_000)
    error = random.normal(0, std)
    for level in metrics.LEVELS:
        assert metrics.coverage(error, std, level) == pytest.approx(level, abs=0.005)


def test_what_is_kept_to_rank_cases_together_is_of_the_whole_gap() -> None:
    std = np.linspace(0.1, 1, 30 * metrics.SAMPLE)
    kept = metrics.uncertainty(-2 * std, std)
    np.testing.assert_allclose(kept["stated"], std[::30], rtol=1e-3)
    np.testing.assert_allclose(kept["missed"], 2 * std[::30], rtol=1e-3)


def test_rank_correlation_is_spearman() -> None:
    random = np.random.default_rng(5)
    std = random.random(300)
    error = random.normal(0, std)
    assert metrics.rank_correlation(std, error) == pytest.approx(stats.spearmanr(std, np.abs(error))[0])
    assert math.isnan(metrics.rank_correlation(np.ones(5), random.random(5)))


def test_score_looks_at_scored_pixels_alone() -> None:
    scored = np.zeros((48, 40), bool)
    scored[5:25, 5:25] = True
    std = np.full(TRUTH.shape, 0.05, np.float32)
    std[:, 5:8, 5:25], std[:, 8:10, 5:25] = np.nan, 0
    wild = NOISY.copy()
    wild[:, ~scored] = 1e6
    numbers = metrics.score(wild, TRUTH, scored, (485.0, 660.0, 840.0), std)
    error = (NOISY - TRUTH)[:, scored]
    assert numbers["rmse"] == pytest.approx(metrics.rmse(error))
    assert numbers["std_share"] == pytest.approx(0.75)
    assert len(numbers["band_rmse"]) == 3 and "ndvi" in numbers  # type: ignore[arg-type]
    assert numbers["hits"][metrics.LEVELS.index(0.9)] == pytest.approx(0.9, abs=0.05)  # type: ignore[index]
    assert "hits_with_change" not in numbers


def test_what_another_date_differs_by_widens_the_intervals() -> None:
    random = np.random.default_rng(7)
    shape, change = (2, 100, 100), np.array([0.03, 0.2])
    std = random.uniform(0.01, 0.05, shape)
    truth = random.random(shape)
    later = truth + random.normal(0, 1, shape) * change[:, None, None]
    mean = truth + random.normal(0, std)
    numbers = metrics.score(mean, later, np.ones(shape[1:], bool), (485.0, 660.0), std, change)
    assert numbers["hits_with_change"] == pytest.approx(metrics.LEVELS, abs=0.012)
    assert numbers["hits"] == metrics.uncertainty(mean - later, std)["hits"]
    assert numbers["hits"][metrics.LEVELS.index(0.9)] < 0.5  # type: ignore[index]


def test_score_tells_bias_vegetation_and_intervals_of_the_scored_pixels_alone() -> None:
    scored = np.zeros((48, 40), bool)
    scored[5:25, 5:25] = True
    std = np.random.default_rng(8).uniform(0.02, 0.2, TRUTH.shape)
    numbers = metrics.score(np.where(scored, NOISY, 9), TRUTH, scored, (485.0, 660.0, 840.0), std)
    error = (NOISY - TRUTH)[:, scored].astype(float)
    (_, *ours), (_, *theirs) = NOISY[:, scored], TRUTH[:, scored]
    bright = np.sum(ours, axis=0) > 0  # noise makes a pixel or two negative
    apart = np.subtract(*[(near - red) / (near + red) for red, near in (ours, theirs)])[bright]
    assert numbers["bias"] == pytest.approx(error.mean(), rel=1e-3)
    assert numbers["ndvi"] == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-4)
    assert numbers["width90"] == pytest.approx(2 * 1.6448536 * std[:, scored].mean())
    assert metrics.LEVELS == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    dark = metrics.score(0 * TRUTH, 0 * TRUTH, scored, (485.0, 660.0, 840.0))
    assert math.isnan(dark["ndvi"]) and dark["rmse"] == 0  # type: ignore[arg-type]
