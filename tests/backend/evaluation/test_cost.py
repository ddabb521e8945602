"""Costs: measured alone, at one size, bounded; the verdict is computed from the rows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.evaluation import cost, tables
from terramend.backend.evaluation.cases import Recipe, sample
from terramend.backend.evaluation.cost import Cost
from terramend.backend.evaluation.make_cases import make_cases
from terramend.backend.evaluation.methods import find
from terramend.backend.evaluation.run import Results, run_evaluate
from terramend.backend.watch import Watch

NAMES = ("guided@fast", "gdal", "lsq-all", "copy-date")


@pytest.fixture(scope="module")
def recipe(scenes: Path) -> Recipe:
    """Cases of the small folder."""
    return make_cases(scenes, "scenes", seed=4)


@pytest.fixture(scope="module")
def results(recipe: Recipe, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A few methods on one cloud a place."""
    out = tmp_path_factory.mktemp("rows")
    return run_evaluate(recipe, scenes, out, tracks=["S", "T1"], methods=NAMES, quick=True, jobs=1)


def test_each_method_is_measured_once_with_dates_and_without(
    recipe: Recipe, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = [find(name) for name in ("gdal", "lsq-all")]
    found = cost.measure(recipe, scenes, methods, tmp_path, 2, Watch(), side=160)
    assert set(found) == {("gdal", False), ("lsq-all", True)}
    for one in found.values():
        assert one.seconds >= 0 and not one.over
        assert math.isnan(one.megabytes) or one.megabytes >= 0
    monkeypatch.setattr(cost, "_alone", None)  # nothing is measured again
    assert cost.measure(recipe, scenes, methods, tmp_path, 2, Watch(), side=160) == found
    monkeypatch.setattr(cost, "_alone", lambda *_: Cost(1.0, 2.0))
    tuned = replace(methods[0], settings={"smoothing": 7})  # under the same name
    assert list(cost.measure(recipe, scenes, [tuned], tmp_path, 2, Watch(), side=160).values()) == [
        Cost(1.0, 2.0)
    ]


def test_costs_that_were_measured_before_a_cancel_are_kept(
    recipe: Recipe, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = [find(name) for name in ("gdal", "lsq-all")]
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.done == 1 else None)
    monkeypatch.setattr(cost, "_alone", lambda *_: Cost(1.0, 2.0))
    with pytest.raises(TerramendError):
        cost.measure(recipe, scenes, methods, tmp_path, 1, watch, side=160)
    assert Cost(1.0, 2.0) in cost._read(tmp_path / cost.FILE).values()


def test_a_method_that_takes_too_long_is_stopped_and_told(
    recipe: Recipe, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "LIMIT", 1)
    found = cost.measure(recipe, scenes, [find("kriging")], tmp_path, 1, Watch(), side=2048)
    assert found["kriging", False] == Cost(
        1 / (2048**2 / 1e6), pytest.approx(math.nan, nan_ok=True), over=True
    )


def test_the_case_is_a_real_cloud_where_there_is_any(recipe: Recipe, scenes: Path) -> None:
    case, track = cost._case(recipe, scenes)
    assert case.gap.kind == "cloud" and track == "T2"
    clouds = [each for each in recipe.cases if each.gap.kind == "cloud" and "T2" in each.tracks]
    apart = {each.name: abs(sample(each, "T2", scenes).scored.mean() - cost.HIDDEN) for each in clouds}
    assert case.name == min(apart, key=lambda name: (apart[name], name))
    without = tuple(case for case in recipe.cases if case.gap.kind != "cloud")
    case, track = cost._case(replace(recipe, cases=without), scenes)
    assert case.gap.kind != "cloud" and track == "T2"


def test_mirrored_cases_continue_and_keep_their_share(recipe: Recipe, scenes: Path) -> None:
    case = next(case for case in recipe.cases if "T1" in case.tracks and case.gap.kind == "cloud")
    small = sample(case, "T1", scenes)
    large = cost.mirrored(small, 150)
    assert large.tile.image.shape == (3, 150, 150) == large.tile.references[0].image.shape
    height, width = small.truth.shape[1:]
    np.testing.assert_array_equal(large.tile.image[:, :height, :width], small.tile.image)
    np.testing.assert_array_equal(large.truth[:, height, :width], small.truth[:, -1, :])
    assert large.scored.mean() == pytest.approx(small.scored.mean(), abs=0.08)


@pytest.mark.parametrize(
    "seconds, decibels, beats", [(0.5, 1.0, True), (0.5, -1.0, False), (2.0, 1.0, False)]
)
def test_the_verdict_names_who_is_quicker_and_better(
    results: Results, seconds: float, decibels: float, beats: bool
) -> None:
    ones = {(name, dates): Cost(1.0, 50.0) for name in NAMES for dates in (False, True)}
    made = tables.tables(results, {**ones, ("lsq-all", True): Cost(seconds, 50.0)})
    table = next(table for table in made if table.track == "T1")
    ours = next(line for line in table.lines if line.group == "ours")
    assert (ours.seconds, ours.megabytes) == (1.0, 50.0)
    lines = tuple(
        replace(line, numbers={**line.numbers, "psnr": ours.numbers["psnr"] + decibels})
        if line.method == "lsq-all" else line
        for line in table.lines if line.method in ("guided@fast", "lsq-all")
    )  # fmt: skip
    told = tables.verdict([replace(table, lines=lines)])
    assert told.startswith("In 0 of 1 tables" if beats else "In 1 of 1 tables")
    assert ("T1 cloud: lsq-all beats guided@fast" in told) == beats


def test_the_verdict_wants_both_one_of_ours_and_a_peer(results: Results) -> None:
    ones = {(name, dates): Cost(1.0, 50.0) for name in NAMES for dates in (False, True)}
    for groups in (("ours",), ("space", "time")):
        alone = tuple(method for method in results.methods if method.group in groups)
        assert tables.verdict(tables.tables(replace(results, methods=alone), ones)) == ""


def test_a_method_that_did_a_part_of_the_cases_stands_below_those_that_did_all(results: Results) -> None:
    rows, left = [], "guided@fast"
    for row in results.rows:
        gone = row["method"] == left and row["place"] == results.rows[0]["place"]
        rows.append(
            {k: row[k] for k in ("case", "track", "kind", "place", "method")} | {"note": "no"}
            if gone
            else row
        )
    whole = tables.tables(results)[0]
    part = tables.tables(replace(results, rows=tuple(rows)))[0]
    assert whole.lines[0].method == left
    (line,) = (line for line in part.lines if line.method == left)
    assert 0 < line.cases < line.of
    assert [one.method for one in part.lines if one.group != "oracle"][-1] == left


def test_without_costs_nothing_is_said_of_them(results: Results) -> None:
    made = tables.tables(results)
    assert tables.verdict(made) == "" and all(math.isnan(one.seconds) for t in made for one in t.lines)


def test_more_than_the_limit_is_told_so(results: Results) -> None:
    costs = {("gdal", False): Cost(114.4, math.nan, over=True)}
    assert ">114.4" in tables.text(tables.tables(results, costs), results)
