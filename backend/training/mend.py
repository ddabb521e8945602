"""`terramend train mend`: the correction of `guided` and its uncertainty."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.base import Floats
from ...models.mend.inputs import BASE, REFERENCE, SLOTS
from ...models.mend.model import NETWORK
from ...models.mend.network import Mend
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, mend_samples, pictures
from .export import export
from .loop import Batch, Schedule
from .mend_samples import ARRAYS
from .quantize import Inputs, int8
from .recipe import Recipe, build, conclude

TURNS = 8
FULL = "full/mend.onnx"
"""The network in float32, below a run's folder; what is given away beside it is of 8 bits."""
INPUTS = (("base", (1, BASE, 32, 32)), ("references", (1, SLOTS, REFERENCE, 32, 32)))
"""Names and shapes that the network is exported with; the number of references stays as it is."""
CALIBRATION = 200
"""Crops that the scales of 8 bits come from."""
GAIN, LEVEL, TRUST = 0.25, 0.3, 0.2
"""Deviations of what batches vary: log gain and level of the band, log of the prior's deviation."""


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The run that `config` describes; samples are made first where they are missing."""
    schedule = build(Schedule, config["training"], "training")
    stores = [mend_samples.stored(part, data, watch) for part in config["samples"]]
    torch.manual_seed(schedule.seed)
    model = Mend(tuple(config["widths"]))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learnt = []
    for k, (store, part) in enumerate(zip(stores, config["samples"], strict=True)):
        kept = ~store.held_out() & (~store.made_up() | part.get("made_up", True))
        learnt += [(k, index) for index in np.flatnonzero(kept)]
    if not learnt:
        raise TerramendError("training.empty", path=str(data), wanted=mend_samples.WANTED)

    def batch(step: int, part: int) -> Batch:
        random = np.random.default_rng([schedule.seed, step, part])
        chosen = random.choice(len(learnt), schedule.batch, replace=len(learnt) < schedule.batch)
        drawn = [_crop(stores[k], index, random) for k, index in (learnt[each] for each in chosen)]
        return {name: torch.from_numpy(np.stack([crop[name] for crop in drawn])) for name in ARRAYS}

    def finish(average: torch.nn.Module, out: Path) -> None:
        save_file(checkpoint.tensors(average), out / "mend.safetensors")
        export(average, average, INPUTS, out / FULL)
        random = np.random.default_rng(schedule.seed)
        some = [learnt[index] for index in random.choice(len(learnt), CALIBRATION)]
        int8(out / FULL, (_inputs(stores[k], index) for k, index in some), out / NETWORK)
        conclude(config, out)
        pictures.losses({"mend": out / "loss.csv"}, out / "loss.png", "gain_db")

    weighed = functools.partial(loss, **config["loss"])
    return Recipe(model, batch, weighed, schedule, finish)


def loss(
    model: torch.nn.Module, batch: Batch, step: int, mean: float = 1.0, deviation: float = 0.3
) -> dict[str, torch.Tensor]:
    """`mean` x the samples' mean log MSE (easy and hard scenes count alike) + `deviation` x a Laplace NLL.

    Errors are in the prior's standard deviations. Laplace, because errors have heavy tails and a
    few large ones must not say how all are spread. Without `mean` the deviation is that of the
    prior as it is. `gain_db` is the mean gain over the prior.
    """
    said = model(batch["base"].float(), batch["references"].float()).float()
    error, scored = batch["target"][:, 0].float(), batch["target"][:, 1].float()
    count = scored.sum((1, 2)).clamp(min=1)
    left = error - said[:, 0] if mean else error
    mse = ((left**2) * scored).sum((1, 2)) / count
    before = ((error**2) * scored).sum((1, 2)) / count
    half = 0.5 * said[:, 1].clamp(-5, 6)
    nll = ((half + 2**0.5 * left.detach().abs() * torch.exp(-half)) * scored).sum((1, 2)) / count
    accuracy = torch.log(mse + 1e-2).mean()
    gain = 10 * torch.log10((before + 1e-2) / (mse + 1e-2)).mean()
    total = mean * accuracy + deviation * nll.mean()
    return {"loss": total, "accuracy": accuracy, "nll": nll.mean(), "gain_db": gain}


def _inputs(store: mend_samples.Store, index: int) -> Inputs:
    """A stored crop as the exported network takes it."""
    return {name: getattr(store, name)[index][None].astype(np.float32) for name in ("base", "references")}


def _crop(store: mend_samples.Store, index: int, random: np.random.Generator) -> dict[str, Floats]:
    """One crop, turned or mirrored, its band brighter or darker, its prior trusted more or less."""
    turn = int(random.integers(TURNS))
    crop = {}
    for name in ARRAYS:
        values: Floats = getattr(store, name)[index].astype(np.float32)
        turned = np.rot90(values, turn % 4, axes=(-2, -1))
        crop[name] = np.ascontiguousarray(turned[..., ::-1] if turn >= 4 else turned)
    base, others, target = (crop[name] for name in ARRAYS)
    gain, trust = np.exp(random.normal(0, GAIN)), np.exp(random.normal(0, TRUST))
    level = random.normal(0, LEVEL)
    gap = base[4] > 0
    present = gap | (base[3] > 0)  # not the padding
    base[0] = np.where(present, gain * base[0] + level, 0)
    base[2] = np.where(base[3] > 0, base[0], 0)
    base[6] = np.where(present & (base[6] != 0), gain * base[6] + level, base[6])
    base[1] += np.where(gap, np.log(gain * trust) / 2, 0)
    others[:, 0] = np.where(others[:, 1] > 0, gain * others[:, 0] + level, 0)
    others[:, 2] *= gain
    target[0] /= trust
    return crop
