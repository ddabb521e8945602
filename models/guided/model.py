"""`guided`: the default reconstructor. Reads other dates, terrain and radar; else space alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from ..base import Findings, Floats, Prediction, Reconstructor, Source, Tile
from ..classical.common import Base, anchor, observed, spread
from ..holdout import CLASSES, distance_to_valid, over_distance
from ..planes import concat, copy_where, moments
from . import (
    bands,
    coarse,
    coregister,
    estimate,
    haze_rim,
    outliers,
    regression,
    surroundings,
    timeline,
    uncertainty,
)
from .half import halved
from .select import LIMIT

_MARGIN = 0.25  # of the observed range: how far beyond it a prediction may go
_LOCAL, _STIFF = 0.7, 0.3  # weights before a trial: of the local regression, of the stiffer surface
_NONLINEAR = 0.5  # weight before a trial of the nonlinear regression on terrain and radar
_USELESS = 0.6  # weight before a trial of references that explain nothing of what is valid
_DOUBTED = 0.25  # doubt of that weight
_OPEN = 1.0  # doubt of the weight of terrain and radar: they explain all of a scene, or nothing
_TELLS = 0.02  # share of space's squared error that terrain and radar take where a fill rests on them
_WORTH = 0.1  # a weight below it is not worth its time
_CLEARLY = 0.75  # a share of the references above it counts as 1


_DEFAULT = regression.Settings()


@dataclass(frozen=True)
class State:
    """What `prepare` knows of the scene.

    Attributes:
        mean, scale: (B,) z-score of the target. low, high: (B,) bounds of plausible values.
        regression: None without a useful reference. guide: None without terrain and radar.
        reference_share: weight of the references against the surroundings; guide_share: of
            terrain and radar against space alone; nonlinear: of the nonlinear regression
            among these; guide_tells: whether they take enough of the error to be called what a
            pixel rests on.
        reference_factor, space_factor: (B, 4) on the standard deviations of each way.
        rough: (B,) z-scored, how rough the ground is in a tile that shows none (`surroundings.roughness`).
        stiff: weight of the stiffer surface in space (see `spatial.fill`).
        base: the overview filled, for gaps that are larger than a tile; None where references do alone.
        bands: of each reference, those that are read (see `bands`). findings: how far each reference lies
            off, and how wide the haze around gaps is. outliers: where dates stand out; None if nobody looks.
        timeline: what other dates say by themselves; None where enough was observed to learn from.
    """

    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    regression: regression.Regression | None
    guide: surroundings.Guide | None
    reference_share: float
    guide_share: float
    guide_tells: bool
    nonlinear: float
    reference_factor: Floats
    space_factor: Floats
    rough: Floats
    stiff: float
    base: Base | None
    bands: tuple[tuple[int, ...], ...]
    findings: Findings
    outliers: outliers.Outliers | None
    timeline: timeline.Timeline | None


def _by_distance(tile: Tile, table: Floats) -> Floats:
    """(B, H, W) what a (B, 4) table says at each pixel's distance to valid data, times the growth with it."""
    out = np.empty(tile.gaps.shape, np.float32)
    for group in coarse.groups(tile.gaps):
        distance = distance_to_valid(tile.gaps[group[0]]) * np.float32(tile.step)
        out[group] = over_distance(table[group], distance) * uncertainty.growth(distance)
    return out


def _trusted(learnt: regression.Regression) -> float:
    """Weight of the references before a trial: 1 if they explain all of the scene."""
    return _USELESS + (1 - _USELESS) * learnt.explained


def _fernless(state: State) -> State:
    """The state without the scene's ferns."""
    known, guide = state.regression, state.guide
    return replace(
        state,
        regression=None if known is None else replace(known, ferns=None),
        guide=None if guide is None else replace(guide, ferns=None),
    )


@dataclass(frozen=True)
class Guided:
    """Masked, local, multi-reference ridge regression with a correction from the gap's rim.

    Attributes:
        torch_device: where tiles are predicted from references; None: by NumPy and OpenCV. What is
            learnt of the scene is the same anywhere.
    """

    settings: regression.Settings = _DEFAULT
    torch_device: str | None = None

    @property
    def device(self) -> str:
        """What computes, for the record."""
        return self.torch_device or "cpu"

    @property
    def context(self) -> int:
        """Pixels around a tile's core that must be seen: the rim, and the windows that are solved there."""
        return 64 if self.settings.local else 32

    def on(self, torch_device: str | None) -> Guided:
        """The same, predicting from references on a torch device (None: without torch)."""
        return replace(self, torch_device=torch_device)

    def prepare(self, overview: Tile) -> State:
        """Move and choose references, learn coefficients, and try all on hidden pixels of the scene."""
        if self.torch_device:
            return replace(self, torch_device=None).prepare(overview)
        seen_bands = bands.seen(overview)
        overview = bands.shown(overview, seen_bands)
        hazy = haze_rim.width(overview)
        overview = haze_rim.hidden(overview, hazy)
        offsets = coregister.offsets(overview)
        overview = coregister.moved(overview, offsets)
        seen = outliers.learn(overview) if self.settings.outliers else None
        overview = outliers.cleared(overview, seen)
        state, alone = self._prepared(overview), timeline.learn(overview, seen_bands)
        found = Findings(offsets, hazy, float(alone.weight.max()) if alone else 0.0)
        return replace(state, bands=seen_bands, findings=found, outliers=seen, timeline=alone)

    def _prepared(self, overview: Tile) -> State:
        """What is known of a scene whose references lie where they should, and show the ground."""
        if overview.step == 1 and max(overview.image.shape[1:]) > self.settings.halved_above:
            overview = halved(overview)
        state = self._learn(overview)
        trial = uncertainty.make_trial(overview)
        if trial is not None:
            # A small scene is learnt anew without the hidden pixels; in a large one they weigh little, but in
            # ferns, which each window grows anew.
            bare = _fernless(state)
            learnt = [self._learn(tile) if trial.whole else bare for tile in trial.tiles]
            state = self._weigh(state, learnt, trial)
        known = state.regression
        if known is None or state.reference_share < 1:
            filled, _ = self._from_space(overview, state, observed(overview), self._say(overview, state))
        elif regression.leaves_some(overview, known):
            filled = self._fill(overview, state)[0]
        else:
            return state
        there = np.isfinite(filled)
        filled[~there & there.any(axis=(1, 2), keepdims=True)] = 0  # outside; an unseen band stays unknown
        return replace(state, base=Base(filled, overview.step))

    def _learn(self, overview: Tile) -> State:
        image = observed(overview)
        count = len(image)
        mean, scale = np.zeros(count, np.float32), np.maximum(spread(overview), np.float32(1e-4))
        low, high = np.full(count, -np.inf, np.float32), np.full(count, np.inf, np.float32)
        for band, layer in enumerate(image):
            known = np.isfinite(layer)
            if known.any():
                mean[band] = moments(layer, known)[0]
                least, most, *_ = cv2.minMaxLoc(layer, known.view(np.uint8))
                margin = _MARGIN * (most - least) + 0.01
                low[band], high[band] = least - margin, most + margin

        def standard(image: Floats) -> Floats:
            target: Floats = image - mean[:, None, None]
            target /= scale[:, None, None]
            return target

        target, detail = standard(image), [standard(observed(window)) for window in overview.detail]
        known = regression.learn(overview, target, self.settings, detail)
        guide = surroundings.learn(overview, target, self.settings.ferns)
        ones = np.ones((count, CLASSES), np.float32)
        return State(
            mean, scale, low, high, known, guide, 1.0, 1.0, True, _NONLINEAR, ones, ones, ones[:, 0], 0.0,
            None, (), Findings(), None, None,
        )  # fmt: skip

    def _weigh(self, state: State, learnt: Sequence[State], trial: uncertainty.Trial) -> State:
        """Shares and factors from a trial, each of whose tiles is filled by what was `learnt` of it."""
        scale = state.scale

        said = [self._say(tile, one) for tile, one in zip(trial.tiles, learnt, strict=True)]

        def from_space(**known: Any) -> tuple[Floats, Floats]:
            """Means and deviations of the trial's tiles, each by what was learnt of it."""
            made = [
                self._from_space(tile, replace(one, **known), observed(tile), words)
                for tile, one, words in zip(trial.tiles, learnt, said, strict=True)
            ]
            means, deviations = zip(*made, strict=True)
            return concat(means), concat(deviations)

        guide, tells, nonlinear = 1.0, True, _NONLINEAR
        if any(one.guide is not None for one in learnt):
            curved, linear = (from_space(nonlinear=weight)[0] for weight in (1.0, 0.0))
            nonlinear = uncertainty.share_of_first(trial, curved, linear, scale, _NONLINEAR, _DOUBTED)
            alone, _ = from_space(guide_share=0.0)
            guided = linear + np.float32(nonlinear) * (curved - linear)
            guide = uncertainty.share_of_first(trial, guided, alone, scale, 1.0, _OPEN)
            left = alone + np.float32(guide) * (guided - alone)
            tells = uncertainty.gain(trial, left, alone, scale) >= _TELLS
        space, space_std = from_space(nonlinear=nonlinear, guide_share=guide)
        curved, _ = from_space(nonlinear=nonlinear, guide_share=guide, stiff=1.0)
        stiff = uncertainty.share_of_first(trial, curved, space, scale, _STIFF)
        stiff = 0.0 if stiff < _WORTH else stiff
        space += np.float32(stiff) * (curved - space)
        factor = uncertainty.factors(trial, space, space_std)
        rough = np.array([moments(plane)[0] for plane in space_std], np.float32) / scale
        state = replace(
            state,
            nonlinear=nonlinear,
            guide_share=guide,
            guide_tells=tells,
            stiff=stiff,
            space_factor=factor,
            rough=rough,
        )
        known = [one.regression for one in learnt if one.regression is not None]
        if state.regression is None or len(known) < len(learnt):
            return state
        local, plate, mean, std = self._mixed(trial, learnt, known)
        state = replace(state, regression=replace(state.regression, local=local, plate=plate))
        trusted = float(np.mean([_trusted(one) for one in known]))
        share = uncertainty.share_of_first(trial, mean, space, scale, trusted)
        share = 1.0 if share > _CLEARLY else share
        mixed = space + np.float32(share) * (mean - space)
        factor = uncertainty.factors(trial, mixed, std)
        return replace(state, reference_share=share, reference_factor=factor)

    def _mixed(
        self, trial: uncertainty.Trial, learnt: Sequence[State], known: Sequence[regression.Regression]
    ) -> tuple[float, float, Floats, Floats]:
        """Weights of local regression and plate that are best on the trial; means and deviations there."""
        targets = [
            (observed(tile) - one.mean[:, None, None]) / one.scale[:, None, None]
            for tile, one in zip(trial.tiles, learnt, strict=True)
        ]
        fits = [
            estimate.fit(tile, target, one, self.settings, globally=True)
            for tile, target, one in zip(trial.tiles, targets, known, strict=True)
        ]

        def said(local: float, plate: float) -> tuple[Floats, Floats]:
            means, deviations = [], []
            for tile, target, fit, one, state in zip(trial.tiles, targets, fits, known, learnt, strict=True):
                weighed = replace(one, local=local, plate=plate)
                made = estimate.close(tile, target, fit, weighed, self.settings)
                scale, middle = state.scale[:, None, None], state.mean[:, None, None]
                means.append(np.where(made.there, made.mean * scale + middle, np.float32(np.nan)))
                deviations.append(uncertainty.by_contrast(made.std, made.mean) * scale)
            return concat(means), concat(deviations)

        scale = learnt[0].scale
        local = uncertainty.share_of_first(trial, said(1, 0)[0], said(0, 0)[0], scale, _LOCAL)
        local = 1.0 if local > 1 - _WORTH else local
        mean, std = said(local, 0)
        plate = uncertainty.share_of_first(trial, said(local, 1)[0], mean, scale, 0.0)
        if plate < _WORTH:
            plate = 0.0
        else:
            mean, std = said(local, plate)
        return local, plate, mean, std

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill the tile's gaps."""
        tile = coregister.moved(bands.shown(tile, state.bands), state.findings.offsets)
        tile = outliers.cleared(tile, state.outliers)
        gaps, gap = tile.gaps, np.any(tile.gaps, axis=0)
        mean, std, source, main = self._fill(haze_rim.hidden(tile, state.findings.haze), state)
        mean[~gaps] = np.nan
        std[~np.isfinite(mean)] = np.nan
        source[~gap] = Source.VALID
        source[gap & ~np.isfinite(mean).any(0)] = Source.UNFILLED
        main[source != Source.REFERENCE] = -1
        return Prediction(mean, std, source, main)

    def _fill(self, tile: Tile, state: State) -> tuple[Floats, Floats, np.ndarray, np.ndarray]:
        """The image with its gaps filled, the standard deviation, source and main reference."""
        image = observed(tile)
        shape = image.shape[1:]
        std = np.full(image.shape, np.nan, np.float32)
        source, main = np.zeros(shape, np.uint8), np.full(shape, -1, np.int16)
        if not tile.gaps.any():
            return image, std, source, main
        said = None
        if state.regression is not None:
            mean, error, there, main = self._from_references(tile, state)
            if state.reference_share < 1:
                said = self._say(tile, state)
                space, _ = self._from_space(tile, state, image, said)
                mean = space + np.float32(state.reference_share) * (mean - space)
            take = tile.gaps & there
            error *= _by_distance(tile, state.reference_factor)
            for band, where in enumerate(take):
                copy_where(mean[band], where, image[band])
                copy_where(error[band], where, std[band])
            source[np.any(take, axis=0)] = Source.REFERENCE
        rest = tile.gaps & ~np.isfinite(image)
        if rest.any():
            mean, error = self._from_space(tile, state, image, said or self._say(tile, state))
            error *= _by_distance(tile, state.space_factor)
            for band, where in enumerate(rest):
                copy_where(mean[band], where, image[band])
                copy_where(error[band], where, std[band])
            guided = state.guide is not None and state.guide_share > 0.5 and state.guide_tells
            source[np.any(rest, axis=0)] = Source.GUIDE if guided else Source.SURROUNDINGS
        np.clip(image, state.low[:, None, None], state.high[:, None, None], out=image)
        if state.timeline is not None:
            timeline.mix(tile, state.timeline, image, std, source, main)
        return image, std, source, main

    def _from_references(self, tile: Tile, state: State) -> tuple[Floats, Floats, np.ndarray, np.ndarray]:
        """Means and standard deviations in reflectance, where any reference is clear, the main one."""
        learnt = cast(regression.Regression, state.regression)  # callers look
        scale, mean = state.scale[:, None, None], state.mean[:, None, None]
        target = (observed(tile) - mean) / scale
        if self.torch_device:
            from .torch_predict import predict  # the light environment has no torch

            said = predict(tile, target, learnt, self.settings, self.torch_device)
        else:
            said = estimate.predict(tile, target, learnt, self.settings)
        std = uncertainty.by_contrast(said.std, said.mean)
        std *= scale
        np.multiply(said.mean, scale, out=said.mean)
        np.add(said.mean, mean, out=said.mean)
        return said.mean, std, said.there, said.main

    def _say(self, tile: Tile, state: State) -> surroundings.Said | None:
        """What terrain and radar say of a tile; None where nobody asks them."""
        if state.guide is None or state.guide_share <= 0:
            return None
        target = (observed(tile) - state.mean[:, None, None]) / state.scale[:, None, None]
        return surroundings.say(tile, target, state.guide, self.settings.ferns)

    def _from_space(
        self, tile: Tile, state: State, image: Floats, said: surroundings.Said | None
    ) -> tuple[Floats, Floats]:
        """`image` (reflectance, NaN where unknown) filled from its surroundings, and the std.

        `said`: as `_say` says of the tile.
        """
        known = np.isfinite(image)
        wanted = tile.gaps & ~known
        if state.base is not None:
            image = anchor(image, wanted, tile, state.base)
        scale, mean = state.scale[:, None, None], state.mean[:, None, None]
        target = (image - mean) / scale
        guess = None
        if said is not None and state.guide_share > 0:
            # A share below 1 takes back a part of the guess before its error is filled.
            guess = said.mean(state.nonlinear) * np.float32(state.guide_share)
        filled = surroundings.fill(target, wanted, guess, state.stiff)
        left = np.where(known, target if guess is None else target - guess, np.float32(np.nan))
        return filled * scale + mean, surroundings.roughness(left, state.rough) * scale


def of_quality(quality: str = "default") -> Guided:
    """What a quality is without anything learnt on other scenes."""
    if quality == "fast":
        return Guided(
            regression.Settings(
                dates=LIMIT,
                components=16,
                fine=3,
                local=0,
                random_features=0,
                ferns=0,
                cycles=0,
                halved_above=512,
                outliers=False,
            )
        )
    if quality == "best":
        return Guided(regression.Settings(random_features=768, ferns=400))
    return Guided()


def create(quality: str = "default", seed: int = 0, mend: str = "") -> Reconstructor:
    """Registry entry of `guided`; `mend`: folder of a trained correction of `best`.

    Raises:
        ValueError: another quality, or the folder is none of a trained and tested correction.
    """
    made = of_quality(quality)
    if not mend:
        return made
    if quality != "best":
        raise ValueError("mend corrects the quality best only")
    from ..mend.model import over  # ONNX Runtime is wanted here only

    return over(made, Path(mend))
