"""Filling the references' own gaps from the clearer references.

All bands of all chosen references are seen as one joint normal variable. Its mean and
covariance come from the overview; a missing date takes its conditional mean given the dates
that are clear at the pixel, then the error that this makes on the clear rim is spread inwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats
from ..classical.membrane import Ground, cascade
from ..planes import moments
from ..threads import each

_CHUNK = 1 << 15  # pixels at a time, so that they stay in the cache


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
    dates = [int(np.flatnonzero(owner == k)[0]) for k in range(owner.max() + 1)]
    seen = np.isfinite(flat[dates])  # a date's bands share one mask
    mean, scale = np.zeros(len(flat)), np.ones(len(flat))

    def standard(channel: int) -> None:
        mean[channel], spread = moments(flat[channel][None], seen[owner[channel]][None])
        scale[channel] = spread if spread > 1e-6 else 1.0

    each(standard, range(len(flat)))

    def sums(first: int) -> tuple[Floats, Floats]:
        part = np.s_[:, first : first + _CHUNK]
        there = seen[part]
        z = flat[part] - mean[:, None].astype(np.float32)
        z /= scale[:, None].astype(np.float32)
        for k in np.flatnonzero(~there.all(1)):
            z[np.ix_(owner == k, ~there[k])] = 0
        return z @ z.T, there.astype(np.float32) @ there.T.astype(np.float32)

    products, pairs = zip(*each(sums, range(0, flat.shape[1], _CHUNK)), strict=True)
    common = np.asarray(np.sum(pairs, axis=0, dtype=np.float64))[np.ix_(owner, owner)]
    correlation = np.asarray(np.sum(products, axis=0, dtype=np.float64)) / np.maximum(common, 1)
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
    z = np.empty(channels.shape, np.float32)
    mean, factor = joint.mean.astype(np.float32), (1 / joint.scale).astype(np.float32)

    def scored(channel: int) -> None:
        np.subtract(channels[channel], mean[channel], out=z[channel])
        z[channel] *= factor[channel]

    each(scored, range(len(channels)))
    dates = int(joint.owner.max()) + 1
    firsts = [int(np.flatnonzero(joint.owner == k)[0]) for k in range(dates)]
    seen = np.isfinite(z[firsts])  # a date's bands share one mask
    share = seen.mean(0, dtype=np.float32)
    if not seen.all():
        _guess(z.reshape(len(z), -1), seen.reshape(dates, -1), joint)
        if dates > 1:
            _carry_errors(z, seen, joint, spread_error)
    return z, share.reshape(shape)


def _guess(z: Floats, seen: Flags, joint: Joint) -> None:
    """Conditional means of what is missing in z (C, N), in place; `seen` is (dates, N)."""
    code = np.zeros(seen.shape[1], np.int32)
    for k, there in enumerate(seen):
        code += there.view(np.uint8) * np.int32(1 << k)
    for pattern in np.flatnonzero(np.bincount(code, minlength=1 << len(seen))[:-1]):
        where = np.flatnonzero(code == pattern)
        there = np.array([bool(pattern >> k & 1) for k in range(len(seen))])[joint.owner]
        if there.any():
            given = np.stack([z[channel].take(where) for channel in np.flatnonzero(there)])
            guess = conditional(joint, there, ~there) @ given
        else:
            guess = np.zeros((int((~there).sum()), len(where)), np.float32)
        for channel, values in zip(np.flatnonzero(~there), guess, strict=True):
            z[channel, where] = values


def _carry_errors(z: Floats, seen: Flags, joint: Joint, share: float) -> None:
    """Spread what the other dates get wrong on a date's clear rim into its gap; z (C, H, W), in place."""
    size = len(z)
    weights = np.zeros((size, size), np.float32)
    holed = [k for k, clear in enumerate(seen) if clear.any() and not clear.all()]
    for k in holed:
        mine = joint.owner == k
        weights[np.ix_(mine, ~mine)] = conditional(joint, ~mine, mine)
    expected = (weights @ z.reshape(size, -1)).reshape(z.shape)
    for place, k in enumerate(holed):
        ground, gap, mine = Ground(seen[k]), ~seen[k], np.flatnonzero(joint.owner == k)
        ground.shares  # noqa: B018 - made here, once, not in each thread

        def corrected(channel: int, ground: Ground = ground, gap: Flags = gap) -> Floats:
            surface = cascade(z[channel] - expected[channel], sweeps=2, ground=ground)
            surface *= np.float32(share)
            cv2.add(z[channel], surface, z[channel], gap.view(np.uint8))
            return surface

        moved = each(corrected, mine.tolist())
        # Dates that come later see the corrected values.
        later = np.flatnonzero(np.isin(joint.owner, holed[place + 1 :]))
        if len(later):
            places = np.flatnonzero(gap)
            change = weights[np.ix_(later, mine)] @ np.stack([plane.take(places) for plane in moved])
            for channel, values in zip(later, change, strict=True):
                expected[channel].reshape(-1)[places] += values
