"""The other half of `best`: a regression that bends, by random tanh features of the same inputs.

Alone it is no better than the linear one; its errors differ, so that the mean of both is.

Source: Rahimi and Recht 2007 (random features).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import Floats
from . import robust

COUNT = 96
_SEED = 20240607  # of the random directions: part of the method, not of a run
_SAMPLE = 40000
_CHUNK = 1 << 14  # pixels at a time, so that hidden units stay in the cache


@dataclass(frozen=True)
class Twin:
    """Directions (n, P), offsets (n,), and output weights (1 + n + P, B): intercept, units, inputs."""

    directions: Floats
    offsets: Floats
    weights: Floats


def learn(stack: Floats, target: Floats, weight: Floats, ridge: float = 60.0, cut: float = 4.0) -> Twin:
    """Fit `target` (B, H, W) on bent features of `stack` (P, H, W) where `weight` (H, W) is above 0.

    Two rounds; in the second, pixels that fit badly count less.
    """
    count, bands = len(stack), len(target)
    rng = np.random.default_rng(_SEED)
    flat, goal = stack.reshape(count, -1), target.reshape(bands, -1)
    places = np.flatnonzero(weight.ravel() > 0)
    places = places[:: max(1, len(places) // _SAMPLE)]
    inputs = flat[:, places]
    deviation = inputs.std(1, dtype=np.float64) + 1e-6
    # A direction weighs inputs by their own deviation: the leading components lead.
    directions = rng.standard_normal((COUNT, count))
    directions /= np.sqrt((directions**2 * deviation**2).sum(1, keepdims=True))
    offsets = rng.uniform(-1.5, 1.5, COUNT)
    fan, shift = directions.astype(np.float32), offsets.astype(np.float32)
    units = np.tanh(fan @ inputs + shift[:, None])
    x = np.concatenate([np.ones((1, len(places)), np.float32), units, inputs]).astype(np.float64)
    y = goal[:, places]
    penalty = np.diag(np.r_[1.0, np.full(len(x) - 1, ridge)])
    start = weight.ravel()[places]
    weighted = x * start
    for _ in range(2):
        beta = np.linalg.solve(weighted @ x.T + penalty, weighted @ y.T.astype(np.float64))
        error = (y - beta.T @ x).astype(np.float32)[:, None]
        everywhere = np.ones((1, len(places)), bool)
        weighted = x * (start * robust.cauchy(error, everywhere, cut)[0])
    return Twin(fan, shift, beta.astype(np.float32))


def predict(stack: Floats, twin: Twin) -> Floats:
    """(B, H, W) what the twin says."""
    count = len(stack)
    flat = stack.reshape(count, -1)
    units = 1 + len(twin.directions)
    out = np.empty((twin.weights.shape[1], flat.shape[1]), np.float32)
    for start in range(0, flat.shape[1], _CHUNK):
        part = flat[:, start : start + _CHUNK]
        hidden = np.tanh(twin.directions @ part + twin.offsets[:, None])
        out[:, start : start + _CHUNK] = (
            twin.weights[1:units].T @ hidden + twin.weights[units:].T @ part + twin.weights[:1].T
        )
    return out.reshape(-1, *stack.shape[1:])
