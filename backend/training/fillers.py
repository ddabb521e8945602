"""`terramend train palette | lama | stcnn | autoencoder`: rivals of AlignDiff, on its samples.

The same crops, gaps and hints as AlignDiff's own stages, stored once; a configuration says which parts of
the hint a network sees (`network.given`): without `terrain` and `last` it is what its paper had, with
`last` it fills from the previous date, with `terrain` from the DEM (the two halves of AlignDiff's table 3).
LaMa may begin from published weights: `--set start=big-lama.safetensors` (with `training.steps=0` they are
taken as they are).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ...models.aligndiff.hint import channels
from ...models.diffusion import torch_forward
from ...models.rivals.fill import NETWORK
from ...models.rivals.network import Discriminator
from ...models.rivals.network_fill import NETWORKS, Filler, make
from ...models.rivals.network_lama import Lama
from ...models.rivals.network_time import Autoencoder
from ..errors import TerramendError
from ..failure import reason
from ..watch import Watch
from . import aligndiff_samples as samples
from . import checkpoint, noising, pictures
from .adversary import Trained, adversarial
from .export import export
from .loop import Batch, Schedule
from .recipe import REFUSED, Recipe, build, conclude, whole

WEIGHTS = "filler.safetensors"
FOOLING = 0.01
"""What LaMa's adversary counts beside the absolute error."""
Terms = dict[str, torch.Tensor]


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The run that `config` describes, on the clear scenes in `data`.

    Raises:
        TerramendError: `training.config`, `training.start`, `training.empty`.
    """
    schedule = build(Schedule, config["training"], "training")
    kind, predicts = config["network"]["kind"], config["noise"]["predicts"]
    size = whole(config, "size", "network")
    forward = noising.forward(config, "noise.schedule")
    torch.manual_seed(schedule.seed)
    network = fresh(config)
    if config.get("start"):
        _begin(network, Path(config["start"]))
    if size % network.multiple:
        raise _wrong(f"size must be a multiple of {network.multiple} for {kind}")
    store = samples.stored(config, data, terrain=True, watch=watch)
    bands = network.bands

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        random = np.random.default_rng([schedule.seed, number])
        chosen = np.sort(
            random.choice(len(store.hint), schedule.batch, replace=len(store.hint) < schedule.batch)
        )
        hint = torch.from_numpy(store.hint[chosen].astype(np.float32))
        clean = torch.from_numpy(store.clean[chosen].astype(np.float32))
        out = {"hint": hint, "clean": clean}
        if network.diffusion:
            made = noising.noised(clean, forward, schedule.seed * 1_000_003 + number)
            wanted = torch_forward.wanted(clean, made["noise"], made["bar"], predicts)
            out |= {"x": made["x"], "t": made["t"], "wanted": wanted}
        if isinstance(network, Autoencoder):
            generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + number)
            out["probe"] = torch.randn((len(hint), len(network.chosen), *hint.shape[2:]), generator=generator)
        return out

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> Terms:
        return losses(model, batch, config.get("contraction", 0.0))  # type: ignore[arg-type]

    def finish(average: torch.nn.Module, out: Path) -> None:
        assert isinstance(average, Trained)  # noqa: S101 (for the types)
        write(average.network, config, out)
        seen = batch(0, 0)
        if not network.diffusion:
            with torch.no_grad():
                made = average.network(seen["hint"])
            rows = torch.stack([seen["hint"][:, 5 : 5 + bands], made, seen["clean"]], 1)[:8, :, :1]
            sheet = rows.reshape(-1, 1, *rows.shape[3:]).expand(-1, 3, -1, -1).numpy()
            pictures.grid(np.clip((sheet + 1) / 2, 0, 1).astype(np.float32), out / "samples.png", columns=3)
        if schedule.steps:
            pictures.losses({kind: out / "loss.csv"}, out / "loss.png")

    width = config["network"].get("adversary", 0)
    adversary = Discriminator(len(network.chosen) + bands, width) if width else None
    return Recipe(Trained(network, adversary), batch, loss, schedule, finish)


def fresh(config: dict[str, Any]) -> Filler:
    """The network of a configuration, untrained.

    Raises:
        TerramendError: `training.config`.
    """
    part = {key: value for key, value in config["network"].items() if key not in ("kind", "adversary")}
    try:
        return make(config["network"]["kind"], part)
    except KeyError as error:
        raise _wrong(f"there is no network {error}, only {', '.join(NETWORKS)}") from None
    except REFUSED as error:
        raise _wrong(str(error)) from None


def losses(model: Trained[Filler], batch: Batch, contraction: float = 0.0) -> Terms:
    """Loss terms of a network on a batch; hidden pixels count most."""
    network, hint, clean = model.network, batch["hint"], batch["clean"]
    weight = samples.KNOWN + (1 - samples.KNOWN) * hint[:, 4:5]
    weight = weight / weight.mean()
    if network.diffusion:
        said = network(batch["x"], batch["t"], hint).float()
        return {"loss": ((said - batch["wanted"]).square() * weight).mean()}
    image = network(hint).float()
    apart = image - clean
    if isinstance(network, Lama):
        error = (apart.abs() * weight).mean()
        if model.adversary is None:
            return {"loss": error}
        fooled, caught = adversarial(model.adversary, network.seen(hint), image, clean)
        return {"loss": error + FOOLING * fooled + caught, "error": error, "fooled": fooled, "caught": caught}
    error = (apart.square() * weight).mean()
    if isinstance(network, Autoencoder) and contraction:
        shrink = network.contraction(hint, batch["probe"])
        return {"loss": error + contraction * shrink, "error": error, "contraction": shrink}
    return {"loss": error}


def write(network: Filler, config: dict[str, Any], out: Path) -> None:
    """Weights, configuration and the graph that the light environment runs."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(checkpoint.tensors(network), out / WEIGHTS)
    facts = {"multiple": network.multiple, "diffusion": network.diffusion}
    side = 4 * network.multiple if network.multiple > 8 else 32
    hint = (1, channels(network.bands), side, side)
    inputs: list[tuple[str, Any]] = [("hint", hint)]
    if network.diffusion:
        inputs = [("x", (1, network.bands, side, side)), ("t", (1,)), *inputs]
    export(network, network, inputs, out / NETWORK)
    conclude({**config, "facts": facts}, out)


def _begin(network: Filler, path: Path) -> None:
    try:
        if not isinstance(network, Lama):
            raise ValueError("only lama begins from published weights")
        network.take(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        why = reason(error)[:200]
        raise TerramendError("training.start", path=str(path), name="lama", why=why) from None


def _wrong(why: str) -> TerramendError:
    return TerramendError("training.config", name="network", why=why)
