"""What the regression leaves over at the gap's rim, carried into the gap.

Residuals are partly texture (dies out within pixels) and partly slow drift. A membrane
through the rim decays with distance; the local mean of residuals takes over further in.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..base import Flags, Floats
from ..classical.membrane import cascade

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)


def coherence(residual: Floats) -> float:
    """Slope (0..1) of a residual on the mean of its 8 neighbours; (H, W), NaN where unknown.

    1 for smooth residuals, 0 for noise.
    """
    known = np.isfinite(residual)
    values = np.where(known, residual, 0).astype(np.float32)
    count = cv2.filter2D(known.astype(np.float32), -1, _RING, borderType=cv2.BORDER_CONSTANT)
    total = cv2.filter2D(values, -1, _RING, borderType=cv2.BORDER_CONSTANT)
    use = known & (count >= 6)
    if use.sum() < 16:
        return 0.5
    mean = (total[use] / count[use]).astype(np.float64)
    power = float((mean * mean).sum())
    if power <= 0:
        return 0.5
    return float(np.clip((mean * residual[use]).sum() / power, 0.0, 1.0))


def local_mean(residual: Floats, sigma: float, doubt: float = 8.0) -> Floats:
    """Gaussian mean of the known residuals, shrunk to 0 where few of them are near."""
    known = np.isfinite(residual)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    total = cv2.GaussianBlur(
        np.where(known, residual, 0).astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT
    )
    area = 2 * np.pi * sigma * sigma
    out: Floats = total / (weight + np.float32(doubt / area))
    return out


def carry(residual: Floats, distance: Floats, beta: float, length: float = 6.0, sigma: float = 6.0) -> Floats:
    """(H, W) correction in the gap, from residuals at known pixels (NaN elsewhere).

    Args:
        distance: pixels to valid data, 0 at valid pixels. beta: `coherence` of the residual.
        length: e-folding distance of the membrane's weight. sigma: window of the local mean.
    """
    if not np.isfinite(residual).any():
        return np.zeros_like(residual)
    membrane = cascade(residual)
    slow = local_mean(residual, sigma)
    decay = np.exp(-np.maximum(distance - 1, 0) / length).astype(np.float32)
    out: Floats = np.float32(beta) * (slow + decay * (membrane - slow))
    return out


def variance(residual: Floats, gap: Flags, sigma: float = 16.0, floor: float = 1e-6) -> Floats:
    """(H, W) local mean square of the known residuals, with the whole tile's as prior of weight 32."""
    known = np.isfinite(residual)
    count = int(known.sum())
    if not count:
        return np.full(residual.shape, np.nan, np.float32)
    squares = np.where(known, residual * residual, 0).astype(np.float32)
    mean = squares.sum(dtype=np.float64) / count
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    total = cv2.GaussianBlur(squares, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    prior = np.float32(32 / (2 * np.pi * sigma * sigma))
    out: Floats = (total + prior * np.float32(mean)) / (weight + prior) + np.float32(floor)
    return out
