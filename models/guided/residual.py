"""What the regression leaves over at the gap's rim, carried into the gap.

Residuals are partly texture (dies out within pixels) and partly slow drift. A membrane
through the rim decays with distance; the local mean of residuals takes over further in.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..base import Floats
from ..classical import membrane as sheets
from ..planes import block_means, blur, enlarge, pad_to

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


def local_mean(values: Floats, known: Floats, sigma: float, prior: float, doubt: float) -> Floats:
    """Gaussian mean of known values, drawn to `prior` as by `doubt` pixels that hold it.

    Args:
        values: (H, W), 0 where unknown. known: (H, W) 1 or 0. sigma: pixels, 4 or more: the
            work is done on blocks a quarter of it wide.
    """
    factor = max(int(sigma / 2), 1)
    height, width = values.shape
    small = sigma / factor
    total = blur(block_means(pad_to(values, factor), factor), small)
    weight = blur(block_means(pad_to(known, factor), factor), small)
    share = np.float32(doubt / (2 * np.pi * sigma * sigma))
    mean = (total + share * np.float32(prior)) / (weight + share)
    out: Floats = enlarge(mean, factor)[:height, :width]
    return out


def carry(
    residual: Floats, distance: Floats, beta: float, cycles: int = 2, length: float = 6.0, sigma: float = 6.0
) -> Floats:
    """(H, W) correction in the gap, from residuals at known pixels (NaN elsewhere).

    Args:
        distance: pixels to valid data, 0 at valid pixels. beta: `coherence` of the residual.
        cycles: of multigrid that sharpen the membrane.
        length: e-folding distance of the membrane's weight. sigma: window of the local mean.
    """
    if not np.isfinite(residual).any():
        return np.zeros_like(residual)
    known = np.isfinite(residual)
    slow = local_mean(np.where(known, residual, np.float32(0)), known.astype(np.float32), sigma, 0.0, 8.0)
    membrane = sheets.solve(residual, cycles=cycles)
    decay = np.exp(-np.maximum(distance - 1, 0) / length).astype(np.float32)
    out: Floats = np.float32(beta) * (slow + decay * (membrane - slow))
    return out


def variance(residual: Floats, otherwise: float, sigma: float = 16.0, floor: float = 1e-6) -> Floats:
    """(H, W) local mean square of the known residuals, drawn to the whole tile's by 32 pixels of it.

    `otherwise` is the answer where the tile knows none.
    """
    known = np.isfinite(residual)
    count = int(known.sum())
    if not count:
        return np.full(residual.shape, otherwise, np.float32)
    squares = np.where(known, residual * residual, np.float32(0))
    mean = float(squares.sum(dtype=np.float64)) / count
    return local_mean(squares, known.astype(np.float32), sigma, mean, 32.0) + np.float32(floor)
