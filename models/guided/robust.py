"""Weights against what no mask names: thin cloud, shadow, abrupt change."""

from __future__ import annotations

import numpy as np

from ..base import Flags, Floats
from ..planes import combine, only

SAMPLE = 20000  # pixels that a first global fit or a median looks at


def deviation(layer: Floats, valid: Flags) -> float:
    """Robust deviation from 0 of (H, W) where valid, which is somewhere, from a regular sample."""
    known = layer[valid]
    return 1.4826 * float(np.median(np.abs(known[:: max(1, len(known) // SAMPLE)]))) + 1e-6


def cauchy(residual: Floats, valid: Flags, cut: float) -> Floats:
    """(H, W) weights of residuals (B, H, W): one half at `cut` robust deviations in all bands."""
    if not valid.any():
        return np.ones(valid.shape, np.float32)
    total: Floats = np.zeros(valid.shape, np.float32)
    for layer in residual:
        scaled = only(layer, valid)
        scaled *= np.float32(1 / (cut * deviation(layer, valid)))
        total += np.multiply(scaled, scaled, out=scaled)
    total /= len(residual)
    total += 1
    return np.reciprocal(total, out=total)


def first_fit(stack: Floats, target: Floats, weight: Floats, penalty: Floats) -> Floats:
    """(B, H, W) prediction of one ridge regression for the whole array, from a regular sample.

    Args:
        stack: (P, H, W) features. target: (B, H, W), read where `weight` (H, W) is above 0.
        penalty: (1 + P,), intercept first.
    """
    places = np.flatnonzero(weight.ravel() > 0)
    places = places[:: max(1, len(places) // SAMPLE)]
    flat = stack.reshape(len(stack), -1)
    x = np.concatenate([np.ones((1, len(places)), np.float32), flat[:, places]]).astype(np.float64)
    y = target.reshape(len(target), -1)[:, places].astype(np.float64)
    weighted = x * weight.ravel()[places]
    left = weighted @ x.T + np.diag(penalty.astype(np.float64))
    beta = np.linalg.solve(left, weighted @ y.T).T.astype(np.float32)
    fitted = np.empty((len(target), flat.shape[1]), np.float32)
    combine(beta[:, 1:], flat, fitted)
    fitted += beta[:, :1]
    return fitted.reshape(target.shape)
