"""Laplace's equation in gaps of any shape: cascadic multigrid, then V-cycles.

The membrane through the valid pixels is the smoothest surface that keeps them: no
overshoot, exact for planes. Edges of the array without data are free (Neumann).

Source: Bornemann and Deuflhard 1996 (cascadic multigrid) for the start value; Brandt 1977 for the cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..base import Flags, Floats
from ..planes import block_means, convolve, copy_where, enlarge, masked, pad_to

DAMPING = 0.9  # of Jacobi sweeps in the cascade
STEP = 0.2  # of the equation's residual that a sweep of a cycle adds

_LAPLACE = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
_CROSS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)
_CENTRE = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)


@dataclass(frozen=True)
class MaskPyramid:
    """What a mask says at every scale: made once for all planes that share it.

    Attributes:
        known: (H, W) where values are given.
    """

    known: Flags

    @cached_property
    def shares(self) -> list[tuple[Floats, Flags]]:
        """Of each halving: 1 / the known share of the blocks (0 without any), and their unknown ones."""
        out = []
        known = self.known
        while not known.all() and max(known.shape) > 1:
            share = block_means(pad_to(known.astype(np.float32), 2, repeat=False), 2)
            known = share > 0
            out.append((np.divide(1, share, out=np.zeros_like(share), where=known), ~known))
        return out

    @cached_property
    def free(self) -> list[Floats]:
        """The unknown pixels (1, else 0) at each level: blocks that are unknown as a whole."""
        levels = [(~self.known).astype(np.float32)]
        while min(levels[-1].shape) > 2 and levels[-1].any():
            share = block_means(pad_to(levels[-1], 2), 2)
            levels.append((share > 0.99).astype(np.float32))
        return levels


def relax(values: Floats, unknown: Flags, sweeps: int) -> None:
    """Damped Jacobi sweeps of Laplace's equation at `unknown`; (H, W), in place."""
    kernel = np.float32(DAMPING) * _CROSS + np.float32(1 - DAMPING) * _CENTRE
    for _ in range(sweeps):
        copy_where(convolve(values, kernel), unknown, values)


def cascade(image: Floats, sweeps: int = 4, pyramid: MaskPyramid | None = None) -> Floats:
    """A membrane through the finite pixels of `image` (H, W), close to the exact one.

    Each pixel that is NaN gets a value; all NaN gives all NaN. `pyramid` is that of the finite
    pixels, where the caller has it.
    """
    pyramid = pyramid or MaskPyramid(np.isfinite(image))
    if pyramid.known.all() or not pyramid.known.any():
        return image.copy()
    levels = [masked(image, pyramid.known)]
    for factor, _ in pyramid.shares:
        total = block_means(pad_to(levels[-1], 2, repeat=False), 2)
        levels.append(np.multiply(total, factor, out=total))
    masks = [~pyramid.known, *(unknown for _, unknown in pyramid.shares)]
    values = levels[-1]
    for finer, unknown in zip(reversed(levels[:-1]), reversed(masks[:-1]), strict=True):
        height, width = finer.shape
        # Blocks at an odd edge are half outside: enlarge exactly twice, then cut.
        values = copy_where(enlarge(values, 2)[:height, :width], unknown, finer)
        relax(values, unknown, sweeps)
    return values


def _negative_laplacian(values: Floats) -> Floats:
    """Four times the value minus its neighbours; free edges."""
    return convolve(values, _LAPLACE)


_SMOOTH = _CENTRE - np.float32(STEP) * _LAPLACE


def _sweep(correction: Floats, load: Floats, free: Floats) -> Floats:
    """One step of the equation with `load`, 0 outside `free`."""
    moved = convolve(correction, _SMOOTH)
    cv2.scaleAdd(load, STEP, moved, moved)
    moved *= free
    return moved


def _cycle(levels: list[Floats], load: Floats, sweeps: int = 2) -> Floats:
    """One V-cycle for the correction that `load` (0 at known pixels) asks for."""
    free = levels[0]
    height, width = free.shape
    correction = np.float32(STEP) * load
    for _ in range(sweeps - 1):
        correction = _sweep(correction, load, free)
    if len(levels) > 1 and levels[1].any():
        rest = _negative_laplacian(correction)
        np.subtract(load, rest, out=rest)
        rest *= free
        coarse = block_means(pad_to(rest, 2), 2)
        coarse *= 4 * levels[1]
        up = enlarge(_cycle(levels[1:], coarse, sweeps), 2)[:height, :width]
        cv2.accumulateProduct(free, up, correction)
    for _ in range(sweeps):
        correction = _sweep(correction, load, free)
    return correction


def solve(
    image: Floats, tolerance: float = 1e-4, cycles: int = 30, pyramid: MaskPyramid | None = None
) -> Floats:
    """The membrane through the finite pixels of `image` (H, W), to a relative `tolerance`.

    Conjugate gradients with a V-cycle as preconditioner, started from `cascade`; all NaN stays so.
    The tolerance is on the norm of the equation's residual against that of the first one.
    `pyramid` as in `cascade`.
    """
    pyramid = pyramid or MaskPyramid(np.isfinite(image))
    values = cascade(image, pyramid=pyramid)
    if not cycles or pyramid.known.all() or not pyramid.known.any():
        return values
    levels = pyramid.free
    unknown = levels[0]
    rest = -unknown * _negative_laplacian(values)
    goal = tolerance * _norm(rest)
    direction = np.zeros_like(values)
    product, before = 1.0, np.zeros_like(values)
    for _ in range(cycles):
        if _norm(rest) <= goal:
            break
        correction = _cycle(levels, rest)
        slope = float(np.vdot(correction, rest - before)) / product  # flexible: Polak and Ribiere
        direction *= np.float32(max(slope, 0.0))
        direction += correction
        image_of = _negative_laplacian(direction)
        image_of *= unknown
        product = float(np.vdot(correction, rest))
        curvature = float(np.vdot(direction, image_of))
        if curvature <= 0 or product <= 0:
            break
        step = float(np.vdot(direction, rest)) / curvature
        before = rest
        cv2.scaleAdd(direction, step, values, values)
        rest = np.asarray(cv2.scaleAdd(image_of, -step, rest), np.float32)
    return values


def _norm(values: Floats) -> float:
    return float(np.sqrt(np.vdot(values, values)))
