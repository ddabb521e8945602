"""`terramend train NAME`: one network, one configuration, one folder that can be resumed.

torch is imported when training begins, so that `--help` answers everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..device import on_torch
from ..errors import TerramendError
from ..failure import cancelled_as
from ..watch import Watch
from . import names
from .alone import alone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend train`."""
    parser.add_argument("name", metavar="NAME", help="network to train: " + ", ".join(sorted(names.RECIPES)))
    parser.add_argument(
        "--config", default="small", help="configuration: small, paper or a JSON file (default: small)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of training scenes, or of data with the split train"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the training run; an existing run is resumed"
    )
    names.add_changes(parser)
    parser.add_argument("--schedule", help="ddpm only: noise schedule linear, cosine or sigmoid")
    names.add_device(parser)


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train, then write weights, curves and pictures to the run's folder.

    Raises:
        TerramendError: `training.unknown`, `command.option`, and what loading, reading and training say.
    """
    names.module_of(options.name)  # an unknown network is said before its configuration is looked for
    changes = names.changes_of(options)
    if options.schedule:
        if options.name != "ddpm":
            why = f"only ddpm has it; what the configuration of {options.name} holds is changed by --set"
            raise TerramendError("command.option", option="--schedule", why=why)
        changes["diffusion.noise"] = options.schedule
    with cancelled_as("research.cancelled", out=str(options.out)):
        _run(options, changes, watch)


def _run(options: argparse.Namespace, changes: dict[str, str], watch: Watch) -> None:
    from . import recipe
    from .loop import train

    device = on_torch(options.device) or "cpu"
    config = recipe.load_config(options.name, options.config, changes)
    if "." not in options.config and not {"samples", "samples.folder"} & changes.keys():
        recipe.bring_samples(config, options.out)
    data = _split(options.data, watch)
    made = recipe.made(options.name, config, data, watch)
    with alone(options.out):
        recipe.begin(options.name, config, data, options.out, watch)
        average = train(made.model, made.batch, made.loss, made.schedule, options.out, watch, device)
        recipe.finish(made, average, options.out)
    watch.finish()


def _split(data: Path, watch: Watch) -> Path:
    """The folder to learn from: of data with its splits the one for that, never what is to test by."""
    if not all((data / name).is_dir() for name in ("train", "val")):
        return data
    watch.notice("training.split", path=str(data / "train"))
    return data / "train"
