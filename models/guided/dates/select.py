"""Which references to use: those that correlate with the target where both are clear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats, Reference
from ...planes import everywhere, masked, moments, strips
from ...threads import each

LIMIT = 8
_CHUNK = 1 << 16  # pixels at a time, so that they stay in the cache
_LEAST = 12  # common valid pixels below which a correlation says nothing


def correlation(first: Floats, second: Floats, common: Flags) -> NDArray[np.float64]:
    """(n, m) Pearson correlations of planes (n, H, W) with (m, H, W) where `common`; 0 for constant ones."""
    rows = len(first)
    planes = [*first, *second]
    mean, spread = np.array([moments(plane, common) for plane in planes]).T
    products = np.zeros((rows, len(second)))
    lines = max(1, _CHUNK // common.shape[1])
    for top in range(0, len(common), lines):
        part = np.s_[top : top + lines]
        centred = np.stack(
            [masked(plane[part] - np.float32(m), common[part]) for plane, m in zip(planes, mean)]
        )
        flat = centred.reshape(len(planes), -1)
        products += flat[:rows] @ flat[rows:].T
    power = np.outer(spread[:rows], spread[rows:]) * int(common.sum())
    return np.asarray(products / np.where(power > 0, power, np.inf))


def score(target: Floats, valid: Flags, gap: Flags, reference: Floats) -> float:
    """How well one reference explains the target: mean |r| over bands x (share clear in the gap)^0.25.

    Args:
        target: (B, H, W). valid: (H, W), where the target is clear in all bands.
        gap: (H, W). reference: (K, H, W), NaN where not clear. Bands are compared one to one
            where the counts agree, else each target band takes its best reference band.
    """
    clear = everywhere(reference)
    common = valid & clear
    if common.sum() < _LEAST:
        return 0.0
    found = np.abs(correlation(target, reference, common))
    strength = np.diag(found) if len(target) == len(reference) else found.max(1)
    share = (clear & gap).sum() / gap.sum() if gap.any() else clear.mean()
    return float(strength.mean() * share**0.25)


def select(
    target: Floats, valid: Flags, gap: Flags, references: tuple[Reference, ...], limit: int = LIMIT
) -> tuple[int, ...]:
    """Indices of at most `limit` references, best first. Useless ones are left out.

    The target's own bands come before any date: together they tell more than one of them correlates.
    """
    seen = strips(gap.shape)
    target, valid, gap = target[:, seen], valid[seen], gap[seen]
    scores = each(lambda r: score(target, valid, gap, r.image[:, seen]), references)
    order = sorted(range(len(references)), key=lambda k: (not references[k].own, -scores[k], k))
    return tuple(k for k in order[:limit] if scores[k] > 0)
