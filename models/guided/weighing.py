"""How much each way of filling counts, and how far it errs: as hidden pixels of the scene say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..base import Floats, Tile
from ..classical.common import observed
from ..planes import concat, moments
from ..threads import both, each
from . import estimate, regression, uncertainty
from .regression import Settings
from .state import NONLINEAR, State, Weights, learn
from .ways import ask_guide, from_space, in_reflectance

_LOCAL, _STIFF = 0.7, 0.3  # weights before a trial: of the local regression, of the stiffer surface
_USELESS = 0.6  # weight before a trial of references that explain nothing of what is valid
_DOUBTED = 0.25  # doubt of the weight of the nonlinear regression on terrain and radar
_OPEN = 1.0  # doubt of the weight of terrain and radar: they explain all of a scene, or nothing
_TELLS = 0.02  # share of space's squared error that terrain and radar take where a fill rests on them
_WORTH = 0.1  # a weight below it is not worth its time
_CLEARLY = 0.75  # a share of the references above it counts as 1


def weigh(overview: Tile, state: State, settings: Settings) -> State:
    """The state with weights and factors by a trial on hidden pixels; as it is where too few are valid."""
    trial = uncertainty.make_trial(overview)
    if trial is None:
        return state
    # A small scene is learnt anew without the hidden pixels; in a large one they weigh little, but in
    # ferns, which each window grows anew.
    bare = state.fernless()
    learnt = each(lambda tile: learn(tile, settings) if trial.whole else bare, trial.tiles)
    overall, known = state.regression, [one.regression for one in learnt if one.regression is not None]
    if overall is None or len(known) < len(learnt):
        return _space(trial, state, learnt, settings)[0]
    (state, space), (local, plate, mean, std) = both(
        lambda: _space(trial, state, learnt, settings), lambda: _mixed(trial, learnt, known, settings)
    )
    trusted = float(np.mean([_trusted(one) for one in known]))
    share = uncertainty.share_of_first(trial, mean, space, state.standard.deviation, trusted)
    share = 1.0 if share > _CLEARLY else share
    mean = space + np.float32(share) * (mean - space)
    return replace(
        state,
        regression=replace(overall, local=local, plate=plate),
        weights=replace(state.weights, references=share),
        factors=replace(state.factors, references=uncertainty.factors(trial, mean, std)),
    )


def _trusted(learnt: regression.Regression) -> float:
    """Weight of the references before a trial: 1 if they explain all of the scene."""
    return _USELESS + (1 - _USELESS) * learnt.explained


def _space(
    trial: uncertainty.Trial, state: State, learnt: Sequence[State], settings: Settings
) -> tuple[State, Floats]:
    """The state with weights and factors of filling without dates, and the trial's tiles filled so.

    Each tile is filled by what was `learnt` of it.
    """
    deviation, weights = state.standard.deviation, Weights()
    pieces = range(len(learnt))
    said = each(lambda k: ask_guide(trial.tiles[k], learnt[k], settings), pieces)

    def filled(weights: Weights) -> tuple[Floats, Floats]:
        def one(k: int) -> tuple[Floats, Floats]:
            tile = trial.tiles[k]
            return from_space(tile, replace(learnt[k], weights=weights), observed(tile), said[k])

        means, deviations = zip(*each(one, pieces), strict=True)
        return concat(means), concat(deviations)

    if any(one.guide is not None for one in learnt):
        curved, linear = (filled(replace(weights, nonlinear=share))[0] for share in (1.0, 0.0))
        nonlinear = uncertainty.share_of_first(trial, curved, linear, deviation, NONLINEAR, _DOUBTED)
        alone, _ = filled(replace(weights, guide=0.0))
        guided = linear + np.float32(nonlinear) * (curved - linear)
        guide = uncertainty.share_of_first(trial, guided, alone, deviation, 1.0, _OPEN)
        left = alone + np.float32(guide) * (guided - alone)
        tells = uncertainty.gain(trial, left, alone, deviation) >= _TELLS
        weights = replace(weights, nonlinear=nonlinear, guide=guide, guide_tells=tells)
    mean, std = filled(weights)
    curved, _ = filled(replace(weights, stiff=1.0))
    stiff = uncertainty.share_of_first(trial, curved, mean, deviation, _STIFF)
    stiff = 0.0 if stiff < _WORTH else stiff
    mean += np.float32(stiff) * (curved - mean)
    rough = np.array([moments(plane)[0] for plane in std], np.float32) / deviation
    factors = replace(state.factors, space=uncertainty.factors(trial, mean, std), rough=rough)
    return replace(state, weights=replace(weights, stiff=stiff), factors=factors), mean


def _mixed(
    trial: uncertainty.Trial,
    learnt: Sequence[State],
    known: Sequence[regression.Regression],
    settings: Settings,
) -> tuple[float, float, Floats, Floats]:
    """Weights of local regression and plate that are best on the trial; means and deviations there."""
    tiles, pieces = trial.tiles, range(len(learnt))
    targets = [one.standard.scores(observed(tile)) for tile, one in zip(tiles, learnt, strict=True)]
    fits = each(lambda k: estimate.fit(tiles[k], targets[k], known[k], settings, globally=True), pieces)

    def said(local: float, plate: float) -> tuple[Floats, Floats]:
        def one(k: int) -> tuple[Floats, Floats]:
            weighed = replace(known[k], local=local, plate=plate)
            made = estimate.close(tiles[k], targets[k], fits[k], weighed, settings)
            mean, std = in_reflectance(made, learnt[k].standard)
            return np.where(made.there, mean, np.float32(np.nan)), std

        means, deviations = zip(*each(one, pieces), strict=True)
        return concat(means), concat(deviations)

    deviation = learnt[0].standard.deviation
    (mean, std), (overall, _) = both(lambda: said(1, 0), lambda: said(0, 0))
    local = uncertainty.share_of_first(trial, mean, overall, deviation, _LOCAL)
    local = 1.0 if local > 1 - _WORTH else local
    if local < 1:
        mean, std = said(local, 0)
    plate = uncertainty.share_of_first(trial, said(local, 1)[0], mean, deviation, 0.0)
    if plate < _WORTH:
        plate = 0.0
    else:
        mean, std = said(local, plate)
    return local, plate, mean, std
