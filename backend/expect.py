"""How well would a fill do? Asked of a few windows at full resolution; nothing is written.

A decimated picture would not do: its pixels resemble each other less, so errors read too high.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .filling.choose import named
from .filling.method import make_method
from .filling.opening import open_grid, open_inputs
from .filling.process import computing
from .filling.trial import WINDOWS
from .raster.gdal import cache_within
from .raster.outputs import working_folder
from .raster.scene.detail import windows
from .raster.scene.fill_bands import class_bands
from .request import FillRequest, validate
from .watch import Watch


def expect(request: FillRequest, watch: Watch) -> dict[str, Any]:
    """Predict the gaps of a few windows on the finest grid as a fill would.

    Returns:
        JSON: `expected_error` (root mean square of the standard deviations in those gaps, in `unit`;
        None where there are none or it is not known), `unit`, `samples`, `gap_fraction` of the grid (with
        what masks missed, if that is asked for), `model`, `model_reason`, `reasons`, `tried`, `notices`.

    Raises:
        TerramendError: as a fill of the request would.
    """
    validate(request)
    named(request)
    total, count = 0.0, 0
    with computing(), cache_within(request.memory_limit), working_folder(request.tmp) as folder:
        watch.stage("open")
        inputs = open_inputs(request, watch)
        with open_grid(request, inputs, 0, folder, watch) as (scene, gap_map):
            filled = [*scene.fill_bands, *class_bands(scene.target, request.bands, 0)]
            gaps, footprint = gap_map.count(filled)
            overview = scene.overview()
            anything = bool(overview.gaps.any())
            method = make_method(request, scene, (lambda: overview) if anything else None, watch)
            places = windows(overview, scene.grid, WINDOWS) if anything else []
            watch.stage("fill", len(places))
            for place in places:
                around = place.grown(method.plan.context, scene.grid)
                said, inner = method.predict(scene.tile(around)), place.within(around)
                std = said.std[(..., *inner)]
                known = np.isfinite(std)
                total += float((std[known].astype(np.float64) ** 2).sum())
                count += int(known.sum())
                watch.advance()
        watch.finish()
    return {
        "expected_error": math.sqrt(total / count) if count else None,
        "unit": scene.unit,
        "samples": count,
        "gap_fraction": gaps / max(footprint, 1),
        "model": method.row.name,
        "model_reason": method.reason,
        "reasons": [one.to_json() for one in method.reasons],
        "tried": [one.to_json() for one in method.tried],
        "notices": [notice.to_json() for notice in watch.notices],
    }
