"""Which references to use: those that correlate with the target where both are clear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Reference

LIMIT = 8
_LEAST = 12  # common valid pixels below which a correlation says nothing


def correlation(first: Floats, second: Floats) -> NDArray[np.float64]:
    """(n,) Pearson correlation of rows of two (n, N) arrays in float64; 0 for constant rows."""
    a = first.astype(np.float64)
    b = second.astype(np.float64)
    a -= a.mean(1, keepdims=True)
    b -= b.mean(1, keepdims=True)
    power = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.asarray((a * b).sum(1) / np.where(power > 0, power, np.inf))


def score(target: Floats, valid: Flags, gap: Flags, reference: Floats) -> float:
    """How well one reference explains the target: mean |r| over bands x (share clear in the gap)^0.25.

    Args:
        target: (B, H, W). valid: (H, W), where the target is clear in all bands.
        gap: (H, W). reference: (K, H, W), NaN where not clear. Bands are compared one to one
            where the counts agree, else each target band takes its best reference band.
    """
    clear = np.isfinite(reference).all(0)
    common = valid & clear
    if common.sum() < _LEAST:
        return 0.0
    a, b = target[:, common], reference[:, common]
    if len(a) == len(b):
        strength = np.abs(correlation(a, b))
    else:
        strength = np.array([np.abs(correlation(np.broadcast_to(row, b.shape), b)).max() for row in a])
    share = (clear & gap).sum() / gap.sum() if gap.any() else clear.mean()
    return float(strength.mean() * share**0.25)


def select(
    target: Floats, valid: Flags, gap: Flags, references: tuple[Reference, ...], limit: int = LIMIT
) -> tuple[int, ...]:
    """Indices of at most `limit` references, best first. Useless ones are left out."""
    scores = [score(target, valid, gap, r.image) for r in references]
    order = sorted(range(len(references)), key=lambda k: (-scores[k], k))
    return tuple(k for k in order[:limit] if scores[k] > 0)
