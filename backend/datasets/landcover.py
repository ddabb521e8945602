"""Land cover for the evaluation: the six classes of DeepGlobe from WorldCover codes, or four by rule.

Where there is no map, a rule on the clear image's indices stands in: what it calls forest is dense
green, what it calls urban or barren is bare. It tells whether spectra are recovered, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.uint8]
NAMES = ("forest", "rangeland", "agriculture", "urban", "barren", "water")
"""Of the paper's table 2 (Demir et al. 2018)."""
UNKNOWN = 255
WORLDCOVER: Mapping[int, int] = MappingProxyType({10: 0, 20: 1, 30: 1, 40: 2, 50: 3, 60: 4, 80: 5, 90: 5})
"""WorldCover's codes to the six: trees; shrubs, grass; crops; built-up; bare; water and wetland. Snow,
mangroves and moss are left out. The paper does not say it; the code of its authors does."""
RULED = ("water", "dense vegetation", "sparse vegetation", "bare or built")


def from_worldcover(codes: NDArray[np.integer]) -> Classes:
    """Index into `NAMES` of every code, `UNKNOWN` for others."""
    table = np.full(256, UNKNOWN, np.uint8)
    for code, index in WORLDCOVER.items():
        table[code] = index
    return np.asarray(table[np.asarray(codes, np.uint8)])


def by_rule(image: NDArray[np.floating]) -> Classes:
    """(H, W) index into `RULED` of (B, H, W) reflectance whose first bands are blue, green, red, NIR.

    Water where green exceeds near infrared (McFeeters 1996); vegetation by NDVI above 0.55 and 0.25.
    """
    green, red, near = (np.asarray(image[band], np.float64) for band in (1, 2, 3))
    known = np.isfinite(green + red + near)
    with np.errstate(invalid="ignore", divide="ignore"):
        wet = (green - near) / np.maximum(green + near, 1e-6)
        vegetated = (near - red) / np.maximum(near + red, 1e-6)
    classes = np.select([wet > 0, vegetated > 0.55, vegetated > 0.25], [0, 1, 2], 3)
    return np.where(known, classes, UNKNOWN).astype(np.uint8)


def confusion(found: Classes, truth: Classes, count: int) -> NDArray[np.int64]:
    """(count, count): pixels by true class (rows) and found class, unknown ones left out."""
    known = (truth != UNKNOWN) & (found != UNKNOWN)
    pairs = truth[known].astype(np.int64) * count + found[known]
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def accuracy(matrix: NDArray[np.integer]) -> tuple[float, float]:
    """Mean intersection over union of the classes that occur, and the share of right pixels."""
    right = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - right
    met = matrix.sum(1) > 0
    if not met.any():
        return float("nan"), float("nan")
    return float((right[met] / union[met]).mean()), float(right.sum() / matrix.sum())
