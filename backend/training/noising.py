"""The forward process of training: the schedule that a configuration names, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...models.diffusion import sampler, schedules, torch_forward
from ..errors import TerramendError
from .recipe import whole

Drawn = dict[str, torch.Tensor]


def forward(config: Mapping[str, Any], entry: str) -> schedules.Schedule:
    """The noise schedule that an entry `PART.KEY` of a configuration names; its steps stand in the same part.

    Raises:
        TerramendError: `training.config` for an unknown schedule or prediction, or too few steps.
    """
    name, _, key = entry.partition(".")
    part = config[name]
    predicts, steps, why = part["predicts"], whole(part, "steps", name), ""
    if predicts not in sampler.PARAMETERISATIONS:
        why = f"predicts is one of {', '.join(sampler.PARAMETERISATIONS)}, not {predicts}"
    elif predicts == "epsilon" and part.get("zero_snr", False):
        why = "where no signal is left (zero_snr) predicts is x0 or v, not epsilon"
    try:
        made = schedules.make(part[key], steps, zero_snr=part.get("zero_snr", False))
    except ValueError as error:
        why = str(error)
    if why:
        raise TerramendError("training.config", name=name, why=why)
    return made


def noised(clean: torch.Tensor, schedule: schedules.Schedule, seed: int) -> Drawn:
    """`x`, `noise`, and `t` and `bar` (N,) of a batch of clean images (N, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.randint(1, schedule.steps + 1, (len(clean),), generator=generator)
    drawn = torch.randn(clean.shape, generator=generator)
    bar = torch.from_numpy(schedule.bar)[t - 1].float()
    return {"x": torch_forward.forward(clean, drawn, bar), "noise": drawn, "t": t, "bar": bar}
