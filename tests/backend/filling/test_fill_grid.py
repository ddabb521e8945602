"""What of a grid's tiles is predicted, and what a fill counts."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.filling import compose, fill_grid
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.masks.gapmap import GAP, OUTSIDE, VALID
from terramend.backend.raster.mosaic import Block
from terramend.models.base import Source


class Gaps:
    """A gap map in memory."""

    def __init__(self, codes):
        self.codes = codes

    def read(self, window):
        return self.codes[(slice(None), *window.slices)]


@given(st.integers(0, 10**6), st.floats(0, 0.1))
def test_the_smallest_window_that_holds_all_gaps_of_the_predicted_bands(seed, share):
    random = np.random.default_rng(seed)
    codes = np.where(random.random((3, 40, 50)) < share, GAP, VALID).astype(np.uint8)
    codes[:, random.random((40, 50)) < 0.1] = OUTSIDE
    cover = Window(5, 8, 30, 37)
    found = fill_grid._where(Gaps(codes), cover, (0, 2))
    gaps = (codes[[0, 2]] == GAP).any(0)
    inside = np.zeros_like(gaps)
    inside[cover.slices] = gaps[cover.slices]
    if found is None:
        assert not inside.any()
        return
    part = inside[found.slices]
    assert part.sum() == inside.sum() and all(e.any() for e in (part[0], part[-1], part[:, 0], part[:, -1]))


@given(st.integers(0, 90), st.integers(0, 90), st.integers(1, 60), st.integers(1, 60))
def test_predicted_windows_lie_on_the_grid_of_block_statistics(row, column, height, width):
    grid = Grid(None, (10.0, 0, 0, 0, -10.0, 0), column + width + 7, row + height + 3)
    window = Window(row, column, height, width)
    wide = fill_grid._aligned(window, grid)
    step = fill_grid.ALIGN
    sides = (
        (window.row, window.height, wide.row, wide.height, grid.height),
        (window.column, window.width, wide.column, wide.width, grid.width),
    )
    for first, length, start, extent, size in sides:
        end = start + extent
        assert start % step == 0 and first - step < start <= first
        assert end == size or end % step == 0
        assert first + length <= end <= min(first + length + step - 1, size)


def test_a_tally_counts_samples_pixels_and_known_variances():
    gaps = np.zeros((2, 2, 4), bool)
    gaps[:, 0] = True
    filled = gaps.copy()
    filled[1, 0, 3] = False
    nothing = np.zeros((1, 2, 4), bool)
    class_gaps = nothing.copy()
    class_gaps[0, 1, :3] = True
    classed = class_gaps.copy()
    classed[0, 1, 0] = False
    done = compose.Composed(np.zeros((3, 2, 4), np.uint16), filled, gaps, class_gaps, classed)
    std = np.full((2, 2, 4), 0.5, np.float32)
    std[0, 0, 0] = np.nan  # unknown: no part of the expected error
    source = np.full((2, 4), Source.SURROUNDINGS, np.uint8)
    source[0, :2] = Source.REFERENCE
    tally = fill_grid.Tally()
    for _ in range(2):
        tally.add(done, Block(std, std, source, source))
    assert (tally.gaps, tally.unfilled) == (2 * (8 + 3), 2 * (1 + 1))
    assert (tally.pixels, tally.smooth, tally.known) == (2 * 4, 2 * 2, 2 * 6)
    assert math.isclose(tally.variance / tally.known, 0.25)
    tally.add(compose.Composed(done.samples, ~gaps & False, gaps, class_gaps, classed), None)
    assert (tally.gaps, tally.unfilled, tally.pixels) == (33, 4 + 9, 8)
