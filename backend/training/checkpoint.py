"""Checkpoints as safetensors and JSON: complete, atomic, no pickle.

A checkpoint is a folder `step-N` with `model.safetensors`, `average.safetensors` (the
exponential moving average), `optimizer.safetensors`, `random.safetensors` (torch's own
generators, which dropout draws from) and `state.json`. It appears whole or not at all: it is
written under another name and renamed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import TerramendError
from ..failure import reason


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
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(tensors(model), unfinished / "model.safetensors")
    save_file(tensors(average), unfinished / "average.safetensors")
    moments, scalars = {}, {}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                moments[f"{index}.{key}"] = value.detach().cpu().contiguous()
            else:
                scalars[f"{index}.{key}"] = value
    save_file(moments, unfinished / "optimizer.safetensors")
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        generators["cuda"] = torch.cuda.get_rng_state()
    save_file(generators, unfinished / "random.safetensors")
    text = json.dumps({"step": step, "optimizer": scalars, **state}, indent=1)
    (unfinished / "state.json").write_text(text, "utf-8")
    before = latest(out)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    if before is not None and before != folder:
        shutil.rmtree(before, ignore_errors=True)
    return folder


def latest(out: Path) -> Path | None:
    """The newest whole checkpoint below `out`, or None."""
    found = [p for p in out.glob("step-*") if (p / "state.json").exists()]
    return max(found, key=lambda p: int(p.name.split("-")[1]), default=None)


def load(
    folder: Path, model: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint back into place and return its state.

    Raises:
        TerramendError: `training.resume` where the network has another layout now, `training.damaged`.
    """
    try:
        found = {path.stem: stored(path) for path in folder.glob("*.safetensors")}
        state: dict[str, Any] = json.loads((folder / "state.json").read_text("utf-8"))
        weights, mean, moments = (found[name] for name in ("model", "average", "optimizer"))
    except (OSError, ValueError, KeyError) as error:
        raise TerramendError("training.damaged", path=str(folder), why=reason(error)) from None
    try:
        model.load_state_dict(weights)
        average.load_state_dict(mean)
    except RuntimeError as error:
        raise TerramendError("training.resume", path=str(folder), why=reason(error)[:200]) from None
    per_parameter: dict[int, dict[str, Any]] = {}
    for name, value in {**moments, **state["optimizer"]}.items():
        index, _, key = name.partition(".")
        per_parameter.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})
    generators = found.get("random", {})  # checkpoints of earlier versions have none
    if "cpu" in generators:
        torch.set_rng_state(generators["cpu"])
    if "cuda" in generators and torch.cuda.is_available():
        torch.cuda.set_rng_state(generators["cuda"])
    return state


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
