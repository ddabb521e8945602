"""A scene with parts of its valid pixels hidden under cloud shapes, to check a method on it.

The shapes are the scene's own gaps, mirrored; where it has none that fit, clouds are drawn.
Both are made by window, so that memory does not grow with the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ...models.base import Flags, Floats, Tile
from ..errors import TerramendError
from ..raster.grid import Grid, Window
from ..raster.masks.gapmap import GAP, VALID
from ..raster.resample import block_any
from ..raster.scene.scene import Scene

Shape = Callable[[Window], Flags]
"""(h, w) bool: pixels under the shape, before it is known which of them are valid."""

LEAST, MOST = 0.02, 0.35
"""Share of the valid pixels that is hidden: enough to measure, few enough to learn from."""

DRAWN = 0.15
"""Share of the scene under drawn clouds."""

LOOK = 64
"""Windows in which shares are estimated."""


@dataclass(frozen=True)
class HoldoutScene:
    """Tiles of a scene as if the clouds lay elsewhere as well.

    Attributes:
        scene: what is really known. shape: where pixels are hidden.
    """

    scene: Scene
    shape: Shape

    def pair(self, window: Window) -> tuple[Tile, Flags, Floats]:
        """A tile, (B, h, w) samples hidden in it, and (B, h, w) what was there."""
        tile = self.scene.tile(window)
        hidden = tile.valid & self.shape(window)
        return tile.hiding(hidden), hidden, tile.image

    def overview(self) -> Tile:
        """The whole scene, coarse; a pixel that is hidden in part is hidden."""
        tile = self.scene.overview()
        step = tile.step
        coarse = [block_any(self.shape(strip)[None], step, step) for strip in self.scene.strips(step)]
        return tile.hiding(np.isfinite(tile.image) & np.concatenate(coarse, axis=1))


def choose_shape(scene: Scene, seed: int) -> tuple[Shape, str]:
    """The shape to hide pixels under, and what it is: `own gaps` or `drawn clouds`.

    Raises:
        TerramendError: `accuracy.nothing` where no valid pixel can be hidden.
    """
    found = []
    for mirror in ((True, True), (True, False), (False, True)):
        shape = _mirrored(scene, *mirror)
        share = _share(scene, shape)
        if LEAST <= share <= MOST:
            found.append((share, shape))
    if found:
        return max(found, key=lambda pair: pair[0])[1], "own gaps"
    shape = _drawn(scene.grid, seed)
    if not _share(scene, shape):
        raise TerramendError("accuracy.nothing", name=scene.target.name)
    return shape, "drawn clouds"


def _mirrored(scene: Scene, rows: bool, columns: bool) -> Shape:
    """The scene's own gaps in any predicted band, turned over."""
    grid, gap_map, bands = scene.grid, scene.gap_map, list(scene.fill_bands)

    def shape(window: Window) -> Flags:
        row = grid.height - window.row - window.height if rows else window.row
        column = grid.width - window.column - window.width if columns else window.column
        there = Window(row, column, window.height, window.width)
        gaps = (gap_map.read(there)[bands] == GAP).any(axis=0)
        return np.asarray(gaps[:: -1 if rows else 1, :: -1 if columns else 1])

    return shape


def _drawn(grid: Grid, seed: int) -> Shape:
    """Clouds from smooth noise of two sizes, cut at the height that hides `DRAWN` of the scene."""
    rng = np.random.default_rng(seed)
    size = max(min(grid.height, grid.width) / 12, 4.0)
    shape = (int(grid.height / size) + 3, int(grid.width / size) + 3)
    large = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 0.8)
    small = rng.standard_normal((2 * shape[0], 2 * shape[1])).astype(np.float32)
    field = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_CUBIC) + 0.15 * small

    def height(window: Window, step: float = 1.0) -> Floats:
        y, x = (
            (np.arange(start, start + length, step) + 0.5) * (2 / size)
            for start, length in ((window.row, window.height), (window.column, window.width))
        )
        across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        return np.asarray(cv2.remap(field, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))

    cut = float(np.quantile(height(grid.whole, max(min(grid.height, grid.width) / 256, 1.0)), 1 - DRAWN))

    def clouds(window: Window) -> Flags:
        return height(window) > cut

    return clouds


def _share(scene: Scene, shape: Shape) -> float:
    """Share of the valid pixels under a shape, from windows spread over the scene."""
    grid = scene.grid
    side = min(LOOK, grid.height, grid.width)
    rows = np.unique(np.linspace(0, grid.height - side, 12).astype(int))
    columns = np.unique(np.linspace(0, grid.width - side, 12).astype(int))
    valid = under = 0
    for row in rows.tolist():
        for column in columns.tolist():
            window = Window(row, column, side, side)
            seen = (scene.gap_map.read(window)[list(scene.fill_bands)] == VALID).all(axis=0)
            valid += int(seen.sum())
            under += int((seen & shape(window)).sum())
    return under / valid if valid else 0.0
