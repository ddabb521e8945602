"""Samplers in numpy: DDPM ancestral, DDIM and DPM-Solver++(2M).

The light environment samples with these; tests hold them to diffusers' schedulers and to
a Gaussian mixture whose exact score is known. Arrays of any shape; a model is a function
of the noised array and t (1..T) that returns epsilon, x0 or v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import threads
from ..base import Floats
from .schedules import Schedule

Denoiser = Callable[[Floats, int], Floats]
Noise = Callable[[int], Floats]
"""Noise of step k (0, 1, ...) of a run, shaped like the sample."""
METHODS = ("ddpm", "ddim", "dpm++")
PARAMETERISATIONS = ("epsilon", "x0", "v")


@dataclass(frozen=True)
class Step:
    """One step of a trajectory.

    Attributes:
        index: 0, 1, ... t: where the model was asked. clean: its x0 after clipping.
        sample: the sample after the step.
    """

    index: int
    t: int
    clean: Floats
    sample: Floats


def spaced(total: int, steps: int, strength: float = 1.0) -> list[int]:
    """`steps` times from T down, evenly spaced and ending the run at t = 0 ("trailing").

    Trailing times begin at T itself (Lin et al. 2024, table 2). With `strength` < 1 only
    the last part of the run is kept, for samples that start from a noised fill.

    Raises:
        ValueError: no step, more steps than T, or a strength that is not above 0 and up to 1.
    """
    if not 1 <= steps <= total:
        raise ValueError(f"steps must lie between 1 and {total}")
    if not 0 < strength <= 1:
        raise ValueError("strength lies above 0 and up to 1")
    times = [round(total - k * total / steps) for k in range(steps)]
    return times[steps - max(1, round(steps * strength)) :]


def forward(schedule: Schedule, clean: Floats, noise: Floats, t: int) -> Floats:
    """x_t = sqrt(alpha-bar_t) x0 + sqrt(1 - alpha-bar_t) epsilon (Ho et al. 2020, eq. 4)."""
    bar = schedule.bar[t - 1]
    return (np.sqrt(bar) * clean + np.sqrt(1 - bar) * noise).astype(clean.dtype)


def to_clean(schedule: Schedule, sample: Floats, output: Floats, t: int, parameterisation: str) -> Floats:
    """The x0 that a model's output stands for.

    Raises:
        ValueError: epsilon where no signal is left (alpha-bar 0), or an unknown name.
    """
    bar = schedule.bar[t - 1]
    if parameterisation == "x0":
        return output
    if parameterisation == "v":  # Salimans, Ho 2022, appendix D
        return np.asarray(np.sqrt(bar) * sample - np.sqrt(1 - bar) * output, sample.dtype)
    if parameterisation == "epsilon":
        if bar <= 0:
            raise ValueError("epsilon cannot be predicted where no signal is left: use v or x0")
        return np.asarray((sample - np.sqrt(1 - bar) * output) / np.sqrt(bar), sample.dtype)
    raise ValueError(f"{parameterisation!r} is none of {', '.join(PARAMETERISATIONS)}")


def to_epsilon(schedule: Schedule, sample: Floats, clean: Floats, t: int) -> Floats:
    """The noise that is left in `sample` if `clean` is true."""
    bar = schedule.bar[t - 1]
    return np.asarray((sample - np.sqrt(bar) * clean) / np.sqrt(1 - bar), sample.dtype)


def run(
    schedule: Schedule,
    model: Denoiser,
    start: Floats,
    times: list[int],
    noise: Noise,
    *,
    method: str = "ddim",
    eta: float = 0.0,
    parameterisation: str = "epsilon",
    clip: float | None = None,
    fuse: Callable[[Floats, Floats, int], Floats] | None = None,
) -> Iterator[Step]:
    """Yield the steps of a run from `start` (the sample at `times[0]`) to t = 0; a cancel ends it before one.

    Args:
        noise: asked for step k where the method is stochastic.
        eta: DDIM's share of ancestral noise (Song et al. 2021, eq. 16).
        clip: bound of |x0|, or None.
        fuse: (x0, x_t, t) to another x0 before the step is taken; epsilon is re-derived
            from it (Diffusion Enhancement; known pixels of an inpainting).

    Raises:
        ValueError: an unknown method or parameterisation.
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is none of {', '.join(METHODS)}")
    sample, before = start, None
    for index, t in enumerate(times):
        threads.proceed()
        following = times[index + 1] if index + 1 < len(times) else 0
        clean = to_clean(schedule, sample, model(sample, t), t, parameterisation)
        if clip is not None:
            clean = np.clip(clean, -clip, clip)
        if fuse is not None:
            clean = fuse(clean, sample, t)
        if method == "dpm++":
            sample, before = _dpm(schedule, sample, clean, before, t, following), (clean, t)
        else:
            share = 1.0 if method == "ddpm" else eta
            sample = _ddim(schedule, sample, clean, t, following, share, noise, index)
        yield Step(index, t, clean, sample)


def _bar(schedule: Schedule, t: int) -> float:
    return 1.0 if t == 0 else float(schedule.bar[t - 1])


def _ddim(
    schedule: Schedule,
    sample: Floats,
    clean: Floats,
    t: int,
    following: int,
    eta: float,
    noise: Noise,
    index: int,
) -> Floats:
    """Song et al. 2021, eq. 12 and 16; eta = 1 on every t is DDPM with variance beta-tilde."""
    bar, onward = _bar(schedule, t), _bar(schedule, following)
    sigma = eta * np.sqrt((1 - onward) / (1 - bar) * (1 - bar / onward))
    epsilon = to_epsilon(schedule, sample, clean, t)
    moved = np.sqrt(onward) * clean + np.sqrt(max(1 - onward - sigma**2, 0.0)) * epsilon
    if sigma > 0:
        moved = moved + sigma * noise(index)
    return np.asarray(moved, sample.dtype)


def _dpm(
    schedule: Schedule,
    sample: Floats,
    clean: Floats,
    before: tuple[Floats, int] | None,
    t: int,
    following: int,
) -> Floats:
    """DPM-Solver++(2M) in the x0 form (Lu et al. 2022, algorithm 2); the last step is of first order."""
    if following == 0:
        return clean
    bar, onward = _bar(schedule, t), _bar(schedule, following)
    half = _half_log_snr(onward) - _half_log_snr(bar)
    estimate = clean
    if before is not None:
        ratio = (_half_log_snr(bar) - _half_log_snr(_bar(schedule, before[1]))) / half
        estimate = (1 + 0.5 / ratio) * clean - 0.5 / ratio * before[0]
    moved = np.sqrt((1 - onward) / (1 - bar)) * sample - np.sqrt(onward) * np.expm1(-half) * estimate
    return np.asarray(moved, sample.dtype)


def _half_log_snr(bar: float) -> float:
    """Half the log-SNR: log(sqrt(alpha-bar) / sqrt(1 - alpha-bar))."""
    with np.errstate(divide="ignore"):
        return float(0.5 * (np.log(bar) - np.log1p(-bar)))
