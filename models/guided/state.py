"""What `guided` knows of a scene, and what it makes of it before hidden pixels have said more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..base import Findings, Floats, Tile
from ..classical.common import Base, observed, spread
from ..holdout import CLASSES
from ..planes import moments
from ..threads import each
from . import across, amounts, regression, small
from .dates import fringe, outliers, timeline
from .space import surroundings

_MARGIN = 0.25  # of the observed range: how far beyond it a prediction may go
NONLINEAR = 0.5  # weight before a trial of the nonlinear regression on terrain and radar


@dataclass(frozen=True)
class Standard:
    """The target's bands as they are observed.

    Attributes:
        mean, deviation: (B,) of the observed pixels, for z-scores.
        low, high: (B,) bounds of plausible values.
    """

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats

    def scores(self, image: Floats) -> Floats:
        """(B, H, W) z-scores of reflectance."""
        out: Floats = image - self.mean[:, None, None]
        out /= self.deviation[:, None, None]
        return out

    def values(self, scores: Floats) -> Floats:
        """(B, H, W) reflectance of z-scores, in their place."""
        scores *= self.deviation[:, None, None]
        scores += self.mean[:, None, None]
        return scores

    def clip(self, image: Floats) -> None:
        """Bring reflectance (B, H, W) to what is plausible, in place."""
        np.clip(image, self.low[:, None, None], self.high[:, None, None], out=image)


@dataclass(frozen=True)
class Weights:
    """How much each way of filling counts, 0..1.

    Attributes:
        references: against the surroundings. guide: terrain and radar against space alone. nonlinear: the
            nonlinear regression among these. stiff: the stiffer surface in space (see `spatial.fill`).
        guide_tells: whether terrain and radar take enough of the error to be called what a pixel rests on.
    """

    references: float = 1.0
    guide: float = 1.0
    nonlinear: float = NONLINEAR
    stiff: float = 0.0
    guide_tells: bool = True


@dataclass(frozen=True)
class Factors:
    """What standard deviations are multiplied by.

    Attributes:
        references, space: (B, 4) of each way, by class of distance to valid data.
        rough: (B,) z-scored, how rough the ground is in a tile that shows none (`surroundings.roughness`).
    """

    references: Floats
    space: Floats
    rough: Floats


@dataclass(frozen=True)
class State:
    """What `prepare` knows of the scene.

    Attributes:
        regression: None without a useful reference. guide: None without terrain and radar.
        base: the overview filled, for gaps that are larger than a tile; None where references do alone.
        bands: of each reference, those that are read (see `bands`). findings: what the user is told of.
        fringe: cloud and shadow beside gaps; None without. outliers: where dates stand out; None if nobody
            looks.
        timeline: what other dates say by themselves; None where enough was observed to learn from.
        small: what values are taken times; None where as they are.
        amounts: the logarithmic scale that all of this is on; None where values are taken as they are.
        told: groups of bands of which the target's others tell, and what is known of each (see `across`).
    """

    standard: Standard
    regression: regression.Regression | None
    guide: surroundings.Guide | None
    weights: Weights
    factors: Factors
    base: Base | None = None
    bands: tuple[tuple[int, ...], ...] = ()
    findings: Findings = field(default_factory=Findings)
    fringe: fringe.Fringe | None = None
    outliers: outliers.Outliers | None = None
    timeline: timeline.Timeline | None = None
    small: small.Small | None = None
    amounts: amounts.Amounts | None = None
    told: tuple[tuple[across.Group, State], ...] = ()

    def fernless(self) -> State:
        """The same without the scene's ferns."""
        known, guide = self.regression, self.guide
        return replace(
            self,
            regression=None if known is None else replace(known, ferns=None),
            guide=None if guide is None else replace(guide, ferns=None),
        )


def standard_of(overview: Tile) -> Standard:
    """The bands of an overview as they are observed."""
    image = observed(overview)
    count = len(image)
    mean, deviation = np.zeros(count, np.float32), np.maximum(spread(overview), np.float32(1e-4))
    low, high = np.full(count, -np.inf, np.float32), np.full(count, np.inf, np.float32)

    def one(band: int) -> None:
        known = np.isfinite(image[band])
        if known.any():
            mean[band] = moments(image[band], known)[0]
            least, most, *_ = cv2.minMaxLoc(image[band], known.view(np.uint8))
            margin = _MARGIN * (most - least) + 0.01
            low[band], high[band] = least - margin, most + margin

    each(one, range(count))
    return Standard(mean, deviation, low, high)


def learn(overview: Tile, settings: regression.Settings) -> State:
    """The regressions of a scene, weighed as was good on training scenes."""
    standard = standard_of(overview)
    target = standard.scores(observed(overview))
    detail = [standard.scores(observed(window)) for window in overview.detail]
    ones = np.ones((len(target), CLASSES), np.float32)
    return State(
        standard,
        regression.learn(overview, target, settings, detail),
        surroundings.learn(overview, target, settings.ferns),
        Weights(),
        Factors(references=ones, space=ones, rough=ones[:, 0]),
    )
