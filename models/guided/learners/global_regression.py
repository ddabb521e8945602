"""Global ridge regressions, one set of weights for the whole scene, on all bands of the dates as they are.

Stiffer than the local one, so that few pixels carry them. One reads the best date, one the two best, one
the four best, and so on to all: their errors differ, so that their mean is better than any. Being linear,
the mean is one set of weights. Errors of a cell share a level, as in the local ones (`Moments.level_free`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...planes import sampled
from ...ridge import ridge_weights
from . import robust
from .statistics import CELL, without_levels

_RIDGE = 0.003  # share of the pixels that a unit of a channel's weight costs


@dataclass(frozen=True)
class GlobalRegression:
    """Weights (B, 1 + C) of [1, channels]."""

    weights: Floats


def learn(
    channels: Floats, owner: NDArray[np.intp], target: Floats, valid: Flags, weight: Floats
) -> GlobalRegression:
    """Fit `target` (B, H, W), known where `valid` (B, H, W), on complete, z-scored channels (C, H, W).

    `owner` (C,) is the date of each channel, 0 the best; `weight` (H, W) is a pixel's. Two rounds a
    regression; in the second, pixels that fit badly count less.
    """
    flat = channels.reshape(len(channels), -1)
    out: NDArray[np.floating] = np.zeros((len(target), 1 + len(channels)))
    clear = np.all(valid, axis=0)
    places = sampled(clear & (weight > 0))
    if not len(places):
        return GlobalRegression(out.astype(np.float32))
    x = np.concatenate([np.ones((1, len(places)), np.float32), flat[:, places]]).astype(np.float64)
    y = target.reshape(len(target), -1)[:, places].astype(np.float64)
    start = weight.ravel()[places]
    free = without_levels(np.concatenate([x, y]), start, _cells(places, channels.shape[2]))
    x, y = free[: len(x)], free[len(x) :]
    counts = _doubling(int(owner.max()) + 1)
    for count in counts:
        used = np.concatenate([[True], owner < count])
        out[:, used] += _fit(x[used], y, start) / len(counts)
    return GlobalRegression(out.astype(np.float32))


def _cells(places: NDArray[np.intp], width: int) -> NDArray[np.intp]:
    """A number for the cell of each flat place of an array `width` pixels wide."""
    rows, columns = np.divmod(places, width)
    return rows // CELL * width + columns // CELL


def _doubling(dates: int) -> list[int]:
    """1, 2, 4 and so on, and `dates`."""
    return [*(1 << power for power in range((dates - 1).bit_length())), dates]


def _fit(x: NDArray[np.float64], y: NDArray[np.float64], start: Floats) -> NDArray[np.floating]:
    """(B, F) weights of features x (F, N), the first a constant, for y (B, N)."""
    penalty = np.full(len(x), _RIDGE * x.shape[1])
    penalty[0] = 1e-3
    weighted = x * start
    out: NDArray[np.floating] = np.zeros((len(y), len(x)))
    for _ in range(2):
        out = ridge_weights(weighted @ x.T, weighted @ y.T, penalty).T
        error = (y - out @ x).astype(np.float32)[:, None]
        weighted = x * (start * robust.cauchy(error, np.ones((1, x.shape[1]), bool))[0])
    return out


def predict(known: GlobalRegression, channels: Floats) -> Floats:
    """(B, H, W) what the regression says of complete, z-scored channels (C, H, W)."""
    flat = channels.reshape(len(channels), -1)
    out: Floats = known.weights[:, 1:] @ flat
    out += known.weights[:, :1]
    return out.reshape(-1, *channels.shape[1:])
