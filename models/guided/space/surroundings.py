"""Predicting gaps from what lies around them, on terrain or radar where these explain the scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...base import Floats, Tile
from ...classical.common import FEW
from ...planes import everywhere, masked
from ...threads import each
from ..learners import coarse, ferns, random_features, solve
from ..learners.statistics import grow
from . import residual, spatial, terrain

SLOPE, INTERCEPT = 600.0, 1.0
UNITS = 96  # random features
AROUND = 24  # pixels around gaps where ferns are asked, to know their error there


@dataclass(frozen=True)
class Guide:
    """Coefficients of terrain and radar features over the scene, and a nonlinear regression on them.

    A shore or a tree line follows height, but not in proportion to it.

    Attributes:
        nonlinear: None of a small scene.
        ferns: of the scene, what they add to both; None where each tile learns its own, or of a quality
            without.
    """

    guides: terrain.Guides
    field: solve.Field
    nonlinear: random_features.RandomFeatures | None
    ferns: ferns.Ferns | None


@dataclass(frozen=True)
class Said:
    """What the guides say of a tile, z-scored.

    Attributes:
        linear, nonlinear: (B, H, W) of both regressions. ferns: (B, H, W), NaN far from gaps; None without.
    """

    linear: Floats
    nonlinear: Floats
    ferns: Floats | None

    def mean(self, share: float) -> Floats:
        """(B, H, W) all together, with that share of `nonlinear`; ferns count by half where they are."""
        mean: Floats = self.linear + np.float32(share) * (self.nonlinear - self.linear)
        if self.ferns is None:
            return mean
        return np.where(np.isfinite(self.ferns), (mean + self.ferns) / 2, mean)


def learn(overview: Tile, target: Floats, count: int) -> Guide | None:
    """Fit the z-scored image `target` (B, h, w) on the overview's guides; None without any.

    `count`: of ferns.
    """
    guides = terrain.learn(overview)
    valid = np.all(overview.valid, axis=0)
    if guides is None or valid.sum() < 400:
        return None
    stack = terrain.features(overview, guides)
    penalty = coarse.penalties(len(stack), SLOPE, INTERCEPT)
    weight = np.ones(target.shape[1:], np.float32)
    field = coarse.fit(stack, target, overview.valid, weight, penalty, overview.step)
    nonlinear = random_features.learn(stack, target, valid.astype(np.float32), UNITS, SLOPE)
    guide = Guide(guides, field, nonlinear, None)
    if not count or overview.step > 1:
        return guide
    return replace(guide, ferns=ferns.learn_in(_asked(overview, guide, stack), target, weight * valid, count))


def _asked(tile: Tile, guide: Guide, stack: Floats) -> ferns.Planes:
    """What ferns are asked about: features of a tile, and what both regressions make of them."""
    place = tile.corner
    said = solve.apply(guide.field, stack, np.ones(stack.shape[1:], bool), *place, tile.step)
    nonlinear = said if guide.nonlinear is None else random_features.predict(stack, guide.nonlinear)
    return ferns.Planes(stack, said, nonlinear, *place)


def say(tile: Tile, target: Floats, guide: Guide, count: int) -> Said:
    """What the guides say of a tile whose z-scored image is `target`, with so many ferns."""
    asked = _asked(tile, guide, terrain.features(tile, guide.guides))
    grown = None
    if count:
        known = everywhere(target)
        learnt = guide.ferns or ferns.learn_in(asked, target, known.astype(np.float32), count)
        if learnt is not None:
            grown = ferns.predict_in(learnt, asked, grow(np.any(tile.gaps, axis=0), AROUND))
    return Said(asked.first, asked.second, grown)


def fill(image: Floats, wanted: np.ndarray, guess: Floats | None, stiff: float = 0.0) -> Floats:
    """`image` (B, H, W) filled: the guess (or nothing), and the surroundings of its error.

    `stiff`: see `spatial.fill`.
    """
    out = image.copy()

    def one(band: int) -> None:
        layer = image[band] if guess is None else image[band] - guess[band]
        out[band] = spatial.fill(layer, stiff=stiff)
        if guess is not None:
            out[band] += guess[band]

    each(one, [band for band in range(len(image)) if wanted[band].any()])
    return out


def roughness(image: Floats, otherwise: Floats) -> Floats:
    """(B, H, W) local standard deviation of detail: what a smooth fill cannot know.

    `otherwise` (B,) is the answer where hardly a pixel is known.
    """

    def one(band: int) -> Floats:
        layer = image[band]
        there = np.isfinite(layer)
        if np.count_nonzero(there) < FEW:
            return np.full_like(layer, otherwise[band])
        known = there.astype(np.float32)
        mean = residual.local_mean(masked(layer, there), known, 8.0, 0.0, 1e-3)
        return np.sqrt(residual.variance(masked(layer - mean, there), known, otherwise[band]))

    return np.stack(each(one, range(len(image))))
