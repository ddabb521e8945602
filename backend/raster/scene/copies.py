"""Copies: other dates that hold the raster's own values, so that learning from them proves nothing."""

from __future__ import annotations

import numpy as np

from ....models.base import Reference, Tile
from ....models.planes import everywhere, sampled
from ....models.threads import each
from ...watch import Together, Watch

SAMPLE = 50_000
"""Pixels that are enough to compare."""
LEAST = 500
"""Pixels without which nothing is said."""
SAME = 1e-4
"""Share of a band's standard deviation by which equal values differ at most, for rounding in other units."""
SUSPECT = 0.5
"""Share of equal pixels from which a date is no image of its own: two images agree in a few per cent."""


def say_copies(overview: Tile, watch: Watch) -> None:
    """Notices of dates that are the raster itself, or a mosaic made of it (the first, and how many more)."""
    shares = each(lambda reference: copied_share(overview, reference), overview.references)
    with Together(watch) as heard:
        for reference, share in zip(overview.references, shares, strict=True):
            if share is not None and share >= SUSPECT:
                heard.notice("reference.copy", name=reference.name, percent=round(100 * share))


def copied_share(overview: Tile, reference: Reference) -> float | None:
    """The share of pixels where a date holds the values of the target, in all of the target's bands.

    Pixels that hold each band's median are left out: where they are many they are a value such as zero rain,
    which two dates may share.

    Returns:
        A share from 0 to 1, or None where too few pixels can be compared.
    """
    count = len(overview.image)
    if not count or not reference.alike or len(reference.image) < count:
        return None
    target, other = overview.image.reshape(count, -1), reference.image[:count].reshape(count, -1)
    valid = everywhere(overview.image) & ~overview.gaps.any(axis=0)
    both = sampled(valid & everywhere(reference.image[:count]), SAMPLE)
    if both.size < LEAST:
        return None
    values, found = target[:, both], other[:, both]
    telling = (values != np.quantile(values, 0.5, axis=1, method="lower", keepdims=True)).any(axis=0)
    if np.count_nonzero(telling) < LEAST:
        return None
    values, found = values[:, telling].astype(np.float64), found[:, telling]
    near = SAME * values.std(axis=1, keepdims=True)
    return float((np.abs(found - values) <= near).all(axis=0).mean())
