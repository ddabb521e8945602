"""Blending: agreement is kept, seams vanish, unknown values do not count, memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.mosaic import Mosaic, Piece
from terramend.backend.raster.tiles import TilePlan
from terramend.models.base import Prediction, Source


def plan(height: int, width: int, core: int = 16, overlap: int = 8) -> TilePlan:
    return TilePlan(Grid(None, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), width, height), core, overlap, 0, 1)


def piece(window: Window, mean: np.ndarray, std: np.ndarray | None = None, source: int = 1) -> Piece:
    shape = mean.shape[1:]
    std = np.full_like(mean, 0.1) if std is None else std
    said = Prediction(mean, std, np.full(shape, source, np.uint8), np.zeros(shape, np.int16))
    return Piece(window, said, (7,))


def blend(tiles: TilePlan, predict) -> dict[str, np.ndarray]:
    """Run `predict(tile) -> Piece | None` over the plan and put the blocks together."""
    height, width = tiles.grid.height, tiles.grid.width
    whole = {
        "mean": np.full((1, height, width), np.nan, np.float32),
        "std": np.full((1, height, width), np.nan, np.float32),
        "source": np.full((height, width), Source.UNFILLED, np.uint8),
        "age": np.full((height, width), 255, np.uint8),
    }
    mosaic = Mosaic(tiles, 1)
    for tile in tiles.tiles():
        block = mosaic.add(tile, predict(tile))
        if block is not None:
            for name, values in whole.items():
                values[(..., *tile.core.slices)] = getattr(block, name)
    return whole


@settings(max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), core=st.integers(4, 24), data=st.data())
def test_predictions_that_agree_come_back(height, width, core, data):
    tiles = plan(height, width, core, data.draw(st.integers(0, core)))
    truth = np.random.default_rng(height * 100 + width).random((1, height, width)).astype(np.float32)
    whole = blend(tiles, lambda t: piece(t.cover, truth[(..., *t.cover.slices)]))
    np.testing.assert_allclose(whole["mean"], truth, rtol=1e-5)
    np.testing.assert_allclose(whole["std"], 0.1, rtol=1e-5)
    assert (whole["source"] == 1).all() and (whole["age"] == 7).all()


@settings(max_examples=60)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99))
def test_equals_the_plain_weighted_mean_over_the_whole_grid(height, width, seed):
    """Against the obvious implementation with whole-grid sums, with holes and cut windows."""
    tiles, rng = plan(height, width), np.random.default_rng(seed)
    pieces, sums, weights = {}, np.zeros((height, width)), np.zeros((height, width))
    for tile in tiles.tiles():
        if rng.random() < 0.3:
            continue
        top, left = rng.integers(tile.cover.height), rng.integers(tile.cover.width)
        window = Window(
            tile.cover.row + top,
            tile.cover.column + left,
            int(rng.integers(1, tile.cover.height - top + 1)),
            int(rng.integers(1, tile.cover.width - left + 1)),
        )
        mean = rng.random((1, window.height, window.width)).astype(np.float32)
        mean[rng.random(mean.shape) < 0.2] = np.nan
        pieces[tile.core] = piece(window, mean)
        rows, columns = tiles.weights(tile)
        inside = window.within(tile.cover)
        fade = rows[inside[0], None] * columns[inside[1]]
        sums[window.slices] += np.where(np.isnan(mean[0]), 0, mean[0] * fade)
        weights[window.slices] += fade * np.isfinite(mean[0])
    whole = blend(tiles, lambda t: pieces.get(t.core))
    with np.errstate(invalid="ignore"):
        expected = sums / weights
    np.testing.assert_allclose(whole["mean"][0], expected, rtol=1e-5)
    assert ((whole["source"] == Source.UNFILLED) == (weights == 0)).all()


def test_tiles_that_disagree_leave_no_seam():
    tiles = plan(16, 64)
    whole = blend(tiles, lambda t: piece(t.cover, np.full((1, 16, t.cover.width), t.column % 2, np.float32)))
    steps = np.abs(np.diff(whole["mean"][0], axis=1))
    assert steps.max() < 1.6 / 8  # smoothstep's steepest slope is 1.5 over the overlap
    assert whole["mean"].min() == 0 and whole["mean"].max() == 1


def test_an_unknown_deviation_stays_unknown_and_does_not_spoil_its_neighbour():
    tiles = plan(16, 32)

    def predict(tile):
        mean = np.ones((1, tile.cover.height, tile.cover.width), np.float32)
        return piece(tile.cover, mean, np.full_like(mean, np.nan if tile.column == 0 else 0.2))

    std = blend(tiles, predict)["std"][0]
    assert np.isnan(std[:, :16]).all() and np.allclose(std[:, 16:], 0.2)


def test_the_nearer_tile_names_the_source():
    tiles = plan(16, 32)
    whole = blend(
        tiles,
        lambda t: piece(t.cover, np.ones((1, 16, t.cover.width), np.float32), source=1 + t.column),
    )
    assert (whole["source"][:, :20] == 1).all() and (whole["source"][:, 20:] == 2).all()


@pytest.mark.parametrize("days, age", [(0, 0), (253, 253), (254, 254), (9999, 254), (None, 255)])
def test_ages_saturate(days, age):
    tiles = plan(4, 4)
    said = piece(tiles.grid.whole, np.ones((1, 4, 4), np.float32))
    whole = blend(tiles, lambda t: Piece(said.window, said.prediction, (days,)))
    assert (whole["age"] == age).all()


def test_only_borders_are_carried():
    """What stands between tiles grows with width times overlap, not with the image's area."""
    tiles = plan(160, 160)
    mosaic, most = Mosaic(tiles, 1), 0
    for tile in tiles.tiles():
        mosaic.add(tile, piece(tile.cover, np.ones((1, tile.cover.height, tile.cover.width), np.float32)))
        carried = [*mosaic._below.values(), *([mosaic._right] if mosaic._right else [])]
        most = max(most, sum(sums.weight.size for sums in carried))
    assert most <= 8 * (160 + 3 * 16)
