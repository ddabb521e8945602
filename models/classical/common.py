"""What all classical reconstructors share: a base for gaps larger than a tile, and errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Prediction, Source, Tile, sources
from ..holdout import ErrorTable, error_table, pseudo_gap
from ..planes import bilinear, moments

SURE = np.float32(1e-6)
"""Least standard deviation of an estimate, also where the land has no spread: 0 means a valid sample."""

FEW = 12
"""Observed pixels below which their spread says nothing."""

UNSEEN = 0.1
"""Standard deviation of a band, at least, of which fewer pixels were observed."""

Fill = Callable[[Floats], Floats]
"""(H, W) float32 with NaN at unknown pixels -> the same with all of them filled (or all NaN)."""


@dataclass(frozen=True)
class Base:
    """The whole scene filled at the overview's size: what tiles lean on in large gaps.

    Attributes:
        image: (B, h, w) float32. step: scene pixels per pixel of it.
    """

    image: Floats
    step: int

    def sample(self, band: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """(n,) values at scene pixels (rows, columns), bilinear."""
        y, x = ((place + 0.5) / self.step - 0.5 for place in (rows, columns))
        return bilinear(self.image[band], y, x).astype(np.float32)


def observed(tile: Tile) -> Floats:
    """(B, H, W) the image with NaN wherever nothing was observed."""
    image = np.array(tile.image, np.float32)
    for plane, gap in zip(image, tile.gaps, strict=True):
        np.copyto(plane, np.float32(np.nan), where=gap | ~np.isfinite(plane))
    return image


def make_base(overview: Tile, fill: Fill) -> Base:
    """Fill the overview band by band."""
    image = observed(overview)
    return Base(np.stack([fill(band) for band in image]), overview.step)


def anchor(image: Floats, gaps: Flags, tile: Tile, base: Base) -> Floats:
    """`image` (B, H, W) with the base's values where a gap meets the tile's edge inside the scene.

    So a gap that is larger than the tile is bounded alike in neighbouring tiles.
    """
    height, width = image.shape[1:]
    scene_height, scene_width = (n * base.step for n in base.image.shape[1:])
    rim = np.zeros((height, width), bool)
    rim[0, :] |= tile.row > 0
    rim[-1, :] |= tile.row + height < scene_height - base.step + 1
    rim[:, 0] |= tile.column > 0
    rim[:, -1] |= tile.column + width < scene_width - base.step + 1
    out = image.copy()
    for band in range(len(image)):
        rows, columns = np.nonzero(rim & gaps[band])
        if len(rows):
            out[band, rows, columns] = base.sample(band, rows + tile.row, columns + tile.column)
    return out


def spread(overview: Tile) -> NDArray[np.float32]:
    """(B,) standard deviation of each band's observed pixels; `UNSEEN` at least of fewer than `FEW`."""
    out = np.full(len(overview.image), UNSEEN, np.float32)
    for band, (image, valid) in enumerate(zip(overview.image, overview.valid, strict=True)):
        count, found = np.count_nonzero(valid), moments(image, valid)[1]
        out[band] = found if count >= FEW else max(found, out[band])
    return out


def measured_errors(overview: Tile, predict: Callable[[Tile], Floats]) -> ErrorTable:
    """Errors of `predict` (tile -> (B, H, W) means) in the overview's own pseudo-gaps."""
    valid = overview.valid
    everywhere, anywhere = np.all(valid, axis=0), np.any(overview.gaps, axis=0)
    hidden = pseudo_gap(everywhere, anywhere)
    sigma = spread(overview)
    if hidden is None:
        hidden = np.zeros(anywhere.shape, bool)
    trial = overview.hiding(hidden)
    error = predict(trial) - overview.image if hidden.any() else np.zeros_like(overview.image)
    return error_table(error, hidden, np.any(trial.gaps, axis=0), sigma, overview.step)


def finish(
    tile: Tile, mean: Floats, std: Floats, source: Source, reference: NDArray[np.int16] | None = None
) -> Prediction:
    """A prediction from means (B, H, W); what stayed NaN is marked as unfilled."""
    mean = np.where(tile.gaps, mean, np.float32(np.nan))
    std = np.where(np.isfinite(mean), np.maximum(std, SURE), np.float32(np.nan))
    kind = sources(tile.gaps, mean, source)
    if reference is None:
        reference = np.full(kind.shape, -1, np.int16)
    return Prediction(mean.astype(np.float32), std.astype(np.float32), kind, reference)
