"""The nonlinear half of the local regression: ridge regression on random tanh features of the same inputs.

Alone it is no better than the linear one; its errors differ, so that the mean of both is.

Source: Rahimi and Recht 2007 (random features).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...base import Floats
from ...threads import each
from . import coarse, robust, solve

_SEED = 20240607  # of the random directions: part of the method, not of a run
_FROM = 5000  # pixels up to which it learns noise (train)
_SAMPLE = 13000  # pixels that it is fitted on; more gain nothing (train)
_FIRST = 4  # of so many of these, one is seen by the first round
_CHUNK = 1 << 13  # pixels at a time


@dataclass(frozen=True)
class RandomFeatures:
    """Directions (n, P), offsets (n,), and output weights (1 + n + P, B): intercept, units, inputs."""

    directions: Floats
    offsets: Floats
    weights: Floats


def learn(stack: Floats, target: Floats, weight: Floats, units: int, ridge: float) -> RandomFeatures | None:
    """Fit `target` (B, H, W) on `units` random features of `stack` (P, H, W) where `weight` (H, W) exceeds 0.

    Two rounds; in the second, pixels that fit badly count less. None of too few pixels.

    Args:
        ridge: pixels that a unit of a feature's weight costs.
    """
    count, bands = len(stack), len(target)
    places = np.flatnonzero(weight.ravel() > 0)
    if len(places) <= _FROM:
        return None
    places = places[:: -(-len(places) // _SAMPLE)]
    start = weight.ravel()[places]
    lines = np.empty((1 + count, len(places)), np.float32)
    lines[0], lines[1:] = 1, stack.reshape(count, -1)[:, places]
    goal = target.reshape(bands, -1)[:, places]
    fan, shift = _directions(lines, _ridge(lines, goal, start, ridge), units)
    x = np.concatenate([lines[:1], np.tanh(fan @ lines[1:] + shift[:, None]), lines[1:]])
    few = np.s_[..., ::_FIRST]
    first = _ridge(x[few], goal[few], start[few], ridge)
    error = (goal - first.T @ x)[:, None]
    start *= robust.cauchy(error, np.ones((1, len(places)), bool))[0]
    return RandomFeatures(fan, shift, _ridge(x, goal, start, ridge))


def _directions(lines: Floats, slopes: Floats, units: int) -> tuple[Floats, Floats]:
    """Random directions (units, P) and offsets (units,) for features `lines` (1 + P, N), the first constant.

    A direction leans to the inputs that tell of the target, as a linear fit's `slopes` (1 + P, B) say; what
    it makes of them has a deviation of 1.
    """
    random = np.random.default_rng(_SEED)
    deviation = lines[1:].std(1, dtype=np.float64) + 1e-6
    leaning = np.sqrt((slopes[1:].astype(np.float64) ** 2).mean(1))
    leaning += 1e-3 * leaning.max() + 1e-9
    directions = random.standard_normal((units, len(leaning))) * leaning
    directions /= np.sqrt((directions**2 * deviation**2).sum(1, keepdims=True))
    offsets = random.uniform(-1.5, 1.5, units)  # nosec B311 - nothing is to be kept secret
    return directions.astype(np.float32), offsets.astype(np.float32)


def _ridge(x: Floats, y: Floats, weight: Floats, slope: float) -> Floats:
    """(F, B) weights of features x (F, N), the first a constant, for y (B, N)."""
    both = np.concatenate([x, y])
    moments = np.zeros((len(both), len(both)))
    for first in range(0, x.shape[1], _CHUNK):
        some = both[:, first : first + _CHUNK]
        moments += (some * weight[first : first + _CHUNK]) @ some.T
    penalty = coarse.penalties(len(x) - 1, slope, 1.0)
    return solve.ridge(moments[None], len(y), penalty, np.zeros((1, 1, 1)))[0].astype(np.float32)


def predict(stack: Floats, known: RandomFeatures) -> Floats:
    """(B, H, W) what the regression on them says."""
    count = len(stack)
    flat = stack.reshape(count, -1)
    units = 1 + len(known.directions)
    out = np.empty((known.weights.shape[1], flat.shape[1]), np.float32)

    def part(first: int) -> None:
        some = flat[:, first : first + _CHUNK]
        hidden = known.directions @ some
        hidden += known.offsets[:, None]
        np.tanh(hidden, out=hidden)
        there = out[:, first : first + _CHUNK]
        np.matmul(known.weights[1:units].T, hidden, out=there)
        there += known.weights[units:].T @ some
        there += known.weights[:1].T

    each(part, range(0, flat.shape[1], _CHUNK))
    return out.reshape(-1, *stack.shape[1:])
