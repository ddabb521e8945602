"""Regressions on other dates, as the overview teaches them; `estimate` sharpens and uses them in a tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Tile
from ..planes import concat, everywhere, masked, sampled, strips
from ..planes import moments as moments_of
from ..threads import both, each
from . import features as feats
from .dates import impute, select
from .learners import coarse, ferns, global_regression, random_features, solve
from .learners.statistics import CELL
from .space import residual, terrain

ENOUGH = 2000  # pixels that windows at full size share with each date, or the overview teaches
RANDOM_RIDGE = 20.0  # of the regression on random features, in pixels (train)
GUIDED_UP_TO = 2  # references beside which terrain and radar still help


@dataclass(frozen=True)
class Settings:
    """What a quality means for the regression.

    Attributes:
        dates: most references that the global regression reads; local ones read the best `select.LIMIT`.
        components: most principal components. fine: of them with slopes and low-passes, as
            many as `features` in all allow, 2 at least.
        local: window sigma in pixels that is solved in each tile; 0: the scene's coefficients do.
        slope, intercept: ridge, in pixels of a unit feature.
        random_features: tanh features of the second regression, with which the mean is taken; 0: without.
        ferns: boosted ferns of a tile, whose mean with the regressions is taken; 0: without.
        cycles: of multigrid for the rim's error.
        halved_above: pixels a side; a scene above it that is seen at full size is learnt at half of it.
        outliers: whether clouds that the masks of the dates missed are looked for.
    """

    dates: int = 20
    components: int = 24
    fine: int = 6
    features: int = 34
    local: float = 12.0
    slope: float = 8.0
    intercept: float = 1.0
    random_features: int = 96
    ferns: int = 100
    cycles: int = 2
    halved_above: float = math.inf
    outliers: bool = True


@dataclass(frozen=True)
class Part:
    """One regression: its coefficients over the scene, and the nonlinear one whose word it reads, if any."""

    field: solve.Field
    nonlinear: random_features.RandomFeatures | None = None

    def features(self, stack: Floats) -> Floats:
        """What this part's coefficients multiply."""
        return stack if self.nonlinear is None else random_features.predict(stack, self.nonlinear)


@dataclass(frozen=True)
class GlobalFit:
    """The global regression, and the references that it reads beside the chosen ones.

    Attributes:
        more: indices of those references. further: how their gaps are filled, None without.
    """

    more: tuple[int, ...]
    further: impute.Further | None
    regression: global_regression.GlobalRegression


@dataclass(frozen=True)
class Regression:
    """What the overview teaches.

    Attributes:
        chosen: indices of the references, best first. guides: terrain or radar beside them.
        parts: local regressions, of which the mean is taken; global_fit: one for the whole scene.
        local: weight of the parts against the global one. plate: of a plate against the membrane
            (see `residual.Rim.carry`). Both as a trial on hidden pixels says.
        coherence, noise: (B,) of the residual; noise is its mean square.
        explained: share (0..1) of the target's variance that the parts explain.
        ferns: what boosted ferns add to the mean of the last part's word and the global one's; None where
            each tile learns its own, or where there are none.
        distant: whether the parts' coefficients know nothing of where they are used: of all places, or of
            pixels larger than a tile's.
    """

    chosen: tuple[int, ...]
    joint: impute.Joint
    basis: feats.Basis
    guides: terrain.Guides | None
    parts: tuple[Part, ...]
    global_fit: GlobalFit
    local: float
    plate: float
    coherence: NDArray[np.float64]
    noise: NDArray[np.float64]
    explained: float
    ferns: ferns.Ferns | None
    distant: bool


def channels_of(tile: Tile, chosen: tuple[int, ...]) -> tuple[list[Floats], NDArray[np.intp]]:
    """All bands of the chosen references, C planes (H, W), and each one's date."""
    images = [tile.references[index].image for index in chosen]
    owner = np.repeat(np.arange(len(images)), [len(image) for image in images])
    return [plane for image in images for plane in image], owner


def weight_of(share: Floats) -> Floats:
    """Weight of a pixel by the share of its references that is real."""
    return masked(np.float32(0.3) + np.float32(0.7) * share, share > 0)


def guided(tile: Tile, guides: terrain.Guides | None) -> Floats:
    """(n, H, W) features of terrain and radar, n = 0 without."""
    if guides is None:
        return np.empty((0, *tile.image.shape[1:]), np.float32)
    return terrain.features(tile, guides)


@dataclass(frozen=True)
class _Lesson:
    """What coefficients are learnt from: the overview, or its windows at full size, side by side.

    Attributes:
        tiles: of one size. target, valid: (B, H, nW) z-scored, and where it is known.
    """

    tiles: Sequence[Tile]
    target: Floats
    valid: Flags

    def channels(self, chosen: tuple[int, ...]) -> tuple[list[Floats], NDArray[np.intp]]:
        """All bands of the chosen references, C planes (H, nW), and each one's date."""
        found = [channels_of(tile, chosen) for tile in self.tiles]
        return [concat(planes) for planes in zip(*(planes for planes, _ in found), strict=True)], found[0][1]

    def complete(self, chosen: tuple[int, ...], joint: impute.Joint) -> tuple[Floats, Floats]:
        """`impute.complete` of each tile."""
        done = [impute.complete(channels_of(tile, chosen)[0], joint) for tile in self.tiles]
        return concat([channels for channels, _ in done]), concat([share for _, share in done])

    def guided(self, guides: terrain.Guides | None) -> Floats:
        """`guided` of each tile."""
        return concat([guided(tile, guides) for tile in self.tiles])


def _lesson(
    overview: Tile, target: Floats, detail: Sequence[Floats], chosen: tuple[int, ...]
) -> tuple[_Lesson, bool]:
    """The windows where they show enough of each chosen date, else the overview; whether the windows."""

    def shown(index: int) -> int:
        return sum(
            int((tile.valid.all(0) & everywhere(tile.references[index].image)).sum())
            for tile in overview.detail
        )

    if overview.detail and min(shown(index) for index in chosen) >= ENOUGH:
        return _Lesson(overview.detail, concat(detail), concat([t.valid for t in overview.detail])), True
    return _Lesson((overview,), target, overview.valid), False


def learn(
    overview: Tile, target: Floats, settings: Settings, detail: Sequence[Floats] = ()
) -> Regression | None:
    """Choose references and fit the scene's coefficients to `target` (B, h, w), the z-scored image.

    A scene that is seen coarse is learnt from its windows at full size, whose z-scored images are `detail`:
    means of many pixels depend on each other in another way than pixels do. None if no reference is of use.
    """
    gap = np.any(overview.gaps, axis=0)
    everything = np.all(overview.valid, axis=0)
    ranked = select.select(overview.image, everything, gap, overview.references, settings.dates)
    if not ranked:
        return None
    chosen = ranked[: select.LIMIT]
    lesson, close = _lesson(overview, target, detail, chosen)
    target, valid = lesson.target, np.all(lesson.valid, axis=0)
    channels, owner = lesson.channels(chosen)
    seen = strips(valid.shape)
    joint = impute.learn([plane[seen] for plane in channels], owner)
    complete, share = lesson.complete(chosen, joint)
    samples = int((valid & (share > 0)).sum())
    count = min(settings.components, max(1, samples // 30), len(channels))
    fine = 0
    if settings.fine and samples > 60 * count:
        fine = int(np.clip((settings.features - count) // feats.EACH, 2, settings.fine))
    guides = terrain.learn(overview) if len(chosen) <= GUIDED_UP_TO and samples > 3000 else None
    more = lesson.guided(guides)
    shared, pieces = np.where(valid, share, np.float32(0)), len(lesson.tiles)
    basis, stack = feats.make_basis(joint, complete, target, shared, count, fine, len(more), pieces)
    stack[len(stack) - len(more) :] = more
    weight = weight_of(share)
    penalty = coarse.penalties(len(stack), settings.slope, settings.intercept)
    step, windows = (1, ()) if close else (overview.step, coarse.WINDOWS)

    def others() -> tuple[random_features.RandomFeatures | None, tuple[GlobalFit, Floats]]:
        made = None
        if settings.random_features:
            known = np.where(valid, weight, np.float32(0))
            made = random_features.learn(stack, target, known, settings.random_features, RANDOM_RIDGE)
        return made, _global_fit(lesson, ranked[len(chosen) :], complete, owner, weight)

    (made, (global_fit, every)), field = both(
        others, lambda: coarse.fit(stack, target, lesson.valid, weight, penalty, step, windows)
    )
    parts = [Part(field)]
    if made is not None:
        parts.append(Part(_as_it_is(len(target), field), made))

    def grow() -> ferns.Ferns | None:
        if not settings.ferns or overview.step > 1:
            return None
        known = np.where(valid & (share > 0), weight, np.float32(0))
        return _ferns(parts, global_fit.regression, stack, every, target, known, count, settings.ferns)

    grown, (coherence, noise, explained) = both(
        grow, lambda: _left_over(field, stack, target, lesson.valid, step)
    )
    return Regression(
        chosen,
        joint,
        basis,
        guides,
        tuple(parts),
        global_fit,
        local=1.0,
        plate=0.0,
        coherence=coherence,
        noise=noise,
        explained=explained,
        ferns=grown,
        distant=overview.step > 1,
    )


def _left_over(
    field: solve.Field, stack: Floats, target: Floats, valid: Flags, step: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Coherence and noise (B,) of what a field leaves of a target (B, H, W), and the share it explains."""
    looked = np.zeros(target.shape[1:], bool)
    looked[np.arange(len(looked)) // CELL % 4 == 0] = True  # a quarter of the lines shows the coherence
    left = target - solve.apply(field, stack, looked, 0, 0, step)
    left[~valid] = np.nan
    coherence = np.array(each(residual.coherence, left))
    noise = np.array(each(_mean_square, left))
    power = np.array(each(_mean_square, np.where(valid, target, np.float32(np.nan))))
    return coherence, noise, float(np.clip(1 - noise.mean() / max(power.mean(), 1e-9), 0, 1))


def _global_fit(
    lesson: _Lesson, more: tuple[int, ...], complete: Floats, owner: NDArray[np.intp], weight: Floats
) -> tuple[GlobalFit, Floats]:
    """The global regression on the complete channels of the chosen references and on `more`; all these."""
    further = None
    if more:
        planes, dates = lesson.channels(more)
        further = impute.learn_further(planes, dates, complete)
        complete = impute.complete_further(planes, complete, further)
        owner = np.concatenate([owner, owner.max() + 1 + dates])
    fitted = global_regression.learn(complete, owner, lesson.target, lesson.valid, weight)
    return GlobalFit(more, further, fitted), complete


def _ferns(
    parts: Sequence[Part],
    known: global_regression.GlobalRegression,
    stack: Floats,
    channels: Floats,
    target: Floats,
    weight: Floats,
    components: int,
    count: int,
) -> ferns.Ferns | None:
    """Ferns of a scene that is seen at full size, from its features and the global regression's channels."""
    places = sampled(weight > 0)
    features, dates, goal = (
        planes.reshape(len(planes), -1)[:, places] for planes in (stack, channels, target)
    )
    if parts[-1].nonlinear:
        first = parts[-1].features(features)
    else:
        first = straight(parts[0], stack, 0, 0, 1).reshape(len(target), -1)[:, places]
    leading = features[: min(ferns.COMPONENTS, components)]
    rows, columns = np.divmod(places, weight.shape[1])
    pixels = ferns.Pixels(leading, first, global_regression.predict(known, dates), rows, columns)
    return ferns.learn(pixels, goal, weight.ravel()[places], count)


def straight(part: Part, stack: Floats, row: int, column: int, step: int) -> Floats:
    """(B, H, W) what a part's coefficients for the whole scene say."""
    return solve.apply(part.field, stack, np.ones(stack.shape[1:], bool), row, column, step)


def _as_it_is(bands: int, over: solve.Field) -> solve.Field:
    """Coefficients that take over what a nonlinear regression says of each band, over a field's area."""
    values = np.concatenate([np.zeros((1, bands)), np.eye(bands)]).astype(np.float32)
    return replace(over, values=np.broadcast_to(values, (*over.values.shape[:2], *values.shape)))


def _mean_square(layer: Floats) -> float:
    """Mean square of the finite values; 1, a z-scored band's own, without any."""
    known = np.isfinite(layer)
    mean, deviation = moments_of(layer, known)
    return mean**2 + deviation**2 if known.any() else 1.0


def leaves_some(overview: Tile, known: Regression) -> bool:
    """Whether the overview has gap pixels where no chosen reference is clear."""
    seen = [everywhere(overview.references[k].image) for k in known.chosen]
    return bool((np.any(overview.gaps, axis=0) & ~np.any(seen, axis=0)).any())
