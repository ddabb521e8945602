"""What a network needs to be trained: model, batches, loss, pictures, export. One module a network."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from ...models.registry import expanded
from ..datasets.contents import contents
from ..errors import TerramendError
from ..failure import reason
from ..raster.outputs import sweep, temporary_name, write_whole
from ..watch import Watch
from . import names
from .checkpoint import as_shared, latest
from .loop import LOG, Batch, Schedule

CONFIG = "config.json"
"""Of a finished run."""
CONFIGS = Path(__file__).parent / "configs"


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

    def recipe(self, config: dict[str, Any], data: Path, watch: Watch, /) -> Recipe:
        """The run that `config` describes, on the scenes in `data`; `watch` sees what is made for it."""


def maker(name: str) -> Maker:
    """The module that trains `name`.

    Raises:
        TerramendError: `training.unknown`.
    """
    module: Maker = importlib.import_module(names.module_of(name), __package__)
    return module


def made(name: str, config: dict[str, Any], data: Path, watch: Watch) -> Recipe:
    """The recipe called `name` for a configuration.

    Raises:
        TerramendError: `training.unknown`, `training.config` for an entry that is missing, or what
            the recipe finds.
    """
    module = maker(name)
    try:
        return module.recipe(config, data, watch)
    except KeyError as error:
        raise TerramendError("training.config", name=name, why=f"it has no entry {error.args[0]}") from None


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
    example = CONFIGS / f"{name}-small.json"
    if "." in size and example.exists():
        _alike(config, json.loads(example.read_text("utf-8")), size)
    for key, text in (changes or {}).items():
        *folders, last = key.split(".")
        place: Any = config
        for folder in folders:
            place = place.get(folder) if isinstance(place, dict) else None
        optional = _OPTIONAL if folders[-1:] == ["training"] else {}
        if not isinstance(place, dict) or last not in {*place, *optional}:
            why = f"it has no entry {key}"
            if meant := [e for e in _every(config) if e.endswith("." + key)]:
                why += f"; there is {', '.join(meant)}"
            raise TerramendError("training.config", name=size, why=why)
        try:
            value = json.loads(text)
        except ValueError:
            value = expanded(text)  # of the entries in words only folders begin with ~
        _alike(value, {**optional, **place}[last], size, key)
        place[last] = value
    return config


def _every(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every entry that `--set` can change, as it names it."""
    for key in {**config, **(_OPTIONAL if path.endswith("training.") else {})}:
        yield path + key
        if isinstance(config.get(key), dict):
            yield from _every(config[key], f"{path}{key}.")


SHIPPED = Path("out")
"""Where configurations that ship keep the samples that their runs share."""


def bring_samples(config: dict[str, Any], out: Path) -> None:
    """Let a shipped configuration's samples lie beside a run that is not in `SHIPPED` itself."""
    if SHIPPED.resolve() in out.resolve().parents:
        return
    parts = config.get("samples", ())
    for part in [parts] if isinstance(parts, dict) else parts:
        if "folder" in part:
            part["folder"] = str(out.parent / Path(part["folder"]).relative_to(SHIPPED))


_OPTIONAL = {
    field.name: list(field.default) if isinstance(field.default, tuple) else field.default
    for field in dataclasses.fields(Schedule)
    if field.default is not dataclasses.MISSING
}
"""Entries that every part `training` may have, and what they are where it has none."""
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("true or false", (bool,)),
    ("a number", (int, float)),
    ("a text", (str,)),
    ("a list", (list,)),
    ("a group of entries", (dict,)),
)


def _alike(value: Any, example: Any, name: str, path: str = "it") -> None:
    """Refuse a value of another kind than the example, in groups entry by entry."""
    kind, wanted = (
        next((k for k, types in _KINDS if isinstance(v, types)), "null") for v in (value, example)
    )
    if kind != wanted:
        raise TerramendError("training.config", name=name, why=f"{path} must be {wanted}, not {value!r}")
    if isinstance(value, dict):
        for key in value.keys() & example.keys():
            _alike(value[key], example[key], name, key if path == "it" else f"{path}.{key}")


def check_start(config: Mapping[str, Any], stages: Sequence[str], name: str) -> None:
    """Refuse a later one of the `stages` that a recipe `name` is trained in without the run before it.

    Raises:
        TerramendError: `training.config`.
    """
    if config["stage"] != stages[0] and not config["start"]:
        why = f"the stage {config['stage']} begins with the run before it: --set start=FOLDER"
        raise TerramendError("training.config", name=name, why=why)


def whole(config: Mapping[str, Any], key: str, name: str) -> int:
    """An entry of the part `name` of a configuration that is a whole number from 1 on.

    Raises:
        TerramendError: `training.config`.
    """
    value = config[key]
    if not isinstance(value, int) or value < 1:
        why = f"{key} must be a whole number from 1 on, not {value!r}"
        raise TerramendError("training.config", name=name, why=why)
    return value


REFUSED = (TypeError, ValueError, RuntimeError)
"""What networks raise for a layout that cannot be built: torch refuses sizes below 0 by the last."""


def begin(name: str, config: Mapping[str, Any], data: Path, out: Path, watch: Watch) -> None:
    """Write `begun.json` of a run of `name`; where one stands already, see that it was begun with the same.

    How long, how fast and by which loss (the parts `training` and `loss`) may change on the way; so may
    the data, which a notice says.

    Raises:
        TerramendError: `training.resume`, naming the first entry that differs.
    """
    asked = {**dict(_entries(config)), names.NAME: name, names.DATA: contents(data)}
    path, found = out / names.BEGUN, latest(out)
    if found is None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asked, indent=1))
    elif path.exists():  # runs of earlier versions have none
        try:
            before = dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            why = f"{path.name} does not say with which: {reason(error)}"
            raise TerramendError("training.resume", path=str(found), why=why) from None
        now = asked.pop(names.DATA)
        then = before.pop(names.DATA, now)
        before.setdefault(names.NAME, name)  # which earlier versions did not keep
        for key in {**before, **asked}:
            if before.get(key) != asked.get(key):
                why = f"{key} was {json.dumps(before.get(key))}, and is {json.dumps(asked.get(key))}"
                raise TerramendError("training.resume", path=str(found), why=why)
        if now != then:
            watch.notice("training.data", path=str(found), before=then, now=now)


def _entries(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry that says what is learnt, as `--set` names it."""
    for key, value in config.items():
        if key in ("training", "loss"):
            continue
        if isinstance(value, dict):
            yield from _entries(value, f"{path}{key}.")
        else:
            yield path + key, value


def conclude(config: Mapping[str, Any], out: Path) -> None:
    """Write `config.json`, the last file that a run needs: where it stands, the run is whole."""
    write_whole(out / CONFIG, json.dumps(config, indent=1))


def finish(run: Recipe, average: torch.nn.Module, out: Path) -> None:
    """Write what a run leaves behind; one that stood there stays as it is until all of it is written."""
    sweep(out)
    made = out / temporary_name("finished")
    made.mkdir()
    try:
        shutil.copyfile(out / LOG, made / LOG)  # its curve is drawn
        run.finish(average, made)
        (made / LOG).unlink()
        as_shared(made, made / CONFIG)
        (out / CONFIG).unlink(missing_ok=True)  # while files are exchanged there is no run
        for path in sorted(made.iterdir(), key=lambda path: path.name == CONFIG):
            path.replace(out / path.name)
    except OSError as error:
        if error.filename is not None:
            error.filename = str(error.filename).replace(str(made), str(out))  # which who reads of it knows
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def build(cls: Any, values: Mapping[str, Any], name: str) -> Any:
    """A frozen dataclass from a part of a configuration; lists become tuples.

    Raises:
        TerramendError: `training.config` for an entry that `cls` does not know or misses.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise TerramendError("training.config", name=name, why=f"{key} means nothing there")
    for key, field in fields.items():
        free = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if free and key not in values:
            raise TerramendError("training.config", name=name, why=f"it has no entry {key}")
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except (TypeError, ValueError) as error:
        raise TerramendError("training.config", name=name, why=str(error)) from None
