"""Cells and gains of an experiment's report: means over places, their interval, the spread over seeds."""

from __future__ import annotations

import math

from terramend.backend.experiments.report import cell, known, paired

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


def row(*psnr: float) -> dict[str, list]:
    return {"place": ["a", "a", "b", "c"], "psnr": list(psnr)}


def test_a_gain_pairs_the_cases_that_both_rows_know():
    found = paired([row(31, 33, 36, 7), row(31, 33, math.inf, 8)], [row(30, 30, 30, math.nan)], "psnr")
    assert found is not None and (found.mean, found.places, found.seeds) == (2.0, 1, (2.0, 2.0))
    assert found.between(1) == "at one place" and found.verdict("above", "below", "neither") == "neither"
    assert paired([row(1, 1, 1, 1)], [row(0, 0, 0, math.nan)], "psnr", [False, False, False, True]) is None


def test_a_gain_has_its_interval_over_places_and_each_seed():
    ours, theirs = [row(31, 31, 33, 35), row(30, 28, 31, 31)], [row(30, 30, 30, 30), row(30, 30, 30, 30)]
    found = paired(ours, theirs, "psnr", [True, True, True, False])
    assert found is not None and found.seeds == (2.0, 0.0) and (found.mean, found.places) == (1.0, 2)
    assert (
        found.between(1) == "[+0.0, +2.0] over 2 places"
        and found.verdict("", "") == "no difference can be told"
    )
    less = paired(ours[:1], theirs[:1], "psnr", sign=-1)
    assert less is not None and less.mean == -3.0 and less.verdict("above", "below") == "below"
