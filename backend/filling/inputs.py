"""What a request reads, as it names it."""

from __future__ import annotations

from collections.abc import Iterable

from ..raster.scene import polarisations
from ..request import FillRequest, Reference


def named_inputs(request: FillRequest, listed: Iterable[Reference] = ()) -> list[str]:
    """Paths and GDAL names of the inputs, in a fixed order.

    Args:
        listed: references beside the request's own, as `references_from` lists them.
    """
    references = [*request.references, *listed]
    masks = [*request.gaps, *(mask for reference in references for mask in reference.masks)]
    names = [*request.target, *(mask.path for mask in masks), *(r.path for r in references)]
    names += polarisations.files_of(request.sar)
    return names + [name for name in (request.references_from, request.dem, request.extent) if name]
