"""What the regression leaves over at the gap's rim, carried into the gap.

Residuals are partly texture (dies out within pixels) and partly slow drift. A membrane
through the rim decays with distance; the local mean of residuals takes over further in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ...base import Flags, Floats
from ...classical import membrane
from ...planes import block_means, blur, enlarge, masked, pad_to
from . import spatial

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)


def coherence(residual: Floats) -> float:
    """Slope (0..1) of a residual on the mean of its 8 neighbours; (H, W), NaN where unknown.

    1 for smooth residuals, 0 for noise.
    """
    known = np.isfinite(residual)
    values = masked(residual, known)
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


def blocks(sigma: float) -> int:
    """Pixels a side of the blocks on which a Gaussian mean is taken: half of `sigma`."""
    return max(int(sigma / 2), 1)


def _coarse(plane: Floats, sigma: float) -> Floats:
    """Gaussian mean of a plane, on blocks."""
    factor = blocks(sigma)
    return blur(block_means(pad_to(plane, factor), factor), sigma / factor)


def local_mean(
    values: Floats, known: Floats, sigma: float, prior: float, doubt: float, weight: Floats | None = None
) -> Floats:
    """Gaussian mean of known values, drawn to `prior` as by `doubt` pixels that hold it.

    Args:
        values: (H, W), 0 where unknown. known: (H, W) 1 or 0. sigma: pixels, 4 or more: the
            work is done on blocks half of it wide. weight: `_coarse` of `known`, if at hand.
    """
    height, width = values.shape
    weight = _coarse(known, sigma) if weight is None else weight
    mean = _drawn(_coarse(values, sigma), weight, sigma, np.float32(prior), doubt)
    out: Floats = enlarge(mean, blocks(sigma))[:height, :width]
    return out


def _drawn(total: Floats, weight: Floats, sigma: float, prior: Floats | np.float32, doubt: float) -> Floats:
    """`total` over `weight`, both `_coarse`, drawn to `prior` as by `doubt` pixels that hold it."""
    share = np.float32(doubt / (2 * np.pi * sigma * sigma))
    return np.asarray((total + share * prior) / (weight + share), np.float32)


LENGTH = 6.0
"""E-folding distance of the membrane's weight, in pixels."""

NEAR, NEAR_DOUBT = 6.0, 8.0
"""Window of the local mean of residuals, and the pixels that draw it to 0."""

SWEEPS = 20
"""Of the plate."""

AROUND = ((72.0, 256.0), (24.0, 256.0), (8.0, 16.0))
"""The same of their squares, from wide to narrow: each is drawn to the one before it, the first to the tile's
mean. Deep in a gap the wide ones tell, so that the tile which it lies in does not. Blocks are thrice as wide
from one to the one before."""

FLOOR = 1e-6
"""The least variance."""


@dataclass(frozen=True)
class Rim:
    """Where residuals are known around the gaps: what all bands that share a mask have in common.

    Attributes:
        known: (H, W). distance: pixels to valid data, 0 at valid pixels.
    """

    known: Flags
    distance: Floats

    @cached_property
    def _pyramid(self) -> membrane.MaskPyramid:
        return membrane.MaskPyramid(self.known)

    @cached_property
    def _weights(self) -> tuple[Floats, Floats, list[Floats]]:
        known = self.known.astype(np.float32)
        return known, _coarse(known, NEAR), _around(known)

    @cached_property
    def _moving(self) -> Flags:
        return ~self.known & (self.distance <= NEAR)

    @cached_property
    def _decay(self) -> Floats:
        decay = np.maximum(self.distance - 1, 0)
        decay *= np.float32(-1 / LENGTH)
        return np.exp(decay, out=decay)

    def carry(self, residual: Floats, beta: float, cycles: int = 2, plate: float = 0.0) -> Floats:
        """(H, W) correction in the gap, from residuals at known pixels (0 elsewhere).

        Args:
            beta: `coherence` of the residual. cycles: of multigrid that sharpen the membrane.
            plate: weight (0..1) of a plate that keeps its strength, against the membrane that decays.
        """
        if not self.known.any():
            return np.zeros_like(residual)
        known, near, _ = self._weights
        slow = local_mean(residual, known, NEAR, 0.0, NEAR_DOUBT, near)
        out = membrane.solve(residual, cycles=cycles, pyramid=self._pyramid)
        stiff = spatial.plate(out, self._moving, SWEEPS) if plate > 0 else None
        out -= slow
        out *= self._decay
        out += slow
        out *= np.float32(beta)
        if stiff is not None:
            out += np.float32(plate) * (stiff - out)
        return out

    def variance(self, residual: Floats, otherwise: float) -> Floats:
        """(H, W) local mean square of the residual; `otherwise` is the answer where the tile knows none."""
        known, _, around = self._weights
        return variance(residual, known, otherwise, around)


def _around(known: Floats) -> list[Floats]:
    return [_coarse(known, sigma) for sigma, _ in AROUND]


def variance(
    residual: Floats, known: Floats, otherwise: float, weights: list[Floats] | None = None
) -> Floats:
    """`Rim.variance` of a residual (0 where unknown), known where 1; `weights` are `_around` of that."""
    count = int(np.count_nonzero(known))
    if not count:
        return np.full(residual.shape, otherwise, np.float32)
    squares = residual * residual
    mean = float(squares.sum(dtype=np.float64)) / count
    weights = weights or _around(known)
    out, side = np.full_like(weights[0], mean), blocks(AROUND[0][0])
    for (sigma, doubt), weight in zip(AROUND, weights, strict=True):
        prior = enlarge(out, side // blocks(sigma))[: weight.shape[0], : weight.shape[1]]
        out, side = _drawn(_coarse(squares, sigma), weight, sigma, prior, doubt), blocks(sigma)
    out = enlarge(out, side)[: residual.shape[0], : residual.shape[1]]
    out += np.float32(FLOOR)
    return out
