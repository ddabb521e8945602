"""Folders of trained runs: named by the hash of their configuration, resumed, never trained twice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..request import canonical_json
from ..training.loop import train
from ..training.recipe import maker
from ..watch import Watch


def trained(
    name: str, config: dict[str, Any], data: Path, out: Path, watch: Watch, label: str = "seed"
) -> Path:
    """Folder of a finished run of `config`, which says its seed; trained now where it is missing."""
    seed = config["training"]["seed"]
    key = hashlib.sha256(canonical_json(config).encode()).hexdigest()[:12]
    folder = out / "runs" / f"{name}-{label}-{seed}-{key}"
    if not (folder / "config.json").exists():
        made = maker(name).recipe(config, data)
        average = train(made.model, made.batch, made.loss, made.schedule, folder, watch)
        made.finish(average, folder)
    return folder
