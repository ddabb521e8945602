"""Reflectance back to the target's stored values, and masks and classes of filled pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .raster import holds

Samples = NDArray[Any]

NEIGHBOURHOODS = (3, 9, 33, 129)
"""Window sides in which the most frequent class is sought, the smallest that knows one."""


def encode(reflectance: NDArray[np.float32], dtype: str, gain: float, bias: float) -> Samples:
    """Stored values: `(reflectance - bias) / gain`, rounded to nearest, inside the dtype.

    NaN gives an arbitrary value: mask it out.
    """
    kind = np.dtype(dtype)
    # in float64: a float32 cannot count every value of 32-bit integers, and large
    # intermediate values lose the last digit of float32 targets
    stored = (reflectance.astype(np.float64) - bias) / gain
    if kind.kind == "f":
        limits = np.finfo(kind)
        return np.clip(stored, limits.min, limits.max).astype(kind)
    limits_i = np.iinfo(kind)
    stored = np.nan_to_num(np.rint(stored), nan=0.0)
    return np.clip(stored, limits_i.min, limits_i.max).astype(kind)


def avoid(values: Samples, forbidden: Sequence[float | None]) -> Samples:
    """Move values that happen to equal a nodata value by one step, inside the dtype.

    A value at the dtype's lower end moves up, any other down; where the neighbour is
    forbidden as well, it moves on.
    """
    stops = [_exact(value, values.dtype) for value in forbidden if value is not None]
    taken = [stop for stop in stops if stop is not None]
    if not taken:
        return values
    hit = np.isin(values, taken)
    if not hit.any():
        return values
    values = values.copy()
    for stop in taken:
        values[hit & (values == stop)] = _beside(stop, taken, values.dtype)
    return values


def _exact(value: float, dtype: np.dtype[Any]) -> Any:
    """The value in the dtype, or None where no sample can equal it (NaN, out of range)."""
    if not holds(dtype, value):
        return None
    return dtype.type(value if dtype.kind == "f" else int(value))


def _beside(stop: Any, taken: list[Any], dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        low, step_down = np.finfo(dtype).min, lambda v: np.nextafter(v, dtype.type(-np.inf))
        step_up = lambda v: np.nextafter(v, dtype.type(np.inf))  # noqa: E731
    else:
        low, step_down, step_up = np.iinfo(dtype).min, lambda v: v - 1, lambda v: v + 1
    value = stop
    while value in taken and value > low:
        value = dtype.type(step_down(value))
    if value not in taken:
        return value
    value = stop
    while value in taken:
        value = dtype.type(step_up(value))
    return value


def frequent_class(classes: Samples, gaps: NDArray[np.bool_]) -> tuple[Samples, NDArray[np.bool_]]:
    """Class band with each gap sample replaced by the most frequent class around it, and which ones were.

    Args:
        classes: (h, w) integer classes. gaps: (h, w) samples to replace.

    Returns:
        A copy, and (h, w) flags of the samples that were replaced: gaps with no valid sample within the
        largest window keep their value. Ties go to the smaller class number.
    """
    result, open_ = classes.copy(), gaps.copy()
    valid = ~gaps
    values = np.unique(classes[valid])
    for side in NEIGHBOURHOODS:
        if not open_.any():
            break
        best_count, best = np.zeros(classes.shape, np.float32), classes.copy()
        for value in values:
            here = (valid & (classes == value)).astype(np.float32)
            count = cv2.boxFilter(here, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
            wins = count > best_count + 0.5  # counts are whole; box sums are not exact
            best_count[wins], best[wins] = count[wins], value
        found = open_ & (best_count > 0.5)
        result[found] = best[found]
        open_ &= ~found
    return result, gaps & ~open_
