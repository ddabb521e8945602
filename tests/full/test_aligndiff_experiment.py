"""The AlignDiff experiment on made land with a tiny budget: every table, figure and cached row."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import rasterio  # noqa: E402
from hills import hills  # noqa: E402
from terramend.backend.datasets.gaps import Gap  # noqa: E402
from terramend.backend.evaluation import cases  # noqa: E402
from terramend.backend.evaluation.make_cases import make_cases  # noqa: E402
from terramend.backend.experiments import (  # noqa: E402
    aligndiff,
    aligndiff_report,
    aligndiff_rows,
    aligndiff_runs,
    command,
    runs,
)
from terramend.backend.watch import Watch  # noqa: E402

TRAINING = {"training": {"steps": 4, "batch": 2, "warmup": 1, "save_every": 4, "average": 0.5}}
CONFIG = {
    "stage": "autoencoder",
    "start": "",
    "size": 32,
    "without": [],
    "data": {"wavelengths": [], "terrain": True},
    "noise": {"schedule": "scaled-linear", "steps": 100, "predicts": "x0"},
    "vocabulary": {"merges": 10, "length": 10},
    "samples": {"folder": "", "count": 4, "seed": 0},
    "alignment": {"weights": "", "distribution": 1.0, "style": 100.0, "size": 32},
    "rank": 4,
    "network": {
        "bands": 1,
        "colours": 1,
        "unshuffle": 4,
        "residual": True,
        "autoencoder": {
            "down_block_types": ["DownEncoderBlock2D"] * 2,
            "up_block_types": ["UpDecoderBlock2D"] * 2,
            "block_out_channels": [8, 8],
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "latent_channels": 4,
            "mid_block_add_attention": False,
        },
        "unet": {
            "sample_size": 4,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "block_out_channels": [8, 8],
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "cross_attention_dim": 8,
            "attention_head_dim": 2,
        },
        "controlnet": {"conditioning_embedding_out_channels": [4, 4, 4, 4]},
        "text": {
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 10,
        },
    },
    "autoencoder": TRAINING,
    "diffusion": {"own": 0.5, **TRAINING},
    "adapter": {"own": 1.0, **TRAINING},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two splits: hills with a DEM, two dates, and a clouded place whose mask gives the shapes."""
    root = tmp_path_factory.mktemp("data")
    y, x = np.mgrid[:64, :72]
    cloud = ((y - 30) ** 2 + (x - 30) ** 2 < 220).astype("uint8")
    for split in ("train", "val"):
        place = hills(root / split, 64, 72, (490, 560, 665)) / "hills" / "clouded"
        for path in sorted(shutil.copytree(place.with_name("one"), place).glob("2020*.tif")):
            with rasterio.open(path) as source:
                profile = {**source.profile, "count": 1, "dtype": "uint8"}
            with rasterio.open(path.with_name(f"{path.stem}_mask.tif"), "w", **profile) as sink:
                sink.write(cloud, 1)
    return root


def test_every_row_is_trained_and_measured_once(data, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        aligndiff_runs, "RIVALS", {"1": {"stcnn": ("observed", "gap", "terrain")}, "2": {"lama": ()}}
    )
    monkeypatch.setattr(aligndiff_runs, "VISIBLE", (490.0, 560.0))
    monkeypatch.setattr(aligndiff_report, "SHOWN", ("harmonic", "AlignDiff"))
    (tmp_path / "tiny.json").write_text(json.dumps(CONFIG))
    recipe = make_cases(data / "val", "val", 3)
    few = [next(c for c in recipe.cases if c.gap.kind == kind) for kind in ("cloud", "random")]
    cases.save(dataclasses.replace(recipe, cases=tuple(few)), tmp_path / "cases.json")

    def run(task: str, out: Path = tmp_path / "out") -> str:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        words = [f"aligndiff-{task}", "--data", data, "--out", out]
        words += ["--config", tmp_path / "tiny.json", "--cases", tmp_path / "cases.json", "--seeds", "1"]
        words += ["--budget", "0.5", "--each", "1", "--quality", "fast", "--also", "nearest"]
        command.main(parser.parse_args([str(word) for word in words]), Watch())
        return capsys.readouterr().out

    printed = {task: run(task) for task in ("task1", "task2")}
    ours = ["AlignDiff", "AlignDiff, {} withheld", "AlignDiff without adapter"]
    over = ["AlignDiff over harmonic", "AlignDiff over harmonic, {} withheld"]
    over += ["AlignDiff, drawn to the surroundings' statistics"]
    wanted = {
        "task1": [
            "mean",
            "harmonic",
            "guided",
            "nearest",
            "stcnn",
            *ours,
            "AlignDiff trained without DEM",
            *over,
        ],
        "task2": ["harmonic", "copy", "guided", "nearest", "lama", *ours, *over],
    }
    for task, what in (("task1", "DEM"), ("task2", "other date")):
        out = tmp_path / "out" / task
        told = json.loads((out / "report.json").read_text())
        for kind in ("cloud", "random"):
            names = [row[0] for row in told[f"gaps: {kind}"]["rows"]]
            assert names == [name.format(what) for name in wanted[task]]
        assert all(float(value) > 0 for _, value in told["the autoencoder alone, in reflectance"]["rows"])
        sentences = " ".join(told["findings"])
        assert "AlignDiff against harmonic: PSNR" in sentences and "brightness off by" in sentences
        assert ("bands together against one by one: SAM" in sentences) == (task == "task1")
        for name in ("report.html", "shares.png", "pictures.png", "rows.csv"):
            assert (out / name).stat().st_size > 500, name
        with (out / "rows.csv").open(newline="") as source:
            rows = list(csv.DictReader(source))
        assert {row["task"] for row in rows if row["method"] == "AlignDiff"} == {task[-1]}
    folders = [path.name for path in (tmp_path / "out" / "runs").iterdir()]
    assert len([name for name in folders if name.startswith("aligndiff-autoencoder")]) == 1
    steps = {name: len(_losses(tmp_path / "out" / "runs" / name)) for name in folders}
    # Stages of two samples a step saw 2 x (2 + 2); a rival of eight a step sees as many in one.
    assert {name.split("-")[0]: n for name, n in steps.items() if name.startswith(("stcnn", "lama"))} == {
        "stcnn": 1,
        "lama": 1,
    }
    assert {n for name, n in steps.items() if name.startswith("aligndiff-autoencoder")} == {4}  # whole
    assert {n for name, n in steps.items() if name.startswith("aligndiff-diffusion")} == {2}  # half
    monkeypatch.setattr(aligndiff, "measured", None)  # nothing is measured again
    monkeypatch.setattr(runs, "train", None)  # nor trained
    (tmp_path / "out").rename(tmp_path / "moved")  # also where it is called from elsewhere
    monkeypatch.chdir(tmp_path)
    assert {task: run(task, Path("moved")) for task in ("task1", "task2")} == printed


def _losses(run) -> list[str]:
    return (run / "loss.csv").read_text().splitlines()[1:]


def test_single_pixels_of_a_few_places_and_clouds_of_all() -> None:
    def case(place: str, kind: str, share: float = 0.0) -> cases.Case:
        gap = Gap(kind, fraction=share)
        return cases.Case("", "hills", place, "d", "d", (0, 0, 9, 9), gap, tracks={"T1": cases.View()})

    found = [case(p, "random", s) for p in "ab" for s in (0.1, 0.3, 0.3)]
    found += [case(p, "cloud") for p in "aab"] + [case("a", "blob")]
    chosen = aligndiff.chosen_cases(cases.Recipe("val", 0, {}, tuple(found)), "T1", 1)
    told = [(c.place, c.gap.kind, c.gap.fraction) for c in chosen]
    assert told == [("a", "random", 0.1), ("a", "random", 0.3), ("a", "cloud", 0.0), ("b", "cloud", 0.0)]
    assert not aligndiff.chosen_cases(cases.Recipe("val", 0, {}, tuple(found)), "S-DEM", 1)


def test_gains_by_hand() -> None:
    def numbers(*psnr: float) -> dict:
        return {"psnr": list(psnr), "kind": ["cloud"] * 2, "place": ["a", "b"], "share": [0.2, 0.2]}

    ours, theirs = [numbers(31, 33), numbers(30, 34)], [numbers(30, 31)]
    told = aligndiff_report.gain(ours, theirs, "A", "B", "cloud")
    # Means over seeds: 0.5 and 2.5; over places 1.5, between 0.5 and 2.5.
    assert (
        told
        == "cloud: A against B: PSNR +1.50 dB [+0.50, +2.50] over 2 places, better with 2 of 2 seeds: better."
    )
    assert aligndiff_report.gain(theirs, ours[:1], "B", "A", "cloud").endswith("0 of 1 seeds: worse.")
    more, less = ([numbers(30, 30) | {"rmse": rmse}] for rmse in ([0.02, 0.03], [0.01, 0.01]))
    assert aligndiff_report.gain(more, less, "A", "B", "cloud", "rmse").endswith("with 0 of 1 seeds: worse.")
    assert aligndiff_report.gain(less, more, "A", "B", "cloud", "rmse").endswith("with 1 of 1 seeds: better.")
    alone = [{name: values[:1] for name, values in numbers(31, 33).items()}]
    told = aligndiff_report.gain(alone, alone, "A", "B", "cloud")
    assert (
        told
        == "cloud: A against B: PSNR +0.00 dB at one place, better with 0 of 1 seeds: not to be told apart."
    )
    head, body = aligndiff_report.per_share({"A": ours, "B": theirs}, "cloud")
    assert head == ["method", "20%"] and body == [["A", "32.00"], ["B", "30.50"]]
    head, body = aligndiff_report.per_place({"A": ours, "B": theirs}, "cloud")
    assert head == ["place", "A", "B"] and body[0] == ["a", "30.50 +- 0.71", "30.00"]


def test_numbers_by_hand(data) -> None:
    recipe = make_cases(data / "val", "val", 3)
    case = next(c for c in recipe.cases if "S-DEM" in c.tracks)
    sample = cases.sample(case, "S-DEM", data / "val")
    filled = np.where(sample.scored, sample.truth + np.float32(0.01), sample.truth)
    numbers = aligndiff_rows.numbers_of(filled, sample)
    assert numbers["psnr"] == pytest.approx(40, abs=1e-3)
    assert numbers["full.psnr"] == pytest.approx(40 - 10 * np.log10(sample.scored.mean()), abs=1e-3)
    assert numbers["brightness"] - numbers["brightness of the truth"] == pytest.approx(0.01, abs=1e-5)
    assert numbers["mae"] == pytest.approx(0.01, abs=1e-5)
