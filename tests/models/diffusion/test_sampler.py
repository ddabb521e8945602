"""Samplers against a Gaussian mixture whose score is known, and against their own algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from terramend.models import threads
from terramend.models.diffusion import sampler, schedules
from terramend.models.diffusion.noise import noise

MEANS, SPREAD, WEIGHTS = np.array([-0.6, 0.5]), 0.25, np.array([0.3, 0.7])
SCHEDULE = schedules.make("linear", 1000)


def clean_mean(x, t, schedule=SCHEDULE):
    """E[x0 | x_t] of the mixture, exactly."""
    bar = schedule.bar[t - 1]
    variance = bar * SPREAD**2 + 1 - bar
    x = x[..., None]
    logs = np.log(WEIGHTS) - (x - np.sqrt(bar) * MEANS) ** 2 / (2 * variance)
    shares = np.exp(logs - logs.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    each = MEANS + np.sqrt(bar) * SPREAD**2 / variance * (x - np.sqrt(bar) * MEANS)
    return (shares * each).sum(-1)


def epsilon(x, t):
    return sampler.to_epsilon(SCHEDULE, x, clean_mean(x, t), t)


def sample(method, steps, eta=0.0, count=20000):
    rng = np.random.default_rng(0)
    times = sampler.spaced(1000, steps)
    start = rng.standard_normal(count)
    run = sampler.run(
        SCHEDULE, epsilon, start, times, lambda k: rng.standard_normal(count), method=method, eta=eta
    )
    return list(run)[-1].sample


@pytest.mark.parametrize(
    ("method", "steps", "eta"), [("ddpm", 1000, 0), ("ddim", 100, 0), ("ddim", 250, 1.0), ("dpm++", 50, 0)]
)
def test_samples_follow_the_mixture(method, steps, eta) -> None:
    drawn = np.sort(sample(method, steps, eta))
    exact = sum(w * norm.cdf(drawn, m, SPREAD) for w, m in zip(WEIGHTS, MEANS))
    ranks = (np.arange(len(drawn)) + 0.5) / len(drawn)
    assert np.abs(exact - ranks).max() < 0.025  # Kolmogorov-Smirnov distance


def test_second_order_needs_fewer_steps_than_first() -> None:
    rng = np.random.default_rng(1)
    start = rng.standard_normal(500)
    ends = {}
    for method, steps in (("ddim", 1000), ("ddim", 20), ("dpm++", 20)):
        run = sampler.run(
            SCHEDULE, epsilon, start, sampler.spaced(1000, steps), lambda k: start, method=method
        )
        ends[method, steps] = list(run)[-1].sample
    exact = ends["ddim", 1000]
    first, second = (np.abs(ends[m, 20] - exact).mean() for m in ("ddim", "dpm++"))
    assert second < first


@given(st.sampled_from(schedules.NAMES), st.integers(1, 200), st.integers(0, 2**31))
def test_parameterisations_agree(name, t, seed) -> None:
    schedule = schedules.make(name, 200, zero_snr=t % 2 == 0)
    if schedule.bar[t - 1] < 1e-8:
        return
    rng = np.random.default_rng(seed)
    clean, drawn = rng.uniform(-1, 1, 8), rng.standard_normal(8)
    bar = schedule.bar[t - 1]
    noised = sampler.forward(schedule, clean, drawn, t)
    v = np.sqrt(bar) * drawn - np.sqrt(1 - bar) * clean
    for output, kind in ((drawn, "epsilon"), (clean, "x0"), (v, "v")):
        assert np.allclose(sampler.to_clean(schedule, noised, output, t, kind), clean, atol=1e-6)
    assert np.allclose(sampler.to_epsilon(schedule, noised, clean, t), drawn, atol=1e-6)


@pytest.mark.parametrize("method", sampler.METHODS)
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_a_perfect_model_is_reached_in_any_number_of_steps(method, steps) -> None:
    clean = np.linspace(-1, 1, 7)
    times = sampler.spaced(1000, steps)
    run = sampler.run(
        SCHEDULE,
        lambda x, t: clean,
        np.ones(7),
        times,
        lambda k: np.ones(7),
        method=method,
        parameterisation="x0",
    )
    assert np.allclose(list(run)[-1].sample, clean, atol=1e-6)


def test_fuse_and_clip_change_the_clean_image_before_the_step() -> None:
    run = sampler.run(
        SCHEDULE, lambda x, t: np.full(3, 9.0), np.zeros(3), sampler.spaced(1000, 4), lambda k: np.zeros(3),
        parameterisation="x0", clip=1.0, fuse=lambda clean, x, t: clean / 2,
    )  # fmt: skip
    steps = list(run)
    assert all(np.all(step.clean == 0.5) for step in steps)
    assert np.allclose(steps[-1].sample, 0.5)


def test_a_run_that_is_wanted_no_more_ends_before_its_next_step() -> None:
    asked = []

    def check():
        if len(asked) == 3:
            raise InterruptedError

    def model(x, t):
        asked.append(t)
        return x

    with threads.allowed(1, check), pytest.raises(InterruptedError):
        list(sampler.run(SCHEDULE, model, np.zeros(3), sampler.spaced(1000, 10), lambda k: np.zeros(3)))
    assert asked == [1000, 900, 800]


def test_times() -> None:
    assert sampler.spaced(1000, 4) == [1000, 750, 500, 250]
    assert sampler.spaced(1000, 50, strength=0.9) == sampler.spaced(1000, 50)[5:]
    assert sampler.spaced(1000, 4, strength=0.9) == sampler.spaced(1000, 4)  # 3.6 steps, to the nearest
    for wrong in (
        lambda: sampler.spaced(10, 11),
        lambda: sampler.spaced(10, 0),
        lambda: sampler.spaced(10, 5, 1.5),
    ):
        with pytest.raises(ValueError, match="must lie|lies"):
            wrong()


def test_no_signal_needs_v_or_x0() -> None:
    schedule = schedules.make("linear", 100, zero_snr=True)
    object.__setattr__(schedule, "bar", np.append(schedule.bar[:-1], 0.0))
    with pytest.raises(ValueError, match="use v or x0"):
        sampler.to_clean(schedule, np.ones(1), np.ones(1), 100, "epsilon")


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 90), st.integers(1, 90), st.integers(1, 3))
def test_noise_belongs_to_places(row, column, height, width, channels) -> None:
    whole = noise(7, 3, 3, 0, 0, 400, 400)
    window = noise(7, 3, channels, row, column, height, width)
    assert np.array_equal(window, whole[:channels, row : row + height, column : column + width])


def test_noise_of_negative_and_largest_seeds_differs() -> None:
    fields = [noise(seed, 0, 1, 0, 0, 8, 8) for seed in (0, -1, -2, 2**64 - 3)]
    assert len({field.tobytes() for field in fields}) == len(fields)


def test_noise_is_standard_normal_and_differs_by_seed_and_draw() -> None:
    drawn = noise(1, 0, 4, 0, 0, 256, 256)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    for other in (noise(2, 0, 4, 0, 0, 256, 256), noise(1, 1, 4, 0, 0, 256, 256)):
        assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.01
