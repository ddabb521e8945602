"""`mend` as a reconstructor: `guided`, then a small network corrects it and says how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from ..base import Flags, Floats, Prediction, Reconstructor, Tile
from .inputs import Frame, frame, stack

BLOCK, MARGIN, MULTIPLE = 192, 32, 16
"""Pixels: side of the blocks that the network runs on, what it sees around, what sizes divide by."""


@dataclass(frozen=True)
class State:
    """What `prepare` of the prior and of the correction keep."""

    prior: Any
    frame: Frame


@dataclass(frozen=True)
class Mend:
    """A prior reconstructor and the network that corrects it."""

    prior: Reconstructor
    network: onnxruntime.InferenceSession

    def prepare(self, overview: Tile) -> State:
        """The prior's state, and global statistics for the network's inputs."""
        return State(self.prior.prepare(overview), frame(overview))

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Correct the prior where it filled; where it could not, nothing is invented."""
        prior = self.prior.predict(tile, state.prior)
        base, others, spread = stack(tile, prior, state.frame)
        mean, std = prior.mean.copy(), prior.std.copy()
        for band in range(len(mean)):
            gap = tile.gaps[band] & np.isfinite(prior.mean[band])
            for outer, inner in _blocks(gap):
                shift, log_factor = self._run(base[band][(slice(None), *outer)], others[band][(..., *outer)])
                inside = tuple(
                    slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
                )
                where = gap[inner]
                old = spread[band][inner]
                mean[band][inner][where] += (old * shift[inside])[where]
                std[band][inner][where] = (old * np.exp(0.5 * log_factor[inside]))[where]
        return Prediction(mean, std, prior.source, prior.reference)

    def _run(self, base: Floats, others: Floats) -> tuple[Floats, Floats]:
        """Shift in standard deviations and log variance factor of one block."""
        height, width = base.shape[1:]
        pad = ((0, -height % MULTIPLE), (0, -width % MULTIPLE))
        inputs = {
            "base": np.pad(base, ((0, 0), *pad), mode="edge")[None],
            "references": np.pad(others, ((0, 0), (0, 0), *pad), mode="edge")[None],
        }
        said = self.network.run(None, inputs)[0][0, :, :height, :width]
        return said[0], np.clip(said[1], -5, 6)


def _blocks(gap: Flags) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """(what the network sees, what is kept) of every block that holds a gap."""
    height, width = gap.shape
    for row in range(0, height, BLOCK):
        for column in range(0, width, BLOCK):
            inner = (slice(row, min(row + BLOCK, height)), slice(column, min(column + BLOCK, width)))
            if gap[inner].any():
                sides = zip(inner, (height, width), strict=True)
                top, left = (slice(max(s.start - MARGIN, 0), min(s.stop + MARGIN, side)) for s, side in sides)
                yield (top, left), inner
