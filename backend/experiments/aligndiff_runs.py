"""Runs of the AlignDiff experiment: our stages by seed, rivals that saw as many samples, bands together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...models.aligndiff.network import STAGES
from ..training.names import changes_of
from ..training.recipe import load_config
from ..watch import Watch
from .runs import trained

RIVALS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "1": {
        "palette": (),
        "lama": (),
        "stcnn": ("observed", "gap", "terrain"),
        "autoencoder": ("observed", "gap", "terrain"),
    },
    "2": {"palette": (), "lama": (), "stcnn": (), "autoencoder": ()},
}
"""Networks of each task and what of the hint they are given (the halves of the paper's table 3); none: as
their configuration says."""
VISIBLE = (490.0, 560.0, 665.0, 842.0)
"""Nanometres of the bands that are drawn together, where bands together are compared with one by one."""


def check(options: argparse.Namespace) -> None:
    """Look every stage's entries up.

    Raises:
        KeyError: one is missing.
    """
    for stage in STAGES:
        _stage(options, _config(options), stage, 0, "samples")


def ours(options: argparse.Namespace, seed: int, watch: Watch) -> dict[str, Path]:
    """Folders of a seed's three stages, and of diffusion that never saw a DEM (`plain`).

    The autoencoder is trained whole, once: all rows share it, so no budget is saved on it.
    """
    config = _config(options)
    folders: dict[str, Path] = {}
    for name, before in (
        ("autoencoder", ""),
        ("diffusion", "autoencoder"),
        ("adapter", "diffusion"),
        ("plain", "autoencoder"),
    ):
        stage = "diffusion" if name == "plain" else name
        start = str(folders[before]) if before else config["start"]
        changes = {"start": start, "data": {**config["data"], "terrain": name != "plain"}}
        chosen = _stage(options, config, stage, seed, "samples-plain" if name == "plain" else "samples")
        folders[name] = trained("aligndiff", {**chosen, **changes}, options, watch, name)
    return folders


def together(options: argparse.Namespace, autoencoder: Path, watch: Watch) -> Path:
    """Folder of diffusion that draws `VISIBLE` together, over the autoencoder of single bands."""
    config = _config(options)
    chosen = _stage(options, config, "diffusion", 0, "samples-together")
    chosen |= {
        "start": str(autoencoder),
        "data": {**config["data"], "wavelengths": list(VISIBLE)},
        "network": {**config["network"], "bands": len(VISIBLE)},
    }
    return trained("aligndiff", chosen, options, watch, "together")


def rivals(options: argparse.Namespace, task: str, watch: Watch) -> dict[str, Path]:
    """Folder of each rival of a task; it sees as many of the same samples as AlignDiff's last two stages."""
    config = _config(options)
    seen = sum(
        part["steps"] * part["batch"]
        for part in (_stage(options, config, stage, 0, "samples")[stage]["training"] for stage in STAGES[1:])
    )
    folders = {}
    for name, given in RIVALS[task].items():
        own = load_config(name, "small")
        training = {**own["training"], "seed": 0}
        training["steps"] = max(1, round(seen / training["batch"]))
        training["warmup"] = min(training["warmup"], training["steps"] // 4)
        chosen = {
            **own,
            "size": config["size"],
            "without": config["without"],
            "samples": {**config["samples"], "folder": str(options.out / "samples")},
            "network": {**own["network"], **({"given": list(given)} if given else {})},
            "training": training,
        }
        label = "terrain" if "terrain" in given else "seed"
        folders[name] = trained(name, chosen, options, watch, label)
    return folders


def _config(options: argparse.Namespace) -> dict[str, Any]:
    return load_config("aligndiff", options.config, changes_of(options))


def _stage(
    options: argparse.Namespace, config: Mapping[str, Any], stage: str, seed: int, samples: str
) -> dict[str, Any]:
    """The configuration of one stage: its share of the budget, its seed, its samples."""
    training = {**config[stage]["training"], "seed": 0 if stage == STAGES[0] else seed}
    if stage != STAGES[0]:
        training["steps"] = max(1, round(training["steps"] * options.budget))
        training["warmup"] = min(training["warmup"], training["steps"] // 4)
    return {
        **config,
        "stage": stage,
        "samples": {**config["samples"], "folder": str(options.out / samples)},
        stage: {**config[stage], "training": training},
    }
