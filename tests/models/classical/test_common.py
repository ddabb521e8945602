"""What classical reconstructors share: values at a tile's edge, spreads, errors, predictions."""

import numpy as np
import pytest
from terramend.models.base import Source, Tile
from terramend.models.classical.common import (
    FEW,
    SURE,
    UNSEEN,
    Base,
    anchor,
    finish,
    measured_errors,
    observed,
    spread,
)
from terramend.models.holdout import distance_class, distance_to_valid


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 12), (9, 0), (9, 12), (20, 12), (9, 30), (20, 30)])
def test_gaps_are_bounded_by_the_scene_where_a_tile_ends_inside_it_only(step, row, column):
    height, width = 40, 55  # of the scene; its overview covers 42 x 57
    rows, columns = np.indices((-(-height // step), -(-width // step)))
    ramp = 0.5 + 0.01 * step * np.stack([rows, columns]) + 0.005 * (step - 1)
    base = Base(ramp.astype(np.float32), step)
    image = np.full((2, 20, 25), np.nan, np.float32)
    gaps = np.random.default_rng(row + column).random(image.shape) < 0.7
    made = anchor(image, gaps, Tile(image, gaps, row=row, column=column), base)
    inside = np.zeros((20, 25), bool)
    inside[0] |= row > 0
    inside[-1] |= row + 20 < height
    inside[:, 0] |= column > 0
    inside[:, -1] |= column + 25 < width
    np.testing.assert_array_equal(np.isfinite(made), gaps & inside)
    places = 0.5 + 0.01 * np.stack(np.indices((20, 25)) + np.array([row, column])[:, None, None])
    np.testing.assert_allclose(made[gaps & inside], places[gaps & inside], atol=0.0101 if step > 1 else 1e-6)


def test_a_base_is_linear_between_the_middles_of_its_pixels():
    base = Base(np.array([[[1.0, 3.0], [5.0, 9.0]]], np.float32), 4)
    rows, columns = np.array([0, 1, 3, 5, 3]), np.array([0, 1, 3, 5, 7])
    y, x = (np.clip((place - 1.5) / 4, 0, 1) for place in (rows, columns))
    expected = (1 - y) * ((1 - x) * 1 + x * 3) + y * ((1 - x) * 5 + x * 9)
    np.testing.assert_allclose(base.sample(0, rows, columns), expected, rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, 60])
@pytest.mark.parametrize("deviation", [0.02, 0.3])
def test_the_spread_of_a_few_pixels_is_no_less_than_of_what_nobody_saw(count, deviation):
    values = np.random.default_rng(count).normal(0.3, deviation, 80).astype(np.float32)
    values[count:] = np.nan
    gaps = np.isnan(values).reshape(1, 8, 10)
    made = spread(Tile(values.reshape(1, 8, 10), gaps))
    own = values[:count].std() if count else 0
    assert made == pytest.approx([own if count >= FEW else max(own, UNSEEN)], rel=1e-4)


def test_what_is_not_finite_or_a_gap_was_not_observed():
    image = np.array([[[0.1, np.nan, np.inf, 0.4]]], np.float32)
    gaps = np.array([[[True, True, False, False]]])
    np.testing.assert_array_equal(
        observed(Tile(image, gaps)), np.array([[[np.nan, np.nan, np.nan, 0.4]]], np.float32)
    )


@pytest.mark.parametrize(("step", "classes"), [(1, [1, 2, 3, 3]), (2, [2, 2, 3, 3])])
def test_errors_are_met_where_pixels_are_hidden_by_their_distance_to_what_is_left(step, classes):
    truth = np.random.default_rng(1).random((2, 90, 100)).astype(np.float32)
    gap = np.zeros((90, 100), bool)
    gap[20:45, 20:56] = True  # what is hidden lies beside it too
    overview = Tile(np.where(gap, np.float32(np.nan), truth), np.stack([gap, gap]), step=step)

    def predict(tile):
        kind = 1 + distance_class(distance_to_valid(tile.gaps.any(0)) * step)
        return truth + np.stack([0.1 * kind, -0.2 * kind])

    table = measured_errors(overview, predict)  # two pixels of the scene away at least, seen at half its size
    np.testing.assert_allclose(table.rms, np.outer([0.1, 0.2], classes), rtol=1e-5)


def test_where_nothing_can_be_hidden_errors_are_the_bands_spread():
    image = np.full((1, 6, 6), 0.2, np.float32)
    image[0, 1:] = np.nan
    table = measured_errors(Tile(image, np.isnan(image)), lambda tile: tile.image)
    np.testing.assert_array_equal(table.rms, np.full((1, 4), UNSEEN, np.float32))


def test_a_prediction_is_of_gaps_and_never_quite_sure():
    gaps = np.array([[[True, True, False, True]], [[True, True, False, False]]])
    tile = Tile(np.where(gaps, np.float32(np.nan), np.float32(0.5)), gaps)
    mean = np.array([[[0.1, np.nan, 0.3, np.nan]], [[0.2, 0.2, 0.3, 0.4]]], np.float32)
    made = finish(tile, mean, np.zeros(mean.shape, np.float32), Source.SURROUNDINGS)
    expected = np.array([[[0.1, np.nan, np.nan, np.nan]], [[0.2, 0.2, np.nan, np.nan]]], np.float32)
    np.testing.assert_array_equal(made.mean, expected)
    np.testing.assert_array_equal(made.std, np.where(np.isfinite(expected), SURE, np.float32(np.nan)))
    valid, told, unfilled = Source.VALID, Source.SURROUNDINGS, Source.UNFILLED
    assert made.source.tolist() == [[told, told, valid, unfilled]]
    assert made.reference.tolist() == [[-1] * 4]
