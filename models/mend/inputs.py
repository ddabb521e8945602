"""What `mend` sees of a band: one definition for training and for prediction.

Everything is in units of the band's own mean and spread, so that any sensor, radiometry
and number of bands looks alike. Training and the ONNX reconstructor both call `stack`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Floats, Prediction, Tile
from ..holdout import distance_to_valid
from ..ridge import ridge_weights
from .trust import case_of

BASE = 14
"""Channels of a band: prior, its spread, the valid target, valid, gap, distance to valid
pixels, mean prior of the other bands, relief, slope, illumination, terrain known, VV, VH,
radar known."""
SLOTS = 4
"""Most references that the network looks at."""
REFERENCE = 3
"""Channels of a reference: its best linear guess of the band, known, guess minus prior."""


@dataclass(frozen=True)
class Frame:
    """What `prepare` fixes for the whole scene.

    Attributes:
        mean, scale: (B,) of the target's valid samples. low, high: (B,) what may be, a quarter
            beyond the range that was seen.
        chosen: indices of at most `SLOTS` references.
        guess: per chosen reference (B, K + 1) float64: weights of its K bands, then the constant.
        case: of `trust.CASES`.
    """

    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    chosen: tuple[int, ...]
    guess: tuple[NDArray[np.float64], ...]
    case: str


def frame(overview: Tile) -> Frame:
    """Statistics and global least squares of every reference on common valid pixels."""
    bands = len(overview.image)
    mean, scale = np.zeros(bands, np.float32), np.full(bands, 0.05, np.float32)
    low, high = np.full(bands, -np.inf, np.float32), np.full(bands, np.inf, np.float32)
    for band in range(bands):
        values = overview.image[band][overview.valid[band]]
        if len(values) > 1:
            mean[band] = values.mean(dtype=np.float64)
            scale[band] = max(float(values.std(dtype=np.float64)), 1e-3)
            reach = 0.25 * (values.max() - values.min()) + 0.01
            low[band], high[band] = values.min() - reach, values.max() + reach
    ranked: list[tuple[float, int, NDArray[np.float64]]] = []
    valid = np.asarray(overview.valid.all(0))
    for index, reference in enumerate(overview.references):
        common = valid & np.isfinite(reference.image).all(0)
        if common.sum() < 50:
            continue
        x = np.concatenate([reference.image[:, common], np.ones((1, int(common.sum())))]).astype(np.float64)
        y = overview.image[:, common].astype(np.float64)
        gram = x @ x.T
        penalty = np.full(len(gram), 1e-4 * np.trace(gram[:-1, :-1]) / len(gram))
        penalty[-1] = 0
        weights = np.asarray(ridge_weights(gram, x @ y.T, penalty).T, np.float64)
        left = ((y - weights @ x) ** 2).mean(1) / np.maximum(y.var(1), 1e-12)
        ranked.append((float(left.mean()), index, weights))
    ranked.sort(key=lambda found: found[:2])
    best = ranked[:SLOTS]
    case = case_of(overview, len(ranked))
    chosen, guess = tuple(index for _, index, _ in best), tuple(weights for _, _, weights in best)
    return Frame(mean, scale, low, high, chosen, guess, case)


def stack(tile: Tile, prior: Prediction, known: Frame) -> tuple[Floats, Floats, Floats]:
    """Network inputs of every band.

    Returns:
        (B, BASE, H, W) and (B, SLOTS, REFERENCE, H, W) float32, and the prior's standard
        deviation made finite, (B, H, W) reflectance. On valid samples prior and target are
        the same value.
    """
    bands, height, width = tile.image.shape
    middle, scale = known.mean[:, None, None], known.scale[:, None, None]
    valid = tile.valid
    mean = np.where(valid, tile.image, prior.mean)
    spread = np.where(np.isfinite(prior.std) & (prior.std > 0), prior.std, 0.5 * scale)
    spread = np.where(valid, 0.05 * scale, np.maximum(spread, 1e-3 * scale)).astype(np.float32)
    z = _bounded((mean - middle) / scale)
    base = np.zeros((bands, BASE, height, width), np.float32)
    base[:, 0] = z
    base[:, 1] = np.clip(np.log(spread / scale), -6, 3) / 2
    base[:, 2] = np.where(valid, z, 0)
    base[:, 3] = valid
    base[:, 4] = tile.gaps
    base[:, 5] = np.log1p(distance_to_valid(np.asarray(~valid.all(0)))) / 3
    if bands > 1:
        base[:, 6] = (z.sum(0) - z) / (bands - 1)
    base[:, 7:11] = _terrain(tile)
    base[:, 11:14] = _radar(tile)
    others = np.zeros((bands, SLOTS, REFERENCE, height, width), np.float32)
    for slot, (index, weights) in enumerate(zip(known.chosen, known.guess, strict=True)):
        image = tile.references[index].image
        seen = np.isfinite(image).all(0)
        flat = np.einsum("bk,khw->bhw", weights[:, :-1], np.where(seen, image, 0).astype(np.float64))
        guess = _bounded((flat + weights[:, -1, None, None] - middle) / scale)
        others[:, slot, 0] = np.where(seen, guess, 0)
        others[:, slot, 1] = seen
        others[:, slot, 2] = np.where(seen, guess - z, 0)
    return base, others, spread


def _bounded(z: NDArray[np.floating]) -> Floats:
    return np.clip(np.nan_to_num(z, nan=0.0), -8, 8).astype(np.float32)


def _terrain(tile: Tile) -> Floats:
    """(4, H, W): height above the surroundings in 50 m, slope, illumination, known."""
    out = np.zeros((4, *tile.image.shape[1:]), np.float32)
    if tile.terrain is None:
        return out
    height, slope, light = tile.terrain
    seen = np.isfinite(height)
    filled = np.where(seen, height, 0).astype(np.float32)
    share = cv2.blur(seen.astype(np.float32), (33, 33))
    around = cv2.blur(filled, (33, 33)) / np.maximum(share, 1e-3)
    out[0] = np.where(seen, np.clip((filled - around) / 50, -8, 8), 0)
    out[1] = np.where(seen, np.nan_to_num(slope), 0)
    out[2] = np.nan_to_num(light)
    out[3] = seen
    return out


def _radar(tile: Tile) -> Floats:
    """(3, H, W): VV and VH about zero in 6 dB, known."""
    out = np.zeros((3, *tile.image.shape[1:]), np.float32)
    if tile.sar is None:
        return out
    seen = np.isfinite(tile.sar).all(0)
    centred = (tile.sar - np.array([-11.0, -18.0], np.float32)[:, None, None]) / 6
    out[:2] = np.where(seen, np.clip(np.nan_to_num(centred), -4, 4), 0)
    out[2] = seen
    return out
