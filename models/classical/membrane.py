"""Laplace's equation in gaps of any shape: cascadic multigrid, then V-cycles.

The membrane through the valid pixels is the smoothest surface that keeps them: no
overshoot, exact for planes. Edges of the array without data are free (Neumann).

Source: Bornemann and Deuflhard 1996 (cascadic multigrid) for the start value; Brandt 1977 for the cycles.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..base import Flags, Floats

_LAPLACE = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
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


def _negative_laplacian(values: Floats) -> Floats:
    """Four times the value minus its neighbours; free edges."""
    return np.asarray(cv2.filter2D(values, -1, _LAPLACE, borderType=cv2.BORDER_REPLICATE), np.float32)


def _free(unknown: Floats) -> list[Floats]:
    """The unknown pixels (1, else 0) at each level: blocks that are unknown as a whole."""
    levels = [unknown]
    while min(levels[-1].shape) > 2 and levels[-1].any():
        height, width = levels[-1].shape
        # An odd edge repeats its last line.
        even = cv2.copyMakeBorder(levels[-1], 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (even.shape[1] // 2, even.shape[0] // 2)
        share = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
        levels.append((share > 0.99).astype(np.float32))
    return levels


def _cycle(levels: list[Floats], load: Floats, sweeps: int = 2) -> Floats:
    """One V-cycle for the correction that `load` (0 at known pixels) asks for."""
    free = levels[0]
    height, width = free.shape
    step = free * np.float32(0.2)
    correction = step * load
    for _ in range(sweeps - 1):
        correction += step * (load - _negative_laplacian(correction))
    if len(levels) > 1 and levels[1].any():
        rest = free * (load - _negative_laplacian(correction))
        rest = cv2.copyMakeBorder(rest, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (rest.shape[1] // 2, rest.shape[0] // 2)
        coarse = 4 * levels[1] * cv2.resize(rest, size, interpolation=cv2.INTER_AREA)
        coarse = _cycle(levels[1:], coarse, sweeps)
        up = cv2.resize(coarse, (rest.shape[1], rest.shape[0]), interpolation=cv2.INTER_LINEAR)
        correction += free * up[:height, :width]
    for _ in range(sweeps):
        correction += step * (load - _negative_laplacian(correction))
    return correction


def solve(image: Floats, tolerance: float = 1e-4, cycles: int = 30) -> Floats:
    """The membrane through the finite pixels of `image` (H, W), to a relative `tolerance`.

    Conjugate gradients with a V-cycle as preconditioner, started from `cascade`; all NaN stays so.
    The tolerance is on the norm of the equation's residual against that of the first one.
    """
    values = cascade(image)
    unknown = (~np.isfinite(image)).astype(np.float32)
    if not unknown.any() or unknown.all():
        return values
    levels = _free(unknown)
    rest = -unknown * _negative_laplacian(values)
    goal = tolerance * float(np.sqrt(np.vdot(rest, rest)))
    direction = np.zeros_like(values)
    product, before = 1.0, np.zeros_like(values)
    for _ in range(cycles):
        if float(np.sqrt(np.vdot(rest, rest))) <= goal:
            break
        correction = _cycle(levels, rest)
        slope = float(np.vdot(correction, rest - before)) / product  # flexible: Polak and Ribiere
        direction = correction + np.float32(max(slope, 0.0)) * direction
        image_of = unknown * _negative_laplacian(direction)
        product = float(np.vdot(correction, rest))
        bent = float(np.vdot(direction, image_of))
        if bent <= 0 or product <= 0:
            break
        step = np.float32(float(np.vdot(direction, rest)) / bent)
        before = rest
        values += step * direction
        rest = rest - step * image_of
    return values
