"""`terramend train align-cr | mcgan | sar-opt-cgan | dsen2-cr | glf-cr`: cloud removal led by radar.

One recipe: the same samples, and for each network the loss of its paper.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.align_cr.inputs import SLOTS
from ...models.rivals.network import RADAR, Remover
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, pictures, radar_bank, removers
from .adversary import Trained, adversarial
from .export import export
from .loop import Batch, Schedule
from .patches import tell_left_out
from .recipe import Recipe, build, conclude, whole

Terms = dict[str, torch.Tensor]
WEIGHTS, NETWORK = "network.safetensors", "network.onnx"
CLOUD, FLOOR, POWER = 5.0, 1e-6, 0.45
"""Of Align-CR's loss: extra weight of cloud, epsilon squared, exponent."""


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The run that `config` describes, on the scenes in `data`."""
    schedule = build(Schedule, config["training"], "training")
    kind, size = config["network"]["kind"], whole(config, "size", "network")
    part = dict(config["samples"])
    radar_as = part.pop("bilinear", False), part.pop("despeckle", False)
    bank = radar_bank.shared(data, tuple(part.pop("exclude", ())), *radar_as)
    tell_left_out(bank.left, data, watch)
    shares: radar_bank.Shares = build(radar_bank.Shares, part, "samples")
    torch.manual_seed(schedule.seed)
    model = removers.trained(config["network"], RADAR)
    multiple = model.network.multiple
    if size % multiple:
        why = f"size must be a multiple of {multiple} for {kind}"
        raise TerramendError("training.config", name="size", why=why)

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        drawn = bank.draw(schedule.seed, number, schedule.batch, size, shares)
        return {name: torch.from_numpy(array) for name, array in drawn.items()}

    def finish(average: torch.nn.Module, out: Path) -> None:
        network: Remover = average.network  # type: ignore[assignment]
        save_file(checkpoint.tensors(network), out / WEIGHTS)
        kept = {**config, "network": {**config["network"], "multiple": network.multiple}}
        kept["data"] = {"wavelengths": SLOTS[: network.outputs]}
        write(network, out / NETWORK)
        conclude(kept, out)
        drawn = bank.draw(99, 0, 6, size, shares)
        given = torch.from_numpy(drawn["given"])
        with torch.no_grad():
            made = network(fitted(network, given)).numpy()
        bands = min(network.outputs, 3)
        shown = (drawn["given"][:, :bands], made[:, :bands], drawn["clear"][:, :bands])
        rows = np.stack([images[:, ::-1] for images in shown], 1).reshape(-1, bands, size, size)
        if bands == 3:
            pictures.grid(np.clip(rows * 3, 0, 1), out / "samples.png", columns=3)
        pictures.losses({kind: out / "loss.csv"}, out / "loss.png")

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> Terms:
        return losses(model, kind, batch)  # type: ignore[arg-type]

    return Recipe(model, batch, loss, schedule, finish)


def fitted(network: Remover, given: torch.Tensor) -> torch.Tensor:
    """The planes that a network takes, of all that there are: (N, 10, H, W) to (N, inputs, H, W).

    A network for four bands takes the first four; one without a plane for gaps goes without; of
    radar it takes none, the two polarisations, or these and where they are known.
    """
    bands, radar = network.outputs, int(getattr(network, "sar", 2))
    more = network.inputs - bands - radar
    first = len(SLOTS)
    parts = [given[:, :bands], given[:, first : first + more], given[:, first + 1 : first + 1 + radar]]
    return torch.cat(parts, 1)


def write(network: Remover, path: Path, native: bool = False) -> None:
    """ONNX of a network for sizes that are multiples of what it needs.

    Args:
        native: with ONNX's DeformConv in place of GridSample.
    """
    kept = copy.deepcopy(network).eval()
    if native:
        kept.native()  # type: ignore[operator]
    side = 2 * kept.multiple

    def first(x: torch.Tensor) -> torch.Tensor:
        return kept.stages(x)[0]

    export(kept, first, [("image", (1, kept.inputs, side, side))], path, opset=19 if native else 17)


def load(run: Path) -> Remover:
    """The trained network of a run's folder, in eval mode.

    Raises:
        TerramendError: `training.start`, naming what is missing; `training.config`.
    """
    return removers.load(run, RADAR, WEIGHTS, "a radar network")


def losses(model: Trained[Remover], kind: str, batch: Batch) -> Terms:
    """Loss terms of a network on a batch of `given`, `clear`, `weigh` and `known`."""
    network = model.network
    bands = network.outputs
    given = fitted(network, batch["given"])
    truth, known, cloud = batch["clear"][:, :bands], batch["known"][:, :bands], batch["weigh"]
    image = network.stages(given)[0].float()
    error = image - truth
    terms = {
        "error": (error.abs() * known).mean().detach(),
        "cloud": ((error.abs() * known * cloud).sum() / (known * cloud).sum().clamp(min=1)).detach(),
    }
    if kind == "align-cr":
        loss = charbonnier(error, known, cloud)
    elif kind == "dsen2-cr":  # cloud-adaptive: clear parts shall stay as they are given
        kept = (image - given[:, :bands]).abs()
        loss = ((cloud * error.abs() + (1 - cloud) * kept) * known).mean() + (error.abs() * known).mean()
    elif kind == "glf-cr":
        loss = (error.abs() * known).mean()
    else:
        assert model.adversary is not None  # noqa: S101 (these kinds have one)
        fooled, caught = adversarial(model.adversary, given, image, truth)
        terms |= {"fooled": fooled.detach(), "caught": caught.detach()}
        loss = 100 * (error.abs() * known).mean() + fooled + caught
    return {"loss": loss, **terms}


def charbonnier(error: torch.Tensor, known: torch.Tensor, cloud: torch.Tensor) -> torch.Tensor:
    """Mean of (1 + 5 M) (d^2 + 1e-6)^0.45, equation 8 of Xu et al. 2023; in float32."""
    weight = (1 + CLOUD * cloud) * known
    return (weight * (error.float().square() + FLOOR) ** POWER).mean()
