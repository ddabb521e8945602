"""The ways by which a tile is filled: from other dates, and from what lies around its gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Source, Tile
from ..classical.common import anchor, observed
from ..holdout import distance_to_valid, over_distance
from ..planes import copy_where
from . import across, estimate, regression, uncertainty
from .dates import timeline
from .learners import coarse
from .space import surroundings
from .state import Standard, State


@dataclass(frozen=True)
class Filled:
    """A tile with its gaps filled.

    Attributes:
        image: (B, H, W) reflectance, NaN where nothing could be said. std: (B, H, W), NaN at valid pixels.
        source, main: (H, W) what each pixel rests on, and its main reference, -1 without.
    """

    image: Floats
    std: Floats
    source: NDArray[np.uint8]
    main: NDArray[np.int16]


def fill(tile: Tile, state: State, settings: regression.Settings, torch_device: str | None = None) -> Filled:
    """All ways, as the state weighs them."""
    image = observed(tile)
    shape = image.shape[1:]
    std = np.full(image.shape, np.nan, np.float32)
    source, main = np.zeros(shape, np.uint8), np.full(shape, -1, np.int16)
    if not tile.gaps.any():
        return Filled(image, std, source, main)

    def take(where: Flags, mean: Floats, error: Floats, factors: Floats, kind: Source) -> None:
        error *= _by_distance(tile, factors)
        for band, pixels in enumerate(where):
            copy_where(mean[band], pixels, image[band])
            copy_where(error[band], pixels, std[band])
        source[np.any(where, axis=0)] = kind

    said, weights = None, state.weights
    if state.regression is not None:
        mean, error, there, main = _from_references(tile, state, state.regression, settings, torch_device)
        if weights.references < 1:
            said = ask_guide(tile, state, settings)
            space, _ = from_space(tile, state, image, said)
            mean = space + np.float32(weights.references) * (mean - space)
        take(tile.gaps & there, mean, error, state.factors.references, Source.REFERENCE)
    rest = tile.gaps & ~np.isfinite(image)
    if rest.any():
        mean, error = from_space(tile, state, image, said or ask_guide(tile, state, settings))
        guided = state.guide is not None and weights.guide > 0.5 and weights.guide_tells
        take(rest, mean, error, state.factors.space, Source.GUIDE if guided else Source.SURROUNDINGS)
    state.standard.clip(image)
    if state.timeline is not None:
        timeline.mix(tile, state.timeline, image, std, source, main)
    made = Filled(image, std, source, main)
    for group, known in state.told:
        seen = across.seen(tile, group)
        _take_over(made, fill(seen, known, settings, torch_device), seen, group)
    return made


def _take_over(made: Filled, told: Filled, seen: Tile, group: across.Group) -> None:
    """Put into a filled tile, in place, what the target's other bands tell of a group's gaps.

    `told` is what `seen` was filled with, the tile as `across.seen` makes it.
    """
    where = seen.gaps & (told.source == Source.REFERENCE)
    for place, band in enumerate(group.bands):
        copy_where(told.image[place], where[place], made.image[band])
        copy_where(told.std[place], where[place], made.std[band])
    some = np.any(where, axis=0)
    made.source[some], made.main[some] = Source.REFERENCE, -1  # of the same day, so of no age


def _from_references(
    tile: Tile,
    state: State,
    known: regression.Regression,
    settings: regression.Settings,
    torch_device: str | None,
) -> tuple[Floats, Floats, Flags, NDArray[np.int16]]:
    """Means and deviations in reflectance, where any reference is clear, the main one.

    `known` is the state's regression.
    """
    target = state.standard.scores(observed(tile))
    if torch_device:
        from .torch_predict import predict  # the light environment has no torch

        said = predict(tile, target, known, settings, torch_device)
    else:
        said = estimate.predict(tile, target, known, settings)
    mean, std = in_reflectance(said, state.standard)
    return mean, std, said.there, said.main


def in_reflectance(said: estimate.Estimate, standard: Standard) -> tuple[Floats, Floats]:
    """(B, H, W) means and deviations of an estimate in z-scores, which it uses up."""
    std = uncertainty.by_contrast(said.std, said.mean)
    std *= standard.deviation[:, None, None]
    return standard.values(said.mean), std


def ask_guide(tile: Tile, state: State, settings: regression.Settings) -> surroundings.Said | None:
    """What terrain and radar say of a tile; None where nobody asks them."""
    if state.guide is None or state.weights.guide <= 0:
        return None
    return surroundings.say(tile, state.standard.scores(observed(tile)), state.guide, settings.ferns)


def from_space(
    tile: Tile, state: State, image: Floats, said: surroundings.Said | None
) -> tuple[Floats, Floats]:
    """`image` (reflectance, NaN where unknown) filled from its surroundings, and the deviations.

    `said`: as `ask_guide` tells of the tile.
    """
    known = np.isfinite(image)
    wanted = tile.gaps & ~known
    if state.base is not None:
        image = anchor(image, wanted, tile, state.base)
    target, weights = state.standard.scores(image), state.weights
    guess = None
    if said is not None and weights.guide > 0:
        # A share below 1 takes back a part of the guess before its error is filled.
        guess = said.mean(weights.nonlinear) * np.float32(weights.guide)
    filled = surroundings.fill(target, wanted, guess, weights.stiff)
    left = np.where(known, target if guess is None else target - guess, np.float32(np.nan))
    rough = surroundings.roughness(left, state.factors.rough)
    return state.standard.values(filled), rough * state.standard.deviation[:, None, None]


def _by_distance(tile: Tile, table: Floats) -> Floats:
    """(B, H, W) what a (B, 4) table says at each pixel's distance to valid data, times the growth with it."""
    out = np.empty(tile.gaps.shape, np.float32)
    for group in coarse.groups(tile.gaps):
        distance = distance_to_valid(tile.gaps[group[0]]) * np.float32(tile.step)
        out[group] = over_distance(table[group], distance) * uncertainty.growth(distance)
    return out
