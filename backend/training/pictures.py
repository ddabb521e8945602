"""Pictures of a training run: sample grids and loss curves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def grid(images: NDArray[np.float32], path: Path, columns: int = 4, scale: int = 2) -> None:
    """Write (N, 3, H, W) RGB images in 0..1 as one PNG."""
    height, width = images.shape[2:]
    rows = -(-len(images) // columns)
    sheet = np.ones((rows * (height + 2), columns * (width + 2), 3), np.float32)
    for index, image in enumerate(images):
        row, column = index // columns * (height + 2), index % columns * (width + 2)
        sheet[row : row + height, column : column + width] = image.transpose(1, 2, 0)
    sheet = np.kron(sheet, np.ones((scale, scale, 1), np.float32))
    cv2.imwrite(str(path), (sheet[:, :, ::-1] * 255).round().astype(np.uint8))


def losses(logs: Mapping[str, Path], path: Path, column: str = "loss", window: int = 50) -> None:
    """Loss curves (running means) of several logs in one PNG; a log without a step draws nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
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
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
