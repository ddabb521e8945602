"""Noise schedules as pure float64 functions.

A schedule is the sequence beta_1..beta_T of forward variances; alpha_t = 1 - beta_t and
alpha-bar_t is the *product* of alpha_1..alpha_t (Ho et al. 2020, eq. 4). Index 0 of every
array here is t = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
NAMES = ("linear", "cosine", "sigmoid")
"""Those that the experiment `schedules` compares."""


def linear(steps: int) -> Series:
    """Betas from 1e-4 to 0.02 for T = 1000, rescaled by 1000/T (Ho et al. 2020, section 4)."""
    scale = 1000 / steps
    return np.minimum(np.linspace(1e-4 * scale, 0.02 * scale, steps), 0.999)


def scaled_linear(steps: int) -> Series:
    """Squares of a line from sqrt(0.00085) to sqrt(0.012): Stable Diffusion's (Rombach et al. 2022)."""
    return np.linspace(0.00085**0.5, 0.012**0.5, steps) ** 2


def cosine(steps: int, s: float = 0.008) -> Series:
    """alpha-bar_t = f(t)/f(0), f(t) = cos^2((t/T + s)/(1 + s) pi/2) (Nichol, Dhariwal 2021, eq. 17)."""
    time = np.arange(steps + 1) / steps
    return _betas(np.cos((time + s) / (1 + s) * math.pi / 2) ** 2)


def sigmoid(steps: int, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Series:
    """A sigmoid's fall as alpha-bar (Jabri et al. 2022, algorithm 1).

    alpha-bar_t = (v(end) - v(start + t/T (end - start))) / (v(end) - v(start)), v(x) = sigmoid(x/tau).
    """
    time = np.arange(steps + 1) / steps

    def v(x: Series | float) -> Series:
        return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64) / tau)))

    return _betas((v(end) - v(start + time * (end - start))) / (v(end) - v(start)))


def zero_terminal_snr(betas: Series) -> Series:
    """Shift and scale sqrt(alpha-bar) so that the last one is 0 and the first is kept.

    Lin et al. 2024, algorithm 1. Pure noise at t = T carries no signal then, so a model must
    predict x0 or v there: epsilon says nothing.
    """
    root = np.sqrt(np.cumprod(1 - betas))
    first, last = root[0], root[-1]
    root = (root - last) * first / (first - last)
    bar = root**2
    return 1 - np.concatenate([bar[:1], bar[1:] / bar[:-1]])


def _betas(bar: Series) -> Series:
    """Betas of alpha-bar at t = 0..T, kept below 0.999 as in Nichol, Dhariwal 2021."""
    return np.clip(1 - bar[1:] / bar[:-1], 0, 0.999)


@dataclass(frozen=True)
class Schedule:
    """Betas with what follows from them.

    Attributes:
        betas: (T,) forward variances.
        bar: (T,) alpha-bar, the product of 1 - beta.
    """

    betas: Series
    bar: Series

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    @property
    def log_snr(self) -> Series:
        """(T,) log(alpha-bar / (1 - alpha-bar)); -inf where no signal is left."""
        with np.errstate(divide="ignore"):
            return np.log(self.bar) - np.log1p(-self.bar)


def make(name: str, steps: int, *, zero_snr: bool = False) -> Schedule:
    """The schedule called `name`: one of `NAMES`, or `scaled-linear`.

    Raises:
        ValueError: unknown name, or fewer than 2 steps.
    """
    makers = {"linear": linear, "cosine": cosine, "sigmoid": sigmoid, "scaled-linear": scaled_linear}
    if name not in makers:
        raise ValueError(f"{name!r} is no noise schedule; there are {', '.join(makers)}")
    if steps < 2:
        raise ValueError("a noise schedule needs at least 2 steps")
    betas = makers[name](steps)
    if zero_snr:
        betas = zero_terminal_snr(betas)
    return Schedule(betas, np.cumprod(1 - betas, dtype=np.float64))
