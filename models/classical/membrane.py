"""Laplace's equation in gaps of any shape: cascadic multigrid, then V-cycles.

The membrane through the valid pixels is the smoothest surface that keeps them: no
overshoot, exact for planes. Edges of the array without data are free (Neumann).

Source: Bornemann and Deuflhard 1996 (cascadic multigrid) for the start value; Brandt 1977 for the cycles.
"""

from __future__ import annotations

import numpy as np

from ..base import Flags, Floats
from ..planes import block_means, convolve, enlarge, pad_to

_LAPLACE = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
_CROSS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def relax(values: Floats, unknown: Flags, sweeps: int, damping: float = 0.9) -> Floats:
    """Damped Jacobi sweeps of Laplace's equation at `unknown`; (H, W), in place."""
    for _ in range(sweeps):
        change = convolve(values, _CROSS) - values
        np.add(values, np.float32(damping) * change, out=values, where=unknown)
    return values


def _halve(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean of the known pixels of each 2 x 2 block, and their share; unknown values are 0."""
    total = block_means(pad_to(values * weight, 2, repeat=False), 2)
    weight = block_means(pad_to(weight, 2, repeat=False), 2)
    known = weight > 0
    np.divide(total, weight, out=total, where=known)
    return total, known.astype(np.float32)


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
        unknown = weight == 0
        values = np.where(unknown, enlarge(values, 2)[:height, :width], finer)
        relax(values, unknown, sweeps)
    return values


def _negative_laplacian(values: Floats) -> Floats:
    """Four times the value minus its neighbours; free edges."""
    return convolve(values, _LAPLACE)


def _free(unknown: Floats) -> list[Floats]:
    """The unknown pixels (1, else 0) at each level: blocks that are unknown as a whole."""
    levels = [unknown]
    while min(levels[-1].shape) > 2 and levels[-1].any():
        share = block_means(pad_to(levels[-1], 2), 2)
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
        coarse = 4 * levels[1] * block_means(pad_to(rest, 2), 2)
        up = enlarge(_cycle(levels[1:], coarse, sweeps), 2)
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
