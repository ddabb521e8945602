"""What regressions say of a tile: sharpened around its gaps, mixed, with the rim's error carried in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Tile
from ..holdout import distance_to_valid
from ..planes import everywhere, masked
from ..threads import each
from . import features as feats
from .dates import impute
from .learners import coarse, ferns, global_regression, robust, solve
from .learners.statistics import CELL, cells_over, grow, moments
from .regression import Regression, Settings, channels_of, guided, straight, weight_of
from .space import residual

REACH = 16  # pixels around gaps where residuals are wanted
WIDE = 64.0  # window sigma in pixels between the whole scene's coefficients and the local ones (train)


@dataclass(frozen=True)
class Estimate:
    """What a regression says of a tile, in z-scores of the target.

    Attributes:
        mean, std: (B, H, W). there: (H, W) where at least one reference is clear.
        main: (H, W) index of the best reference that is clear, -1 for none.
    """

    mean: Floats
    std: Floats
    there: Flags
    main: NDArray[np.int16]


@dataclass(frozen=True)
class Fits:
    """What the regressions say of a tile before anything is carried in from the rim.

    Attributes:
        parts: (B, H, W) each, NaN far from the gaps. globally: (B, H, W), None where nobody asks for it.
        ferns: (B, H, W) as parts, None without.
        share: (H, W) share of the references that is real.
    """

    parts: tuple[Floats, ...]
    globally: Floats | None
    ferns: Floats | None
    share: Floats


def predict(tile: Tile, target: Floats, known: Regression, settings: Settings) -> Estimate:
    """Means and standard deviations at the gaps of a tile whose z-scored image is `target`."""
    fits = fit(tile, target, known, settings, globally=known.local < 1)
    return close(tile, target, fits, known, settings)


def fit(tile: Tile, target: Floats, known: Regression, settings: Settings, globally: bool) -> Fits:
    """The regressions around the gaps of a tile, the global one too if it is wanted."""
    channels, _ = channels_of(tile, known.chosen)
    complete, share = impute.complete(channels, known.joint)
    overall = None
    if globally or settings.ferns:
        seen, further = complete, known.global_fit.further
        if further is not None:
            seen = impute.complete_further(channels_of(tile, known.global_fit.more)[0], complete, further)
        overall = global_regression.predict(known.global_fit.regression, seen)
        del seen
    beside = guided(tile, known.guides)
    stack = feats.build(known.basis, complete, len(beside))
    stack[len(stack) - len(beside) :] = beside
    del complete, beside
    groups = [group for group in coarse.groups(tile.valid, tile.gaps) if tile.gaps[group[0]].any()]
    parts = []
    for part in known.parts:
        features = part.features(stack)
        said = np.full_like(target, np.nan)
        for group in groups:
            said[group] = _local(tile, target[group], group, share, features, known, part.field, settings)
        parts.append(said)
    grown = None
    if settings.ferns and overall is not None:
        nonlinear = known.parts[-1].nonlinear
        first = features if nonlinear else straight(known.parts[0], stack, *tile.corner, tile.step)
        near = np.any([np.isfinite(parts[0][group[0]]) for group in groups], axis=0)
        weight = masked(weight_of(share), np.all(tile.valid, axis=0))
        leading = stack[: min(ferns.COMPONENTS, len(known.basis.axes))]
        asked = ferns.Planes(leading, first, overall, *tile.corner)
        # Ferns of a place reach as far as their pixels: those of a scene seen coarse would be too wide.
        learnt = known.ferns or ferns.learn_in(asked, target, weight, settings.ferns)
        grown = None if learnt is None else ferns.predict_in(learnt, asked, near)
    return Fits(tuple(parts), overall, grown, share)


def close(tile: Tile, target: Floats, fits: Fits, known: Regression, settings: Settings) -> Estimate:
    """The mean of the fits as `known` weighs them, with what they leave over at the rim carried in."""
    mean, std = np.full_like(target, np.nan), np.full_like(target, np.nan)
    said = fits.parts
    for group in coarse.groups(tile.valid, tile.gaps):
        gap, valid = tile.gaps[group[0]], tile.valid[group[0]]
        if not gap.any():
            continue
        rim = residual.Rim(valid & np.isfinite(said[0][group[0]]), distance_to_valid(gap))

        def one(index: int, rim: residual.Rim = rim) -> None:
            local = said[0][index] if len(said) == 1 else (said[0][index] + said[1][index]) / 2
            fitted = local if fits.ferns is None else (local + fits.ferns[index]) / 2
            apart: Floats | float = 0.0
            if fits.globally is not None and known.local < 1:
                apart = local - fits.globally[index]
                fitted = fits.globally[index] + np.float32(known.local) * (fitted - fits.globally[index])
            left = masked(target[index] - fitted, rim.known)
            mean[index] = fitted + rim.carry(left, known.coherence[index], settings.cycles, known.plate)
            # Where regressions differ they err; parts count by half of what they differ by.
            variance = rim.variance(left, known.noise[index])
            variance += apart * apart
            if len(said) > 1:
                variance += ((said[0][index] - said[1][index]) / 2) ** 2
            if fits.ferns is not None:
                variance += ((local - fits.ferns[index]) / 2) ** 2
            np.sqrt(variance, out=std[index])

        one(group[0])  # makes what all bands share, which threads would make each
        each(one, group[1:])
    std /= certainty(fits.share)
    main = np.full(fits.share.shape, -1, np.int16)
    for index in reversed(known.chosen):
        main[everywhere(tile.references[index].image)] = index
    return Estimate(mean, std, fits.share > 0, main)


def certainty(share: Floats) -> Floats:
    """(H, W) by which deviations are divided where only a share of the dates is real: guessed ones err.

    Its fourth root ranks errors best (train).
    """
    return np.sqrt(np.sqrt(np.where(share > 0, share, np.float32(1))))


def windows_of(known: Regression, settings: Settings) -> tuple[float, ...]:
    """Window sigmas in pixels that are solved in a tile, a wide one first where `known` is `distant`."""
    return (WIDE, settings.local) if known.distant else (settings.local,)


def _local(
    tile: Tile,
    target: Floats,
    group: list[int],
    share: Floats,
    features: Floats,
    known: Regression,
    field: solve.Field,
    settings: Settings,
) -> Floats:
    """(n, H, W) one part's prediction around the gaps of the bands in `group`, which share a mask.

    `field` is the part's.
    """
    gap, valid = tile.gaps[group[0]], tile.valid[group[0]]
    row, column = tile.corner
    field = replace(field, values=field.values[..., group])
    if settings.local:
        cells = cells_over(row, column, *gap.shape)
        penalty = coarse.penalties(len(features), settings.slope, settings.intercept)
        wanted = solve.near(gap, cells, row, column, REACH + CELL)
        windows = windows_of(known, settings)
        needed = grow(wanted, math.ceil(2.7 * windows[0] / CELL))
        expected = solve.apply(field, features, valid, row, column, tile.step)
        weight = masked(weight_of(share), valid)
        weight *= robust.cauchy(target - expected, valid & (share > 0))
        sums = moments(features, target, weight, cells, row, column, needed).level_free()
        for sigma in windows:
            field = solve.refine(sums, sigma * tile.step, field, penalty, len(group), wanted, tile.step)
    return solve.apply(field, features, grow(gap, REACH), row, column, tile.step)
