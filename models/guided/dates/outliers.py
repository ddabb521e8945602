"""Outliers: clouds, shadows and snow that the masks of dates missed, seen by the other dates, and taken out.

Brightness, the mean of all z-scored bands, is what a cloud changes most. Where a date's is far from what all
other dates say, the date is not read there, unless the target shares what makes it stand out: then it tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats, Reference, Tile
from ...planes import combine, concat, everywhere, masked, moments, sampled, strips
from ...threads import each
from ..learners import robust
from . import impute, select

_FAR = 4.0  # robust deviations from what other dates say (train)
_LARGE = 1.0  # deviations of the date's own brightness, at least (train)
_SHARED = 0.25  # slope of the target's surprise on a date's from which it shares it (train)
_PROOF = 15  # pixels without which nothing is said of sharing
_SEEN = 100  # clear pixels of a date without which nothing is known of it
_MOST = 0.2  # share of a date beyond which it is no outlier but another season
_SIDE = 3  # pixels a side of the mean that is judged


@dataclass(frozen=True)
class Outliers:
    """How the brightness of some dates follows from that of the others.

    Attributes:
        chosen: n indices of references. weights: of each one's bands.
        joint: of the n brightnesses. spread: (n,) robust deviation of what the others leave unexplained.
        trusted: (n,) dates that are read as they are.
    """

    chosen: tuple[int, ...]
    weights: tuple[Floats, ...]
    joint: impute.Joint
    spread: Floats
    trusted: NDArray[np.bool_]


def learn(overview: Tile) -> Outliers | None:
    """What the scene shows at full size, or its windows do; None of fewer than two dates."""
    if overview.step > 1 and not overview.detail:
        return None
    gap, valid = np.any(overview.gaps, axis=0), np.all(overview.valid, axis=0)
    chosen = select.select(overview.image, valid, gap, overview.references)
    if len(chosen) < 2:
        return None
    looks = overview.detail or (overview,)
    seen = np.s_[:, strips(looks[0].image.shape[1:])]
    images = [concat([look.references[index].image[seen] for look in looks]) for index in chosen]
    target = concat([look.image[seen] for look in looks])
    known = everywhere(target)
    weights = tuple(each(_standard, [*images, target]))
    planes = _brightnesses([*images, target], weights)
    count = len(chosen)
    joint = impute.learn(planes[:-1], np.arange(count))
    together = impute.learn(planes, np.arange(count + 1))
    surprise, clear = _surprises(planes[:-1], joint)
    looked = [one.ravel()[sampled(there)] for one, there in zip(surprise, clear, strict=True)]
    spread = np.array([robust.deviation(one) if len(one) else 1.0 for one in looked], np.float32)
    z, _ = impute.guess(planes, together)
    trusted = np.zeros(count, bool)
    for date, far in enumerate(_outliers(surprise, clear, spread)):
        shared = _slope(z, surprise[date], together, date, far & known)
        pixels = clear[date].sum()
        trusted[date] = pixels < _SEEN or far.sum() > _MOST * pixels or abs(shared) > _SHARED
    return Outliers(chosen, weights[:-1], joint, spread, trusted)


def cleared(tile: Tile, known: Outliers | None) -> Tile:
    """The tile (and its windows at full size) whose dates are NaN where they stand out."""
    if known is None or known.trusted.all():
        return tile
    images = [tile.references[index].image for index in known.chosen]
    planes = _brightnesses(images, known.weights)
    surprise, clear = _surprises(planes, known.joint)
    outstanding = _outliers(surprise, clear, known.spread)

    def read(date: int) -> Reference:
        reference, far = tile.references[known.chosen[date]], outstanding[date]
        if known.trusted[date] or not far.any():
            return reference
        return replace(reference, image=np.where(far, np.float32(np.nan), reference.image))

    references = list(tile.references)
    for index, reference in zip(known.chosen, each(read, range(len(images))), strict=True):
        references[index] = reference
    detail = tuple(cleared(look, known) for look in tile.detail)
    return replace(tile, references=tuple(references), detail=detail)


def _standard(image: Floats) -> Floats:
    """Weights (B,) that make the mean of the z-scored bands of an image (B, H, W), but for a constant.

    A band that is the same everywhere says nothing.
    """
    clear = everywhere(image)
    deviation = np.array([moments(plane, clear)[1] for plane in image])
    weights = np.where(deviation > 1e-6, 1 / (len(image) * np.maximum(deviation, 1e-6)), 0)
    return weights.astype(np.float32)


def _brightnesses(images: Sequence[Floats], weights: Sequence[Floats]) -> list[Floats]:
    """(H, W) of each image (B, H, W), NaN where any band is missing."""

    def one(date: int) -> Floats:
        out = np.empty((1, *images[date].shape[1:]), np.float32)
        combine(weights[date][None], np.ascontiguousarray(images[date]), out)
        return out[0]

    return each(one, range(len(images)))


def _surprises(planes: Sequence[Floats], joint: impute.Joint) -> tuple[list[Floats], Flags]:
    """What each brightness is beyond what the others say, a local mean, z-scored; and where it is clear."""
    z, clear = impute.guess(planes, joint)
    window = (_SIDE, _SIDE)

    def one(date: int) -> Floats:
        there = clear[date]
        _, weights = impute.beyond_the_others(joint, date)
        error = np.empty((1, *there.shape), np.float32)
        combine(weights, z, error)
        total = cv2.boxFilter(masked(error[0], there), -1, window, normalize=False)
        share = cv2.boxFilter(there.astype(np.float32), -1, window, normalize=False)
        return masked(total / np.maximum(share, 1), there)

    return each(one, range(len(clear))), clear


def _outliers(surprise: Sequence[Floats], clear: Flags, spread: Floats) -> list[Flags]:
    """(H, W) where each date stands out among others that are clear, and more than any of them.

    A cloud makes the clear dates look dark.
    """
    dates = range(len(surprise))
    sizes = each(lambda date: np.abs(surprise[date]) / spread[date], dates)
    worst, others = np.full(sizes[0].shape, _FAR, np.float32), clear.sum(0, dtype=np.uint8) > 1
    for size in sizes:
        np.maximum(worst, size, out=worst)
    others &= worst > _FAR

    def stands_out(date: int) -> Flags:
        far: Flags = np.abs(surprise[date]) > _LARGE
        far &= sizes[date] == worst
        far &= others
        far &= clear[date]
        return far

    return each(stands_out, dates)


def _slope(z: Floats, surprise: Floats, together: impute.Joint, date: int, where: Flags) -> float:
    """Of the target's brightness beyond what the other dates say, on a date's own; 0 of few pixels.

    The target is the last of `together` and of z (1 + n, H, W).
    """
    if where.sum() < _PROOF:
        return 0.0
    target = np.arange(len(z)) == len(z) - 1
    others = ~target
    others[date] = False
    weights = impute.conditional(together, others, target)
    own, its = surprise[where].astype(np.float64), (z[-1] - np.tensordot(weights[0], z[others], 1))[where]
    return float((its * own).sum() / (own * own).sum())
