"""The report: whole, self-contained, and told by the same rows as the tables."""

from __future__ import annotations

import base64
import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import stats
from terramend.backend.evaluation import metrics, pictures, plots, report, tables
from terramend.backend.evaluation.cases import sample
from terramend.backend.evaluation.cost import Cost
from terramend.backend.evaluation.make_cases import make_cases
from terramend.backend.evaluation.run import Results, run_evaluate
from terramend.backend.evaluation.tuning import tune
from terramend.backend.watch import Watch


@pytest.fixture(scope="module")
def results(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Our fast method, two peers and an oracle on one cloud a place."""
    recipe = make_cases(scenes, "scenes", seed=4)
    return run_evaluate(
        recipe, scenes, tmp_path_factory.mktemp("rows"), tracks=["S", "T1"], quick=True, jobs=1,
        methods=["guided@fast", "gdal", "lsq-all", "oracle-global"],
    )  # fmt: skip


def test_the_report_is_one_file_with_everything_in_it(results: Results, tmp_path: Path) -> None:
    costs = {(method.name, dates): Cost(1.0, 9.0) for method in results.methods for dates in (False, True)}
    made = tables.tables(results, costs)
    page = report.write(results, made, tmp_path, Watch()).read_text()
    assert not re.search(r"(src|href)='?(http|file|/)", page)
    found = re.findall(r"base64,([^']+)'", page)
    assert len(found) == 2 * 2 * 7  # two tracks, two cases, seven pictures
    for data in found:
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1).shape == (72, 72, 3)
    shown = [float(gain) for gain in re.findall(r"<h3>(?:median|lowest) gain, (\S+) dB", page)]
    assert shown[0] > shown[1] and shown[2] > shown[3]  # of the two cases of each track
    assert page.count("<svg") >= 2 * 3 + 1
    assert page.count('<svg role="img" aria-label="') == page.count("<svg")
    for table in made:
        for line in table.lines:
            assert f"<td>{line.numbers['psnr']:.2f}</td>" in page
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results.rows)
    assert "no peer is both quicker and better" in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [t["track"] for t in summary["tables"]] == [t.track for t in made]
    ours = next(m for m in summary["tables"][0]["methods"] if m["method"] == "guided@fast")
    assert 0 <= ours["coverage"]["0.9"] <= 1 and ours["gains"][0]["peer"] == "gdal"


def test_deviations_are_ranked_over_all_cases_of_a_table_together(results: Results) -> None:
    table = tables.tables(results)[0]
    line = next(line for line in table.lines if line.method == "guided@fast")
    rows = [r for r in results.rows if r["track"] == table.track and r["method"] == "guided@fast"]
    stated, missed = (np.concatenate([row[name] for row in rows]) for name in ("stated", "missed"))
    assert len(stated) == len(rows) * metrics.SAMPLE
    assert line.ranked == pytest.approx(stats.spearmanr(stated, missed)[0])
    assert all(np.isnan(line.ranked) for line in table.lines if line.group == "space")


def test_the_gates_are_told_over_all_tables(results: Results) -> None:
    made = tables.tables(results)
    told = "\n".join(tables.sentences(tables.pooled(made, results)))
    rows = {(r["track"], r["case"], r["method"]): r for r in results.rows}
    best = next(table.best for table in made if table.track == "T1")
    cases = [case for track, case, method in rows if (track, method) == ("T1", "guided@fast")]
    won = sum(rows["T1", c, "guided@fast"]["psnr"] > rows["T1", c, best]["psnr"] for c in cases)
    assert f"{won} of {len(cases)} cloud cases with other dates or a DEM won ({won / len(cases):.1%})" in told
    assert told in tables.text(made, results) and "S " in told and "T1 " in told
    blobs = replace(results, rows=(*results.rows, *({**row, "kind": "blob"} for row in results.rows)))
    assert tables.sentences(tables.pooled(tables.tables(blobs), blobs))[0].startswith(told.partition(";")[0])


def test_errors_of_single_bands_are_told_by_name(results: Results, tmp_path: Path) -> None:
    page = report.write(results, tables.tables(results), tmp_path, Watch()).read_text()
    with (tmp_path / "rows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["track"], row["method"]) == ("T1", "guided@fast")]
    assert {row["bands"] for row in rows} == {"B02;B04;B08"}
    found = np.array([[float(value) for value in row["band_rmse"].split(";")] for row in rows])
    table = next(
        t for t in json.loads((tmp_path / "summary.json").read_text())["tables"] if t["track"] == "T1"
    )
    told = next(line for line in table["methods"] if line["method"] == "guided@fast")["band_rmse"]
    assert list(told) == ["Blue", "Red", "NIR"]
    np.testing.assert_allclose(list(told.values()), found.mean(0), atol=1e-5)  # one case a place
    assert "<th>method</th><th>Blue</th><th>Red</th><th>NIR</th>" in page
    assert f"<td>{told['NIR']:.4f}</td></tr>" in page


def test_names_of_any_script_are_written_under_any_locale(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(
        {**row, "place": "Boadella \N{GREEK SMALL LETTER PI}", "note": "<\N{SNOWMAN}>"}
        for row in results.rows
    )
    opened = Path.open

    def plain(self: Path, mode: str = "r", *rest: Any, encoding: str | None = None, **more: Any) -> Any:
        return opened(self, mode, *rest, encoding=encoding or (None if "b" in mode else "ascii"), **more)

    def written(self: Path, text: str, encoding: str = "ascii") -> None:
        self.write_bytes(text.encode(encoding))

    monkeypatch.setattr(Path, "open", plain)
    monkeypatch.setattr(Path, "write_text", written)
    named = replace(results, rows=rows)
    page = report.write(named, tables.tables(named), tmp_path, Watch())
    assert (
        "&lt;\N{SNOWMAN}&gt;" in page.read_bytes().decode()
        and "charset='utf-8'" in page.read_bytes().decode()
    )
    assert "\N{GREEK SMALL LETTER PI}" in (tmp_path / "rows.csv").read_bytes().decode()


def test_where_the_truth_is_another_date_it_is_said_beside_the_coverage(
    results: Results, tmp_path: Path
) -> None:
    rows = tuple(
        {**r, "track": "P", "kind": "whole", **({"hits_with_change": [0.875] * 10} if "hits" in r else {})}
        for r in results.rows
        if r["track"] == "T1"
    )
    real = replace(results, rows=rows)
    made = tables.tables(real)
    told = tables.text(made, real)
    above, below = told.split(
        "Guided regression, fast: 90 % intervals hold, over all kinds of gap of a track: P "
    )
    assert "(with change 88%)" in below.splitlines()[0]
    assert tables.REMARKS["P"] in above and below.splitlines()[1] == f"P: {tables.REMARKS['P']}"
    assert report.write(real, made, tmp_path, Watch()).read_text().count(tables.REMARKS["P"]) == 2
    (one,) = json.loads((tmp_path / "summary.json").read_text())["pooled"]
    assert one["method"] == "guided@fast" and one["cases"] == 0 and 0 < one["within90"]["P"] < 1
    assert one["with_change"] == {"P": 0.875}
    assert tables.REMARKS["P"] not in tables.text(tables.tables(results), results)


def test_pictures_show_gaps_and_truth(results: Results) -> None:
    case = next(case for case in results.recipe.cases if case.gap.kind == "cloud")
    made = pictures.case_pictures(case, "T1", results.root, "gdal", "lsq-all")
    shown = {p.caption.split()[0]: cv2.imdecode(np.frombuffer(p.png, np.uint8), 1)[..., ::-1] for p in made}
    hidden = (shown["input"] == 255 * np.array(pictures.GAP)).all(-1)
    share = next(row["share"] for row in results.rows if row["case"] == case.name)
    assert hidden.mean() == pytest.approx(share, abs=0.02)
    assert pictures.Colour(sample(case, "T1", results.root)).bands == [1, 0, 0]  # of blue, red, near infrared
    np.testing.assert_array_equal(shown["truth"][~hidden], shown["input"][~hidden])
    np.testing.assert_array_equal(shown["gdal"][~hidden], shown["truth"][~hidden])


def test_bars_above_zero_are_cases_that_are_won(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    table = next(table for table in tables.tables(results) if table.track == "T1")
    level = {(r["method"], r["case"]): r["psnr"] for r in results.rows if r["track"] == "T1"}
    cases = [case for method, case in level if method == "gdal"]
    monkeypatch.setattr(plots, "_svg", lambda figure: figure)
    drawn = [bar.get_height() for bar in plots.gains(results, table, "gdal").axes[0].patches]  # type: ignore[attr-defined]
    assert drawn == sorted(level["gdal", case] - level[table.best, case] for case in cases)


def test_the_front_is_what_nobody_beats_in_both() -> None:
    points = [(1.0, 30.0), (2.0, 29.0), (3.0, 33.0), (3.0, 31.0), (9.0, 33.0)]
    assert plots._front(points) == [(1.0, 30.0), (3.0, 33.0)]


def test_tuning_takes_the_setting_that_reaches_most(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terramend.backend.evaluation import methods, tuning

    few = tuple(method for method in methods.PEERS if method.name in ("opencv-ns", "histogram"))
    monkeypatch.setattr(tuning, "PEERS", few)
    chosen = tune(results.recipe, results.root, tmp_path, 1, Watch())
    assert set(chosen) == {"opencv-ns", "histogram"}
    for name, row in chosen.items():
        reached = row["psnr"]
        assert isinstance(reached, dict) and isinstance(row["settings"], dict)
        assert reached[methods.spelled(name, row["settings"])] == max(reached.values())
    clouds_last = replace(results.recipe, cases=results.recipe.cases[::-1])
    few = [(case.place, case.gap.kind) for case in tuning._few(clouds_last, ("S", "T1"))]
    assert few == [("west", "cloud"), ("east", "cloud")]
