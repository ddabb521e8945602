"""Cells of an experiment's tables: means over places, their interval, the spread over seeds."""

from __future__ import annotations

import math

from terramend.backend.experiments.report import cell, known

NUMBERS = {"place": ["a", "a", "b", "c"], "psnr": [30.0, 32.0, 35.0, math.nan]}


def test_values_that_are_not_known_are_left_out_with_their_places():
    assert known(NUMBERS, "psnr") == ([30.0, 32.0, 35.0], ["a", "a", "b"])
    assert known(NUMBERS, "psnr", [True, False, True, True]) == ([30.0, 35.0], ["a", "b"])


def test_a_cell_is_a_mean_over_places_with_its_interval_and_the_spread_over_seeds():
    first, second = ([30.0, 32.0, 35.0], ["a", "a", "b"]), ([31.0, 33.0, 36.0], ["a", "a", "b"])
    assert cell([first], 2) == "33.00 [31.00, 35.00]"
    assert cell([first, second], 1) == "33.5 [31.0, 35.0] +- 0.7"


def test_one_place_has_no_interval_and_no_value_no_cell():
    assert cell([([30.0, 32.0], ["a", "a"])], 1) == "31.0"
    assert cell([([], [])], 1) == cell([], 1) == ""
