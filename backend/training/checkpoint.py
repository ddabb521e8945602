"""Checkpoints as safetensors and JSON: complete, atomic, no pickle.

A checkpoint is a folder `step-N` with `model.safetensors`, `average.safetensors` (the
exponential moving average), `optimizer.safetensors`, `random.safetensors` (torch's own
generators, which dropout draws from) and `state.json`. It appears whole or not at all: it is
written under another name and renamed.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import TerramendError
from ..failure import reason

PARTS = ("model", "average", "optimizer")
"""Files of a checkpoint that are safetensors and must be there."""
DAMAGED = (ValueError, TypeError, LookupError, RuntimeError)
"""What is raised for values of another kind, layout or size than a checkpoint's."""


def save(
    out: Path,
    step: int,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> Path:
    """Write the checkpoint of `step` below `out` and remove the one before."""
    folder, unfinished = out / f"step-{step}", out / f".step-{step}.part"
    for left in out.glob(".step-*.part"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        _write(unfinished, step, model, average, optimizer, state)
        before = latest(out)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:  # it takes room where the disk is full
        shutil.rmtree(unfinished, ignore_errors=True)
    if before is not None and before != folder:
        shutil.rmtree(before, ignore_errors=True)
    return folder


def _write(
    folder: Path,
    step: int,
    model: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    save_file(tensors(model), folder / "model.safetensors")
    save_file(tensors(average), folder / "average.safetensors")
    moments, scalars = {}, {}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                moments[f"{index}.{key}"] = value.detach().cpu().contiguous()
            else:
                scalars[f"{index}.{key}"] = value
    save_file(moments, folder / "optimizer.safetensors")
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        generators["cuda"] = torch.cuda.get_rng_state()
    save_file(generators, folder / "random.safetensors")
    text = json.dumps({"step": step, "optimizer": scalars, **state}, indent=1)
    (folder / "state.json").write_text(text, "utf-8")
    as_shared(folder, folder / "state.json")


def as_shared(folder: Path, like: Path) -> None:
    """Give weights the rights that another new file has: safetensors leaves them to their owner alone."""
    for path in folder.glob("*.safetensors"):
        shutil.copymode(like, path)


def latest(out: Path) -> Path | None:
    """The newest whole checkpoint below `out`, or None."""
    named = [p for p in out.glob("step-*") if re.fullmatch(r"step-[0-9]+", p.name)]
    return max((p for p in named if (p / "state.json").exists()), key=_step, default=None)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def load(
    folder: Path, model: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint back into place and return its state.

    Raises:
        TerramendError: `training.resume` where the network has another layout now, `training.damaged`.
    """
    try:
        state = _state(folder)
        weights, mean, moments = (stored(folder / f"{name}.safetensors") for name in PARTS)
    except (OSError, *DAMAGED) as error:
        raise TerramendError("training.damaged", path=str(folder), why=reason(error)) from None
    try:
        model.load_state_dict(weights)
        average.load_state_dict(mean)
    except RuntimeError as error:
        raise TerramendError("training.resume", path=str(folder), why=reason(error)[:200]) from None
    try:
        _take_moments(optimizer, {**moments, **state["optimizer"]})
        _take_random(folder / "random.safetensors")
    except DAMAGED as error:
        raise TerramendError("training.damaged", path=str(folder), why=reason(error)) from None
    return state


def _state(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / "state.json").read_text("utf-8"))
    if not isinstance(state, dict) or state.get("step") != _step(folder) or "optimizer" not in state:
        raise ValueError("state.json is not that of this step")
    return state


def _take_moments(optimizer: torch.optim.Optimizer, values: dict[str, Any]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    per_parameter: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        index, _, key = name.partition(".")
        if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameters[int(index)].shape:
            raise ValueError(f"{name} of the optimizer has not the shape of its weights")
        per_parameter.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})


def _take_random(path: Path) -> None:
    generators = stored(path) if path.exists() else {}  # checkpoints of earlier versions have none
    if "cpu" in generators:
        torch.set_rng_state(generators["cpu"])
    if "cuda" in generators and torch.cuda.is_available():
        torch.cuda.set_rng_state(generators["cuda"])


def stored(path: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds.

    Raises:
        OSError: there is none. ValueError: it is no safetensors, or damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name} is damaged or no safetensors: {error}") from None


def tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights by name, each with memory of its own: safetensors refuses tensors that modules share."""
    return {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in module.state_dict().items()
    }
