"""DDPM on RGB patches: the noise-schedule report's network and ours.

The report's radiometry (DN/5000, gamma 1/2.2) is applied in one place, `display`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from ...models.ddpm.model import TOP
from ...models.diffusion import sampler, schedules
from ...models.diffusion.noise import noise
from ...models.diffusion.scaling import shown
from ...models.diffusion.unet import UNet, UNetConfig
from . import checkpoint, pictures
from .export import export
from .loop import Batch, Schedule
from .patches import RGB, clear_bank
from .recipe import Recipe, build

Floats = NDArray[np.float32]


def display(reflectance: Floats) -> Floats:
    """Reflectance to -1..1 as the network sees it: DN/5000 (reflectance / 0.5), gamma 1/2.2."""
    return shown(reflectance, TOP)


def diffusion(config: dict[str, Any]) -> schedules.Schedule:
    """The noise schedule of a configuration."""
    part = config["diffusion"]
    return schedules.make(part["noise"], part["steps"], zero_snr=part["zero_snr"])


def noised(
    clean: torch.Tensor, schedule: schedules.Schedule, seed: tuple[int, int], kind: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_t, t and what the network should say, for a batch of clean images.

    Args:
        clean: (N, C, H, W) in -1..1. seed: (run, step). kind: `epsilon`, `x0` or `v`.
    """
    generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
    t = torch.randint(1, schedule.steps + 1, (len(clean),), generator=generator)
    drawn = torch.randn(clean.shape, generator=generator)
    bar = torch.from_numpy(schedule.bar)[t - 1].float()[:, None, None, None]
    x = bar.sqrt() * clean + (1 - bar).sqrt() * drawn
    wanted = {"epsilon": drawn, "x0": clean, "v": bar.sqrt() * drawn - (1 - bar).sqrt() * clean}[kind]
    return x, t, wanted


def draw(
    model: torch.nn.Module, config: dict[str, Any], count: int, size: int, steps: int, seed: int
) -> Floats:
    """(count, 3, size, size) samples in -1..1 by DDIM."""
    schedule = diffusion(config)

    def denoise(x: Floats, t: int) -> Floats:
        with torch.no_grad():
            out: Floats = model(torch.from_numpy(x), torch.full((count,), t)).numpy()
        return out

    start = np.stack([noise(seed, index, 3, 0, 0, size, size) for index in range(count)])
    run = sampler.run(
        schedule,
        denoise,
        start,
        sampler.spaced(schedule.steps, steps),
        lambda _: np.zeros_like(start),
        parameterisation=config["diffusion"]["predicts"],
        clip=1.0,
    )
    *_, last = run
    return last.sample


def recipe(config: dict[str, Any], data: Path) -> Recipe:
    """The run that `config` describes, on the clear scenes in `data`."""
    schedule = build(Schedule, config["training"], "training")
    net = build(UNetConfig, config["network"], "network")
    bank = clear_bank(data, RGB, config["size"], without=config.get("without", ()))
    forward = diffusion(config)
    kind = config["diffusion"]["predicts"]
    torch.manual_seed(schedule.seed)
    model = UNet(net)

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        clean = torch.from_numpy(display(bank.draw(schedule.seed, number, schedule.batch, config["size"])))
        x, t, wanted = noised(clean, forward, (schedule.seed, number), kind)
        return {"x": x, "t": t, "wanted": wanted}

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        return {"loss": (model(batch["x"], batch["t"]).float() - batch["wanted"]).square().mean()}

    def finish(average: torch.nn.Module, out: Path) -> None:
        save_file(checkpoint.tensors(average), out / "ddpm.safetensors")
        (out / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
        export(average, average, [("sample", (1, 3, 64, 64)), ("t", (1,))], out / "ddpm.onnx")
        samples = draw(average, config, 16, config["size"], 50, seed=1)
        pictures.grid(np.clip((samples + 1) / 2, 0, 1), out / "samples.png")
        pictures.losses({"ddpm": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)
