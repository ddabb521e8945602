"""Filling a layer from its surroundings: a membrane, then a thin plate under tension near its rim.

The membrane is safe far from data; the plate continues slopes across narrow gaps; where the scene is
as smooth as a sharp lens makes it, a stiffer surface still (third differences) continues curvature.

Source of the plate's operator: Smith and Wessel 1990 (continuous curvature under tension).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...classical import membrane
from ...holdout import distance_to_valid
from ...planes import convolve

REACH, SWEEPS = 6.0, 30  # pixels from the rim that the plate moves, and how often
TENSION, RATE, MOMENTUM = 0.3, 0.7, 0.6
"""Of the plate; of its sweeps: damping and the share of the last step that is taken again."""

_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float64)
_BIHARMONIC = np.array(
    [[0, 0, 1, 0, 0], [0, 2, -8, 2, 0], [1, -8, 20, -8, 1], [0, 2, -8, 2, 0], [0, 0, 1, 0, 0]], np.float64
)
_STIFFER = 0.9  # share of the third power of the Laplacian; the rest is the second's


def _powers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """7 x 7 stencils of the second and third power of minus the Laplacian, each divided by its middle."""
    second = np.pad(_BIHARMONIC, 1)
    third = np.zeros((7, 7))
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            third -= _LAPLACE[row + 1, column + 1] * np.roll(second, (row, column), (0, 1))
    return second / second[3, 3], third / third[3, 3]


def _stiff_operator() -> tuple[Floats, float]:
    """The stiff surface's stencil, and the factor by which a sweep steps.

    Half of the largest that stays stable, 2 (1 + `MOMENTUM`) over the stencil's largest eigenvalue.
    """
    second, third = _powers()
    stencil = (1 - _STIFFER) * second + _STIFFER * third
    checkerboard = (-1.0) ** np.add.outer(np.arange(7), np.arange(7))
    return stencil.astype(np.float32), 1.6 / abs(float((stencil * checkerboard).sum()))


def operator() -> Floats:
    """The plate's 5 x 5 stencil divided by its diagonal."""
    stencil = (1 - TENSION) * _BIHARMONIC
    stencil[1:4, 1:4] -= TENSION * _LAPLACE
    return (stencil / stencil[2, 2]).astype(np.float32)


def plate(values: Floats, moving: Flags, sweeps: int) -> Floats:
    """Damped sweeps of the plate's equation at `moving` pixels of (H, W) values; a new array."""
    return _sweep(values, moving, operator(), RATE, sweeps)


def stiffen(values: Floats, moving: Flags, sweeps: int = 12) -> Floats:
    """The same with the equation of the stiffer surface."""
    return _sweep(values, moving, *_stiff_operator(), sweeps)


def _sweep(values: Floats, moving: Flags, stencil: Floats, rate: float, sweeps: int) -> Floats:
    values = values.copy()
    step, pull = np.zeros_like(values), np.empty_like(values)
    move = moving.astype(np.float32) * np.float32(rate)
    for _ in range(sweeps):  # in place: a third quicker than with arrays for what lies between
        convolve(values, stencil, mirror=True, out=pull)
        pull *= move
        step *= np.float32(MOMENTUM)
        step -= pull
        values += step
    return values


def fill(image: Floats, stiff: float = 0.0) -> Floats:
    """(H, W) with every NaN filled; all NaN stays so. `stiff` (0..1): weight of the stiffer surface."""
    unknown = ~np.isfinite(image)
    out = membrane.solve(image, cycles=3)
    if not unknown.any() or unknown.all():
        return out
    moving = unknown & (distance_to_valid(unknown) <= REACH)
    out = plate(out, moving, SWEEPS)
    return out if stiff <= 0 else out + np.float32(stiff) * (stiffen(out, moving) - out)
