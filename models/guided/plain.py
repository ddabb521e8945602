"""One ridge regression for the whole scene, on all bands of all dates as they are.

Stiffer than the local one, so that few pixels carry it; its errors differ, so that the mean of both
is often better than either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats
from . import robust

_RIDGE = 0.03  # share of the pixels that a unit of a channel's weight costs
_SAMPLE = 20000  # pixels that it is fitted on
_CUT = 4.0  # of the robust weights


@dataclass(frozen=True)
class Plain:
    """Weights (B, 1 + C) of [1, channels]."""

    weights: Floats


def learn(channels: Floats, target: Floats, valid: Flags, weight: Floats) -> Plain:
    """Fit `target` (B, H, W), known where `valid` (B, H, W), on complete, z-scored channels (C, H, W).

    `weight` (H, W) is a pixel's. Two rounds; in the second, pixels that fit badly count less.
    """
    flat = channels.reshape(len(channels), -1)
    out: NDArray[np.floating] = np.zeros((len(target), 1 + len(channels)))
    clear = np.all(valid, axis=0)
    places = np.flatnonzero((clear & (weight > 0)).ravel())
    places = places[:: max(1, len(places) // _SAMPLE)]
    if not len(places):
        return Plain(out.astype(np.float32))
    x = np.concatenate([np.ones((1, len(places)), np.float32), flat[:, places]]).astype(np.float64)
    y = target.reshape(len(target), -1)[:, places]
    penalty = _RIDGE * len(places) * np.eye(len(x))
    penalty[0, 0] = 1e-3
    start = weight.ravel()[places]
    weighted = x * start
    for _ in range(2):
        out = np.linalg.solve(weighted @ x.T + penalty, weighted @ y.T.astype(np.float64)).T
        error = (y - out @ x).astype(np.float32)[:, None]
        weighted = x * (start * robust.cauchy(error, np.ones((1, len(places)), bool), _CUT)[0])
    return Plain(out.astype(np.float32))


def predict(plain: Plain, channels: Floats) -> Floats:
    """(B, H, W) what it says of complete, z-scored channels (C, H, W)."""
    flat = channels.reshape(len(channels), -1)
    out: Floats = plain.weights[:, 1:] @ flat
    out += plain.weights[:, :1]
    return out.reshape(-1, *channels.shape[1:])
