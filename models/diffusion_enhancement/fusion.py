"""The fusion of Diffusion Enhancement and its sampling loop, in numpy (Sui et al. 2024, section IV).

At every step t the diffusion branch's x0 and the reference's image are weighed pixel by
pixel: x0 = (1 - W) x0_diffusion + W x0_reference (eq. 13). W belongs to the *reference*;
in sampling it is kept at or above the limiting factor, so the reference always keeps that
share. Epsilon is re-derived from the fused x0 before the DDIM step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..base import Flags, Floats
from ..diffusion import sampler
from ..diffusion.schedules import Schedule

Weigh = Callable[[Floats, int], Floats]
"""(x_t, t) to W in 0..1, shaped like x_t."""
LIMIT = 0.3
"""The paper's limiting factor in sampling; 0 leaves W free, as in training."""


@dataclass(frozen=True)
class FusionStep:
    """A step of the fusion; arrays are (N, B, H, W) in network units.

    Attributes:
        t: the time of the step. weight: W after limiting. diffused: x0 of the diffusion branch
            alone. clean: the fused x0. sample: x after the step.
    """

    t: int
    weight: Floats
    diffused: Floats
    clean: Floats
    sample: Floats


def limited(weight: Floats, limit: float) -> Floats:
    """W kept in `limit`..1."""
    return np.clip(weight, limit, 1).astype(np.float32)


def fused(diffused: Floats, reference: Floats, weight: Floats) -> Floats:
    """(1 - W) x0_diffusion + W x0_reference (eq. 13)."""
    return np.asarray(diffused + weight * (reference - diffused), np.float32)


def enhance(
    schedule: Schedule,
    predict: sampler.Denoiser,
    weigh: Weigh,
    reference: Floats,
    start: Floats,
    times: list[int],
    *,
    limit: float = LIMIT,
    clip: float = 1.0,
    known: Flags | None = None,
    predicts: str = "epsilon",
) -> Iterator[FusionStep]:
    """Yield the steps of a run by DDIM without added noise; the last `sample` is the result.

    Args:
        predict: (x_t, t) to epsilon (or what `predicts` names). weigh: (x_t, t) to W.
        reference: (N, B, H, W) or what broadcasts to it. start: (N, B, H, W) noise at `times[0]`.
        clip: bound of the diffusion branch's x0.
        known: where the reference holds the truth (valid pixels of a gapped image): W is 1.
    """
    seen: list[tuple[Floats, Floats]] = []

    def fuse(diffused: Floats, sample: Floats, t: int) -> Floats:
        weight = limited(weigh(sample, t), limit)
        if known is not None:
            weight = np.where(known, np.float32(1), weight)
        seen.append((weight, diffused))
        return fused(diffused, reference, weight)

    def silent(_: int) -> Floats:
        return np.zeros_like(start)

    run = sampler.run(
        schedule, predict, start, times, silent, parameterisation=predicts, clip=clip, fuse=fuse
    )
    for step in run:
        weight, diffused = seen.pop()
        yield FusionStep(step.t, weight, diffused, step.clean, step.sample)
