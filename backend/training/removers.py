"""`terramend train msda-cr | memorynet | mprnet | cvae | spa-gan | amgan-cr`: networks that remove cloud.

One recipe: the same pairs, and for each network the loss of its paper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.rivals.network import NETWORKS, Discriminator, Remover, halved, make
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, haze, pictures
from .adversary import Trained, adversarial
from .export import export
from .loop import Batch, Schedule
from .recipe import REFUSED, Recipe, build, conclude, whole

Terms = dict[str, torch.Tensor]
ADVERSARIES = ("spa-gan", "amgan-cr", "mcgan", "sar-opt-cgan")
"""Networks that are trained against a discriminator."""
WEIGHTS, NETWORK = "remover.safetensors", "remover.onnx"


def built(config: Mapping[str, Any], names: Mapping[str, str] = NETWORKS) -> Remover:
    """A fresh network of a configuration's part `network`; `names` are those that it may be.

    Raises:
        TerramendError: `training.config`, naming what is wrong.
    """
    values = {key: value for key, value in config.items() if key not in ("kind", "adversary", "multiple")}
    if config["kind"] not in names:
        why = f"there is no network {config['kind']}, only {', '.join(names)}"
        raise TerramendError("training.config", name="network", why=why)
    try:
        return make(config["kind"], values)
    except REFUSED as error:
        raise TerramendError("training.config", name="network", why=str(error)) from None


def trained(config: Mapping[str, Any], names: Mapping[str, str] = NETWORKS) -> Trained[Remover]:
    """The same, with its adversary where it is trained against one."""
    network = built(config, names)
    if config["kind"] not in ADVERSARIES:
        return Trained(network)
    return Trained(network, Discriminator(network.inputs + network.outputs, config.get("adversary", 32)))


def recipe(config: dict[str, Any], data: Path, _: Watch) -> Recipe:
    """The run that `config` describes, on the pairs in `data`."""
    schedule = build(Schedule, config["training"], "training")
    kind, size = config["network"]["kind"], whole(config, "size", "network")
    bands, inputs = len(config["data"]["wavelengths"]), config["network"]["inputs"]
    if inputs != bands:
        why = f"network.inputs is {inputs}, and data.wavelengths holds {bands}"
        raise TerramendError("training.config", name=kind, why=why)
    draw = haze.source(config["data"], data, size)
    torch.manual_seed(schedule.seed)
    model = trained(config["network"])

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        cloudy, clear, known = draw(schedule.seed, number, schedule.batch, size)
        torch.manual_seed(schedule.seed * 1_000_003 + number)  # for latents drawn in the loss
        return {
            "cloudy": torch.from_numpy(cloudy),
            "clear": torch.from_numpy(clear),
            "known": torch.from_numpy(known.astype(np.float32)),
        }

    def finish(average: torch.nn.Module, out: Path) -> None:
        network: Remover = average.network  # type: ignore[assignment]
        save_file(checkpoint.tensors(network), out / WEIGHTS)
        export(network, network, [("image", (1, network.inputs, 64, 64))], out / NETWORK)
        conclude(config, out)
        cloudy, clear, _ = draw(99, 0, 4, size)
        with torch.no_grad():
            made = network(torch.from_numpy(cloudy)).numpy()
        rows = np.stack([cloudy, made, clear], 1).reshape(-1, *clear.shape[1:])
        if rows.shape[1] == 3:
            pictures.grid(np.clip((rows + 1) / 2, 0, 1), out / "samples.png", columns=3)
        pictures.losses({kind: out / "loss.csv"}, out / "loss.png")

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> Terms:
        return losses(model, kind, batch)  # type: ignore[arg-type]

    return Recipe(model, batch, loss, schedule, finish)


def load(
    run: Path,
    names: Mapping[str, str] = NETWORKS,
    weights: str = WEIGHTS,
    what: str = "a reference network",
) -> Remover:
    """The trained network of a run's folder, in eval mode.

    Args:
        names: of the networks that it may be. weights: their file. what: the run is to be of.

    Raises:
        TerramendError: `training.start`, naming what is missing; `training.config`.
    """
    try:
        config = json.loads((run / "config.json").read_text("utf-8"))["network"]
        network = built(config, names)
        network.load_state_dict(checkpoint.stored(run / weights))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise TerramendError("training.start", path=str(run), name=what, why=why) from None
    return network.eval().requires_grad_(False)


def losses(model: Trained[Remover], kind: str, batch: Batch) -> Terms:
    """Loss terms of a network on a batch of `cloudy`, `clear` and `known`."""
    network, given, truth, known = model.network, batch["cloudy"], batch["clear"], batch["known"]
    height, width = given.shape[-2:]
    if height % network.multiple or width % network.multiple:
        why = f"size must be a multiple of {network.multiple} for {kind}"
        raise TerramendError("training.config", name="size", why=why)
    found = network.stages(given, truth)
    image = found[0].float()
    error = absolute(image, truth, known)
    terms = {"error": error.detach()}
    if kind == "msda-cr":
        loss, here, seen = error, truth, known
        for coarser in found[1:]:
            here, seen = halved(here), halved(seen)
            loss = loss + 0.5 * absolute(coarser.float(), here, seen)
    elif kind in ("mprnet", "memorynet"):
        loss = sum(
            (charbonnier(stage.float(), truth, known) + 0.05 * edges(stage.float(), truth, known))
            for stage in found
        )  # type: ignore[assignment]
        if kind == "memorynet":
            terms["contrast"] = network.contrast(image, given, truth)  # type: ignore[operator]
            loss = loss + 0.1 * terms["contrast"]
    elif kind == "cvae":
        terms["divergence"] = found[1].float()
        loss = error + 1e-4 * terms["divergence"]
    else:
        clouded = ((given[:, : network.outputs] - truth).abs().amax(1, keepdim=True) > 0.2).float()
        maps = [m.float() for m in found[1:]]
        shares = [0.8 ** (len(maps) - 1 - index) for index in range(len(maps))]
        terms["map"] = sum(
            share * ((m - clouded).square() * known).mean() for share, m in zip(shares, maps, strict=True)
        )  # type: ignore[assignment]
        assert model.adversary is not None  # noqa: S101 (these kinds have one)
        fooled, caught = adversarial(model.adversary, given, image, truth)
        terms |= {"fooled": fooled, "caught": caught}
        loss = error + 0.1 * terms["map"] + 0.01 * fooled + caught
    return {"loss": loss, **terms}


def absolute(image: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of known pixels."""
    return ((image - truth).abs() * known).mean()


def charbonnier(image: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean of sqrt(d^2 + 1e-6)."""
    return (((image - truth).square() + 1e-6).sqrt() * known).mean()


def edges(image: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Charbonnier distance of the Laplacians."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=image.device)
    weights = kernel.expand(image.shape[1], 1, 3, 3)

    def laplacian(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, weights, padding=1, groups=x.shape[1])

    return charbonnier(laplacian(image), laplacian(truth), known)
