"""Laplace's equation in gaps of any shape: cascadic multigrid, then conjugate gradients.

The membrane through the valid pixels is the smoothest surface that keeps them: no
overshoot, exact for planes. Edges of the array without data are free (Neumann).

Source: Bornemann and Deuflhard 1996 (cascadic multigrid) for the start value.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..base import Flags, Floats

_CROSS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def relax(values: Floats, unknown: Flags, sweeps: int, damping: float = 0.9) -> Floats:
    """Damped Jacobi sweeps of Laplace's equation at `unknown`; (H, W), in place."""
    for _ in range(sweeps):
        smooth = cv2.filter2D(values, -1, _CROSS, borderType=cv2.BORDER_REPLICATE)
        smooth -= values
        smooth *= damping
        np.add(values, smooth, out=values, where=unknown)
    return values


def _halve(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean of the known pixels of each 2 x 2 block, and their share; unknown values are 0."""
    height, width = values.shape
    if height % 2 or width % 2:
        bottom, right = height % 2, width % 2
        values = cv2.copyMakeBorder(values * weight, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        weight = cv2.copyMakeBorder(weight, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    else:
        values = values * weight
    size = (values.shape[1] // 2, values.shape[0] // 2)
    total = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    known = weight > 0
    return total / np.where(known, weight, 1), known.astype(np.float32)


def cascade(image: Floats, sweeps: int = 4) -> Floats:
    """A membrane through the finite pixels of `image` (H, W), close to the exact one.

    Each pixel that is NaN gets a value; all NaN gives all NaN.
    """
    known = np.isfinite(image)
    if known.all() or not known.any():
        return image.copy()
    levels = [(np.where(known, image, 0).astype(np.float32), known.astype(np.float32))]
    while not levels[-1][1].all() and max(levels[-1][0].shape) > 1:
        levels.append(_halve(*levels[-1]))
    values = levels[-1][0]
    for finer, weight in reversed(levels[:-1]):
        height, width = finer.shape
        # Blocks at an odd edge are half outside: enlarge exactly twice, then cut.
        up = cv2.resize(values, (2 * values.shape[1], 2 * values.shape[0]), interpolation=cv2.INTER_LINEAR)
        unknown = weight == 0
        values = np.where(unknown, up[:height, :width], finer)
        relax(values, unknown, sweeps)
    return values


def solve(image: Floats, tolerance: float = 1e-5, iterations: int = 2000) -> Floats:
    """The exact membrane through the finite pixels of `image` (H, W), float32.

    Conjugate gradients on the unknown pixels only, started from `cascade`, in float64;
    stops when the residual's norm is `tolerance` of the first one's scale or after `iterations`.
    """
    start = cascade(image, sweeps=6)
    unknown = ~np.isfinite(image)
    if not unknown.any() or not np.isfinite(start).all():
        return start
    rows, columns = np.nonzero(unknown)
    count = len(rows)
    height, width = image.shape
    number = np.full((height + 2, width + 2), -1, np.int64)
    number[1:-1, 1:-1][unknown] = np.arange(count)
    neighbours = np.empty((4, count), np.int64)
    degree = np.zeros(count)
    known_sum = np.zeros(count)
    for k, (dy, dx) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
        r, c = rows + dy, columns + dx
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        degree += inside
        index = number[r + 1, c + 1]
        neighbours[k] = np.where(index < 0, count, index)
        edge = inside & (index < 0)
        known_sum[edge] += image[r[edge], c[edge]]

    def laplacian(x: np.ndarray) -> np.ndarray:
        padded = np.append(x, 0.0)
        out = degree * x
        for index in neighbours:
            out -= padded[index]
        return out

    x = start[unknown].astype(np.float64)
    residual = known_sum - laplacian(x)
    scale = np.sqrt(np.mean(known_sum**2)) * np.sqrt(count) + 1e-30
    z = residual / degree
    direction = z.copy()
    product = residual @ z
    for _ in range(iterations):
        if np.sqrt(residual @ residual) <= tolerance * scale:
            break
        image_of = laplacian(direction)
        alpha = product / (direction @ image_of)
        x += alpha * direction
        residual -= alpha * image_of
        z = residual / degree
        product, before = residual @ z, product
        direction = z + (product / before) * direction
    out = start.copy()
    out[unknown] = x
    return out
