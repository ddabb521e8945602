"""Whether another date of an index, a temperature or the like is in the numbers of the raster to fill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..gdal import sparse_sample
from ..raster import Band, measured

FAR = 20.0
"""Times that values of files which are stored in two ways differ at least, to be taken for other units."""
CELSIUS, KELVIN = 100.0, 170.0
"""Land and sea are below the one in degrees Celsius, and above the other in kelvin."""


def times(
    target: Sequence[Band], other: Sequence[Band], dates: Sequence[Sequence[Band]] = ()
) -> float | None:
    """How many times larger another date's values are, where that cannot be for what is on the ground.

    Files that are stored alike (kind of numbers, scale, offset) are of one series, however their values
    differ. What is stored in two ways, as bytes and fractions, or with a scale and without, is compared by
    its large values; what lies under clouds counts too, as it is in the same units.

    Args:
        target, other: bands that show the same, in the same order.
        dates: such bands of all dates; the first that is stored as the target speaks for one without values.

    Returns:
        None where the files are stored alike, values are of one size, or nothing is known of one.
    """
    if any(_stored(own) == _stored(its) for own, its in zip(target, other, strict=True)):
        return None
    sizes = _sizes(target, other, dates)
    if not sizes or not all(map(all, sizes)):
        return None
    ratio = float(np.median([its / own for own, its in sizes]))
    return ratio if max(ratio, 1 / ratio) >= FAR else None


def other_degrees(
    target: Sequence[Band], other: Sequence[Band], dates: Sequence[Sequence[Band]] = ()
) -> bool:
    """Whether one of two rasters of temperatures is in kelvin and the other in degrees Celsius.

    The arguments are those of `times`. Whole numbers without a scale may be anything.
    """
    if not all(band.role == "thermal" and _is_scaled(band) for band in (*target, *other)):
        return False
    sizes = _sizes(target, other, dates)
    return all(0 < min(pair) < CELSIUS and KELVIN < max(pair) < 2 * KELVIN for pair in sizes)


def _sizes(
    target: Sequence[Band], other: Sequence[Band], dates: Sequence[Sequence[Band]]
) -> list[tuple[float, float]]:
    """How large each band's values are in both, as of `times`."""
    found = []
    for place, (own, its) in enumerate(zip(target, other, strict=True)):
        kin = (bands[place] for bands in dates if _stored(bands[place]) == _stored(own))
        found.append((next((size for band in (own, *kin) if (size := _large(band))), 0.0), _large(its)))
    return found


def _stored(band: Band) -> tuple[bool, int, float, float]:
    kind = np.dtype(band.dtype)
    whole = kind.kind in "iu"
    return whole, kind.itemsize if whole else 0, band.gain, band.bias


def _is_scaled(band: Band) -> bool:
    return np.dtype(band.dtype).kind == "f" or (band.gain, band.bias) != (1, 0)


def _large(band: Band) -> float:
    """The 98th percentile of a band's sizes, 0 where nothing is known."""
    values = sparse_sample(band.path, band.index).astype(np.float64)
    known = measured(values)
    if band.nodata is not None:
        known &= values != band.nodata
    return float(np.quantile(np.abs(values[known] * band.gain + band.bias), 0.98)) if known.any() else 0.0
