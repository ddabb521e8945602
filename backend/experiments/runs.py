"""What experiments share: runs that are trained once, and rows that are measured once."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..datasets.contents import contents
from ..errors import TerramendError
from ..evaluation.cases import fingerprint
from ..evaluation.methods import sources
from ..raster.outputs import write_whole
from ..request import canonical_json
from ..training import alone
from ..training.loop import train
from ..training.recipe import finish, made
from ..watch import Watch

Numbers = dict[str, list[Any]]
"""A list a number, one entry a pair or case; `place` says which place each belongs to."""


SPLITS = ("train", "val")


def begin(data: Path, out: Path) -> None:
    """Note the data in `out`; where results lie there, see that they are of the same data.

    Raises:
        TerramendError: `experiment.splits`, `experiment.begun`.
    """
    for split in SPLITS:
        if not (data / split).is_dir():
            raise TerramendError("experiment.splits", data=str(data), split=split)
    now, path = {split: contents(data / split) for split in SPLITS}, out / "begun.json"
    out.mkdir(parents=True, exist_ok=True)
    kept = [one for one in out.iterdir() if one not in (path, out / alone.NAME)]
    if not (kept and path.exists()):
        write_whole(path, json.dumps(now, indent=1))
        return
    try:
        before = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError):
        before = {}
    for split in SPLITS:
        if before.get(split) != now[split]:
            then = f"{split}: {before.get(split, 'unknown')}"
            raise TerramendError("experiment.begun", path=str(out), before=then, now=now[split])


def trained(
    name: str, config: dict[str, Any], options: argparse.Namespace, watch: Watch, label: str = "seed"
) -> Path:
    """Folder of a finished run of `config`, named by its hash and seed; trained now where it is missing.

    Paths below `options.out` count from there.

    Args:
        name: of the recipe.
        config: with `training`, or of a recipe in stages: that of its `stage` counts.
        options: `data`, `out` and `device` of the experiment.
        label: what the folder's name says between recipe and seed.
    """
    part = config[config["stage"]] if "stage" in config else config
    seed = part["training"]["seed"]
    key = hashlib.sha256(canonical_json(below(options.out, config)).encode()).hexdigest()[:12]
    folder = options.out / "runs" / f"{name}-{label}-{seed}-{key}"
    if not (folder / "config.json").exists():
        watch.notice("experiment.trains", path=str(folder))
        run = made(name, config, options.data / "train", watch)
        average = train(run.model, run.batch, run.loss, run.schedule, folder, watch, options.device)
        finish(run, average, folder)
    return folder


def below(out: Path, value: Any) -> Any:
    """A configuration whose paths in `out` begin there: the folder may move, or be called from elsewhere."""
    if isinstance(value, dict):
        return {key: below(out, part) for key, part in value.items()}
    if isinstance(value, str) and Path(value).is_relative_to(out):
        return Path(value).relative_to(out).as_posix()
    return value


def version(*folders: str, recipes: Sequence[str]) -> str:
    """Hash of the code that rows of networks in torch run: `folders` of `models`, modules of `training`."""
    own = [Path(alone.__file__).with_name(f"{name}.py") for name in recipes]
    return fingerprint([*sources(*folders), *own])


def cached(path: Path, key: Any, make: Callable[[], Numbers]) -> Numbers:
    """What `make` gives, kept in `path` under the hash of `key`."""
    name = hashlib.sha256(canonical_json(key).encode()).hexdigest()[:16]
    file = path / f"{name}.json"
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # none yet, or a crash spoiled it
        found: Numbers = json.loads(file.read_text("utf-8"))["numbers"]
        return found
    numbers = make()
    path.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps({"key": key, "numbers": numbers}, indent=1))
    return numbers


@contextlib.contextmanager
def configured(name: str) -> Iterator[None]:
    """An entry that the configuration `name` lacks is said.

    Raises:
        TerramendError: `training.config`.
    """
    try:
        yield
    except KeyError as error:
        raise TerramendError("training.config", name=name, why=f"it has no entry {error.args[0]}") from None
