"""Resampling against a Gaussian whose conditional is known."""

import numpy as np
import pytest
from terramend.models.ddpm.inpaint import back, inpaint
from terramend.models.diffusion import sampler, schedules

SCHEDULE = schedules.make("linear", 200)
RHO = 0.9


def exact(x, t):
    """The best epsilon for pairs of pixels of unit variance and correlation RHO."""
    bar = SCHEDULE.bar[t - 1]
    covariance = bar * np.array([[1, RHO], [RHO, 1]]) + (1 - bar) * np.eye(2)
    flat = x.reshape(len(x), 2)
    return (np.sqrt(1 - bar) * np.linalg.solve(covariance, flat.T).T).reshape(x.shape).astype(np.float32)


def filled(again: int, count: int = 4000):
    image = np.zeros((count, 1, 1, 2), np.float32)
    image[..., 0] = 1.5
    known = np.array([[True, False]])
    random = np.random.default_rng(1)
    *_, (t, sample) = inpaint(
        SCHEDULE,
        exact,
        image,
        known,
        sampler.spaced(200, 40),
        lambda _: random.standard_normal(image.shape).astype(np.float32),
        again=again,
        parameterisation="epsilon",
        clip=10.0,
    )
    assert t == 0
    assert np.array_equal(sample[..., 0], image[..., 0])
    return sample[:, 0, 0, 1]


def test_conditional_of_a_gaussian():
    made = filled(again=8)
    assert made.mean() == pytest.approx(RHO * 1.5, abs=0.12)
    assert made.std() == pytest.approx(np.sqrt(1 - RHO**2), abs=0.12)


def test_taking_steps_again_brings_the_gap_closer_to_its_surroundings():
    assert abs(filled(again=8).mean() - RHO * 1.5) < abs(filled(again=1).mean() - RHO * 1.5)


def test_noising_back_has_the_forward_variance():
    drawn = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    clean = np.full(100_000, 0.7, np.float32)
    middle = sampler.forward(SCHEDULE, clean, drawn, 50)
    later = back(
        SCHEDULE, middle, np.random.default_rng(1).standard_normal(100_000).astype(np.float32), 50, 120
    )
    bar = SCHEDULE.bar[119]
    assert later.mean() == pytest.approx(np.sqrt(bar) * 0.7, abs=0.01)
    assert later.var() == pytest.approx(1 - bar, abs=0.01)
    assert np.array_equal(back(SCHEDULE, clean, drawn, 0, 30), sampler.forward(SCHEDULE, clean, drawn, 30))


def test_known_pixels_have_the_noise_of_the_time_that_is_reached():
    image = np.full((1, 1, 1, 2), 0.5, np.float32)
    run = inpaint(
        SCHEDULE,
        exact,
        image,
        np.array([[True, False]]),
        sampler.spaced(200, 4),
        lambda _: np.zeros_like(image),
        again=2,
    )
    reached = []
    for t, sample in run:
        reached.append(t)
        assert sample[0, 0, 0, 0] == pytest.approx(0.5 * np.sqrt(SCHEDULE.bar[t - 1] if t else 1), rel=1e-6)
    assert reached == [150, 100, 50, 0]
