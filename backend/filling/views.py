"""Pictures of how a diffusion model came to its image: the weight map W and the image at every step.

Tiles tell what they see (`models.base.SamplerStep`) in any order and from any thread; the pictures are the
same, because overlaps are painted in raster order. Long scenes are thinned to `SIDE` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ...models.base import Floats, SamplerStep
from ..raster.outputs import written

SIDE = 256
"""Longest side of a scene in the pictures."""
COLUMNS = 10
"""Steps that are shown at most, the first and the last among them; one row a band where bands go alone."""
GAP = 2
"""Pixels between two pictures of a sheet."""


@dataclass(frozen=True)
class Views:
    """What was told of a scene of (height, width) pixels; see the module."""

    shape: tuple[int, int]
    told: list[SamplerStep] = field(default_factory=list)

    @property
    def thinning(self) -> int:
        """Every so many-th pixel is shown."""
        return -(-max(self.shape) // SIDE)

    def add(self, seen: SamplerStep) -> None:
        """Keep a thinned glimpse."""
        every = self.thinning
        first = -seen.row % every, -seen.column % every
        cut = np.s_[..., first[0] :: every, first[1] :: every]
        at = (seen.row + first[0]) // every, (seen.column + first[1]) // every
        self.told.append(
            SamplerStep(seen.band, seen.step, *at, seen.weight[cut].copy(), seen.image[cut].copy())
        )

    def weights(self) -> bytes:
        """PNG of W: blue where the diffusion branch speaks, yellow where the reference does."""
        return self._sheet(lambda seen: heat(seen.weight))

    def trajectory(self) -> bytes:
        """PNG of the image at each step."""
        return self._sheet(lambda seen: seen.image[[0, 1, 2] if len(seen.image) >= 3 else [0, 0, 0]])

    def _sheet(self, shown: Callable[[SamplerStep], Floats]) -> bytes:
        height, width = (-(-side // self.thinning) for side in self.shape)
        bands = sorted({seen.band for seen in self.told})
        last = max((seen.step for seen in self.told), default=0)
        steps = np.unique(np.linspace(0, last, min(last + 1, COLUMNS)).round().astype(int))
        empty = np.full((3, height, width), 0.5, np.float32)
        cells = {(band, int(step)): empty.copy() for band in bands for step in steps}
        for seen in sorted(self.told, key=lambda seen: (seen.row, seen.column), reverse=True):
            if (cell := cells.get((seen.band, seen.step))) is not None:
                rows, columns = seen.weight.shape
                cell[:, seen.row : seen.row + rows, seen.column : seen.column + columns] = shown(seen)
        return png(sheet(list(cells.values()) or [empty], len(steps)))


def heat(weight: Floats) -> Floats:
    """(3, H, W) colours of W, 0..1."""
    colours = cv2.applyColorMap((np.clip(weight, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(colours[:, :, ::-1].transpose(2, 0, 1) / 255, np.float32)


def sheet(images: Sequence[Floats], columns: int) -> Floats:
    """(3, H, W) of (3, h, w) pictures in rows, white between them."""
    _, height, width = images[0].shape
    rows = -(-len(images) // columns)
    made = np.ones((3, rows * (height + GAP), columns * (width + GAP)), np.float32)
    for index, image in enumerate(images):
        row, column = index // columns * (height + GAP), index % columns * (width + GAP)
        made[:, row : row + height, column : column + width] = image
    return made


def png(image: Floats) -> bytes:
    """(3, H, W) RGB in 0..1 as PNG."""
    pixels = (np.clip(image, 0, 1).transpose(1, 2, 0)[:, :, ::-1] * 255).round().astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write(picture: bytes, path: Path) -> None:
    """A file that is whole or absent."""
    with written(path) as part:
        part.write_bytes(picture)
