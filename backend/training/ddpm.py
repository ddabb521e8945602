"""DDPM on RGB patches: the noise-schedule report's training and ours.

The report's radiometry (DN/5000, gamma 1/2.2) is applied in one place, `display`. Where the network says
the velocity, its error counts alpha-bar times, as in the library that the report used: it is then the
error of the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.base import Floats
from ...models.ddpm.model import RGB, TOP, ddim
from ...models.diffusion import torch_forward
from ...models.diffusion.scaling import shown
from ...models.diffusion.unet import UNet, UNetConfig
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, noising, pictures
from .export import export
from .loop import Batch, Schedule
from .patches import averaged, clear_bank, tell_left_out
from .recipe import Recipe, build, conclude, whole


def display(reflectance: Floats) -> Floats:
    """Reflectance to -1..1 as the network sees it: DN/5000 (reflectance / 0.5), gamma 1/2.2."""
    return shown(reflectance, TOP)


def crops(
    config: dict[str, Any], data: Path, watch: Watch, without: Sequence[str] = ()
) -> Callable[[int, int, int], Floats]:
    """(seed, step, count) to (count, 3, size, size) crops of clear scenes in -1..1.

    `shrink` pixels a side are averaged to one first, where the configuration has it.

    Raises:
        TerramendError: `training.empty`, `training.config`.
    """
    size, shrink = (whole({"shrink": 1, **config}, key, "ddpm") for key in ("size", "shrink"))
    bank = clear_bank(data, RGB, size * shrink, without)
    tell_left_out(bank.left, data, watch)

    def drawn(seed: int, step: int, count: int) -> Floats:
        return averaged(display(bank.draw(seed, step, count, size * shrink)), shrink)

    return drawn


def draw(
    model: torch.nn.Module, config: dict[str, Any], count: int, size: int, steps: int, seed: int
) -> Floats:
    """(count, 3, size, size) samples in -1..1 by DDIM."""
    schedule = noising.forward(config, "diffusion.noise")

    def denoise(x: Floats, t: int) -> Floats:
        with torch.no_grad():
            out: Floats = model(torch.from_numpy(x), torch.full((count,), t)).numpy()
        return out

    return ddim(schedule, denoise, config["diffusion"]["predicts"], count, size, steps, seed)


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The run that `config` describes, on the clear scenes in `data`."""
    schedule = build(Schedule, config["training"], "training")
    net = build(UNetConfig, config["network"], "network")
    if (net.inputs, net.outputs) != (3, 3):
        why = "inputs and outputs must be 3: red, green, blue"
        raise TerramendError("training.config", name="network", why=why)
    forward, kind = noising.forward(config, "diffusion.noise"), config["diffusion"]["predicts"]
    drawn, size = crops(config, data, watch, config.get("without", ())), config["size"]
    torch.manual_seed(schedule.seed)
    model = UNet(net)

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        clean = torch.from_numpy(drawn(schedule.seed, number, schedule.batch))
        made = noising.noised(clean, forward, schedule.seed * 1_000_003 + number)
        weight = made["bar"] if kind == "v" else torch.ones_like(made["bar"])
        wanted = torch_forward.wanted(clean, made["noise"], made["bar"], kind)
        return {"x": made["x"], "t": made["t"], "wanted": wanted, "weight": weight}

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        error = (model(batch["x"], batch["t"]).float() - batch["wanted"]).square().mean((1, 2, 3))
        return {"loss": (error * batch["weight"]).mean()}

    def finish(average: torch.nn.Module, out: Path) -> None:
        save_file(checkpoint.tensors(average), out / "ddpm.safetensors")
        export(average, average, [("sample", (1, 3, 64, 64)), ("t", (1,))], out / "ddpm.onnx")
        conclude(config, out)
        samples = draw(average, config, 16, size, min(50, forward.steps), seed=1)
        pictures.grid(np.clip((samples + 1) / 2, 0, 1), out / "samples.png")
        pictures.losses({"ddpm": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)
