"""Intervals by drawing places: cases of one place are no independent evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

DRAWS = 4000


def by_place(values: Sequence[float], places: Sequence[str]) -> float:
    """Mean over places of the mean over each one's cases."""
    return float(np.mean(_means(values, places)))


def _means(values: Sequence[float], places: Sequence[str]) -> np.ndarray:
    numbers, names = np.asarray(values, np.float64), np.asarray(places)
    return np.asarray([numbers[names == name].mean() for name in dict.fromkeys(places)])


def interval(
    values: Sequence[float], places: Sequence[str], level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of `by_place` when places are drawn with replacement (Efron 1979).

    With two or three places it is little more than their range; with one there is none (NaN).
    """
    means = _means(values, places)
    if len(means) < 2:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(len(means), size=(DRAWS, len(means)))
    low, high = np.quantile(means[drawn].mean(1), [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
