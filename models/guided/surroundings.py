"""Predicting gaps from what lies around them, on terrain or radar where these explain the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import Floats, Tile
from ..planes import only
from ..threads import each
from . import coarse, residual, solve, spatial, terrain, twin

SLOPE, INTERCEPT, CUT = 600.0, 1.0, 4.0
UNITS = 96  # bent features
BEND = 0.5  # their weight before a trial


@dataclass(frozen=True)
class Guide:
    """Coefficients of terrain and radar features over the scene, and a regression of them that bends.

    A shore or a tree line follows height, but not in proportion to it.

    Attributes:
        twin: the one that bends; None of a small scene. bend: its weight, as a trial on hidden pixels says.
    """

    guides: terrain.Guides
    field: solve.Field
    twin: twin.Twin | None
    bend: float


def learn(overview: Tile, target: Floats) -> Guide | None:
    """Fit the z-scored image `target` (B, h, w) on the overview's guides; None without any."""
    guides = terrain.learn(overview, True, True)
    valid = np.all(overview.valid, axis=0)
    if guides is None or valid.sum() < 400:
        return None
    stack = terrain.features(overview, guides)
    penalty = coarse.penalties(len(stack), SLOPE, INTERCEPT)
    weight = np.ones(target.shape[1:], np.float32)
    field = coarse.fit(stack, target, overview.valid, weight, penalty, CUT, overview.step)
    return Guide(guides, field, twin.learn(stack, target, valid.astype(np.float32), UNITS, SLOPE), BEND)


def expected(tile: Tile, guide: Guide) -> Floats:
    """(B, H, W) what the guides alone say, z-scored."""
    stack = terrain.features(tile, guide.guides)
    everywhere = np.ones(stack.shape[1:], bool)
    row, column = tile.row // tile.step, tile.column // tile.step
    said = solve.apply(guide.field, stack, everywhere, row, column, tile.step)
    if guide.twin is not None and guide.bend > 0:
        said += np.float32(guide.bend) * (twin.predict(stack, guide.twin) - said)
    return said


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


def roughness(image: Floats) -> Floats:
    """(B, H, W) local standard deviation of detail: what a smooth fill cannot know."""

    def one(layer: Floats) -> Floats:
        known = np.isfinite(layer)
        mean = residual.local_mean(only(layer, known), known.astype(np.float32), 8.0, 0.0, 1e-3)
        return np.sqrt(residual.variance(layer - mean, 1.0))

    return np.stack(each(one, image))
