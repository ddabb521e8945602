"""Filling the references' own gaps from the clearer references.

All bands of all chosen references are seen as one joint normal variable. Its mean and
covariance come from the overview; a missing date takes its conditional mean given the dates
that are clear at the pixel, then the error that this makes on the clear rim is spread inwards.
A lone date's gaps are spanned in this way too: a step at their edge would pass for slope and
surroundings of the pixels beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...classical.membrane import MaskPyramid, cascade
from ...planes import combine, everywhere, moments, sampled
from ...ridge import ridge_weights
from ...threads import each
from ..learners.solve import ridge

_RIDGE = 150.0  # pixels that a unit of a channel's weight costs
_CHUNK = 1 << 15  # pixels at a time, so that they stay in the cache
_PART = 1 << 17  # the same of short steps, which threads would else spend on waiting for each other


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
    within, across = c[np.ix_(present, present)], c[np.ix_(present, missing)]
    return ridge_weights(within, across, joint.penalty).T.astype(np.float32)


def complete(channels: Sequence[Floats], joint: Joint) -> tuple[Floats, Floats]:
    """C planes (H, W) filled, and the share of dates that were really there, (H, W) in 0..1.

    Returns z-scored channels (C, H, W) without NaN.
    """
    z, seen = guess(channels, joint)
    for k, clear in enumerate(seen):
        if clear.any() and not clear.all():
            _carry_error(z, joint, k, clear)
    return z, seen.mean(0, dtype=np.float32)


def guess(channels: Sequence[Floats], joint: Joint) -> tuple[Floats, Flags]:
    """C planes (H, W) z-scored, NaN by conditional means alone, and where each date is there (K, H, W)."""
    shape, owner = channels[0].shape, joint.owner
    seen = _seen(channels, owner)
    dates = seen.reshape(len(seen), -1)
    z = np.empty((len(channels), *shape), np.float32)
    code = _code(dates)
    flat = z.reshape(len(z), -1)
    guesses = _Guesses(joint, len(seen))
    planes = [np.ascontiguousarray(plane).reshape(-1) for plane in channels]

    def part(first: int) -> None:
        last = first + _PART
        some = flat[:, first:last]
        for channel, plane in enumerate(planes):
            np.subtract(plane[first:last], guesses.mean[channel], out=some[channel])
            some[channel] *= guesses.factor[channel]
        guesses.fill(some, code[first:last])

    guesses.prepare(code)
    each(part, range(0, flat.shape[1], _PART))
    return z, seen


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


@dataclass(frozen=True)
class Further:
    """How C channels of further dates follow from K complete ones.

    Attributes:
        mean, scale: (C,) that standardise them. weights: (C, K). owner: (C,) the date of each.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    owner: NDArray[np.intp]


def learn_further(channels: Sequence[Floats], owner: NDArray[np.intp], complete: Floats) -> Further:
    """Regressions of C planes (H, W), NaN where missing, on complete, z-scored channels (K, H, W)."""
    flat = complete.reshape(len(complete), -1)
    seen = _seen(channels, owner).reshape(owner.max() + 1, -1)
    mean, scale = np.zeros(len(channels), np.float32), np.ones(len(channels), np.float32)
    weights = np.zeros((len(channels), len(flat)), np.float32)

    def one(date: int) -> None:
        mine = np.flatnonzero(owner == date)
        places = sampled(seen[date])
        if not len(places):
            return
        values = np.stack([channels[channel].reshape(-1)[places] for channel in mine.tolist()])
        mean[mine], spread = values.mean(1), values.std(1)
        scale[mine] = np.where(spread > 1e-6, spread, 1)
        z = (values - mean[mine, None]) / scale[mine, None]
        both = np.concatenate([flat[:, places], z]).astype(np.float64)
        penalty = np.full(len(flat), 0.01 * len(places) + _RIDGE)
        weights[mine] = ridge((both @ both.T)[None], len(mine), penalty, np.zeros((1, 1, 1)))[0].T

    each(one, range(len(seen)))
    return Further(mean, scale, weights, owner)


def complete_further(channels: Sequence[Floats], complete: Floats, further: Further) -> Floats:
    """(K + C, H, W) complete channels (K, H, W), then C planes (H, W) z-scored and filled from those."""
    count = len(complete)
    out = np.empty((count + len(channels), *complete.shape[1:]), np.float32)
    out[:count] = complete

    def standard(channel: int) -> None:
        np.subtract(channels[channel], further.mean[channel], out=out[count + channel])
        out[count + channel] /= further.scale[channel]

    each(standard, range(len(channels)))
    for date, clear in enumerate(_seen(channels, further.owner)):
        if clear.all():
            continue
        mine = np.flatnonzero(further.owner == date)
        guess = np.empty((len(mine), *clear.shape), np.float32)
        combine(further.weights[mine], complete, guess)
        mine += count
        for channel, plane in zip(mine, guess, strict=True):
            np.copyto(out[channel], plane, where=~clear)
        if clear.any():
            _spread(out[mine] - guess, out, mine, clear)
    return out


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


def beyond_the_others(joint: Joint, date: int) -> tuple[NDArray[np.intp], Floats]:
    """A date's channels (n,), and the weights (n, C) that give what each is beyond what other dates say."""
    mine = joint.owner == date
    weights = np.zeros((int(mine.sum()), len(mine)), np.float32)
    weights[:, ~mine] = -conditional(joint, ~mine, mine)
    weights[:, mine] += np.eye(len(weights), dtype=np.float32)
    return np.flatnonzero(mine), weights


def _carry_error(z: Floats, joint: Joint, date: int, clear: Flags) -> None:
    """Spread what the other dates get wrong on a date's clear rim into its gap; z (C, H, W) in place.

    Dates that come later see the corrected values.
    """
    mine, weights = beyond_the_others(joint, date)
    error = np.empty((len(mine), *clear.shape), np.float32)
    combine(weights, z, error)
    _spread(error, z, mine, clear)


def _spread(error: Floats, z: Floats, channels: NDArray[np.intp], clear: Flags) -> None:
    """Add the surface through an error (n, H, W), known where clear, to a date's gap in z; in place."""
    pyramid, gap = MaskPyramid(clear), (~clear).view(np.uint8)
    pyramid.shares  # noqa: B018 - made here, once, not in each thread

    def corrected(place: int) -> None:
        plane = z[channels[place]]
        cv2.add(plane, cascade(error[place], sweeps=2, pyramid=pyramid), plane, gap)

    each(corrected, range(len(channels)))
