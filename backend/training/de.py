"""`terramend train de`: Diffusion Enhancement in its three stages.

A configuration holds all three; `stage` says which one runs, and `start` names the folder
of the stage before it:

    terramend train de --data DATA --out out/de/coarse
    terramend train de --data DATA --out out/de/weights --set stage=weights --set start=out/de/coarse
    terramend train de --data DATA --out out/de/joint --set stage=joint --set start=out/de/weights
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.base import Floats
from ...models.diffusion import sampler, schedules
from ...models.diffusion.noise import noise
from ...models.diffusion.unet import UNetConfig
from ...models.diffusion_enhancement.fusion import LIMIT, FusionStep, enhance
from ...models.diffusion_enhancement.network import STAGES, Enhancement, EnhancementConfig, freeze, losses
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, gap_crops, haze, noising, pictures, removers
from .export import export
from .loop import Batch, Schedule
from .recipe import Recipe, build, check_start, conclude, whole

WEIGHTS = "de.safetensors"
Drawn = dict[str, torch.Tensor]
"""`condition`, `reference`, `clean` (network units) and `scored` of a batch."""


def layout(config: dict[str, Any]) -> EnhancementConfig:
    """The networks' layout; channels follow from bands and mask."""
    part = config["network"]
    nets = {
        name: build(UNetConfig, {"inputs": 0, "outputs": 0, **part[name]}, f"network.{name}")
        for name in ("predictor", "allocator")
    }
    return build(EnhancementConfig, {**part, **nets}, "network")  # type: ignore[no-any-return]


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The stage that `config` names."""
    stage = config["stage"]
    if stage not in STAGES:
        why = f"stage is one of {', '.join(STAGES)}, not {stage}"
        raise TerramendError("training.config", name="de", why=why)
    part, clip = config[stage], config["diffusion"]["clip"]
    schedule = build(Schedule, part["training"], f"{stage}.training")
    _fits(config)
    forward, predicts = noising.forward(config, "diffusion.noise"), config["diffusion"]["predicts"]
    size, shrink = (whole(part, key, stage) for key in ("size", "shrink"))
    drawn = source(config, data, watch)
    torch.manual_seed(schedule.seed)
    model = Enhancement(layout(config))
    if stage != "coarse":
        start(model, Path(config["start"]))
    freeze(model, stage)

    def batch(step: int, number: int) -> Batch:
        number += step * schedule.accumulate
        made = drawn(schedule.seed, number, schedule.batch, size, shrink)
        return {**made, **noised(made["clean"], forward, schedule.seed * 1_000_003 + number)}

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        own = bool(part.get("rollout", False))
        return losses(model, batch, stage, config["balance"], clip, predicts, own)  # type: ignore[arg-type]

    def finish(average: torch.nn.Module, out: Path) -> None:
        write(average, config, out)  # type: ignore[arg-type]
        seen = drawn(99, 0, 4, size, shrink)
        share = {"weight": 0.0, "limit": 0.0} if stage == STAGES[0] else {}
        *_, last = sample(average, config, seen, min(10, forward.steps), seed=1, **share)  # type: ignore[arg-type]
        sheet = [seen["condition"][:, : config["network"]["bands"]].numpy(), seen["reference"].numpy()]
        sheet += [last.sample, seen["clean"].numpy()]
        rows = np.stack([image[:, [0, 0, 0] if image.shape[1] < 3 else [0, 1, 2]] for image in sheet], 1)
        rows = rows.reshape(-1, *rows.shape[2:])
        pictures.grid(np.clip((rows / clip + 1) / 2, 0, 1).astype(np.float32), out / "samples.png")
        pictures.losses({f"de, {stage}": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)


def _fits(config: dict[str, Any]) -> None:
    """Refuse entries that contradict each other, before anything is read."""
    use, bands, clip = config["use"], config["network"]["bands"], config["diffusion"]["clip"]
    if use not in ("clear", "fill"):
        raise TerramendError("training.config", name="de", why=f"use is clear or fill, not {use}")
    check_start(config, STAGES, "de")
    if not clip > 0:
        raise TerramendError("training.config", name="diffusion", why=f"clip lies above 0, not {clip}")
    if use == "clear" and bands != len(config["data"]["wavelengths"]):
        why = f"network.bands is {bands}, and data.wavelengths holds {len(config['data']['wavelengths'])}"
        raise TerramendError("training.config", name="de", why=why)


def source(config: dict[str, Any], data: Path, watch: Watch) -> Callable[[int, int, int, int, int], Drawn]:
    """(seed, step, count, size, shrink) to a batch: pairs with a reference network, or gaps of `guided`.

    Raises:
        TerramendError: nothing to learn from, or no reference network.
    """
    if config["use"] == "fill":
        return gap_crops.source(config, data, watch)
    part = config[config["stage"]]
    pairs = haze.source(config["data"], data, part["size"] * part["shrink"])
    alone = config["stage"] == STAGES[0]  # the first stage has no use for a reference
    reference = None if alone else removers.load(Path(config["reference"]))

    def draw(seed: int, step: int, count: int, size: int, shrink: int) -> Drawn:
        cloudy, clear, known = pairs(seed, step, count, size, shrink)
        given = torch.from_numpy(cloudy)
        with torch.no_grad():
            guess = given if reference is None else reference(given).clamp(-1, 1)
        scored = torch.from_numpy(known.astype(np.float32))
        return {"condition": given, "reference": guess, "clean": torch.from_numpy(clear), "scored": scored}

    return draw


def noised(clean: torch.Tensor, schedule: schedules.Schedule, seed: int) -> Drawn:
    """As `noising.noised`, with the last t and its alpha-bar, from which rollouts begin."""
    made = noising.noised(clean, schedule, seed)
    last = torch.full_like(made["bar"], schedule.bar[-1])
    return {**made, "last": torch.full_like(made["t"], schedule.steps), "last_bar": last}


def start(model: Enhancement, run: Path) -> None:
    """Take the weights of an earlier stage.

    Raises:
        TerramendError: `training.start`.
    """
    try:
        model.load_state_dict(checkpoint.stored(run / WEIGHTS))
    except (OSError, RuntimeError, ValueError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise TerramendError("training.start", path=str(run), name="de", why=why) from None


def load(run: Path) -> tuple[Enhancement, dict[str, Any]]:
    """Networks and configuration of a run's folder."""
    try:
        config: dict[str, Any] = json.loads((run / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TerramendError("training.start", path=str(run), name="de", why=str(error)) from None
    model = Enhancement(layout(config))
    start(model, run)
    return model.eval(), config


def sample(
    model: Enhancement,
    config: dict[str, Any],
    given: Drawn,
    steps: int,
    *,
    limit: float = LIMIT,
    seed: int = 0,
    weight: float | None = None,
) -> list[FusionStep]:
    """A DDIM run in torch; `weight` fixes W instead of asking the allocator."""
    forward = noising.forward(config, "diffusion.noise")
    condition, reference = given["condition"], given["reference"]
    count, bands, height, width = reference.shape

    def times(t: int) -> torch.Tensor:
        return torch.full((count,), t)

    @torch.no_grad()
    def predict(x: Floats, t: int) -> Floats:
        out: Floats = model.noise(torch.from_numpy(x), times(t), condition).numpy()
        return out

    @torch.no_grad()
    def weigh(x: Floats, t: int) -> Floats:
        if weight is not None:
            return np.full(x.shape, weight, np.float32)
        out: Floats = model.weight(torch.from_numpy(x), times(t), condition, reference).numpy()
        return out

    begin = np.stack([noise(seed + index, 0, bands, 0, 0, height, width) for index in range(count)])
    known = condition[:, bands:].numpy() < 0.5 if config["network"]["mask"] else None
    run = enhance(
        forward,
        predict,
        weigh,
        reference.numpy(),
        begin,
        sampler.spaced(forward.steps, steps),
        limit=limit,
        clip=config["diffusion"]["clip"],
        known=known,
        predicts=config["diffusion"]["predicts"],
    )
    return list(run)


def write(model: Enhancement, config: dict[str, Any], out: Path) -> None:
    """Weights and configuration; of the last stage the networks as ONNX too, the reference's among them."""
    save_file(checkpoint.tensors(model), out / WEIGHTS)
    if config["stage"] == STAGES[-1]:
        _graphs(model, config, out)
    conclude(config, out)


def _graphs(model: Enhancement, config: dict[str, Any], out: Path) -> None:
    bands, extra = model.config.bands, int(model.config.mask)
    image, condition = (1, bands, 64, 64), (1, bands + extra, 64, 64)
    inputs = [("sample", image), ("t", (1,)), ("condition", condition)]
    export(model, model.noise, inputs, out / "predictor.onnx")
    export(model, model.weight, [*inputs, ("reference", image)], out / "allocator.onnx")
    network = Path(config["reference"]) / removers.NETWORK
    if config["use"] == "clear" and network.exists():
        shutil.copyfile(network, out / "reference.onnx")
