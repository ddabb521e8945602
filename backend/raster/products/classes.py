"""Maps of classes that do not say so: between forest (1) and water (3) lies no field (2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...watch import Watch
from ..gdal import sparse_sample
from ..raster import Raster

MOST = 32
"""Different values up to which a band may be classes."""
PATCHES = 0.5
"""Share of pixels like the one beside them from which a band is made of patches; measured light has noise."""
_LEAST = 500  # pixels below which nothing is said


def say_classes(targets: Sequence[Raster], watch: Watch) -> None:
    """A notice where the only band to fill is taken for light and looks like a map of classes."""
    bands = [band for raster in targets for band in raster.bands]
    if len(bands) != 1 or bands[0].role != "optical" or not math.isnan(bands[0].wavelength):
        return
    values = sparse_sample(bands[0].path, bands[0].index)
    if bands[0].nodata is not None:
        values = values[values != bands[0].nodata]
    if values.dtype.kind not in "iu" or values.size < _LEAST:
        return
    count = np.unique(values).size
    if 1 < count <= MOST and float((values[1:] == values[:-1]).mean()) > PATCHES:
        watch.notice("raster.classes", name=targets[0].name, count=count)
