"""What experiments share: the words of their options, and runs that are resumed, never trained twice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..errors import TerramendError
from ..request import canonical_json
from ..training.loop import train
from ..training.recipe import made
from ..watch import Watch


def trained(
    name: str, config: dict[str, Any], data: Path, out: Path, watch: Watch, label: str = "seed"
) -> Path:
    """Folder of a finished run of `config`, named by its hash and seed; trained now where it is missing.

    Args:
        name: of the recipe.
        config: with `training`, or of a recipe in stages: that of its `stage` counts.
        label: what the folder's name says between recipe and seed.
    """
    part = config[config["stage"]] if "stage" in config else config
    seed = part["training"]["seed"]
    key = hashlib.sha256(canonical_json(config).encode()).hexdigest()[:12]
    folder = out / "runs" / f"{name}-{label}-{seed}-{key}"
    if not (folder / "config.json").exists():
        run = made(name, config, data)
        average = train(run.model, run.batch, run.loss, run.schedule, folder, watch)
        run.finish(average, folder)
    return folder


def named(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a list with commas.

    Raises:
        TerramendError: a word that is not known.
    """
    words = tuple(word for word in text.split(",") if word)
    for word in words:
        if word not in known:
            why = f"{word} is none of {', '.join(known)}"
            raise TerramendError("command.option", option=option, why=why)
    return words
