"""What is given to guide a fill, but shows nothing of the scene."""

from __future__ import annotations

import numpy as np

from ...models.base import Floats, Tile
from ..watch import Together, Watch


def say_blank(overview: Tile, watch: Watch) -> None:
    """Notices of other dates (the first, and how many more), terrain and radar without any value here."""
    with Together(watch) as heard:
        for reference in overview.references:
            if _blank(reference.image):
                heard.notice("reference.blank", name=reference.name)
    for image, option in ((overview.terrain, "--dem"), (overview.sar, "--sar")):
        if image is not None and _blank(image):
            watch.notice("guide.blank", option=option)


def _blank(image: Floats) -> bool:
    return not np.isfinite(image).any()
