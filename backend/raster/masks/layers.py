"""The masks of one raster on a grid: opened together, read by window as class bits."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...request import Mask
from ...watch import Watch
from ..closing import Closing
from ..gdal import FilePool
from ..grid import Grid, Window
from .growth import Growth, parse_growth
from .growth import grow as grown
from .kinds import ANY_CLASS, FILL, Bits, selection
from .polygons import Polygons, is_vector, read_polygons
from .rasters import open_raster_mask

UNSEEN = Growth(4, 4)
"""Pixels by which marks reach into what their mask calls unobserved, which it does where any band is missing.

Bands end some pixels apart at the stripes of Landsat 7 and at the edges of swaths. What one of them shows
there beside a cloud is cloud, and no mask says so.
"""


class MaskLayer(Protocol):
    """A mask on a grid.

    Attributes:
        path, kind: as given; the kind is never `auto`.
        classes: class names that it can mark; empty for kinds without classes.
        growth: how far what it marks is grown, in pixels of the grid.
        planes: 1, or the number of bands where each band has its own mask.
        has_fill: whether it can mark pixels without observation.
    """

    path: str
    kind: str
    classes: frozenset[str]
    growth: Growth
    planes: int
    has_fill: bool

    def bits(self, window: Window) -> Bits:
        """(planes, h, w) class bits, see `kinds`."""


class PolygonMask:
    """Polygons on a grid: a pixel is marked where its centre lies inside."""

    kind = "polygons"
    classes: frozenset[str] = frozenset()
    planes = 1
    has_fill = False

    def __init__(self, path: str, polygons: Polygons, grow: str | None, grid: Grid) -> None:
        self.path = path
        self._polygons = polygons
        self.growth = parse_growth(grow, grid)

    def bits(self, window: Window) -> Bits:
        """(1, h, w) bits: all classes where a pixel's centre lies inside."""
        return (self._polygons.inside(window) * np.uint8(ANY_CLASS))[np.newaxis]


class MaskStack(Closing):
    """The masks of one raster, read together; a context manager."""

    def __init__(self, layers: tuple[MaskLayer, ...], classes: tuple[str, ...], own: FilePool | None) -> None:
        self.layers, self._own = layers, own
        self._selection = selection(classes)

    @property
    def planes(self) -> int:
        """1, or the number of bands where a mask has one plane per band."""
        return max((layer.planes for layer in self.layers), default=1)

    @property
    def margin(self) -> int:
        """Pixels around a window that can reach into it by growth."""
        return max((self.margin_of(layer) for layer in self.layers), default=0)

    def margin_of(self, layer: MaskLayer) -> int:
        """The same of one layer."""
        unseen = UNSEEN.margin if layer.classes and layer.has_fill else 0
        return max(layer.growth.margin, unseen)

    def marked(self, layer: MaskLayer, bits: Bits) -> NDArray[np.bool_]:
        """Where the layer's bits mean a gap for the ticked classes."""
        wanted = self._selection if layer.classes else ANY_CLASS
        return bits & np.uint8(wanted) != 0

    def gaps(self, layer: MaskLayer, bits: Bits) -> NDArray[np.bool_]:
        """What the layer marks, grown, and what it did not observe within `UNSEEN` of that.

        Exact where `bits` reach `margin_of` the layer beyond what is read from the result.
        """
        found = []
        for marked, plane in zip(self.marked(layer, bits), bits, strict=True):
            gap = grown(marked, layer.growth)
            unseen = plane & np.uint8(FILL) != 0
            if layer.classes and unseen.any():
                gap = gap | grown(marked, UNSEEN) & unseen
            found.append(gap)
        return np.stack(found)

    def close(self) -> None:
        """Close the files, where they are this stack's own."""
        if self._own is not None:
            self._own.close()


def open_masks(
    masks: tuple[Mask, ...], partner: Grid, grid: Grid, *, bands: int = 1, grow: str | None,
    classes: tuple[str, ...], cloud_threshold: float | None, watch: Watch, files: FilePool | None = None,
) -> MaskStack:  # fmt: skip
    """Open masks on a grid.

    Args:
        masks: their union counts; those of kind `none` mark nothing.
        partner: grid of the raster that they belong to: a mask without a CRS pairs with it.
        grid: the grid to read on (the partner, or the target's).
        bands: bands of that raster; a plain mask with as many bands holds one mask a band.
        grow: `3px`, `30m`, or None for each kind's default.
        classes: that count as gap. cloud_threshold: percent, None for the default.
        files: open ones to share with other readers; None: its own.

    Raises:
        TerramendError: the `mask.*`, `polygons.*`, `grow.*` and `raster.*` codes.
    """
    layers: list[MaskLayer] = []
    pool = files or FilePool()
    with ExitStack() as opened:
        if files is None:
            opened.callback(pool.close)
        for mask in masks:
            if mask.kind == "none":
                continue
            layer: MaskLayer
            if mask.kind == "polygons" or (mask.kind == "auto" and is_vector(mask.path)):
                layer = PolygonMask(mask.path, read_polygons(mask.path, grid, watch), grow, grid)
            else:
                layer = open_raster_mask(mask, partner, grid, bands, grow, cloud_threshold, watch, pool)
            layers.append(layer)
        _say_shadows(layers, classes, watch)
        opened.pop_all()
    return MaskStack(tuple(layers), classes, pool if files is None else None)


def _say_shadows(layers: list[MaskLayer], classes: tuple[str, ...], watch: Watch) -> None:
    """Clouds without their shadows leave dark patches: say so, unless another mask may hold them."""
    if "shadow" not in classes or "cloud" not in classes:
        return
    if any(not layer.classes or "shadow" in layer.classes for layer in layers):
        return
    for layer in layers:
        if "cloud" in layer.classes:
            watch.notice("mask.no-shadow", path=layer.path, kind=layer.kind)
