"""`terramend train mend`: the correction of `guided` and its uncertainty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from ...models.mend.inputs import BASE, REFERENCE, SLOTS
from ...models.mend.network import Mend
from ..watch import Watch
from . import mend_samples, pictures
from .loop import Batch, Schedule
from .recipe import Recipe, build

TURNS = 8


def recipe(config: dict[str, Any], data: Path) -> Recipe:
    """The run that `config` describes; samples are made first where they are missing."""
    schedule = build(Schedule, config["training"], "training")
    folder = Path(config["samples"]["folder"])
    if not (folder / "samples.json").exists():
        first, count = config["samples"]["seed"], config["samples"]["recipes"]
        seeds = range(first, first + count)
        mend_samples.build(data, folder, config["samples"]["quality"], seeds, Watch())
    store = mend_samples.open_store(folder)
    torch.manual_seed(schedule.seed)
    model = Mend(tuple(config["widths"]))

    def batch(step: int, part: int) -> Batch:
        random = np.random.default_rng([schedule.seed, step, part])
        chosen = np.sort(random.choice(len(store.base), schedule.batch, replace=False))
        turns = random.integers(0, TURNS, schedule.batch)
        arrays = {"base": store.base, "references": store.references, "target": store.target}
        return {name: _drawn(array[chosen], turns) for name, array in arrays.items()}

    def finish(average: torch.nn.Module, out: Path) -> None:
        save_file({k: v.contiguous() for k, v in average.state_dict().items()}, out / "mend.safetensors")
        (out / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
        export(average, out / "mend.onnx")
        pictures.losses({"mend": out / "loss.csv"}, out / "loss.png", "gain_db")

    return Recipe(model, batch, loss, schedule, finish)


def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
    """Mean over samples of log MSE (so that easy and hard scenes count alike) and a Gaussian NLL.

    Errors are in the prior's standard deviations. `gain_db` is the mean gain over the prior.
    """
    said = model(batch["base"].float(), batch["references"].float()).float()
    error, scored = batch["target"][:, 0].float(), batch["target"][:, 1].float()
    count = scored.sum((1, 2)).clamp(min=1)
    left = error - said[:, 0]
    mse = ((left**2) * scored).sum((1, 2)) / count
    before = ((error**2) * scored).sum((1, 2)) / count
    log_factor = said[:, 1].clamp(-5, 6)
    nll = 0.5 * (((log_factor + left.detach() ** 2 * torch.exp(-log_factor)) * scored).sum((1, 2)) / count)
    accuracy = torch.log(mse + 1e-2).mean()
    gain = 10 * torch.log10((before + 1e-2) / (mse + 1e-2)).mean()
    return {"loss": accuracy + 0.3 * nll.mean(), "accuracy": accuracy, "nll": nll.mean(), "gain_db": gain}


def export(model: torch.nn.Module, path: Path) -> None:
    """Write ONNX with free batch, height and width (multiples of 16) and `SLOTS` references."""
    example = (torch.zeros(1, BASE, 32, 32), torch.zeros(1, SLOTS, REFERENCE, 32, 32))
    free = {"base": {0: "n", 2: "h", 3: "w"}, "references": {0: "n", 3: "h", 4: "w"}}
    torch.onnx.export(
        model.eval(),
        example,
        str(path),
        input_names=["base", "references"],
        output_names=["said"],
        dynamic_axes={**free, "said": {0: "n", 2: "h", 3: "w"}},
        opset_version=17,
        dynamo=False,
    )


def _drawn(crops: mend_samples.Half, turns: NDArray[np.int64]) -> torch.Tensor:
    """Crops turned and mirrored, each by its own one of eight ways."""
    out = np.empty_like(crops)
    for crop, turn, place in zip(crops, turns, out, strict=True):
        turned = np.rot90(crop, turn % 4, axes=(-2, -1))
        place[...] = turned[..., ::-1] if turn >= 4 else turned
    return torch.from_numpy(out)
