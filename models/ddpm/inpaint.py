"""Gap filling with an unconditional diffusion model by resampling (RePaint: Lugmayr et al. 2022).

At every step the known pixels are put in at the noise level that the sample has reached. Because
what is drawn in the gap and what is put in around it then do not match, each step is taken
several times: the sample is noised back to where the step began, and taken again (algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..base import Flags, Floats
from ..diffusion import sampler
from ..diffusion.schedules import Schedule

Drawn = Callable[[int], Floats]
"""The n-th field of standard normal noise of a run, shaped like the sample."""


def back(schedule: Schedule, sample: Floats, drawn: Floats, t: int, to: int) -> Floats:
    """The sample at time t (0: clean) noised further to the later time `to`."""
    bar = 1.0 if t == 0 else schedule.bar[t - 1]
    ratio = schedule.bar[to - 1] / bar
    return np.asarray(np.sqrt(ratio) * sample + np.sqrt(1 - ratio) * drawn, sample.dtype)


def inpaint(
    schedule: Schedule,
    model: sampler.Denoiser,
    image: Floats,
    known: Flags,
    times: list[int],
    drawn: Drawn,
    *,
    again: int = 5,
    parameterisation: str = "v",
    clip: float = 1.0,
) -> Iterator[tuple[int, Floats]]:
    """Yield (t reached, sample) after every step; the last one is at t = 0 and keeps known pixels.

    Args:
        image: (..., H, W) in network units; only `known` pixels are read. times: falling to 1 or more.
        again: how often each step is taken; 1 is plain replacement.
    """
    fields = iter(range(10**9))
    sample = drawn(next(fields))
    for t, onward in zip(times, [*times[1:], 0], strict=True):
        for turn in range(again if onward else 1):
            step = sampler.run(
                schedule,
                model,
                sample,
                [t, onward] if onward else [t],
                lambda _: drawn(next(fields)),
                method="ddpm",
                parameterisation=parameterisation,
                clip=clip,
            )
            moved = next(step).sample
            around = sampler.forward(schedule, image, drawn(next(fields)), onward) if onward else image
            moved = np.where(known, around, moved).astype(np.float32)
            if turn + 1 < again and onward:
                sample = back(schedule, moved, drawn(next(fields)), onward, t)
        sample = moved
        yield onward, sample
