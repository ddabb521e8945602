"""Filters on one (H, W) float32 plane: OpenCV in our conventions (height first, sigma in pixels)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .base import Flags, Floats
from .threads import each

_CHUNK = 1 << 14  # pixels at a time, so that they stay in the cache
SAMPLE = 20000  # pixels that a regression or a median of a whole plane looks at
_ENOUGH, _STRIP = 1 << 18, 32  # pixels that say all of a plane; lines that are looked at together


def copy_where(values: Floats, where: Flags, out: Floats) -> Floats:
    """Copy `values` to `out`, (H, W) both, where a mask says so: ten times as fast as NumPy's ways."""
    return np.asarray(cv2.copyTo(values, where.view(np.uint8), out), np.float32)


def masked(values: Floats, where: Flags) -> Floats:
    """`values` (H, W) where the mask is true, 0 elsewhere (also in place of NaN)."""
    return copy_where(values, where, np.zeros(values.shape, np.float32))


def combine(weights: Floats, planes: Floats, out: Floats) -> None:
    """Write combinations of planes (C, ...) by weights (n, C) into `out` (n, ...), which is contiguous."""
    flat, made = planes.reshape(len(planes), -1), out.reshape(len(out), -1)

    def part(first: int) -> None:
        some = np.s_[:, first : first + _CHUNK]
        np.matmul(weights, flat[some], out=made[some])

    each(part, range(0, flat.shape[1], _CHUNK))


def concat(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays (..., H, W) side by side, (..., H, nW); one alone as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def strips(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Lines of a plane (H, W, ...) for what needs some 2^18 of its pixels: all, or strips of 32 of them."""
    lines = np.arange(shape[0])
    return lines[lines // _STRIP % max(1, shape[0] * shape[1] // _ENOUGH) == 0]


def sampled(where: Flags, count: int = SAMPLE) -> NDArray[np.intp]:
    """Flat places, in order, of a regular sample of the pixels where a mask (H, W) is true.

    All of them up to 2 `count`, then at least `count`.
    """
    places = np.flatnonzero(where)
    return places[:: max(1, len(places) // count)]


def everywhere(planes: Floats | Sequence[Floats]) -> Flags:
    """(H, W) where all of n planes are finite."""
    out = np.isfinite(planes[0])
    for plane in planes[1:]:
        out &= np.isfinite(plane)
    return out


def moments(plane: Floats, where: Flags | None = None) -> tuple[float, float]:
    """Mean and standard deviation (in float64) of a plane, or of it where the mask is true; 0 of nothing."""
    mask = None if where is None else where.view(np.uint8)
    mean, deviation = cv2.meanStdDev(plane, mask=mask)
    return float(mean[0, 0]), float(deviation[0, 0])


def convolve(plane: Floats, kernel: Floats, mirror: bool = False, out: Floats | None = None) -> Floats:
    """Correlation with a small kernel; beyond the edge the last pixel repeats, or the plane mirrors.

    `out`: where to write it, if anywhere.
    """
    border = cv2.BORDER_REFLECT if mirror else cv2.BORDER_REPLICATE
    return np.asarray(cv2.filter2D(plane, -1, kernel, dst=out, borderType=border), np.float32)


def blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian low-pass, mirrored at the edge."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def slopes(plane: Floats) -> tuple[Floats, Floats]:
    """Sobel derivatives per pixel, to the right and down."""
    right = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def bilinear(
    values: Floats, y: NDArray[np.floating], x: NDArray[np.floating], weights: type[np.floating] = np.float64
) -> NDArray[np.floating]:
    """(n, ...) values (H, W, ...) at rows and columns (n,), linear between pixels, constant outside.

    `weights`: their type; float32 keeps the result in it, where there are many values a pixel.
    """
    height, width = values.shape[:2]
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    shape = (-1,) + (1,) * (values.ndim - 2)
    v, u = ((at - first).astype(weights).reshape(shape) for at, first in ((y, top), (x, left)))
    upper = values[top, left] * (1 - u) + values[top, right] * u
    lower = values[bottom, left] * (1 - u) + values[bottom, right] * u
    return np.asarray(upper * (1 - v) + lower * v)


def block_means(plane: Floats, factor: int) -> Floats:
    """Means of `factor` squared blocks; the size must divide."""
    size = (plane.shape[1] // factor, plane.shape[0] // factor)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def enlarge(plane: Floats, factor: int) -> Floats:
    """`factor` times the size, bilinear between the centres of the pixels."""
    size = (plane.shape[1] * factor, plane.shape[0] * factor)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)


def pad_to(plane: Floats, factor: int, repeat: bool = True) -> Floats:
    """Lines added below and to the right until the size divides: the last one repeated, or zeros."""
    bottom, right = -plane.shape[0] % factor, -plane.shape[1] % factor
    if not (bottom or right):
        return plane
    return np.pad(plane, ((0, bottom), (0, right)), mode="edge" if repeat else "constant")
