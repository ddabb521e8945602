"""What a run that broke off, or a disk, left behind: it is said or passed over, and never taken for whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from safetensors import SafetensorError  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import checkpoint, crop_store, recipe  # noqa: E402
from terramend.backend.training.loop import Batch, Schedule, train  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402


def run(out: Path, steps: int) -> None:
    """Train a line, with a checkpoint every second step."""
    torch.manual_seed(0)
    points = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))

    def loss(model: torch.nn.Module, batch: Batch, step: int) -> Batch:
        return {"loss": (model(batch["x"]).sum(1) - batch["x"].sum(1)).square().mean()}

    schedule = Schedule(steps=steps, batch=8, warmup=0, save_every=2)
    train(torch.nn.Linear(3, 2), lambda step, part: {"x": points}, loss, schedule, out, Watch())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run of four steps."""
    run(out := tmp_path_factory.mktemp("whole") / "run", 4)
    return out


@pytest.fixture
def out(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def told(folder: Path, **values: object) -> None:
    state = json.loads((folder / "state.json").read_text("utf-8"))
    (folder / "state.json").write_text(json.dumps({**state, **values}), "utf-8")


def kept(folder: Path, name: str, change: object) -> None:
    held = load_file(folder / name)
    save_file(change(held), folder / name)  # type: ignore[operator]


@pytest.mark.parametrize(
    "damage",
    [
        lambda at: (at / "state.json").write_text("[]"),
        lambda at: (at / "state.json").write_text("{}"),
        lambda at: (at / "state.json").write_text(""),
        lambda at: (at / "state.json").write_bytes(b"\xff"),
        lambda at: told(at, step="4"),
        lambda at: told(at, step=-4),
        lambda at: told(at, step=400),
        lambda at: told(at, optimizer=None),
        lambda at: told(at, optimizer={"a.b": 1}),
        lambda at: (at / "average.safetensors").unlink(),
        lambda at: os.truncate(at / "model.safetensors", 60),
        lambda at: os.truncate(at / "random.safetensors", 60),
        lambda at: kept(at, "optimizer.safetensors", lambda held: {f"x{k}": v for k, v in held.items()}),
        lambda at: kept(
            at,
            "optimizer.safetensors",
            lambda held: {k: v[:1].clone() if v.ndim else v for k, v in held.items()},
        ),
        lambda at: kept(at, "random.safetensors", lambda held: {"cpu": held["cpu"][:3].clone()}),
        lambda at: kept(at, "random.safetensors", lambda held: {"cpu": held["cpu"].float()}),
    ],
)
def test_a_damaged_checkpoint_is_said(out, damage) -> None:
    damage(out / "step-4")
    with pytest.raises(TerramendError, match="step-4 cannot be read as a checkpoint") as caught:
        run(out, 6)
    assert caught.value.code == "training.damaged"


def test_folders_that_are_called_almost_like_checkpoints_are_none(out) -> None:
    for name in ("step-", "step-abc", "step-9-copy"):
        shutil.copytree(out / "step-4", out / name)
    (out / "step-50").write_text("")
    assert checkpoint.latest(out) == out / "step-4"
    run(out, 6)
    assert checkpoint.latest(out) == out / "step-6"


def test_a_checkpoint_that_finds_no_room_leaves_none_taken(out, monkeypatch) -> None:
    (out / ".step-5.part").mkdir()  # of a run that was killed

    def full(values: object, path: Path) -> None:
        if path.name == "optimizer.safetensors":
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save_file(values, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(SafetensorError):
        run(out, 6)
    assert {path.name for path in out.iterdir()} == {"step-4", "loss.csv"}


@pytest.mark.parametrize(
    "left", [b"\xff\x00", b"a,b\n1,2\n", b"step,rate,seconds,loss\n0,1,1,1\n1,1,0\nx,1,1,1\n\n\xff,1,1,1\n"]
)
def test_of_a_log_only_whole_rows_are_kept(out, left) -> None:
    (out / "loss.csv").write_bytes(left)
    run(out, 6)
    with (out / "loss.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    steps = [int(row["step"]) for row in rows]
    assert steps in ([4, 5], [0, 4, 5]) and all(float(row["loss"]) >= 0 for row in rows)


@pytest.mark.parametrize("text", ["", "{", "3"])
def test_a_run_that_does_not_say_how_it_was_begun_is_not_gone_on_with(out, text) -> None:
    (out / "begun.json").write_text(text)
    with pytest.raises(TerramendError, match=r"begun.json does not say with which") as caught:
        recipe.begin("ddpm", {"size": 1}, out, out, Watch())
    assert caught.value.code == "training.resume"


@pytest.mark.parametrize("broken", [InterruptedError(), OSError(28, "No space left on device"), None])
def test_a_run_that_is_finished_again_stays_as_it_was_until_the_new_one_is_whole(tmp_path, broken) -> None:
    (tmp_path / "loss.csv").write_text("step\n")
    (tmp_path / "it.onnx").write_text("old")
    recipe.conclude({"size": 1}, tmp_path)

    def finish(average: torch.nn.Module, out: Path) -> None:
        assert (out / "loss.csv").read_text() == "step\n"  # whose curve is drawn
        (out / "it.onnx").write_text("new")
        recipe.conclude({"size": 2}, out)
        assert (tmp_path / "it.onnx").read_text() == "old"
        if broken is not None:
            raise broken

    model = torch.nn.Linear(1, 1)
    made = recipe.Recipe(model, lambda *_: {}, lambda *_: {}, Schedule(1, 1), finish)
    with pytest.raises(type(broken)) if broken is not None else nullcontext():
        recipe.finish(made, model, tmp_path)
    wanted = ("new", 2) if broken is None else ("old", 1)
    size = json.loads((tmp_path / "config.json").read_text())["size"]
    assert ((tmp_path / "it.onnx").read_text(), size) == wanted
    assert {path.name for path in tmp_path.iterdir()} == {"loss.csv", "it.onnx", "config.json"}


def test_a_folder_without_room_is_called_by_its_own_name(tmp_path) -> None:
    (tmp_path / "loss.csv").write_text("step\n")

    def finish(average: torch.nn.Module, out: Path) -> None:
        raise OSError(28, "No space left on device", str(out / "loss.png"))

    model = torch.nn.Linear(1, 1)
    made = recipe.Recipe(model, lambda *_: {}, lambda *_: {}, Schedule(1, 1), finish)
    with pytest.raises(OSError, match="No space") as caught:
        recipe.finish(made, model, tmp_path)
    assert caught.value.filename == str(tmp_path / "loss.png")


def test_an_array_takes_its_room_at_once(tmp_path) -> None:
    """Where it would be taken page by page, a disk that fills up ends the process without a word."""
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("this system cannot take room for a file")
    array = crop_store.new_array(tmp_path / "a.npy", (1000, 50))
    assert (array == 0).all() and array.dtype == np.float16
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= array.nbytes


@pytest.mark.parametrize(
    ("name", "text"), [("samples.json", "{"), ("samples.json", ""), ("a.npy", ""), ("a.npy", "x")]
)
def test_damaged_samples_are_said(tmp_path, name, text) -> None:
    (tmp_path / "samples.json").write_text("{}")
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert len(crop_store.read(tmp_path, ("a",))[1][0]) == 3
    (tmp_path / name).write_text(text)
    with pytest.raises(TerramendError, match="remove that folder, and they are drawn anew"):
        crop_store.read(tmp_path, ("a",))
