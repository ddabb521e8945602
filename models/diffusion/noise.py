"""Gaussian noise that belongs to places, not to tiles.

The value at a pixel depends on the seed, the draw and the pixel's absolute position in the
scene, so overlapping tiles, other tile orders and any number of workers see the same noise.
Counter-based Philox makes that cheap: each 64 x 64 block of the scene has its own counter.
"""

from __future__ import annotations

import numpy as np

from ..base import Floats

BLOCK = 64


def noise(seed: int, draw: int, channels: int, row: int, column: int, height: int, width: int) -> Floats:
    """(channels, height, width) float32 standard normal noise of a window.

    Args:
        seed: of the run. draw: which noise field (for example the sampler's step).
        row, column: absolute position of the window, in pixels of the noise's grid.
    """
    out = np.empty((channels, height, width), np.float32)
    for top in range(row // BLOCK * BLOCK, row + height, BLOCK):
        for left in range(column // BLOCK * BLOCK, column + width, BLOCK):
            block = _block(seed, draw, channels, top // BLOCK, left // BLOCK)
            rows = slice(max(top, row), min(top + BLOCK, row + height))
            columns = slice(max(left, column), min(left + BLOCK, column + width))
            out[:, rows.start - row : rows.stop - row, columns.start - column : columns.stop - column] = (
                block[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            )
    return out


def _block(seed: int, draw: int, channels: int, i: int, j: int) -> Floats:
    """One block; a channel's values do not depend on how many channels are drawn."""
    # Of a list with numbers above 2^63 (negative seeds) numpy makes floats, in which they are all alike.
    numbers = np.array([seed % 2**64, draw % 2**64, 0, 0, i % 2**64, j % 2**64], np.uint64)
    generator = np.random.Philox(key=numbers[:2], counter=numbers[2:])
    return np.random.Generator(generator).standard_normal((channels, BLOCK, BLOCK), np.float32)
