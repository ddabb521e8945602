"""The gaps of references, on the target's grid."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from ...errors import TerramendError
from ...failure import as_error
from ...request import FillRequest, Mask
from ...watch import Watch
from ..closing import Closing
from ..gdal import FilePool, read_ends
from ..grid import Grid, Window
from ..masks.growth import grow as grown
from ..masks.kinds import FILL
from ..masks.layers import open_masks
from ..raster import Raster
from .references import OWN, Reference


class ReferenceGaps(Closing):
    """Where a reference is not to be used, read by window of the target.

    A context manager. Only what the window needs is read, with the growth's margin, so that
    the answer for a pixel does not depend on the window.
    """

    def __init__(
        self, masks: tuple[Mask, ...], reference: Grid, target: Grid, *, grow: str | None,
        classes: tuple[str, ...], cloud_threshold: float | None, watch: Watch, bands: int = 1,
        files: FilePool | None = None,
    ) -> None:  # fmt: skip
        """Open the masks.

        Args:
            masks: of the reference; their union counts. None, or kind `none`: no gaps.
            reference: its grid: a mask without a CRS pairs with it. target: the grid to read on.
            grow, classes, cloud_threshold: as for the target's masks.
            bands: of the reference; of a plain mask with as many bands, any band's gap counts.
            files: open ones to share with other readers; None: its own.

        Raises:
            TerramendError: as `open_masks`.
        """
        self._target = target
        try:
            self._stack = open_masks(
                masks, reference, target, bands=bands, grow=grow, classes=classes,
                cloud_threshold=cloud_threshold, watch=watch, files=files,
            )  # fmt: skip
        except TerramendError as error:
            if error.code != "mask.ambiguous":
                raise
            option = "--reference-gaps-kind"
            raise TerramendError(error.code, **{**error.arguments, "option": option}) from error

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The masks with the kinds as which they are read."""
        return tuple(Mask(layer.path, layer.kind) for layer in self._stack.layers)

    def __call__(self, window: Window) -> NDArray[np.bool_]:
        """(h, w) bool: masked, or not observed according to a mask."""
        gaps = np.zeros((window.height, window.width), bool)
        for layer in self._stack.layers:
            wide = window.grown(layer.growth.margin, self._target)
            inner = window.within(wide)
            bits = layer.bits(wide)
            marked = np.any(self._stack.marked(layer, bits), axis=0)
            gaps |= grown(marked, layer.growth)[inner]
            gaps |= np.any(bits & np.uint8(FILL) != 0, axis=0)[inner]
        return gaps

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def open_gaps(
    request: FillRequest,
    target: Raster,
    references: tuple[Reference, ...],
    files: FilePool,
    opened: ExitStack,
    watch: Watch,
) -> tuple[tuple[Reference, ...], tuple[ReferenceGaps | None, ...]]:
    """The dates that are used, and the gaps of each; None: it was said to be clear.

    One of a folder or list whose mask cannot be used is left out, as `open_references` leaves out those
    without one.

    Args:
        files: open ones to share. opened: takes what is to be closed.

    Raises:
        TerramendError: as `open_masks`, also where no date of the folder or list is left.
    """
    used: list[Reference] = []
    gaps: list[ReferenceGaps | None] = []
    refused = None
    for reference in references:
        own = None
        try:
            if reference.masks:
                own = ReferenceGaps(
                    reference.masks,
                    reference.partner.grid,
                    target.grid,
                    grow=request.grow,
                    classes=request.classes,
                    cloud_threshold=request.cloud_threshold,
                    watch=watch,
                    bands=len(reference.partner.bands),
                    files=files,
                )
                opened.enter_context(own)
                for mask in () if reference.named else own.masks:
                    if mask.kind != "polygons":
                        read_ends(mask.path)
        except Exception as failure:
            error = as_error(failure)
            if reference.named or not error.code.startswith(OWN):
                raise
            refused = refused or error
            watch.notice("reference.broken", path=reference.path, why=str(error))
            continue
        used.append(reference)
        gaps.append(own)
    if refused is not None and all(reference.named for reference in used):
        raise refused
    return tuple(used), tuple(gaps)
