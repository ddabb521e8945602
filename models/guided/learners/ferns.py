"""Boosted ferns: what regressions leave over, learnt from pixels that look alike and lie near.

A fern asks eight random questions of a pixel (is this input above that bar?); pixels with the same
answers share a leaf, which holds their mean. One fern after the other learns a part of what all
earlier ones leave over. Many of the questions are of where a pixel lies, so that leaves are pieces of
the ground: a field and its likes close by. Ferns err elsewhere than regressions do.

Sources: Özuysal et al. 2010 (random ferns), Friedman 2001 (boosting with shrinkage).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats
from ...planes import sampled
from ...threads import each

Bytes = NDArray[np.uint8]

_SEED = 20261128  # of the random questions: part of the method, not of a run
_QUESTIONS = 8  # a fern's: its answers are one byte
_LEAVES = 1 << _QUESTIONS
_RATE = 2.0  # over the root of how many ferns there are: part of a leaf's mean that is learnt (train)
_DOUBT = 3.0  # pixels that draw a leaf's mean to 0 (train)
_TAILS = (0.003, 0.997)  # quantiles of an input between which bars lie
_CHUNK = 1 << 15  # pixels that are asked about at a time, so that they stay in the cache
_WAYS = 16  # directions across the ground in which it is asked where a pixel lies
COMPONENTS = 8  # leading ones that are asked about


@dataclass(frozen=True)
class Ferns:
    """n ferns of F inputs.

    Attributes:
        low, factor: (F,) that bring an input to 0..255. which, bars: (n, 8) inputs that are asked, and
            levels that a yes is above. leaves: (n, 256, B or more) what each adds.
    """

    low: Floats
    factor: Floats
    which: NDArray[np.intp]
    bars: Bytes
    leaves: Floats


@dataclass(frozen=True)
class Pixels:
    """n pixels that ferns are asked about.

    Attributes:
        leading: (k, n) the first `COMPONENTS` or fewer. first, second: (B, n) what two regressions say, from
            whose mean ferns begin. rows, columns: (n,) of the scene.
    """

    leading: Floats
    first: Floats
    second: Floats
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def base(self) -> Floats:
        """(B, n) what ferns add to."""
        return np.asarray((self.first + self.second) / 2, np.float32)

    @property
    def inputs(self) -> Floats:
        """(F, n): leading components, what the regressions say, and how far along each way they lie."""
        return np.concatenate([self.leading, self.first, self.second, along(self.rows, self.columns)])


@dataclass(frozen=True)
class Planes:
    """`Pixels` of a tile: (k, H, W), (B, H, W) twice, and where the first lies among pixels of its size."""

    leading: Floats
    first: Floats
    second: Floats
    row: int
    column: int

    def at(self, places: NDArray[np.intp]) -> Pixels:
        """Some of them, by their flat places."""
        rows, columns = np.divmod(places, self.first.shape[2])
        leading, first, second = (
            planes.reshape(len(planes), -1)[:, places] for planes in (self.leading, self.first, self.second)
        )
        return Pixels(leading, first, second, rows + self.row, columns + self.column)


def along(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """(ways, n) how far pixels lie along each of some directions across the ground."""
    angle = np.arange(_WAYS)[:, None] * (np.pi / _WAYS)
    return (np.cos(angle) * rows + np.sin(angle) * columns).astype(np.float32)


def learn(pixels: Pixels, target: Floats, weight: Floats, count: int) -> Ferns | None:
    """`count` ferns for a `target` (B, n); `weight` (n,) is a pixel's. None without pixels."""
    bands, known = target.shape
    if not known:
        return None
    random = np.random.default_rng(_SEED)
    inputs, left = pixels.inputs, target - pixels.base
    low, high = np.quantile(inputs, _TAILS, axis=1).astype(np.float32)
    factor = np.float32(255) / np.maximum(high - low, np.float32(1e-6))
    levels = _levels(inputs, low, factor)
    which = random.integers(0, len(inputs), (count, _QUESTIONS))
    bars = levels[which, random.integers(0, known, (count, _QUESTIONS))]
    # Rows of 32 bytes are copied twice as fast as those of 24.
    leaves = np.zeros((count, _LEAVES, -(-bands // 8) * 8), np.float32)
    weights, rate = weight.astype(np.float64), _RATE / np.sqrt(count)
    answers = each(lambda fern: _answers(levels, which[fern], bars[fern]), range(count))
    shares = each(lambda answer: np.bincount(answer, weights, _LEAVES) + _DOUBT, answers)

    def one(band: int) -> None:
        rest = left[band]
        for fern, (answer, share) in enumerate(zip(answers, shares, strict=True)):
            leaf = answer.astype(np.intp)
            leaves[fern, :, band] = rate * np.bincount(leaf, rest * weights, _LEAVES) / share
            rest -= leaves[fern, :, band].take(leaf)

    each(one, range(bands))
    return Ferns(low, factor, which, bars, leaves)


def learn_in(planes: Planes, target: Floats, weight: Floats, count: int) -> Ferns | None:
    """`learn` from a sample of a tile: `target` (B, H, W), `weight` (H, W), 0 where the target is unknown."""
    places = sampled(weight > 0)
    goal = target.reshape(len(target), -1)[:, places]
    return learn(planes.at(places), goal, weight.ravel()[places], count)


def predict_in(ferns: Ferns, planes: Planes, near: Flags) -> Floats:
    """(B, H, W) what the ferns say of a tile, NaN where not `near`."""
    out, wanted = np.full_like(planes.first, np.nan), np.flatnonzero(near)
    flat = out.reshape(len(out), -1)

    def part(first: int) -> None:
        some = wanted[first : first + _CHUNK]
        flat[:, some] = predict(ferns, planes.at(some))

    each(part, range(0, len(wanted), _CHUNK))
    return out


def predict(ferns: Ferns, pixels: Pixels) -> Floats:
    """(B, n) what the ferns make of what the regressions say."""
    levels = _levels(pixels.inputs, ferns.low, ferns.factor)
    base = pixels.base
    out = np.zeros((base.shape[1], ferns.leaves.shape[2]), np.float32)
    for which, bars, leaves in zip(ferns.which, ferns.bars, ferns.leaves, strict=True):
        out += leaves.take(_answers(levels, which, bars), axis=0)
    return base + out.T[: len(base)]


def _levels(inputs: Floats, low: Floats, factor: Floats) -> Bytes:
    """(F, n) inputs as 0..255."""
    scaled = (inputs - low[:, None]) * factor[:, None]
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


def _answers(levels: Bytes, which: NDArray[np.intp], bars: Bytes) -> Bytes:
    """(n,) a fern's answers about levels (F, n), one bit each."""
    out = np.zeros(levels.shape[1], np.uint8)
    yes = np.empty(len(out), bool)
    for number, bar in zip(which, bars, strict=True):
        np.greater(levels[number], bar, out=yes)
        np.add(out, out, out=out)
        np.add(out, yes.view(np.uint8), out=out)
    return out
