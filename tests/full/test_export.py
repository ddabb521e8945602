"""`terramend export`: a network to give away is whole or absent, whatever comes between."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the full environment is not installed (make env-full)")

from terramend.backend.errors import TerramendError
from terramend.backend.training import export_command
from terramend.backend.watch import Watch
from terramend.models.weights import PACKAGED, lacking, read_manifest


@pytest.fixture
def run(tmp_path) -> Path:
    """A finished run, and weights beside its network."""
    from safetensors.numpy import save_file

    folder = shutil.copytree(PACKAGED / "msda-cr", tmp_path / "run")
    save_file({"a": np.arange(100, dtype="float32")}, folder / "network.safetensors")
    return folder


def export(run: Path, to: Path, watch: Watch | None = None) -> None:
    words = {"name": "net", "run": run, "title": "A network", "licence": "CC0", "to": to}
    export_command.main(argparse.Namespace(**words), watch or Watch())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(code: str, run: Path, to: Path, watch: Watch | None = None) -> str:
    with pytest.raises(TerramendError) as caught:
        export(run, to, watch)
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


def test_what_is_exported_is_what_the_manifest_pins(run, tmp_path) -> None:
    export(run, tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["manifest.json", "net"]
    pinned = read_manifest(tmp_path / "to" / "manifest.json")["net"]
    assert lacking(pinned, tmp_path / "to" / "net") == []


def test_the_card_says_how_a_network_runs_and_what_it_learnt_from(run, tmp_path) -> None:
    begun = {"size": 64, "NAME": "msda-cr", "--data": "3 files, 9 bytes, abc"}
    (run / "begun.json").write_text(json.dumps(begun))
    config = json.loads((run / "config.json").read_text("utf-8"))
    config |= {"start": "/home/me/before", "reference": "/home/me/reference"}
    config["training"]["accumulate"] = 3
    (run / "config.json").write_text(json.dumps(config))
    export(run, tmp_path / "to")
    card = (tmp_path / "to" / "net" / "card.md").read_text("utf-8")
    training = config["training"]
    assert (
        "- Runs in `terramend clear --model msda-cr --set weights=FOLDER`, FOLDER being this one.\n" in card
    )
    assert f"- Trained in {training['steps']} steps of {3 * training['batch']} samples.\n" in card
    assert "- Learnt from a folder of 3 files, 9 bytes, abc (a hash of names and sizes).\n" in card
    assert not any(b"/home/me" in path.read_bytes() for path in (tmp_path / "to" / "net").iterdir())


def test_large_weights_are_rounded_to_half_and_small_ones_stay(run, tmp_path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = {"large": np.arange(65, dtype="float32"), "small": np.arange(64, dtype="float32")}
    save_file(weights, run / "network.safetensors")
    export(run, tmp_path / "to")
    made = load_file(tmp_path / "to" / "net" / "network.safetensors")
    assert {name: value.dtype.name for name, value in made.items()} == {
        "large": "float16",
        "small": "float32",
    }


@pytest.mark.posix("rights of files")
def test_others_may_read_all_of_a_network(run, tmp_path) -> None:
    export(run, tmp_path / "to")
    made = {path.name: path.stat().st_mode for path in (tmp_path / "to" / "net").iterdir()}
    assert set(made.values()) == {made["config.json"]} and "network.safetensors" in made


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("report", range(3))
def test_a_cancelled_export_leaves_all_as_it_was(run, tmp_path, before, report) -> None:
    if before:
        export(run, tmp_path / "to")
        config = json.loads((run / "config.json").read_text("utf-8"))
        (run / "config.json").write_text(json.dumps({**config, "size": 7}), "utf-8")
    held = contents(tmp_path / "to")
    reports = []

    def listen(progress: object) -> None:
        if len(reports) == report:
            watch.cancel()
        reports.append(progress)

    watch = Watch(on_progress=listen)
    refused("run.cancelled", run, tmp_path / "to", watch)
    assert contents(tmp_path / "to") == held
    assert {path.name for path in (tmp_path / "to").iterdir()} == (
        {"net", "manifest.json"} if before else set()
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"data": {"wavelengths": ["red"]}}'),
        ("remover.onnx", b"no network"),
        ("network.safetensors", b"\x00"),
    ],
)
def test_a_damaged_run_is_said_and_nothing_is_left(run, tmp_path, name, text) -> None:
    (run / name).write_bytes(text)
    assert str(run) in refused("training.start", run, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"weights": 3}'])
def test_a_manifest_that_is_none_is_kept(run, tmp_path, text) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert "is no manifest of networks" in refused("command.option", run, tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text and not (tmp_path / "net").exists()


def test_a_run_is_not_rounded_itself(run, tmp_path) -> None:
    held = contents(run)
    refused("command.option", run.rename(tmp_path / "net"), tmp_path)
    assert list(contents(tmp_path / "net").values()) == list(held.values())
