"""Weights against what no mask names: thin cloud, shadow, abrupt change."""

from __future__ import annotations

import numpy as np

from ...base import Flags, Floats
from ...planes import masked, sampled
from ...threads import each

CUT = 4.0  # robust deviations at which a pixel counts by half
_CHUNK = 1 << 17  # pixels at a time: with fewer, threads wait for each other


def deviation(values: Floats) -> float:
    """Robust deviation from 0 of values (n,), at least one."""
    return 1.4826 * float(np.median(np.abs(values))) + 1e-6


def cauchy(residual: Floats, valid: Flags) -> Floats:
    """(H, W) weights of residuals (B, H, W): one half at `CUT` robust deviations in all bands."""
    places = sampled(valid)
    if not len(places):
        return np.ones(valid.shape, np.float32)
    factors = each(lambda layer: np.float32(1 / (CUT * deviation(layer.ravel()[places]))), residual)
    out = np.empty(valid.shape, np.float32)
    lines = max(1, _CHUNK // valid.shape[1])

    def part(top: int) -> None:
        some = np.s_[top : top + lines]
        total = np.zeros(valid[some].shape, np.float32)
        for layer, factor in zip(residual, factors, strict=True):
            scaled = masked(layer[some], valid[some])
            scaled *= factor
            total += np.multiply(scaled, scaled, out=scaled)
        total /= len(residual)
        total += 1
        np.reciprocal(total, out=out[some])

    each(part, range(0, len(valid), lines))
    return out
