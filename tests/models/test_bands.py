"""Bands by their centres: those that a network reads, and the two of NDVI."""

import math

import numpy as np
import pytest
from terramend.models.bands import FAR, band_near, matching, ndvi, red_and_near_infrared
from terramend.models.base import Tile


def tile(*wavelengths, bands=None):
    image = np.zeros((bands or len(wavelengths), 2, 3), np.float32)
    return Tile(image, np.zeros(image.shape, bool), wavelengths=wavelengths)


def test_a_network_gets_the_nearest_band_of_each_centre_in_its_order():
    assert matching(tile(842.0, 665.0, 560.0, 490.0), (490.0, 560.0, 665.0)) == [3, 2, 1]
    assert matching(tile(math.nan, 655.0, 673.0), (665.0,)) == [2]


def test_a_band_that_is_too_far_off_is_another_band():
    assert matching(tile(665.0 + FAR), (665.0,)) == [0]
    assert matching(tile(665.5 + FAR), (665.0,)) is None
    assert matching(tile(665.0, math.nan), (665.0, 842.0)) is None
    assert matching(tile(525.0, 665.0), (665.0, 560.0, 490.0)) is None  # one band is not two colours
    assert matching(tile(525.0, 665.0, 485.0), (665.0, 560.0, 490.0)) == [1, 0, 2]


@pytest.mark.parametrize("wavelengths", [(), (math.nan,) * 3], ids=["none", "unknown"])
def test_without_any_centre_bands_are_taken_as_they_come_if_there_are_as_many(wavelengths):
    assert matching(tile(*wavelengths, bands=3), (490.0, 560.0, 665.0)) == [0, 1, 2]
    assert matching(tile(*wavelengths, bands=3), (490.0, 560.0)) is None


def test_the_band_between_two_limits_is_the_one_nearest_their_middle():
    assert band_near((490.0, 665.0, 842.0), 620, 690) == 1
    assert band_near((math.nan,), 620, 690) is None
    assert band_near((665.0, 783.0, 842.0, 865.0), 760, 900) == 2  # Sentinel-2's B08


def test_the_red_edge_is_not_taken_for_red():
    assert red_and_near_infrared((560.0, 665.0, 842.0)) == (1, 2)
    assert red_and_near_infrared((560.0, 705.0, 842.0)) is None
    assert red_and_near_infrared((560.0, 695.0, 842.0)) is None
    assert red_and_near_infrared((665.0, math.nan)) is None


def test_ndvi_is_unknown_where_the_sum_is_not_positive():
    found = ndvi(np.array([[0.1, 0.0, -0.2, np.nan], [0.3, 0.0, 0.1, 0.2]]), 0, 1)
    assert found[0] == pytest.approx(0.5) and np.isnan(found[1:]).all()
