"""What the command line knows of training before torch is imported: the networks by name, and `--set`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import TerramendError

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
"""Name of each trainable network and the module that makes its recipe (`recipe.Maker`)."""


BEGUN, NAME, DATA = "begun.json", "NAME", "--data"
"""A run's file of what it was begun with, and its entries that tell the network and its data's contents."""


def module_of(name: str) -> str:
    """The module that trains `name`, relative to this package.

    Raises:
        TerramendError: `training.unknown`.
    """
    if name not in RECIPES:
        raise TerramendError("training.unknown", name=name, names=", ".join(sorted(RECIPES)))
    return RECIPES[name]


def trained_by(module: str) -> tuple[str, ...]:
    """Names of the networks that one module trains, sorted."""
    return tuple(sorted(name for name, its in RECIPES.items() if its == module))


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add `--set`, which `changes_of` reads."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="entry of the configuration to change; repeatable",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, which `device.on_torch` understands."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="cpu",
        help="processor that trains the networks (default: cpu)",
    )


def changes_of(options: argparse.Namespace) -> dict[str, str]:
    """What `--set` changes of a configuration, as `load_config` takes it."""
    return dict(text.partition("=")[::2] for text in options.set)
