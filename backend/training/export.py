"""Torch modules as ONNX files with free batch, height and width."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch


class Call(torch.nn.Module):
    """A function of a module as a module of its own, which is what the exporter takes."""

    def __init__(self, module: torch.nn.Module, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Call it."""
        return self.function(*inputs)


def export(
    module: torch.nn.Module,
    function: Callable[..., torch.Tensor],
    inputs: Sequence[tuple[str, tuple[int, ...]]],
    path: Path,
) -> None:
    """Write `function` of `module`; sizes 0, 2 and 3 of images stay free.

    Args:
        inputs: name and shape of each; a shape of one number is a vector of times.
    """
    example = tuple(torch.ones(shape) if len(shape) == 1 else torch.zeros(shape) for _, shape in inputs)
    free: dict[str, Any] = {
        name: {0: "n"} if len(shape) == 1 else {0: "n", 2: "h", 3: "w"} for name, shape in inputs
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # sizes that are traced are free all the same
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Call(module, function).eval(),
            example,
            str(path),
            input_names=[name for name, _ in inputs],
            output_names=["said"],
            dynamic_axes={**free, "said": {0: "n", 2: "h", 3: "w"}},
            opset_version=17,
            dynamo=False,
        )
