"""Gaps that the masks missed: cloud and shadow that the scene shows beside them, as `guided` finds them.

What is found counts as valid unless it is asked for (`--missed`): then it is filled like any gap.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ....models.base import Flags
from ....models.guided.dates import bands, fringe, spectra
from ...watch import Watch
from ..grid import Window
from ..masks.gapmap import CELL, GapMap, widened
from . import detail
from .scene import Scene

MARGIN = 16
"""Pixels around a window that tell what is missed in it: as far as cloud reaches, and shadow is judged by."""


def missed_gaps(scene: Scene, directory: Path, watch: Watch) -> GapMap | None:
    """The scene's gaps with what its masks missed, in a file of their own; None where nothing is found.

    Found in one band, it is a gap of all bands. How much that is, is told of.

    Raises:
        TerramendError: `raster.*`, `run.cancelled`.
    """
    if scene.fill_bands and not spectra.sunlit(scene.wavelengths).any():
        watch.notice("mask.missed-bands", name=scene.target.name)
        return None
    overview = scene.overview(stage="missed")
    if overview.step > 1:
        looks = tuple(scene.tile(window) for window in detail.windows(overview, scene.grid))
        overview = replace(overview, detail=looks)
    known, before = bands.seen(overview), scene.gap_map
    seen = fringe.learn(bands.shown(overview, known))
    if seen is None:
        watch.notice("mask.missed-none")
        return None

    def missed(window: Window) -> Flags:
        around = window.grown(MARGIN, scene.grid)
        if not seen.cast and not before.any_gap(around):
            return np.zeros((window.height, window.width), bool)
        tile = scene.tile(around)
        found = fringe.hidden(bands.shown(tile, known), seen).gaps & ~tile.gaps
        return np.any(found, axis=0)[window.within(around)]

    cut = list(scene.strips(CELL))
    watch.stage("widen", len(cut))
    found = widened(before, scene.target, cut, missed, directory, watch)
    more = (found.gap_samples - before.gap_samples) / max(found.footprint_samples, 1)
    watch.notice("mask.missed", percent=round(100 * more, 1))
    return found
