"""Pictures of training runs and experiments: grids of samples, loss curves, charts."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..filling.views import png, sheet, write
from ..raster.outputs import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid(images: NDArray[np.float32], path: Path, columns: int = 4, scale: int = 2) -> None:
    """Write (N, 3, H, W) RGB images in 0..1 as one PNG, each pixel `scale` pixels wide."""
    write(png(np.kron(sheet(list(images), columns), np.ones((1, scale, scale), np.float32))), path)


def losses(logs: Mapping[str, Path], path: Path, column: str = "loss", window: int = 50) -> None:
    """Loss curves (running means) of several logs in one PNG; a log without a step draws nothing."""
    from matplotlib.figure import Figure

    figure = Figure((7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, log in logs.items():
        with log.open(newline="", encoding="utf-8") as source:
            values = np.array([float(row[column]) for row in csv.DictReader(source)])
        if not len(values):
            continue
        span = min(window, len(values))
        smooth = np.convolve(values, np.ones(span) / span, "valid")
        axes.plot(np.arange(span - 1, len(values)), smooth, label=name)
    axes.set(xlabel="step", ylabel=f"{column} (mean of {window} steps)", yscale="log")
    if axes.lines:
        axes.legend()
    chart(figure, path)


def chart(figure: Figure, path: Path) -> None:
    """Write a chart as PNG, whole or not at all."""
    with written(path) as part:
        figure.savefig(part, dpi=120, format="png")
