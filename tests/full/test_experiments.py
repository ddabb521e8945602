"""What cannot be run is said before anything is trained; what lies in a folder is of the same data."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend import device  # noqa: E402
from terramend.backend.datasets import slovenia  # noqa: E402
from terramend.backend.datasets.gaps import Gap  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.evaluation import methods  # noqa: E402
from terramend.backend.evaluation.cases import Case, Recipe, View, save  # noqa: E402
from terramend.backend.experiments import (  # noqa: E402
    align_cr,
    aligndiff,
    aligndiff_rows,
    command,
    de,
    de_rows,
    radar_rows,
    runs,
    schedules,
)
from terramend.backend.watch import Watch  # noqa: E402


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with both splits, and nothing in them."""
    for split in runs.SPLITS:
        (tmp_path / "data" / split).mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def _untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> None:
        raise AssertionError("a network was trained")

    monkeypatch.setattr(runs, "train", train)
    monkeypatch.setattr(schedules, "train", train)


def experiment(*words: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.main(parser.parse_args([str(word) for word in words]), Watch())


@pytest.mark.parametrize("split", runs.SPLITS)
@pytest.mark.parametrize("name", ["aligndiff-task1", "aligndiff-task2", "align-cr", "de", "schedules"])
def test_both_splits_are_there(name, split, data, tmp_path) -> None:
    (data / split).rmdir()
    with pytest.raises(TerramendError, match=f"data has no folder {split}: --data takes the folder with"):
        experiment(name, "--data", data, "--out", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_results_of_other_data_are_not_taken(data, tmp_path, monkeypatch) -> None:
    ran = []

    def main(options: argparse.Namespace, watch: Watch) -> None:
        ran.append(options.data)
        (options.out / "rows").mkdir(exist_ok=True)

    monkeypatch.setattr(schedules, "main", main)
    words = ["schedules", "--out", tmp_path / "out", "--data"]
    experiment(*words, data)
    (data / "val" / "a.tif.aux.xml").write_text("<PAMDataset/>")
    experiment(*words, data)
    moved = data.rename(tmp_path / "moved")
    experiment(*words, moved)
    assert len(ran) == 3
    (moved / "val" / "a.tif").write_text("new")
    said = (
        r"out keeps what was made from other data \(val: 0 files, 0 bytes, \w+\) than --data holds \(1 files"
    )
    with pytest.raises(TerramendError, match=said):
        experiment(*words, moved)
    (tmp_path / "out" / "begun.json").write_text("[")
    with pytest.raises(TerramendError, match=r"other data \(train: unknown\)"):
        experiment(*words, moved)


def test_data_that_are_a_link_are_looked_into(data, tmp_path) -> None:
    if not hasattr(os, "symlink"):
        pytest.skip("this system has no links")
    (tmp_path / "disk").mkdir()
    (data / "train" / "rice").symlink_to(tmp_path / "disk")
    runs.begin(data, tmp_path / "out")
    (tmp_path / "disk" / "a.png").write_text("x")
    runs.begin(data, tmp_path / "out")  # nothing was made yet
    (tmp_path / "out" / "runs").mkdir()
    (tmp_path / "disk" / "b.png").write_text("x")
    with pytest.raises(TerramendError) as caught:
        runs.begin(data, tmp_path / "out")
    assert caught.value.code == "experiment.begun"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("schedules", "--config", "own.json"), "own.json is not valid: it has no entry"),
        (("de", "--config", "own.json"), "own.json is not valid: it has no entry coarse"),
        (("de", "--parts", "gaps"), "are missing or are not those that the cases were made from"),
        (("de", "--parts", ""), "--parts is not valid: it names none of pairs, gaps, speed"),
        (("align-cr", "--parts", ","), "--parts is not valid: it names none of tables, speed"),
        (("mend", "--run", "nowhere", "--tracks", "S,t1"), "--tracks is not valid: t1 is none of S,"),
        (("aligndiff-task1",), "are missing or are not those that the cases were made from"),
        (("aligndiff-task2", "--cases", "none.json"), "none.json holds no case of the track T1 and the kind"),
        (
            ("aligndiff-task1", "--cases", "one.json", "--runs", "nowhere"),
            "nowhere/diffusion is no run of align",
        ),
        (("aligndiff-task1", "--cases", "one.json", "--also", "x"), "There is no method x to evaluate"),
        (("aligndiff-task1", "--cases", "one.json", "--config", "own.json"), "it has no entry autoencoder"),
    ],
)
def test_wrong_options_are_said_before_anything_is_trained(words, said, data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    gap = Gap("cloud")
    one = Case("a", "hills", "a", "d", "d", (0, 0, 9, 9), gap, tracks={"S-DEM": View()})
    save(Recipe("val", 0, {}, ()), Path("none.json"))
    load = aligndiff.cases.load
    known = {"one.json": Recipe("val", 0, {}, (one,))}
    monkeypatch.setattr(aligndiff.cases, "load", lambda path: known.get(path.name) or load(path))
    Path("own.json").write_text('{"size": 16, "stage": "joint"}')
    with pytest.raises(TerramendError, match=said):
        experiment(*words, "--data", data)


def test_networks_that_are_none_are_said_before_anything_is_trained(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(align_cr, "cases", lambda *_: [])
    with pytest.raises(TerramendError, match="nowhere is no run of a radar network"):
        experiment("align-cr", "--data", data, "--out", tmp_path, "--run", "nowhere")
    monkeypatch.setattr(de, "_gap_cases", lambda _: [])
    with pytest.raises(TerramendError, match="nowhere is no run of de to begin from .*it has no config.json"):
        experiment("de", "--data", data, "--out", tmp_path, "--fill", "nowhere", "--parts", "pairs,gaps")
    monkeypatch.setattr(de, "pair_bank", lambda *_: None)
    monkeypatch.setattr(de, "classical", lambda _: [])
    with pytest.raises(TerramendError, match="no run of a reference network"):
        experiment("de", "--data", data, "--out", tmp_path, "--run", "nowhere", "--parts", "pairs")
    with pytest.raises(SystemExit):
        experiment("align-cr", "--data", data, "--config", "own.json")


@pytest.mark.parametrize("text", [None, "{}", '{"samples": [{"folder": "crops"}]}', '{"samples": [3]}', "["])
def test_a_run_of_mend_without_a_network_is_said(text, data, tmp_path) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(TerramendError, match=r"is no run of mend to begin from \(.+\): train it first"):
        experiment("mend", "--data", data, "--run", tmp_path, "--out", tmp_path / "out")


def test_two_experiments_are_not_run_in_one_folder(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(schedules, "main", lambda *_: experiment(*words))
    words = ["schedules", "--out", tmp_path / "out", "--data", data]
    with pytest.raises(TerramendError, match="Another run writes to .*out: wait for it or end it"):
        experiment(*words)
    monkeypatch.setattr(schedules, "main", lambda *_: None)
    experiment(*words)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["begun.json"]


def test_networks_are_trained_where_torch_computes(data, tmp_path, monkeypatch) -> None:
    asked = []
    made = argparse.Namespace(model=None, batch=None, loss=None, schedule=None)
    for module in (runs, schedules):
        monkeypatch.setattr(module, "made", lambda *_: made)
        monkeypatch.setattr(module, "train", lambda *arguments: asked.append(arguments[6]))
        monkeypatch.setattr(module, "finish", lambda *_: None)
    monkeypatch.setattr(schedules, "measure", lambda *_: {"error": {}})
    monkeypatch.setattr(schedules, "write_whole", lambda *_: None)
    monkeypatch.setattr(schedules.schedules_report, "write", lambda *_: None)

    def main(options: argparse.Namespace, watch: Watch) -> None:
        runs.trained("align-cr", {"training": {"seed": 0}}, options, watch)

    monkeypatch.setattr(align_cr, "main", main)
    for name, count in (("align-cr", 1), ("schedules", 3)):
        words = (name, "--data", data, "--out", tmp_path / name, "--seeds", "1")
        experiment(*words)
        monkeypatch.setattr(device, "torch_probe", lambda: device.Probe("cuda", False, None, "no driver"))
        experiment(*words, "--device", "auto")
        with pytest.raises(
            TerramendError, match=r"cuda was asked for but does not compute here \(no driver\)"
        ):
            experiment(*words, "--device", "cuda")
        assert asked == 2 * count * ["cpu"]
        asked.clear()
        monkeypatch.setattr(device, "torch_probe", lambda: device.Probe("cuda", True, 1.0, ""))
        for word in ("auto", "cuda"):
            experiment(*words, "--device", word)
        assert asked == 2 * count * ["cuda"]
        asked.clear()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"numbers"', "\0"])
def test_a_row_that_a_crash_spoiled_is_measured_anew(text, tmp_path) -> None:
    assert runs.cached(tmp_path, ["key"], lambda: {"psnr": [1.0]}) == {"psnr": [1.0]}
    assert runs.cached(tmp_path, ["key"], lambda: {"psnr": [2.0]}) == {"psnr": [1.0]}
    (row,) = tmp_path.iterdir()
    row.write_text(text)
    assert runs.cached(tmp_path, ["key"], lambda: {"psnr": [3.0]}) == {"psnr": [3.0]}
    assert runs.cached(tmp_path, ["key"], lambda: {"psnr": [4.0]}) == {"psnr": [3.0]}


def test_rows_that_lean_on_guided_are_measured_anew_by_other_code(tmp_path, monkeypatch) -> None:
    measured = []

    def measure(*_: object) -> runs.Numbers:
        measured.append(1)
        return {"psnr": [1.0]}

    monkeypatch.setattr(de, "gap_measured", measure)
    monkeypatch.setattr(de, "gap_rows", lambda *_, **__: {"DE": None})
    options, networks = argparse.Namespace(data=tmp_path, out=tmp_path), argparse.Namespace(weights_sha256="")

    def rows() -> list[str]:
        de._gaps(options, [], networks, Watch())
        return [str(method.key) for method in radar_rows.classical()]

    before = rows()
    assert rows() == before and len(measured) == 4
    monkeypatch.setattr(methods, "fingerprint", lambda _: "other")
    assert [key for key in rows() if key in before] == ["['nothing']"] and len(measured) == 8


@pytest.mark.parametrize("name", ["de", "align-cr", "schedules"])
def test_rows_of_networks_are_measured_anew_by_other_code(name, data, tmp_path, monkeypatch) -> None:
    measured = []

    def measure(*_: object) -> dict[str, object]:
        measured.append(1)
        return {"error": {"0": 0.1}}

    monkeypatch.setattr(de, "pair_bank", lambda *_: argparse.Namespace(names=()))
    monkeypatch.setattr(de.removers, "load", lambda _: None)
    monkeypatch.setattr(de, "classical", lambda _: [])
    monkeypatch.setattr(de, "_remover", lambda *_: tmp_path)
    monkeypatch.setattr(de, "_stages", lambda *_: tmp_path)
    monkeypatch.setattr(de, "_rows", lambda *_: [de.network("DE", None, "run")])
    monkeypatch.setattr(de, "_picture", lambda *_: None)
    monkeypatch.setattr(align_cr, "cases", lambda *_: [])
    monkeypatch.setattr(align_cr, "trained", lambda *_: tmp_path)
    monkeypatch.setattr(align_cr.segmenter, "load", lambda _: None)
    monkeypatch.setattr(align_cr, "_row", lambda *_: align_cr.network("Align-CR", None, "run"))
    monkeypatch.setattr(align_cr.align_cr_report, "picture", lambda *_: None)
    made = argparse.Namespace(model=None, batch=None, loss=None, schedule=None)
    monkeypatch.setattr(schedules, "made", lambda *_: made)
    monkeypatch.setattr(schedules, "train", lambda *given: given[4].mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(schedules, "finish", lambda *_: None)
    for module, word in ((de, "measured"), (align_cr, "measured"), (schedules, "measure")):
        monkeypatch.setattr(module, word, measure)
    for report in (de.de_report, align_cr.align_cr_report, schedules.schedules_report):
        monkeypatch.setattr(report, "write", lambda *_: None)
    words = [name, "--data", data, "--out", tmp_path / "out", "--seeds", 1]
    words += {"de": ["--parts", "pairs"], "align-cr": ["--parts", "tables"]}.get(name, [])
    words += [] if name == "schedules" else ["--rivals", ""]
    experiment(*words)
    count = len(measured)
    experiment(*words)
    assert len(measured) == count > 0
    monkeypatch.setattr(runs, "fingerprint", lambda _: "other")
    experiment(*words)
    assert len(measured) == 2 * count


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"numbers"', "\0"])
def test_a_schedule_that_a_crash_spoiled_is_measured_anew(text, data, tmp_path, monkeypatch) -> None:
    measured = []

    def measure(*_: object) -> dict[str, object]:
        measured.append(1)
        return {"error": {"0": 0.1}, "histogram": 0.2}

    made = argparse.Namespace(model=None, batch=None, loss=None, schedule=None)
    monkeypatch.setattr(schedules, "made", lambda *_: made)
    monkeypatch.setattr(
        schedules, "train", lambda *arguments: arguments[4].mkdir(parents=True, exist_ok=True)
    )
    monkeypatch.setattr(schedules, "finish", lambda *_: None)
    monkeypatch.setattr(schedules, "measure", measure)
    told: list[object] = []
    monkeypatch.setattr(schedules.schedules_report, "write", lambda rows, _: told.append(rows))
    words = ("schedules", "--data", data, "--out", tmp_path / "out", "--seeds", "1")
    experiment(*words)
    experiment(*words)
    assert len(measured) == 3
    next((tmp_path / "out").glob("linear-0-*/metrics.json")).write_text(text)
    experiment(*words)
    assert len(measured) == 4 and told[0] == told[1] == told[2]


def test_a_run_is_found_again_where_the_results_were_moved(tmp_path, monkeypatch) -> None:
    def finish(_, __, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")

    def trained(out: Path) -> Path:
        config = {"training": {"seed": 0}, "samples": {"folder": str(out / "samples")}}
        given = argparse.Namespace(out=out, data=tmp_path, device="cpu")
        return runs.trained("ddpm", config, given, Watch())

    recipe = argparse.Namespace(model=None, batch=None, loss=None, schedule=None)
    monkeypatch.setattr(runs, "made", lambda *_: recipe)
    monkeypatch.setattr(runs, "train", lambda *_: None)
    monkeypatch.setattr(runs, "finish", finish)
    first = trained(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.setattr(runs, "made", None)  # nothing is trained again
    assert trained(tmp_path / "there") == tmp_path / "there" / "runs" / first.name


def test_two_views_of_one_piece_of_ground_are_one_place(tmp_path, monkeypatch) -> None:
    """Those of Slovenia; intervals draw places."""
    views = [
        Case("", slovenia.FOLDER, name, "d", "d", (0, 0, 9, 9), Gap("cloud")) for name in ("scenes", "ndvi")
    ]
    monkeypatch.setattr(de_rows, "gap_row", lambda *_: {})
    monkeypatch.setattr(de_rows.cases, "sample", lambda *_: None)
    gaps = de_rows.gap_measured(de_rows.made_rows()["mean"], [(case, "T1") for case in views], tmp_path)
    sample = SimpleNamespace(
        tile=SimpleNamespace(gaps=np.zeros((1, 9, 9), bool), image=np.zeros((1, 9, 9), np.float32)),
        scored=np.zeros((9, 9), bool),
    )
    monkeypatch.setattr(aligndiff_rows, "numbers_of", lambda *_: {})
    rows = aligndiff_rows.measured(lambda one: (one.tile.image, None), lambda _: sample, views, None)
    assert gaps["place"] == rows["place"] == [slovenia.FOLDER] * 2
