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
    inputs: Sequence[tuple[str, tuple[int, ...] | torch.Tensor]],
    path: Path,
    image: bool = True,
    opset: int = 17,
) -> None:
    """Write `function` of `module`; the batch and images' heights and widths stay free.

    Args:
        inputs: name and shape of each, or an example; a shape of one number is a vector of times.
        image: whether the function says an image; else only its batch is free.
        opset: of ONNX.
    """
    example = tuple(
        given if isinstance(given, torch.Tensor) else torch.full(given, float(len(given) == 1))
        for _, given in inputs
    )
    names = [name for name, _ in inputs]
    free: dict[str, Any] = {name: _free(part.ndim) for name, part in zip(names, example, strict=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # sizes that are traced are free all the same
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Call(module, function).eval(),
            example,
            str(path),
            input_names=names,
            output_names=["said"],
            dynamic_axes={**free, "said": _free(4 if image else 1)},
            opset_version=opset,
            dynamo=False,
        )


def _free(axes: int) -> dict[int, str]:
    return {0: "n", axes - 2: "h", axes - 1: "w"} if axes >= 4 else {0: "n"}
