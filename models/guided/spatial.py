"""Filling a layer from its surroundings: a membrane, then a thin plate under tension near its rim.

The membrane is safe far from data; the plate continues slopes across narrow gaps.

Source of the plate's operator: Smith and Wessel 1990 (continuous curvature under tension).
"""

from __future__ import annotations

import numpy as np

from ..base import Flags, Floats
from ..classical import membrane
from ..holdout import distance_to_valid
from ..planes import convolve

_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float64)
_BIHARMONIC = np.array(
    [[0, 0, 1, 0, 0], [0, 2, -8, 2, 0], [1, -8, 20, -8, 1], [0, 2, -8, 2, 0], [0, 0, 1, 0, 0]], np.float64
)


def _operator(tension: float) -> Floats:
    """The plate's 5 x 5 stencil divided by its diagonal."""
    stencil = (1 - tension) * _BIHARMONIC
    stencil[1:4, 1:4] -= tension * _LAPLACE
    return (stencil / stencil[2, 2]).astype(np.float32)


def plate(
    values: Floats, moving: Flags, sweeps: int = 30, tension: float = 0.3, momentum: float = 0.6
) -> Floats:
    """Damped sweeps of the plate's equation at `moving` pixels of (H, W) values; a new array."""
    stencil = _operator(tension)
    values = values.copy()
    step = np.zeros_like(values)
    move = moving.astype(np.float32) * 0.7
    for _ in range(sweeps):
        step = np.float32(momentum) * step - move * convolve(values, stencil, mirror=True)
        values += step
    return values


def fill(image: Floats, reach: float = 6.0, sweeps: int = 30) -> Floats:
    """(H, W) with every NaN filled; all NaN stays so."""
    unknown = ~np.isfinite(image)
    out = membrane.solve(image, cycles=3)
    if not unknown.any() or unknown.all():
        return out
    moving = unknown & (distance_to_valid(unknown) <= reach)
    return plate(out, moving, sweeps) if sweeps else out
