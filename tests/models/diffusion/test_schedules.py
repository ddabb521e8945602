"""Schedules against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.models.diffusion import schedules


@given(st.sampled_from(schedules.NAMES), st.integers(2, 2000), st.booleans())
def test_alpha_bar_falls_and_is_the_product(name: str, steps: int, zero_snr: bool) -> None:
    made = schedules.make(name, steps, zero_snr=zero_snr)
    assert made.steps == steps
    assert np.all((made.betas > 0) & (made.betas <= 1))
    assert np.all(np.diff(made.bar) < 0)
    product = 1.0
    for index in range(min(steps, 20)):
        product *= 1 - made.betas[index]
        assert made.bar[index] == pytest.approx(product, rel=1e-12)
    assert (made.bar[-1] == pytest.approx(0, abs=1e-12)) or not zero_snr


def test_linear_is_hos_at_1000_steps_and_keeps_the_end_at_others() -> None:
    betas = schedules.linear(1000)
    assert betas[0] == pytest.approx(1e-4)
    assert betas[-1] == pytest.approx(0.02)
    assert schedules.linear(500)[-1] == pytest.approx(0.04)
    ends = [schedules.make("linear", steps).bar[-1] for steps in (250, 500, 1000, 2000)]
    assert np.allclose(np.log(ends), np.log(ends[2]), rtol=0.05)


def test_cosine_and_sigmoid_closed_forms() -> None:
    steps = 400
    time = np.arange(1, steps + 1) / steps
    f = np.cos((time + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    made = schedules.make("cosine", steps)
    assert np.allclose(made.bar[:-1], f[:-1], rtol=1e-10)  # the last beta is held at .999
    assert made.betas[-1] == 0.999
    s = 1 / (1 + np.exp(-(-3 + 6 * time)))
    top, bottom = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))
    assert np.allclose(
        schedules.make("sigmoid", steps).bar[:-1], ((top - s) / (top - bottom))[:-1], rtol=1e-9
    )


def test_scaled_linear_is_stable_diffusions() -> None:
    betas = schedules.make("scaled-linear", 1000).betas
    line = np.linspace(np.sqrt(0.00085), np.sqrt(0.012), 1000)
    assert np.allclose(betas, line**2, rtol=1e-12)
    assert schedules.make("scaled-linear", 1000).bar[-1] == pytest.approx(0.00466, abs=1e-5)


def test_zero_terminal_snr_keeps_the_first_step() -> None:
    plain, shifted = schedules.make("linear", 1000), schedules.make("linear", 1000, zero_snr=True)
    assert shifted.bar[0] == pytest.approx(plain.bar[0], rel=1e-9)
    assert shifted.log_snr[-1] < -30


@pytest.mark.parametrize(("name", "steps"), [("square", 10), ("linear", 1)])
def test_wrong_schedules_are_refused(name: str, steps: int) -> None:
    with pytest.raises(ValueError, match="schedule"):
        schedules.make(name, steps)
