"""Filling the references' own gaps from the clearer references.

All bands of all chosen references are seen as one joint normal variable. Its mean and
covariance come from the overview; a missing date takes its conditional mean given the dates
that are clear at the pixel, then the error that this makes on the clear rim is spread inwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats
from ..classical.membrane import Ground, cascade
from ..planes import everywhere, moments
from ..threads import each

_RIDGE = 150.0  # pixels that a unit of a channel's weight costs
_CHUNK = 1 << 15  # pixels at a time, so that they stay in the cache


@dataclass(frozen=True)
class Joint:
    """Joint normal of C channels: mean and scale (C,), correlation (C, C), owner date (C,).

    `penalty` is the ridge, in shares of a channel's variance: larger where few pixels taught it.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    correlation: NDArray[np.float64]
    owner: NDArray[np.intp]
    penalty: float = 0.01


def learn(channels: Sequence[Floats], owner: NDArray[np.intp]) -> Joint:
    """Moments of C planes (H, W), NaN where missing, each pair over its common pixels.

    `owner` (C,) is the date of each; where one of its planes is missing, all of it is.
    """
    seen = _seen(channels, owner).reshape(owner.max() + 1, -1)
    flat = [np.ascontiguousarray(plane).reshape(-1) for plane in channels]
    mean, scale = np.zeros(len(flat)), np.ones(len(flat))

    def standard(channel: int) -> None:
        mean[channel], spread = moments(flat[channel][None], seen[owner[channel]][None])
        scale[channel] = spread if spread > 1e-6 else 1.0

    each(standard, range(len(flat)))
    middle, factor = mean.astype(np.float32), (1 / scale).astype(np.float32)

    def sums(first: int) -> tuple[Floats, Floats]:
        there = seen[:, first : first + _CHUNK]
        z = np.empty((len(flat), there.shape[1]), np.float32)
        for channel, plane in enumerate(flat):
            np.subtract(plane[first : first + _CHUNK], middle[channel], out=z[channel])
            z[channel] *= factor[channel]
        for k in np.flatnonzero(~there.all(1)):
            z[np.ix_(owner == k, ~there[k])] = 0
        return z @ z.T, there.astype(np.float32) @ there.T.astype(np.float32)

    products, pairs = zip(*each(sums, range(0, flat[0].size, _CHUNK)), strict=True)
    common = np.asarray(np.sum(pairs, axis=0, dtype=np.float64))[np.ix_(owner, owner)]
    correlation = np.asarray(np.sum(products, axis=0, dtype=np.float64)) / np.maximum(common, 1)
    # Pairs over different pixels need not fit together: lift the spectrum to above zero.
    shrink = common / (common + 50)
    correlation *= np.where(np.eye(len(owner), dtype=bool), 1, shrink)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    correlation = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    penalty = 0.01 + _RIDGE / max(float(np.median(common)), 1.0)
    return Joint(mean, scale, correlation, owner, penalty)


def conditional(joint: Joint, present: Flags, missing: Flags) -> NDArray[np.float32]:
    """(missing, present) weights that predict missing channels from present ones, z-scored."""
    c = joint.correlation
    within = c[np.ix_(present, present)] + joint.penalty * np.eye(int(present.sum()))
    return np.linalg.solve(within, c[np.ix_(present, missing)]).T.astype(np.float32)


def complete(channels: Sequence[Floats], joint: Joint, spread_error: float = 1.0) -> tuple[Floats, Floats]:
    """C planes (H, W) filled, and the share of dates that were really there, (H, W) in 0..1.

    Returns z-scored channels (C, H, W) without NaN. `spread_error` is the share of the rim's
    error that is carried into a date's gap.
    """
    shape, owner = channels[0].shape, joint.owner
    seen = _seen(channels, owner)
    dates = seen.reshape(len(seen), -1)
    z = np.empty((len(channels), *shape), np.float32)
    holed = [k for k, clear in enumerate(seen) if clear.any() and not clear.all()] if len(seen) > 1 else []
    weights = of_the_others(joint, holed)
    error = np.empty_like(z) if holed else z[:0]
    apart = np.eye(len(z), dtype=np.float32) - weights  # what a channel is beyond what the others say
    code = _code(dates)
    flat, flat_error = z.reshape(len(z), -1), error.reshape(len(error), code.size)
    guesses = _Guesses(joint, len(seen))
    planes = [np.ascontiguousarray(plane).reshape(-1) for plane in channels]

    def part(first: int) -> None:
        last = first + _CHUNK
        some = flat[:, first:last]
        for channel, plane in enumerate(planes):
            np.subtract(plane[first:last], guesses.mean[channel], out=some[channel])
            some[channel] *= guesses.factor[channel]
        guesses.fill(some, code[first:last])
        if holed:
            np.matmul(apart, some, out=flat_error[:, first:last])

    guesses.prepare(code)
    each(part, range(0, flat.shape[1], _CHUNK))
    _carry_errors(z, error, seen, holed, weights, owner, np.float32(spread_error))
    return z, seen.mean(0, dtype=np.float32)


def _seen(channels: Sequence[Floats], owner: NDArray[np.intp]) -> Flags:
    """(dates, H, W) where all channels of a date are there."""
    dates = range(owner.max() + 1)
    return np.stack([everywhere([channels[c] for c in np.flatnonzero(owner == k).tolist()]) for k in dates])


def _code(seen: Flags) -> NDArray[np.int32]:
    """(N,) which of the dates (K, N) are there, as bits."""
    code = np.zeros(seen.shape[1], np.int32)
    for k, there in enumerate(seen):
        code += there.view(np.uint8) * np.int32(1 << k)
    return code


class _Guesses:
    """Conditional means of what is missing, by which dates are there."""

    def __init__(self, joint: Joint, dates: int) -> None:
        self.mean = joint.mean.astype(np.float32)
        self.factor = (1 / joint.scale).astype(np.float32)
        self._joint, self._dates = joint, dates
        self._weights: dict[int, tuple[Flags, NDArray[np.float32]]] = {}

    def prepare(self, code: NDArray[np.int32]) -> None:
        """Weights of every combination that occurs, but that of all dates."""
        for bits in np.flatnonzero(np.bincount(code, minlength=1 << self._dates)[:-1]).tolist():
            there = np.array([bool(bits >> k & 1) for k in range(self._dates)])[self._joint.owner]
            weights = conditional(self._joint, there, ~there) if there.any() else np.empty((0, 0), np.float32)
            self._weights[bits] = there, weights

    def fill(self, z: Floats, code: NDArray[np.int32]) -> None:
        """Fill z (C, n) in place; nothing is known where no date is there: the mean."""
        for bits in np.flatnonzero(np.bincount(code, minlength=1 << self._dates)[:-1]).tolist():
            there, weights = self._weights[bits]
            where = np.flatnonzero(code == bits)
            missing = np.flatnonzero(~there)
            if not there.any():
                for channel in missing:
                    z[channel, where] = 0
                continue
            given = np.stack([z[channel].take(where) for channel in np.flatnonzero(there)])
            for channel, values in zip(missing, weights @ given, strict=True):
                z[channel, where] = values


def of_the_others(joint: Joint, holed: list[int]) -> Floats:
    """(C, C) weights that predict the channels of dates with gaps from all other dates."""
    size = len(joint.owner)
    weights = np.zeros((size, size), np.float32)
    for k in holed:
        mine = joint.owner == k
        weights[np.ix_(mine, ~mine)] = conditional(joint, ~mine, mine)
    return weights


def _carry_errors(
    z: Floats,
    error: Floats,
    seen: Flags,
    holed: list[int],
    weights: Floats,
    owner: NDArray[np.intp],
    share: np.float32,
) -> None:
    """Spread what the other dates get wrong (`error`) on a date's clear rim into its gap; z in place."""
    for place, k in enumerate(holed):
        ground, gap, mine = Ground(seen[k]), ~seen[k], np.flatnonzero(owner == k)
        ground.shares  # noqa: B018 - made here, once, not in each thread

        def corrected(channel: int, ground: Ground = ground, gap: Flags = gap) -> Floats:
            surface = cascade(error[channel], sweeps=2, ground=ground)
            surface *= share
            cv2.add(z[channel], surface, z[channel], gap.view(np.uint8))
            return surface

        moved = each(corrected, mine.tolist())
        # Dates that come later see the corrected values.
        later = np.flatnonzero(np.isin(owner, holed[place + 1 :]))
        if len(later):
            places = np.flatnonzero(gap)
            change = weights[np.ix_(later, mine)] @ np.stack([plane.take(places) for plane in moved])
            for channel, values in zip(later, change, strict=True):
                error[channel].reshape(-1)[places] -= values
