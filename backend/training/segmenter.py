"""`terramend train segmenter`: land cover of clear images, to judge reconstructions by.

Its labels are a rule's on the clear image, as the pack has but one small map.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file

from ...models.align_cr.network_segment import DeepLab, Small
from ..datasets import landcover
from ..errors import TerramendError
from ..watch import Watch
from . import checkpoint, pictures, radar_bank
from .loop import Batch, Schedule
from .patches import tell_left_out
from .recipe import REFUSED, Recipe, build, conclude, whole

KINDS = {"small": Small, "deeplabv3+": DeepLab}
WEIGHTS = "segmenter.safetensors"


def built(config: dict[str, Any]) -> torch.nn.Module:
    """A fresh network of a configuration's part `network`.

    Raises:
        TerramendError: `training.config`.
    """
    values = {key: value for key, value in config.items() if key != "kind"}
    try:
        return KINDS[config["kind"]](**values)
    except (KeyError, *REFUSED) as error:
        raise TerramendError("training.config", name="network", why=str(error)) from None


def recipe(config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The run that `config` describes, on the clear images in `data`."""
    schedule = build(Schedule, config["training"], "training")
    part, bands, size = dict(config["samples"]), config["network"]["bands"], whole(config, "size", "network")
    bank = radar_bank.shared(data, tuple(part.pop("exclude", ())))
    tell_left_out(bank.left, data, watch)
    shares = radar_bank.Shares(radar=0.5, pair=0, haze=0, four=0)
    torch.manual_seed(schedule.seed)
    model = built(config["network"])

    def batch(step: int, part: int) -> Batch:
        number = step * schedule.accumulate + part
        drawn = bank.draw(schedule.seed, number, schedule.batch, size, shares)
        truth = np.where(drawn["known"] > 0.5, drawn["clear"], np.nan)
        labels = np.stack([landcover.by_rule(image) for image in truth]).astype(np.int64)
        image = np.nan_to_num(truth[:, :bands]).astype(np.float32)
        return {"image": torch.from_numpy(image), "labels": torch.from_numpy(labels)}

    def finish(average: torch.nn.Module, out: Path) -> None:
        save_file(checkpoint.tensors(average), out / WEIGHTS)
        conclude(config, out)
        pictures.losses({"segmenter": out / "loss.csv"}, out / "loss.png")

    return Recipe(model, batch, loss, schedule, finish)


def loss(model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
    """Cross entropy of known pixels, and the share of them that is right."""
    scores, labels = model(batch["image"]).float(), batch["labels"]
    known = labels != landcover.UNKNOWN
    right = ((scores.argmax(1) == labels) & known).sum() / known.sum().clamp(min=1)
    return {"loss": F.cross_entropy(scores, labels, ignore_index=landcover.UNKNOWN), "right": right}


def load(run: Path) -> torch.nn.Module:
    """The trained network of a run's folder, in eval mode."""
    network = built(json.loads((run / "config.json").read_text("utf-8"))["network"])
    network.load_state_dict(checkpoint.stored(run / WEIGHTS))
    return network.eval().requires_grad_(False)


@torch.no_grad()
def classes(network: torch.nn.Module, image: np.ndarray, bands: int) -> landcover.Classes:
    """(H, W) classes of (B, H, W) reflectance; sizes are continued to what the network needs."""
    multiple = int(network.multiple)  # type: ignore[arg-type]
    height, width = image.shape[1:]
    given = np.pad(
        np.nan_to_num(image[:bands]), ((0, 0), (0, -height % multiple), (0, -width % multiple)), "edge"
    )
    scores = network(torch.from_numpy(given.astype(np.float32))[None])[0, :, :height, :width]
    return np.asarray(scores.argmax(0).numpy(), np.uint8)
