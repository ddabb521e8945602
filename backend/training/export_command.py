"""`terramend export NAME --from RUN`: a trained network as it is given away, with its manifest entry.

Weights are rounded to half precision, in ONNX and safetensors alike, so both say the same; ONNX
Runtime casts them back once, when a network is opened. All files are made beside the network's folder
and put in place together, the manifest last: until then what it pins is as it was. What reads and
writes networks is imported when one is exported, so that `--help` answers everywhere.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...models.registry import ROWS, find
from ...models.weights import PACKAGED, fingerprint
from ..errors import TerramendError
from ..failure import reason
from ..raster.outputs import sweep, temporary_name, write_whole
from ..version import VERSION
from ..watch import Watch
from . import names

BESIDE = ("vocab.json", "merges.txt")
"""Files without numbers that a network reads: what prompts are made of."""
PRIVATE = ("start", "reference")
"""Entries of a configuration that name folders of the machine that trained."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend export`."""
    parser.add_argument("name", metavar="NAME", help="name of the network and of its folder")
    parser.add_argument(
        "--from", dest="run", type=Path, required=True, help="folder of a finished training run"
    )
    parser.add_argument("--title", required=True, help="title of the network, one line")
    parser.add_argument(
        "--licence",
        required=True,
        help="licence of the weights; those of all data that they learned from must allow it",
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=PACKAGED,
        help="folder of the networks and their manifest (default: models/weights)",
    )


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Write the network's folder and its entry in `manifest.json`.

    Raises:
        TerramendError: `training.start` where the run is not finished, or damaged; `command.option` for a
            name with folders in it, and for a manifest that is none; `run.cancelled`.
    """
    if Path(options.name).name != options.name or options.name in ("", ".."):
        raise TerramendError("command.option", option="NAME", why="it must be the plain name of a folder")
    networks = sorted(options.run.glob("*.onnx"))
    if not networks or not (options.run / "config.json").is_file():
        why = "it has no config.json and ONNX files"
        raise TerramendError("training.start", path=str(options.run), name=options.name, why=why)
    folder: Path = options.to / options.name
    if folder.exists() and folder.samefile(options.run):
        raise TerramendError(
            "command.option", option="--to", why="the run itself lies there, and stays as it is"
        )
    held = _manifest(options.to / "manifest.json")
    with _beside(folder) as made:
        _write(options, networks, made, watch)
        with _of_run(options):
            held["weights"][options.name] = describe(
                made, options.title, options.licence, learnt(options.run)
            )
        watch.check()
        folder.mkdir(exist_ok=True)
        for path in sorted(made.iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(folder / path.name)
    held["weights"] = dict(sorted(held["weights"].items()))
    write_whole(options.to / "manifest.json", json.dumps(held, indent=1) + "\n")
    watch.finish()


def _manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"schema_version": 1, "weights": {}}
    try:
        held: dict[str, Any] = json.loads(path.read_text("utf-8"))
        dict(held["weights"])
    except (ValueError, LookupError, TypeError) as error:
        why = f"{path} is no manifest of networks ({reason(error)})"
        raise TerramendError("command.option", option="--to", why=why) from None
    return held


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder of the same name in a temporary one beside it, which is gone at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    made = folder.with_name(temporary_name(folder.name)) / folder.name
    try:
        made.mkdir(parents=True)
        yield made
    finally:
        shutil.rmtree(made.parent, ignore_errors=True)


@contextmanager
def _of_run(options: argparse.Namespace) -> Iterator[None]:
    """What cannot be read inside is the run's fault."""
    from .halves import DAMAGED

    try:
        yield
    except DAMAGED as error:
        why = reason(error)[:200]
        raise TerramendError("training.start", path=str(options.run), name=options.name, why=why) from None


def _write(options: argparse.Namespace, networks: list[Path], folder: Path, watch: Watch) -> None:
    """A run's configuration, networks and weights as they are given away."""
    import onnx
    from safetensors.numpy import load_file, save_file

    from .halves import half, halved

    with _of_run(options):
        config = json.loads((options.run / "config.json").read_text("utf-8"))
        config = {key: value for key, value in config.items() if key not in PRIVATE}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    weights = sorted(options.run.glob("*.safetensors"))
    watch.stage("export", len(networks) + len(weights))
    for path in networks:
        with _of_run(options):
            model = halved(onnx.load(path))
        onnx.save(model, folder / path.name)
        watch.advance()
    for path in weights:
        with _of_run(options):
            tensors = {name: half(value) for name, value in load_file(path).items()}
        save_file(tensors, folder / path.name)
        shutil.copymode(folder / "config.json", folder / path.name)  # not for its owner alone
        watch.advance()
    for name in BESIDE:
        if (options.run / name).is_file():
            shutil.copyfile(options.run / name, folder / name)


def learnt(run: Path) -> list[str]:
    """What a run tells for the card of its network: how to use it, and how it was trained."""
    config = json.loads((run / "config.json").read_text("utf-8"))
    path = run / names.BEGUN
    begun = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    name = str(begun.get(names.NAME))
    row = find(name)
    modes = row.modes if row else ()
    uses = [f"terramend {m} --model {name} --set weights=FOLDER" for m in modes if config.get("use", m) == m]
    if name == "mend":
        uses = ["terramend fill --quality best --set mend=FOLDER"]
    told = [f"Runs in `{use}`, FOLDER being this one." for use in uses]
    training = config.get(config.get("stage"), config).get("training", {})
    if {"steps", "batch"} <= training.keys():
        batch = training["batch"] * training.get("accumulate", 1)
        stage = f", of the stage {config['stage']}" if "stage" in config else ""
        told.append(f"Trained in {training['steps']} steps of {batch} samples{stage}.")
    if names.DATA in begun:
        told.append(f"Learnt from a folder of {begun[names.DATA]} (a hash of names and sizes).")
    return told


def describe(folder: Path, title: str, licence: str, told: Sequence[str] = ()) -> dict[str, Any]:
    """Write a network's `card.md`; returns what the manifest says of it: its needs, each file's hash.

    Args:
        told: by its run (`learnt`).
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    bands = [f"{wavelength:g} nm" for wavelength in config.get("data", {}).get("wavelengths", [])]
    beside = [folder / name for name in BESIDE if (folder / name).is_file()]
    (folder / "card.md").write_text(card(folder.name, title, licence, bands, told), "utf-8")
    files = [*sorted(folder.glob("*.onnx")), folder / "config.json", folder / "card.md", *beside]
    return {
        "title": title,
        "licence": licence,
        "url": "",  # until a release holds it
        "least_software": VERSION,
        "io_version": 1,
        "bands": bands,
        "scaling": "reflectance",
        "files": [
            {"name": p.name, "digest": f"sha256:{fingerprint(folder, p.name)}", "size": p.stat().st_size}
            for p in files
        ],
    }


def card(name: str, title: str, licence: str, bands: list[str], told: Sequence[str] = ()) -> str:
    """What a folder of weights says of itself, wherever it is carried; its method's card says all."""
    rows = [row for row in ROWS if name in row.networks.values()]
    uses = [
        f"terramend {mode} --model {row.name}"
        for row in rows
        for mode, its in row.networks.items()
        if its == name
    ]
    about = [f"models/{row.factory.partition('.')[0]}/CARD.md" for row in rows]
    lines = [
        f"Weights of Terramend {VERSION}. Licence: {licence}.",
        f"Reads reflectance at {', '.join(bands)}." if bands else "Reads reflectance.",
        *(f"Runs in `{use}`." for use in uses),
        *told,
        *(f"Data, training, figures and limits: `{path}` in Terramend's source." for path in about),
        "`config.json` is the configuration that it was trained with.",
    ]
    return "\n".join([f"# {name}", "", f"{title}.", "", *(f"- {line}" for line in lines), ""])
