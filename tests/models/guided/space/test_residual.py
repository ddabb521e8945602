"""What the regression leaves over at the rim, in closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from terramend.models.classical import membrane
from terramend.models.guided.space import residual, spatial
from terramend.models.guided.space.residual import Rim
from terramend.models.holdout import distance_to_valid

SHAPE = (48, 52)


def rim_of(gap):
    return Rim(~gap, distance_to_valid(gap))


def square(side=20):
    gap = np.zeros(SHAPE, bool)
    gap[10 : 10 + side, 12 : 12 + side] = True
    return gap


def test_a_ramp_is_coherent_and_a_checkerboard_is_not():
    rows, columns = np.indices(SHAPE)
    assert residual.coherence((rows + 2.0 * columns - 60).astype(np.float32)) == pytest.approx(1)
    assert (
        residual.coherence(np.where((rows + columns) % 2, 1, -1).astype(np.float32)) == 0.5
    )  # its mean is 0
    assert residual.coherence(np.where(columns % 2, 1, -1).astype(np.float32)) == 0  # neighbours: -1/4 of it


def test_the_coherence_of_noise_is_nought_and_of_a_mixture_what_is_smooth_of_it():
    random = np.random.default_rng(1)
    noise = random.standard_normal((300, 300)).astype(np.float32)
    assert residual.coherence(noise) < 0.05
    # A level of variance 1 under noise of variance 1: the mean of eight is 1 + 1/8, what they share 1.
    level = np.repeat(random.standard_normal((300, 1)), 300, axis=1)
    wide = np.kron(random.standard_normal((15, 15)), np.ones((20, 20))).astype(np.float32)
    assert level.shape == wide.shape and residual.coherence(wide + noise) == pytest.approx(8 / 9, abs=0.05)


def test_too_few_known_pixels_say_nothing_of_coherence():
    few = np.full(SHAPE, np.nan, np.float32)
    few[:5, :5] = 1
    assert residual.coherence(few) == 0.5
    few[:6, :6] = 1  # 16 of them have six neighbours or more
    assert residual.coherence(few) == pytest.approx(1)


@given(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([4.0, 6.0, 8.0]), st.floats(0.5, 50))
def test_a_local_mean_is_drawn_to_the_prior_as_by_so_many_pixels(level, prior, sigma, doubt):
    ones = np.ones(SHAPE, np.float32)
    share = doubt / (2 * np.pi * sigma**2)
    made = residual.local_mean(np.float32(level) * ones, ones, sigma, prior, doubt)
    np.testing.assert_allclose(made, (level + share * prior) / (1 + share), atol=1e-4)
    nothing = residual.local_mean(0 * ones, 0 * ones, sigma, prior, doubt)
    np.testing.assert_allclose(nothing, prior, atol=1e-5)


@pytest.mark.parametrize("sigma", [6.0, 24.0])
def test_a_local_mean_is_a_gaussian_one(sigma):
    random = np.random.default_rng(2)
    values = 5 * ndimage.gaussian_filter(random.standard_normal((157, 171)), 5).astype(np.float32)
    known = (random.random(values.shape) < 0.7).astype(np.float32)
    made = residual.local_mean(values * known, known, sigma, 0.0, 1e-3)
    expected = ndimage.gaussian_filter(values * known, sigma) / ndimage.gaussian_filter(known, sigma)
    inside = np.s_[int(2 * sigma) : -int(2 * sigma)]
    off = (made - expected)[inside, inside]
    assert made.shape == values.shape and off.std() < 0.1 * expected[inside, inside].std()
    variance = residual.variance(values * known, known, 0.0)
    assert variance.shape == values.shape and variance.min() >= residual.FLOOR


@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_a_level_at_the_rim_enters_the_gap_and_decays_to_the_local_mean(beta):
    gap = square()
    left = np.where(gap, 0, np.float32(0.3)).astype(np.float32)
    rim = rim_of(gap)
    slow = residual.local_mean(left, (~gap).astype(np.float32), residual.NEAR, 0.0, residual.NEAR_DOUBT)
    decay = np.exp(-np.maximum(rim.distance - 1, 0) / residual.LENGTH)
    expected = beta * (slow + decay * (0.3 - slow))
    np.testing.assert_allclose(rim.carry(left, beta)[gap], expected[gap], atol=2e-4)
    assert rim.carry(left, beta)[10, 20] == pytest.approx(
        0.3 * beta, abs=1e-3
    )  # beside valid data: all of it


def test_a_plate_keeps_its_strength_and_is_weighed_against_the_membrane():
    gap = square(8)
    rim, left = rim_of(gap), np.where(gap, 0, np.float32(0.3)).astype(np.float32)
    decaying, plate, half = (rim.carry(left, 0.5, plate=weight) for weight in (0.0, 1.0, 0.5))
    np.testing.assert_allclose(plate[gap], 0.3, atol=1e-3)
    np.testing.assert_allclose(half, (decaying + plate) / 2, atol=1e-6)


def test_nothing_is_carried_where_nothing_is_known():
    rim = rim_of(np.ones(SHAPE, bool))
    assert not rim.carry(np.zeros(SHAPE, np.float32), 1.0).any()
    np.testing.assert_array_equal(rim.variance(np.zeros(SHAPE, np.float32), 0.7), np.float32(0.7))


def two_halves():
    """Residuals of 1 to the left and of 4 to the right, known on rims 16 pixels wide of a gap in each half."""
    signs = np.random.default_rng(3).choice([-1, 1], (240, 800)).astype(np.float32)
    signs[:, 400:] *= 4
    known = np.zeros((240, 800), np.float32)
    for left in (20, 420):
        known[20:220, left : left + 360] = 1
        known[36:204, left + 16 : left + 344] = 0
    return signs * known, known


def test_the_same_everywhere_is_the_same_everywhere():
    values, known = two_halves()
    out = residual.variance(np.sign(values), known, 9.0)
    assert out == pytest.approx(np.full(out.shape, 1 + residual.FLOOR), rel=1e-5)


def test_deep_in_a_gap_its_own_surroundings_tell_not_the_tiles():
    values, known = two_halves()
    out = residual.variance(values, known, 9.0)
    assert (values**2).sum() / known.sum() == pytest.approx(8.5)
    assert out[120, 40] == pytest.approx(1, rel=0.1) and out[120, 760] == pytest.approx(16, rel=0.1)
    assert out[120, 120] < 2.5 and out[120, 680] > 13  # 84 pixels from the nearest known one


def test_a_tile_that_knows_nothing_says_what_it_was_told():
    nothing = np.zeros((30, 40), np.float32)
    assert (residual.variance(nothing, nothing, 0.25) == 0.25).all()


def test_a_plate_starts_from_the_membrane_and_moves_what_is_near_the_rim():
    rows, columns = np.indices(SHAPE)
    gap = square()
    rim = rim_of(gap)
    left = np.where(gap, 0, np.sin(rows / 3) + np.cos(columns / 4)).astype(np.float32)
    plain = membrane.solve(left, cycles=2, pyramid=membrane.MaskPyramid(~gap))
    made = rim.carry(left, 0.5, plate=1.0)
    deep = gap & (rim.distance > residual.NEAR)
    np.testing.assert_allclose(made[deep], plain[deep], atol=1e-6)
    expected = spatial.plate(plain, gap & ~deep, residual.SWEEPS)
    np.testing.assert_allclose(made[gap], expected[gap], atol=1e-6)
    assert np.abs(expected - plain)[gap & ~deep].max() > 0.01


def test_a_residual_of_nought_is_not_quite_sure():
    known = np.ones(SHAPE, np.float32)
    np.testing.assert_allclose(residual.variance(0 * known, known, 1.0), residual.FLOOR)


def test_holes_do_not_change_how_coherent_a_ramp_is():
    rows, columns = np.indices(SHAPE)
    ramp = (rows + 2.0 * columns - 60).astype(np.float32)
    ramp[10:20:4, 12:40:5] = np.nan  # each has eight known neighbours
    assert residual.coherence(ramp) == pytest.approx(1, abs=0.01)
