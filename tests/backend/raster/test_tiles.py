"""The tile plan: cores partition the grid, weights sum to one, and memory stays bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.tiles import BLOCK, WORKING_COPIES, WORKING_SET, TilePlan, plan_tiles


def grid(height: int, width: int) -> Grid:
    return Grid(None, (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), width, height)


sizes = st.integers(1, 90)


@given(height=sizes, width=sizes, core=st.integers(8, 40), data=st.data())
def test_cores_partition_the_grid_and_weights_sum_to_one(height, width, core, data):
    overlap = data.draw(st.integers(0, core))
    plan = TilePlan(grid(height, width), core, overlap, context=3, channels=1)
    cores, weights = np.zeros((height, width), int), np.zeros((height, width))
    for tile in plan.tiles():
        cores[tile.core.slices] += 1
        rows, columns = plan.weights(tile)
        assert rows.shape == (tile.cover.height,) and columns.shape == (tile.cover.width,)
        weights[tile.cover.slices] += rows[:, None] * columns
    assert (cores == 1).all()
    np.testing.assert_allclose(weights, 1, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 12, 40, 80])
def test_a_tile_stays_near_the_working_set(channels):
    plan = plan_tiles(grid(20000, 20000), channels, context=32)
    assert plan.core % BLOCK == 0
    assert plan.core == 256 or plan.tile_bytes <= WORKING_SET
    assert plan.core == 1024 or plan.tile_bytes > WORKING_SET / 8  # not needlessly small


def test_a_small_grid_is_one_tile():
    (tile,) = plan_tiles(grid(1, 1), 12, 32).tiles()
    assert tile.core == tile.cover == grid(1, 1).whole


@given(height=sizes, width=sizes, core=st.integers(8, 40), context=st.integers(0, 20))
def test_memory_is_that_of_the_largest_tile_and_never_of_more_than_the_grid(height, width, core, context):
    plan = TilePlan(grid(height, width), core, 4, context, channels=3)
    samples = 3 * min(core + 4 + 2 * context, height) * min(core + 4 + 2 * context, width)
    assert plan.tile_bytes == 4 * samples * WORKING_COPIES
    for tile in plan.tiles():
        seen = tile.cover.grown(context, plan.grid)
        assert 3 * seen.height * seen.width <= samples
