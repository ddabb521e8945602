"""Oracles: regressions whose coefficients were fitted inside the gap. Not methods: the distance to the limit.

They bound regression without a residual from the rim, so a real method may pass them on small gaps.
"""

from __future__ import annotations

import numpy as np

from ...models.base import Flags, Floats, Tile
from .peers_space import unknown
from .regress import apply, completed, fit, local, usable


def _features(tile: Tile, most: int = 24) -> Floats:
    """(F, H, W): all bands of all dates, turned onto at most `most` principal axes."""
    features = np.concatenate(completed(usable(tile)))
    if len(features) <= most:
        return features
    flat = features.reshape(len(features), -1).astype(np.float64)
    flat = (flat - flat.mean(1, keepdims=True)) / np.maximum(flat.std(1, keepdims=True), 1e-9)
    _, axes = np.linalg.eigh(flat @ flat.T)
    return (axes[:, ::-1][:, :most].T @ flat).reshape(most, *features.shape[1:]).astype(np.float32)


def everywhere(tile: Tile, truth: Floats, scored: Flags) -> Floats:
    """One regression on all dates, fitted to the truth of the gap."""
    if not usable(tile):
        return np.full_like(truth, np.nan)
    features = _features(tile)
    made = apply(features, fit(features[:, scored], truth[:, scored], 1e-4))
    return np.where(unknown(tile), made, tile.image).astype(np.float32)


def nearby(tile: Tile, truth: Floats, scored: Flags, sigma: float) -> Floats:
    """Regressions that vary over `sigma` pixels, fitted to the whole truth, gap included."""
    if not usable(tile):
        return np.full_like(truth, np.nan)
    trained = scored | ~unknown(tile)
    return np.where(unknown(tile), local(_features(tile), truth, trained, sigma, 1e-3), tile.image)
