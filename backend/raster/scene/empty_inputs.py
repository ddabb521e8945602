"""What is given to guide a fill, but shows nothing of the scene, or not all of its gaps."""

from __future__ import annotations

import numpy as np

from ....models.base import Flags, Tile
from ...watch import Together, Watch

ALL = 0.995
"""Share of the gaps from which terrain or radar counts as covering them."""


def say_blank(overview: Tile, watch: Watch) -> None:
    """Notices of other dates without any value here, and of terrain and radar that do not cover all gaps.

    Of the dates the first is named, and how many more there are.
    """
    with Together(watch) as heard:
        for reference in overview.references:
            if not np.isfinite(reference.image).any():
                heard.notice("reference.blank", name=reference.name)
    gaps = np.asarray(overview.gaps.any(axis=0))
    for image, option in ((overview.terrain, "--dem"), (overview.sar, "--sar")):
        if image is None:
            continue
        known: Flags = np.asarray(np.isfinite(image).any(axis=0))
        share = float(known[gaps].mean()) if gaps.any() else 1.0
        if not known.any():
            watch.notice("guide.blank", option=option)
        elif share < ALL:
            watch.notice("guide.partly", option=option, percent=int(100 * share))
