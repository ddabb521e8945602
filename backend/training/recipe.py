"""What a network needs to be trained: model, batches, loss, pictures, export. One module a network."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch

from ..errors import TerramendError
from .loop import Batch, Schedule

CONFIGS = Path(__file__).parent / "configs"
RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "aligndiff": ".aligndiff",
        "align-cr": ".radar",
        "amgan-cr": ".removers",
        "autoencoder": ".fillers",
        "controlnet": ".aligndiff",
        "cvae": ".removers",
        "ddpm": ".ddpm",
        "de": ".de",
        "dsen2-cr": ".radar",
        "glf-cr": ".radar",
        "lama": ".fillers",
        "mcgan": ".radar",
        "memorynet": ".removers",
        "mend": ".mend",
        "mprnet": ".removers",
        "msda-cr": ".removers",
        "palette": ".fillers",
        "sar-opt-cgan": ".radar",
        "segmenter": ".segmenter",
        "spa-gan": ".removers",
        "stcnn": ".fillers",
    }
)
"""Name of each trainable network and the module that holds its `recipe(config, data)`."""


@dataclass(frozen=True)
class Recipe:
    """A training run, ready for `loop.train`.

    Attributes:
        model: fresh weights. batch, loss: as `loop.train` takes them.
        schedule: how long and how fast.
        finish: (averaged model, out folder): writes weights, export and pictures.
    """

    model: torch.nn.Module
    batch: Callable[[int, int], Batch]
    loss: Callable[[torch.nn.Module, Batch, int], dict[str, torch.Tensor]]
    schedule: Schedule
    finish: Callable[[torch.nn.Module, Path], None]


class Maker(Protocol):
    """What a recipe module offers."""

    def recipe(self, config: dict[str, Any], data: Path) -> Recipe:
        """The run that `config` describes, on the scenes in `data`."""


def maker(name: str) -> Maker:
    """The module that trains `name`.

    Raises:
        TerramendError: `training.unknown`.
    """
    if name not in RECIPES:
        raise TerramendError("training.unknown", name=name, names=", ".join(sorted(RECIPES)))
    module: Maker = importlib.import_module(RECIPES[name], __package__)  # type: ignore[assignment]
    return module


def load_config(name: str, size: str, changes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The configuration of a network: `small`, `paper`, or a JSON file; `changes` as `a.b=value`.

    Raises:
        TerramendError: `training.config`, naming what is wrong.
    """
    path = CONFIGS / f"{name}-{size}.json" if "." not in size else Path(size)
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except OSError:
        raise TerramendError("training.config", name=size, why="there is no such file") from None
    except ValueError as error:
        raise TerramendError("training.config", name=size, why=f"it is no JSON ({error})") from None
    for key, text in (changes or {}).items():
        *folders, last = key.split(".")
        place = config
        for folder in folders:
            place = place.get(folder, {})
        if last not in place:
            raise TerramendError("training.config", name=size, why=f"it has no entry {key}")
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return config


def build(cls: Any, values: Mapping[str, Any], name: str) -> Any:
    """A frozen dataclass from a part of a configuration; lists become tuples.

    Raises:
        TerramendError: `training.config` for an entry that `cls` does not know or misses.
    """
    known = {field.name for field in dataclasses.fields(cls)}
    for key in values:
        if key not in known:
            raise TerramendError("training.config", name=name, why=f"{key} means nothing there")
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except TypeError as error:
        raise TerramendError("training.config", name=name, why=str(error)) from None
