"""How far errors reach: measured in the scene's own pseudo-gaps, by distance to valid data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Tile
from ..holdout import CLASSES, distance_class, distance_to_valid, pseudo_gap
from ..planes import concat, masked
from ..threads import each

SIDE = 256  # pixels a side of the window that is tried on
_BLOCK = 8  # pixels a side of a block whose errors count as one piece of evidence
_BLOCKS = 3  # blocks below which a trial says nothing of a share
DOUBT = 0.1  # standard deviation of a share around its prior, before a trial (fitted on training scenes)
_SAFE = 1.05  # real gaps are a little harder than hidden pixels (fitted on training scenes)
_COARSER = 1.05  # what is measured on an overview is a little too good for its tiles
_GROWTH = 0.35  # power of the distance by which errors grow (ranks them best on training scenes)
_GROWN = 32.0  # pixels from which they grow no more: as far as a tile of every quality sees around itself
_TRIES, _TRIED, _BANDS = 4, 1 << 17, 20  # tries at most; pixels that all look at, of up to so many bands
_SMOOTH = 4e-4  # variance of z-scores from pixel to pixel below which a picture counts as smooth
_LEAST = 30  # hidden pixels that make a class of distance count
_PROVES = 15  # blocks by which a class's own factor and that of all distances count alike (train)


@dataclass(frozen=True)
class Trial:
    """Windows of the scene, or one of the overview, in each of whose n tiles some valid pixels are hidden.

    Attributes:
        tiles: what the method sees. truth: (B, H, nW), one tile's beside the other's, as all arrays here.
        hidden: (H, nW). distance: (H, nW) to valid data, in pixels of the scene.
        whole: whether the window is the whole overview.
    """

    tiles: tuple[Tile, ...]
    truth: Floats
    hidden: Flags
    distance: Floats
    whole: bool


def _window(overview: Tile) -> tuple[int, int]:
    """Row and column of a window whose share of gaps is like the whole overview's."""
    gap, known = np.any(overview.gaps, axis=0), np.any(overview.valid, axis=0)
    height, width = gap.shape
    wanted = max(float(gap.mean()), 0.05)
    best, place = np.inf, (0, 0)
    for row in range(0, max(height - SIDE, 0) + 1, SIDE // 2):
        for column in range(0, max(width - SIDE, 0) + 1, SIDE // 2):
            window = np.s_[row : row + SIDE, column : column + SIDE]
            off = abs(float(gap[window].mean()) - wanted) + 2 * max(0.0, 0.3 - float(known[window].mean()))
            if off < best:
                best, place = off, (row, column)
    return place


def _cut(overview: Tile) -> Tile:
    """At most `SIDE` squared pixels of the overview."""
    row, column = _window(overview)
    return overview.cut(slice(row, row + SIDE), slice(column, column + SIDE))


def make_trial(overview: Tile) -> Trial | None:
    """Hide pixels of (a window of) the overview; None where too few are valid.

    A small overview is tried several times, each pixel hidden at most once: one try of it proves little.
    One with windows at full size is tried in these.
    """
    looks = overview.detail or (_cut(overview),)
    whole = not overview.detail and looks[0].image.shape == overview.image.shape
    tiles: list[Tile] = []
    truth: list[Floats] = []
    hidden: list[Flags] = []
    for tile in looks:
        gap, left = np.any(tile.gaps, axis=0), np.all(tile.valid, axis=0)
        for _ in range(_tries(tile.image.shape) if whole else 1):
            part = pseudo_gap(left, gap)
            if part is None:
                break
            tiles.append(tile.hiding(part))
            truth.append(tile.image)
            hidden.append(part)
            left &= ~part
    if not tiles:
        return None
    distance = concat([distance_to_valid(np.any(seen.gaps, axis=0)) for seen in tiles])
    step = np.float32(looks[0].step)
    return Trial(tuple(tiles), concat(truth), concat(hidden), distance * step, whole)


def _tries(shape: tuple[int, ...]) -> int:
    """How often an overview (B, H, W) is tried. Many bands cost more, and err alike: they prove no more."""
    bands, height, width = shape
    return int(np.clip(_TRIED * min(1, _BANDS / bands) // (height * width), 1, _TRIES))


def _by_class(trial: Trial, value: Callable[[Flags], Floats | None], start: Floats) -> Floats:
    """(n, 4): `value` of each class's hidden pixels; one that says None takes its neighbour's."""
    classes = distance_class(trial.distance)
    found = [value(trial.hidden & (classes == k)) for k in range(CLASSES)]
    columns = {k: column for k, column in enumerate(found) if column is not None}
    known = list(columns)
    if not known:
        return np.repeat(start[:, None], CLASSES, 1)
    nearest = [min(known, key=lambda j: (abs(j - k), j)) for k in range(CLASSES)]
    return np.stack([columns[k] for k in nearest], axis=1).astype(np.float32)


def growth(distance: Floats) -> Floats:
    """How much larger an error is at a distance (pixels of the scene) than next to valid data."""
    return np.asarray(np.clip(distance, 1, _GROWN) ** np.float32(_GROWTH), np.float32)


def by_contrast(std: Floats, mean: Floats) -> Floats:
    """`std` (B, H, W) times the fourth root of the filled picture's contrast from pixel to pixel.

    Errors are larger at edges and in rough ground, where dates are apart by a part of a pixel. `mean`
    is z-scored, NaN where nothing was predicted.
    """

    def one(band: int) -> Floats:
        values = masked(mean[band], np.isfinite(mean[band]))
        level = cv2.boxFilter(values, cv2.CV_64F, (3, 3))  # in 64 bits: a difference of near squares
        variance = cv2.sqrBoxFilter(values, cv2.CV_64F, (3, 3)) - level * level
        np.maximum(variance, _SMOOTH, out=variance)
        return std[band] * np.sqrt(np.sqrt(np.sqrt(variance.astype(np.float32))))

    return np.stack(each(one, range(len(std))))


def factors(trial: Trial, mean: Floats, std: Floats) -> Floats:
    """(B, 4) factors on `std` times `growth` that make 90 % intervals cover 90 % of the hidden pixels.

    A class of distance whose pixels lie in few blocks is drawn to what holds at all distances: a single
    place that changed would widen the whole class.
    """
    ratio = np.abs(mean - trial.truth) / (std * growth(trial.distance))

    def quantiles(pixels: Flags) -> Floats | None:
        values = ratio[:, pixels]
        values = values[:, np.isfinite(values).all(0)]
        if values.shape[1] < _LEAST:
            return None
        own = np.quantile(values, 0.9, axis=1) / 1.645
        pooled = np.quantile(values, 0.9) / 1.645
        trust = values.shape[1] / (values.shape[1] + 200)
        return np.asarray(trust * own + (1 - trust) * pooled, np.float32)

    overall = quantiles(trial.hidden)

    def drawn(pixels: Flags) -> Floats | None:
        own = quantiles(pixels)
        if own is None or overall is None:
            return None
        count = len(np.unique(_blocks(pixels)))
        trust = np.float32(count / (count + _PROVES))
        return np.asarray(own**trust * overall ** (1 - trust), np.float32)

    out = _by_class(trial, drawn, np.ones(len(mean), np.float32))
    safe = _SAFE if trial.tiles[0].step == 1 else _SAFE * _COARSER
    return np.clip(safe * out, 0.2, 6.0)


def _blocks(where: Flags) -> NDArray[np.intp]:
    """(n,) a number for the block of each pixel where a mask (H, W) is true, in their order."""
    rows, columns = np.nonzero(where)
    return np.asarray(rows // _BLOCK * where.shape[1] + columns // _BLOCK)


def share_of_first(
    trial: Trial, first: Floats, second: Floats, scale: Floats, prior: float, doubt: float = DOUBT
) -> float:
    """Best weight (0..1) of `first` against `second` (both (B, H, W)) on the hidden pixels.

    Least squares over all bands in units of `scale` (B,), and `prior`, from which the truth is `doubt` away
    (a standard deviation), each weighed by its certainty. How certain the trial is says the scatter between
    blocks: pixels side by side err alike, so that one large hidden patch proves little, however many it has.
    """
    rows, columns = np.nonzero(trial.hidden)
    ours = ((first - second) / scale[:, None, None])[:, rows, columns].astype(np.float64)
    truth = ((trial.truth - second) / scale[:, None, None])[:, rows, columns].astype(np.float64)
    seen = np.isfinite(ours) & np.isfinite(truth)
    ours, truth = np.where(seen, ours, 0), np.where(seen, truth, 0)
    _, block = np.unique(_blocks(trial.hidden), return_inverse=True)
    powers = np.bincount(block, (ours * ours).sum(0))
    products = np.bincount(block, (ours * truth).sum(0))
    power, count = float(powers.sum()), int((powers > 0).sum())
    if power <= 0 or count < _BLOCKS:
        return prior
    share = float(products.sum()) / power
    variance = float(((products - share * powers) ** 2).sum()) / power**2 * count / (count - 1)
    trust = doubt**2 / (doubt**2 + variance)
    return float(np.clip(trust * share + (1 - trust) * prior, 0.0, 1.0))


def gain(trial: Trial, first: Floats, second: Floats, scale: Floats) -> float:
    """Share of the squared error of `second` on the hidden pixels that `first` has not (both (B, H, W)).

    Bands count in units of `scale` (B,). Below 0 where `first` is worse; 0 where there is no error.
    """
    truth = trial.truth[:, trial.hidden]
    ours, others = (
        ((made[:, trial.hidden] - truth) / scale[:, None]).astype(np.float64) for made in (first, second)
    )
    seen = np.isfinite(ours) & np.isfinite(others)
    before = float((others[seen] ** 2).sum())
    return 1 - float((ours[seen] ** 2).sum()) / before if before > 0 else 0.0
