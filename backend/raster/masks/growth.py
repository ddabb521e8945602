"""Growing flags by a distance: exact Euclidean discs, ellipses where pixels are not square."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ....models.base import Flags
from ...errors import TerramendError
from ..grid import Grid

LARGEST = 1000
"""Pixels: the largest growth that is taken (a block needs that margin)."""
BRUSH = 10
"""Pixels: up to here a brush of the disc's shape is quicker than a distance transform."""


@dataclass(frozen=True)
class Growth:
    """Radii in pixels, down and across. A flag grows to pixels whose centres lie within."""

    down: float = 0.0
    across: float = 0.0

    @property
    def margin(self) -> int:
        """Pixels around a window that can reach into it."""
        return math.floor(max(self.down, self.across) + 1e-9)


def parse_growth(text: str | None, grid: Grid, default: float = 0.0) -> Growth:
    """The growth that `3px`, `3` or `30m` means on a grid; None gives `default` pixels.

    Raises:
        TerramendError: `grow.metres` where the grid does not say how large a pixel is,
            `grow.far` above `LARGEST` pixels, `request.field` for anything else.
    """
    if text is None:
        growth = Growth(default, default)
    else:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(px|m)?", text.strip())
        if found is None:
            raise TerramendError(
                "request.field", field="grow", why=f"{text!r} is no distance such as 3px or 30m"
            )
        size = float(found[1])
        down, across = 1.0, 1.0
        if found[2] == "m":
            if grid.crs is None and grid.affine.is_identity:
                raise TerramendError("grow.metres", grow=text)
            down, across = grid.pixel_size
        growth = Growth(size / down, size / across)
    if growth.margin > LARGEST:
        raise TerramendError("grow.far", grow=text, pixels=growth.margin, largest=LARGEST)
    return growth


def grow(flags: Flags, growth: Growth) -> Flags:
    """(h, w) flags grown: true where a flagged pixel's centre lies within the ellipse.

    Exact where `flags` reaches `growth.margin` pixels beyond what is read from the result.
    """
    if growth.margin < 1 or not flags.any():
        return flags
    if growth.margin <= BRUSH:
        brush = _brush(growth)
        grown = cv2.dilate(flags.view(np.uint8), brush, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return grown.view(np.bool_)
    if math.isclose(growth.down, growth.across, rel_tol=1e-6):
        clear = (~flags).view(np.uint8)
        away = cv2.distanceTransform(clear, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Distances are roots of whole numbers: half way to the next one is a safe limit.
        return away <= np.float32(math.sqrt(math.floor(growth.down**2 + 1e-6) + 0.5))
    from scipy import ndimage  # slow to load, and seldom wanted

    # An ellipse: distances in units of the radii.
    units = (1 / max(growth.down, 1e-6), 1 / max(growth.across, 1e-6))
    return ndimage.distance_transform_edt(~flags, sampling=units) <= 1 + 1e-9


def _brush(growth: Growth) -> NDArray[np.uint8]:
    down = np.arange(-math.floor(growth.down + 1e-9), math.floor(growth.down + 1e-9) + 1)
    across = np.arange(-math.floor(growth.across + 1e-9), math.floor(growth.across + 1e-9) + 1)
    high, wide = max(growth.down, 1e-6), max(growth.across, 1e-6)
    inside = (down[:, None] / high) ** 2 + (across[None, :] / wide) ** 2 <= 1 + 1e-9
    return inside.astype(np.uint8)
