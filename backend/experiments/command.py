"""`terramend experiment NAME`: one paper's experiment, resumable, with its report.

An experiment's module, and torch with it, is imported when it runs, so that `--help` answers everywhere.
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from ..device import on_torch
from ..errors import TerramendError
from ..failure import cancelled_as
from ..training.alone import alone
from ..training.names import add_device
from ..watch import Watch
from .options import ARGUMENTS

EXPERIMENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "aligndiff-task1": (
            ".aligndiff",
            "AlignDiff and its rivals on one date: with and without elevation model and adapter",
        ),
        "aligndiff-task2": (
            ".aligndiff",
            "AlignDiff and its rivals with another date: with and without that date and the adapter",
        ),
        "align-cr": (".align_cr", "Align-CR and its rivals: with and without radar and alignment"),
        "de": (".de", "Diffusion Enhancement against its reference network and simple methods on real cloud"),
        "mend": (
            ".mend",
            "validation of the learned correction of guided, and fit of the weights that it gets",
        ),
        "schedules": (".schedules", "linear, cosine and sigmoid noise schedules of DDPM"),
    }
)
"""Name of each experiment, its module, and a line of help."""


LEAST: Mapping[str, int] = MappingProxyType({"seeds": 1, "each": 1, "gap_places": 1, "scenes": 0})
"""Options that count, and what they are at least."""


class Experiment(Protocol):
    """What an experiment's module offers."""

    def main(self, options: argparse.Namespace, watch: Watch) -> None:
        """Run what is missing and write the report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A subcommand for every experiment."""
    names = parser.add_subparsers(dest="experiment", metavar="NAME", required=True)
    for name, (_, line) in EXPERIMENTS.items():
        made = names.add_parser(name, help=line, description=line[:1].upper() + line[1:] + ".")
        ARGUMENTS[name](made)
        if name != "mend":  # which trains nothing
            add_device(made)


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Run the experiment that was named.

    Raises:
        TerramendError: `command.option` for numbers with which none can be run; `environment.device`.
    """
    for name, least in LEAST.items():
        if getattr(options, name, least) < least:
            option, why = f"--{name.replace('_', '-')}", f"it must be {least} or more"
            raise TerramendError("command.option", option=option, why=why)
    if not 0 < getattr(options, "budget", 1.0) < math.inf:
        raise TerramendError("command.option", option="--budget", why="it must be a number above 0")
    if options.experiment != "mend":
        options.device = on_torch(options.device) or "cpu"
    with cancelled_as("research.cancelled", out=str(options.out)), alone(options.out):
        if options.experiment != "mend":  # whose data may be one split
            from . import runs

            runs.begin(options.data, options.out)
        experiment(options.experiment).main(options, watch)


def experiment(name: str) -> Experiment:
    """The module of an experiment."""
    module: Experiment = importlib.import_module(EXPERIMENTS[name][0], __package__)
    return module
