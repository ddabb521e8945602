"""The training loop that every network shares.

Batches are a pure function of seed and step, so a run that was killed and resumed sees
the same numbers as one that was not, and no loader state has to be kept.
"""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ..errors import TerramendError
from ..raster.outputs import written
from ..watch import Watch
from . import checkpoint

Batch = dict[str, torch.Tensor]
SLOW = 0.1
"""Share of the learning rate that slow parameters get."""
LOG = "loss.csv"
"""A row a step: rate, seconds since the run was begun or resumed, and every term of the loss."""
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: optimizer steps. batch: samples at a time. accumulate: batches that make one step.
        rate: peak learning rate (AdamW), after `warmup` steps, then a cosine to the share `end`
            of it (1: it stays). decay: weight decay. clip: gradient norm.
        halve: instead of the cosine, the step at which the rate is halved first, and the steps
            between further halvings. slow: parameters in modules of these names learn at a tenth.
        average: decay of the exponential moving average of the weights; less over the first steps.
        precision: `no`, `bf16` or `fp16`. save_every: steps between checkpoints.

    Raises:
        ValueError: a number out of its range, naming the entry.
    """

    steps: int
    batch: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.999
    accumulate: int = 1
    precision: str = "no"
    save_every: int = 250
    seed: int = 0
    end: float = 0.01
    halve: tuple[int, ...] = ()
    slow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        least = {"steps": 0, "warmup": 0, "seed": 0, "batch": 1, "accumulate": 1, "save_every": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= low):
                raise ValueError(f"{name} must be a whole number from {low} on, not {value}")
        if not (self.rate > 0 and self.clip > 0 and self.decay >= 0 and 0 <= self.average < 1):
            raise ValueError("rate and clip lie above 0, decay from 0 on, average from 0 to below 1")
        if not 0 <= self.end <= 1:
            raise ValueError(f"end lies between 0 and 1, not {self.end}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {self.precision}")
        if self.halve and not (
            len(self.halve) == 2 and all(isinstance(n, int) and n > 0 for n in self.halve)
        ):
            raise ValueError("halve holds two numbers from 1 on: the first step, and the steps between")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step counted from 0."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.halve:
            first, every = self.halve
            return self.rate * 0.5 ** max(0, (step - first) // every + 1)
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def train(
    model: torch.nn.Module,
    batch: Callable[[int, int], Batch],
    loss: Callable[[torch.nn.Module, Batch, int], dict[str, torch.Tensor]],
    schedule: Schedule,
    out: Path,
    watch: Watch,
    device: str = "cpu",
) -> torch.nn.Module:
    """Train until `schedule.steps`, resuming from the newest checkpoint in `out`.

    Args:
        batch: (step, part) to tensors, deterministic.
        loss: (model, batch, step) to named scalars; `loss` is minimised, all are logged.

    Returns:
        The averaged model, on the CPU, in eval mode. `out` holds `loss.csv` and the
        last checkpoint, of the last step also where the run was cancelled.

    Raises:
        TerramendError: `training.precision` for half precision that a CPU does not compute;
            `training.diverged` where gradients are no numbers any more.
    """
    if device == "cpu" and schedule.precision == "fp16":
        raise TerramendError("training.precision")
    torch.manual_seed(schedule.seed)
    out.mkdir(parents=True, exist_ok=True)
    AcceleratorState._reset_state()  # else a second run of a process may not choose its own precision
    accelerator = Accelerator(mixed_precision=schedule.precision, cpu=device == "cpu")
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(_groups(model, schedule.slow), schedule.rate, weight_decay=schedule.decay)
    found = checkpoint.latest(out)
    state = {"step": 0} if found is None else checkpoint.load(found, model, average, optimizer)
    start, scaler = state["step"], accelerator.scaler
    model, optimizer = accelerator.prepare(model, optimizer)
    if scaler is not None and state.get("scaler"):
        scaler.load_state_dict(state["scaler"])
    average.to(accelerator.device)
    log = _open_log(out / LOG, start)
    watch.stage("train", schedule.steps)
    if start:
        watch.advance(start)
    began = time.monotonic()
    for step in range(start, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step) * group["share"]
        model.train()
        totals: dict[str, float] = {}
        for part in range(schedule.accumulate):
            tensors = {k: v.to(accelerator.device) for k, v in batch(step, part).items()}
            with accelerator.autocast():
                terms = loss(model, tensors, step)
            accelerator.backward(terms["loss"] / schedule.accumulate)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach()) / schedule.accumulate
        norm = float(accelerator.clip_grad_norm_(model.parameters(), schedule.clip))
        optimizer.step()
        if not math.isfinite(norm) and not accelerator.optimizer_step_was_skipped:  # fp16 skips such steps
            raise TerramendError("training.diverged", step=str(step), out=str(out))
        optimizer.zero_grad(set_to_none=True)
        _average(average, accelerator.unwrap_model(model), min(schedule.average, (step + 1) / (step + 10)))
        _log(log, step, schedule.rate_at(step), time.monotonic() - began, totals)
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps or watch.cancelled:
            state = {"schedule": asdict(schedule), "scaler": scaler.state_dict() if scaler else {}}
            checkpoint.save(
                out, step + 1, accelerator.unwrap_model(model), average, optimizer.optimizer, state
            )
        watch.advance()
    return average.cpu().eval()


def _groups(model: torch.nn.Module, slow: tuple[str, ...]) -> list[dict[str, Any]]:
    """Parameters by how fast they learn: all, or all others and those of modules called as in `slow`."""
    parts: dict[float, list[torch.nn.Parameter]] = {1.0: [], SLOW: []}
    for name, parameter in model.named_parameters():
        parts[SLOW if set(slow) & set(name.split(".")) else 1.0].append(parameter)
    return [{"params": params, "share": share} for share, params in parts.items() if params]


def _average(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move the average towards the model; buffers are copied."""
    with torch.no_grad():
        for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for mine, theirs in zip(average.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)


def _open_log(path: Path, start: int) -> Path:
    """Cut the log back to the step that training resumes from; what is no row of a step goes, too."""
    head: list[str] = []
    rows: list[list[str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8", errors="replace") as source:
            head, *rows = [*csv.reader(source), []]
    kept = [head, *(row for row in rows if _is_before(start, row, len(head)))] if head[:1] == ["step"] else []
    with written(path) as part, part.open("w", newline="", encoding="utf-8") as sink:
        csv.writer(sink).writerows(kept)
    return path


def _is_before(start: int, row: list[str], columns: int) -> bool:
    """Whether it is a whole row of a step before `start`."""
    try:
        step, *_ = [float(value) for value in row]
    except ValueError:
        return False
    return len(row) == columns and step < start


def _log(path: Path, step: int, rate: float, seconds: float, totals: dict[str, Any]) -> None:
    with path.open("a", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink)
        if sink.tell() == 0:
            writer.writerow(["step", "rate", "seconds", *totals])
        writer.writerow([step, f"{rate:.6g}", f"{seconds:.1f}", *(f"{v:.6g}" for v in totals.values())])
