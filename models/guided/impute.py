"""Filling the references' own gaps from the clearer references.

All bands of all chosen references are seen as one joint normal variable. Its mean and
covariance come from the overview; a missing date takes its conditional mean given the dates
that are clear at the pixel, then the error that this makes on the clear rim is spread inwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats
from ..classical.membrane import cascade


@dataclass(frozen=True)
class Joint:
    """Joint normal of C channels: mean and scale (C,), correlation (C, C), owner date (C,)."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    correlation: NDArray[np.float64]
    owner: NDArray[np.intp]


def learn(channels: Floats, owner: NDArray[np.intp]) -> Joint:
    """Moments of (C, H, W) channels, NaN where missing, each pair over its common pixels."""
    flat = channels.reshape(len(channels), -1)
    seen = np.isfinite(flat)
    count = np.maximum(seen.sum(1), 1)
    mean = np.where(seen, flat, 0).sum(1, dtype=np.float64) / count
    centred = np.where(seen, flat - mean[:, None].astype(np.float32), 0)
    scale = np.sqrt((centred.astype(np.float64) ** 2).sum(1) / count)
    scale = np.where(scale > 1e-6, scale, 1.0)
    centred /= scale[:, None].astype(np.float32)
    dates = [np.flatnonzero(owner == k)[0] for k in range(owner.max() + 1)]
    date_seen = seen[dates].astype(np.float32)
    common = (date_seen @ date_seen.T).astype(np.float64)[np.ix_(owner, owner)]
    correlation = (centred @ centred.T).astype(np.float64) / np.maximum(common, 1)
    # Pairs over different pixels need not fit together: lift the spectrum to above zero.
    shrink = common / (common + 50)
    correlation *= np.where(np.eye(len(owner), dtype=bool), 1, shrink)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    correlation = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    return Joint(mean, scale, correlation, owner)


def conditional(joint: Joint, present: Flags, missing: Flags, penalty: float = 0.01) -> NDArray[np.float32]:
    """(missing, present) weights that predict missing channels from present ones, z-scored."""
    c = joint.correlation
    within = c[np.ix_(present, present)] + penalty * np.eye(int(present.sum()))
    return np.linalg.solve(within, c[np.ix_(present, missing)]).T.astype(np.float32)


def complete(channels: Floats, joint: Joint, spread_error: float = 1.0) -> tuple[Floats, Floats]:
    """Fill channels (C, H, W), and the share of dates that were really there, (H, W) in 0..1.

    Returns z-scored channels without NaN. `spread_error` is the share of the rim's error that
    is carried into a date's gap.
    """
    shape = channels.shape[1:]
    z = channels.reshape(len(channels), -1)
    z = z - joint.mean[:, None].astype(np.float32)
    z *= (1 / joint.scale[:, None]).astype(np.float32)
    dates = int(joint.owner.max()) + 1
    firsts = [int(np.flatnonzero(joint.owner == k)[0]) for k in range(dates)]
    seen = np.isfinite(z[firsts])  # a date's bands share one mask
    share = seen.mean(0, dtype=np.float32).reshape(shape)
    if seen.all():
        return z.reshape(channels.shape), share
    code = np.left_shift(seen, np.arange(dates)[:, None], dtype=np.int32).sum(0, dtype=np.int32)
    patterns = np.unique(code)
    for pattern in patterns[patterns < (1 << dates) - 1]:
        where = np.flatnonzero(code == pattern)
        there = np.array([bool(pattern >> k & 1) for k in range(dates)])[joint.owner]
        if there.any():
            given = np.stack([z[channel].take(where) for channel in np.flatnonzero(there)])
            guess = conditional(joint, there, ~there) @ given
        else:
            guess = np.zeros((int((~there).sum()), len(where)), np.float32)
        for channel, values in zip(np.flatnonzero(~there), guess, strict=True):
            z[channel, where] = values
    filled = z.reshape(channels.shape)
    for k in range(dates):
        clear = seen[k].reshape(shape)
        if clear.all() or not clear.any() or dates == 1:
            continue
        mine = joint.owner == k
        weights = conditional(joint, ~mine, mine)
        expected = (weights @ z[~mine]).reshape(-1, *shape)
        gap = ~clear
        for channel, guess in zip(np.flatnonzero(mine), expected, strict=True):
            surface = cascade(np.where(clear, filled[channel] - guess, np.float32(np.nan)), sweeps=2)
            filled[channel][gap] += np.float32(spread_error) * surface[gap]
    return filled, share
