"""`guided`: the default reconstructor. Reads other dates, terrain and radar; else space alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Prediction, Source, Tile
from ..classical.common import Base, anchor, make_base, observed, spread
from ..holdout import CLASSES, distance_class, distance_to_valid, pseudo_gap
from . import features as feats
from . import impute, residual, select, solve, spatial
from .statistics import CELL, cells_over, grow, moments

COARSE = (96.0, 48.0)  # window sigmas in scene pixels, solved once on the overview
COARSEN = 4  # cells a side that make one of the coarse solution
LOCAL = 12.0  # solved in each tile
REACH = 16  # pixels around gaps where residuals are wanted


@dataclass(frozen=True)
class Settings:
    """What a quality means.

    Attributes:
        components: most principal components. fine: of them with gradient and low-pass.
        penalty: ridge of a slope, in pixels of a unit feature. intercept: that of the intercept.
    """

    components: int = 24
    fine: int = 3
    local: float = LOCAL
    penalty: float = 60.0
    intercept: float = 1.0
    cut: float = 4.0


@dataclass(frozen=True)
class Regression:
    """What prepare learns for predicting from references."""

    chosen: tuple[int, ...]
    joint: impute.Joint
    basis: feats.Basis
    field: solve.Field
    coherence: NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """What `prepare` knows of the scene.

    Attributes:
        mean, scale: (B,) z-score of the target. low, high: (B,) bounds of plausible values.
        regression: None without usable references. base: the overview filled.
        calibration: (B, 4) factors on the standard deviation per class of distance.
    """

    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    regression: Regression | None
    base: Base
    calibration: Floats


def _channels(tile: Tile, chosen: tuple[int, ...]) -> tuple[Floats, NDArray[np.intp]]:
    """(C, H, W) all bands of the chosen references, a pixel all there or all NaN, and each one's date."""
    parts, owner = [], []
    for k, index in enumerate(chosen):
        image = tile.references[index].image
        clear = np.isfinite(image).all(0)
        parts.append(np.where(clear, image, np.float32(np.nan)))
        owner += [k] * len(image)
    return np.concatenate(parts), np.array(owner, np.intp)


def _groups(valid: Flags) -> list[list[int]]:
    """Bands with the same mask, together."""
    groups: list[list[int]] = []
    for band in range(len(valid)):
        for group in groups:
            if np.array_equal(valid[band], valid[group[0]]):
                group.append(band)
                break
        else:
            groups.append([band])
    return groups


@dataclass(frozen=True)
class Guided:
    """Masked, local, multi-reference ridge regression with a correction from the gap's rim."""

    settings: Settings = Settings()

    # -- prepare -----------------------------------------------------------------------

    def prepare(self, overview: Tile) -> State:
        """Choose references, learn axes and coarse coefficients, and measure the uncertainty."""
        state = self._learn(overview)
        return replace(state, calibration=self._calibrate(overview, state))

    def _learn(self, overview: Tile) -> State:
        image = observed(overview)
        bands = len(image)
        mean, scale = np.zeros(bands, np.float32), spread(overview)
        low, high = np.full(bands, -np.inf, np.float32), np.full(bands, np.inf, np.float32)
        for band, layer in enumerate(image):
            values = layer[np.isfinite(layer)]
            if len(values):
                mean[band] = values.mean(dtype=np.float64)
                margin = 0.25 * (values.max() - values.min()) + 0.01
                low[band], high[band] = values.min() - margin, values.max() + margin
        scale = np.maximum(scale, np.float32(1e-4))
        regression = self._regress(overview, mean, scale)
        base = Base(image, overview.step) if regression else make_base(overview, spatial.fill)
        ones = np.ones((bands, CLASSES), np.float32)
        return State(mean, scale, low, high, regression, base, ones)

    def _regress(self, overview: Tile, mean: Floats, scale: Floats) -> Regression | None:
        valid, gap = overview.valid.all(0), overview.gaps.any(0)
        chosen = select.select(overview.image, valid, gap, overview.references)
        if not chosen:
            return None
        channels, owner = _channels(overview, chosen)
        joint = impute.learn(channels, owner)
        complete, share = impute.complete(channels, joint)
        samples = int((valid & (share > 0)).sum())
        most = min(self.settings.components, max(1, samples // 30))
        fine = self.settings.fine if samples > 60 * most else 0
        basis = feats.make_basis(joint, complete, min(most, len(channels)), fine)
        stack = feats.build(basis, complete)
        target = (overview.image - mean[:, None, None]) / scale[:, None, None]
        height, width = valid.shape
        cells = cells_over(0, 0, height, width, multiple=COARSEN)
        bands = len(target)
        field: solve.Field | None = None
        penalty = self._penalty(len(stack))
        fields = []
        for group in _groups(overview.valid):
            valid_band = overview.valid[group[0]]
            weight = _weight(valid_band, share)
            first = _global_fit(stack, target[group], weight, penalty)
            weight *= robust(target[group] - first, valid_band, self.settings.cut)
            sums = moments(stack, target[group], weight, cells, 0, 0).coarse(COARSEN)
            start = solve.ridge(sums.total()[None], len(group), penalty, np.zeros((1, len(penalty), 1)))
            size = float(max(cells.rows, cells.columns) * CELL * overview.step)
            field = solve.Field(start[None].astype(np.float32), size, 0.0, 0.0)
            for sigma in COARSE:
                sigma = max(sigma, CELL * COARSEN * overview.step)
                active = np.ones((sums.cells.rows, sums.cells.columns), bool)
                field = solve.refine(sums, sigma, field, penalty, len(group), active, overview.step)
            fields.append(field)
        values = np.empty((*fields[0].values.shape[:3], bands), np.float32)
        for group, part in zip(_groups(overview.valid), fields, strict=True):
            values[..., group] = part.values
        field = replace(fields[0], values=values)
        if overview.step == 1:
            near = np.ones_like(gap)
            left = target - solve.apply(field, stack, near, 0, 0, 1)
            left[~overview.valid] = np.nan
            beta = np.array([residual.coherence(layer) for layer in left])
        else:
            beta = np.full(bands, 0.8)
        return Regression(chosen, joint, basis, field, beta)

    def _penalty(self, count: int) -> Floats:
        penalty = np.full(1 + count, self.settings.penalty, np.float32)
        penalty[0] = self.settings.intercept
        return penalty

    def _calibrate(self, overview: Tile, state: State) -> Floats:
        """Factors that make 90 % intervals cover 90 % in the overview's pseudo-gaps."""
        factors = np.ones((len(overview.image), CLASSES), np.float32)
        overview = _sample(overview)
        hidden = pseudo_gap(overview.valid.all(0), overview.gaps.any(0))
        if hidden is None:
            return factors
        image = np.where(hidden, np.float32(np.nan), overview.image)
        trial = replace(overview, image=image, gaps=overview.gaps | hidden)
        made = self.predict(trial, state)
        classes = distance_class(distance_to_valid(trial.gaps.any(0)))
        ratio = np.abs(made.mean - overview.image) / made.std
        previous = np.ones(len(factors), np.float32)
        for k in range(CLASSES):
            chosen = hidden & (classes == k)
            values = ratio[:, chosen]
            for band, row in enumerate(values):
                row = row[np.isfinite(row)]
                if len(row) >= 30:
                    previous[band] = np.quantile(row, 0.9) / 1.645
            factors[:, k] = previous
        return np.clip(factors, 0.2, 5.0)

    # -- predict -----------------------------------------------------------------------

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill the tile's gaps."""
        gap = tile.gaps.any(0)
        shape = tile.gaps.shape
        mean, std = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        source = np.zeros(gap.shape, np.uint8)
        main = np.full(gap.shape, -1, np.int16)
        if not gap.any():
            return Prediction(mean, std, source, main)
        image = observed(tile)
        guess: Floats | None = None
        if state.regression is not None:
            guess, spread_, there, main = self._from_references(tile, state, state.regression)
            image = np.where(tile.gaps & there, guess, image)
            std = spread_
            source[gap & there] = Source.REFERENCE
        rest = tile.gaps & ~np.isfinite(image)
        if rest.any():
            filled = anchor(image, rest, tile, state.base) if guess is None else image
            for band in range(len(image)):
                if rest[band].any():
                    image[band] = spatial.fill(filled[band])
            std = np.where(rest, self._spatial_std(tile, state), std)
            source[rest.any(0)] = Source.SURROUNDINGS
        mean = np.clip(image, state.low[:, None, None], state.high[:, None, None])
        mean[~tile.gaps] = np.nan
        for band in range(len(std)):
            classes = distance_class(distance_to_valid(tile.gaps[band]))
            std[band] *= state.calibration[band][classes]
        std[~np.isfinite(mean)] = np.nan
        filled_pixels = np.isfinite(mean).any(0)
        source[gap & ~filled_pixels] = Source.UNFILLED
        main[~gap | (source != Source.REFERENCE)] = -1
        return Prediction(mean.astype(np.float32), std.astype(np.float32), source, main)

    def _spatial_std(self, tile: Tile, state: State) -> Floats:
        """A first guess from the band's spread; the calibration makes it the scene's."""
        return np.broadcast_to(state.scale[:, None, None], tile.gaps.shape)

    def _from_references(
        self, tile: Tile, state: State, known: Regression
    ) -> tuple[Floats, Floats, Flags, NDArray[np.int16]]:
        """Means, standard deviations, where any reference is clear, and the best clear one's index."""
        channels, _ = _channels(tile, known.chosen)
        complete, share = impute.complete(channels, known.joint)
        stack = feats.build(known.basis, complete)
        target = (tile.image - state.mean[:, None, None]) / state.scale[:, None, None]
        height, width = share.shape
        row, column = tile.row // tile.step, tile.column // tile.step
        cells = cells_over(row, column, height, width)
        penalty = self._penalty(len(stack))
        mean, std = np.full_like(target, np.nan), np.full_like(target, np.nan)
        for group in _groups(tile.valid):
            gap = tile.gaps[group[0]]
            if not gap.any():
                continue
            valid = tile.valid[group[0]]
            field = replace(known.field, values=known.field.values[..., group])
            expected = solve.apply(field, stack, valid, row, column, tile.step)
            weight = _weight(valid, share) * robust(target[group] - expected, valid, self.settings.cut)
            wanted = solve.near(gap, cells, row, column, REACH + CELL)
            needed = grow(wanted, math.ceil(2.7 * self.settings.local / CELL))
            sums = moments(stack, target[group], weight, cells, row, column, needed)
            field = solve.refine(
                sums, self.settings.local * tile.step, field, penalty, len(group), wanted, tile.step
            )
            fitted = solve.apply(field, stack, grow(gap, REACH), row, column, tile.step)
            distance = distance_to_valid(gap)
            for index, layer in zip(group, fitted, strict=True):
                left = np.where(valid, target[index] - layer, np.float32(np.nan))
                mean[index] = layer + residual.carry(left, distance, known.coherence[index])
                std[index] = np.sqrt(residual.variance(left))
        mean = mean * state.scale[:, None, None] + state.mean[:, None, None]
        std *= state.scale[:, None, None]
        main = np.full(share.shape, -1, np.int16)
        for index in reversed(known.chosen):
            main[np.isfinite(tile.references[index].image).all(0)] = index
        return mean, std, share > 0, main


def _sample(overview: Tile, side: int = 384) -> Tile:
    """A window of the overview, at most `side` squared, with as usual a share of gaps as the whole."""
    gap = overview.gaps.any(0)
    height, width = gap.shape
    if height <= side and width <= side:
        return overview
    wanted, best, place = float(gap.mean()), np.inf, (0, 0)
    for row in range(0, max(height - side, 0) + 1, side // 2):
        for column in range(0, max(width - side, 0) + 1, side // 2):
            window = np.s_[row : row + side, column : column + side]
            known = overview.valid.any(0)[window].mean()
            off = abs(float(gap[window].mean()) - max(wanted, 0.05)) + 2 * max(0.0, 0.3 - float(known))
            if off < best:
                best, place = off, (row, column)
    row, column = place
    window = np.s_[:, row : row + side, column : column + side]

    def cut(pixels: Floats | None) -> Floats | None:
        return None if pixels is None else pixels[window]

    return replace(
        overview,
        image=overview.image[window],
        gaps=overview.gaps[window],
        references=tuple(replace(r, image=r.image[window]) for r in overview.references),
        terrain=cut(overview.terrain),
        sar=cut(overview.sar),
        row=row * overview.step,
        column=column * overview.step,
    )


def robust(residual: Floats, valid: Flags, cut: float) -> Floats:
    """(H, W) Cauchy weights of residuals (B, H, W): half at `cut` robust deviations, averaged over bands."""
    if not valid.any():
        return np.ones(valid.shape, np.float32)
    weight = np.zeros(valid.shape, np.float32)
    for layer in residual:
        sample = np.abs(layer[valid][:: max(1, int(valid.sum()) // 50000)])
        deviation = 1.4826 * float(np.median(sample)) + 1e-6
        scaled = np.where(valid, layer, np.float32(0)) / np.float32(cut * deviation)
        weight += scaled * scaled
    out: Floats = 1 / (1 + weight / len(residual))
    return out


def _global_fit(stack: Floats, target: Floats, weight: Floats, penalty: Floats) -> Floats:
    """(B, H, W) prediction of one ridge regression over a regular sample of the weighted pixels."""
    places = np.flatnonzero(weight.ravel() > 0)
    places = places[:: max(1, len(places) // 20000)]
    flat = stack.reshape(len(stack), -1)
    x = np.concatenate([np.ones((1, len(places)), np.float32), flat[:, places]]).astype(np.float64)
    y = target.reshape(len(target), -1)[:, places].astype(np.float64)
    xw = x * weight.ravel()[places]
    beta = np.linalg.solve(xw @ x.T + np.diag(penalty.astype(np.float64)), xw @ y.T).T.astype(np.float32)
    out: Floats = (beta[:, 1:] @ flat + beta[:, :1]).reshape(target.shape)
    return out


def _weight(valid: Flags, share: Floats) -> Floats:
    """Weight of a pixel: less where its references are filled in."""
    return np.where(valid & (share > 0), 0.3 + 0.7 * share, 0).astype(np.float32)


def create(quality: str = "default", seed: int = 0) -> Guided:
    """Registry entry of `guided`."""
    if quality == "fast":
        return Guided(Settings(components=12, fine=0))
    return Guided()
