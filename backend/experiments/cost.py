"""What networks cost: multiply-adds, parameters and seconds for one image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...models.diffusion.unet import parameters

SIDE = 256
"""Pixels that the image is high and wide."""
THREADS = 2
"""Of torch, as when the released networks were timed; ONNX Runtime uses one, as it does in a fill."""


@contextmanager
def threads(count: int = THREADS) -> Iterator[None]:
    """Give torch so many threads, and back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Cost:
    """Of one pass: parameters in millions, 10^9 multiply-adds, seconds (the median of several).

    `processor`: seconds of all threads, which other work on the machine does not lengthen.
    """

    parameters: float
    gmac: float
    seconds: float
    processor: float = 0.0


def cost(module: torch.nn.Module, call: Callable[[], object], repeat: int = 3) -> Cost:
    """Cost of `call`, which runs `module` once."""
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            call()
        seconds, processor = timed(call, repeat)
    return Cost(parameters(module) / 1e6, counter.get_total_flops() / 2e9, seconds, processor)


def timed(call: Callable[[], object], repeat: int = 3) -> tuple[float, float]:
    """Median seconds of `call`, and of all threads together."""
    seconds, processor = [], []
    for _ in range(repeat):
        began, worked = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - worked)
    return sorted(seconds)[repeat // 2], sorted(processor)[repeat // 2]
