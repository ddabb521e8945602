"""The AlignDiff experiment on made land with a tiny budget: every table, figure and cached row."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import rasterio  # noqa: E402
from terramend.backend.evaluation import cases  # noqa: E402
from terramend.backend.evaluation.make_cases import make_cases  # noqa: E402
from terramend.backend.experiments import aligndiff, aligndiff_rows, command, runs  # noqa: E402
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
    "diffusion": TRAINING,
    "adapter": TRAINING,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two splits: hills with a DEM, two dates, and a clouded place whose mask gives the shapes."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:64, :72]
    profile = {
        "driver": "GTiff", "height": 64, "width": 72, "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
    }  # fmt: skip
    for split in ("train", "val"):
        for place in ("one", "two", "clouded"):
            folder = root / split / "hills" / place
            folder.mkdir(parents=True)
            relief = 300 + 200 * np.sin(x / 11 + len(place) + len(split)) * np.cos(y / 9)
            with rasterio.open(folder / "dem.tif", "w", count=1, dtype="int16", **profile) as sink:
                sink.write(relief.astype("int16"), 1)
            for date, gain in (("2020-05-01", 1.0), ("2020-07-01", 1.2)):
                bands = np.stack([1500 + 300 * k + gain * relief for k in range(3)])
                with rasterio.open(folder / f"{date}.tif", "w", count=3, dtype="uint16", **profile) as sink:
                    sink.write((bands + random.normal(0, 20, bands.shape)).astype("uint16"))
                if place == "clouded":
                    cloud = ((y - 30) ** 2 + (x - 30) ** 2 < 220).astype("uint8")
                    with rasterio.open(
                        folder / f"{date}_mask.tif", "w", count=1, dtype="uint8", **profile
                    ) as sink:
                        sink.write(cloud, 1)
    return root


def test_every_row_is_trained_and_measured_once(data, tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(CONFIG))
    recipe = make_cases(data / "val", "val", 3)
    few = [next(c for c in recipe.cases if c.gap.kind == kind) for kind in ("cloud", "random")]
    cases.save(dataclasses.replace(recipe, cases=tuple(few)), tmp_path / "cases.json")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["aligndiff", "--data", data, "--out", tmp_path / "out", "--config", tmp_path / "tiny.json"]
    words += ["--cases", tmp_path / "cases.json", "--seeds", "1", "--budget", "0.5", "--each", "1"]
    words += ["--quality", "fast", "--also", "nearest"]
    options = parser.parse_args([str(word) for word in words])
    command.main(options, Watch())
    printed = capsys.readouterr().out
    out = tmp_path / "out"
    told = json.loads((out / "report.json").read_text())
    assert {"task1.cloud", "task1.random", "task2.cloud", "task2.random"} <= set(told)
    names = [row[0] for row in told["task1.cloud"]["rows"]]
    assert names == [
        "mean", "harmonic", "guided", "nearest", "AlignDiff", "AlignDiff, DEM withheld",
        "AlignDiff without adapter", "AlignDiff trained without DEM", "AlignDiff over guided",
    ]  # fmt: skip
    assert "AlignDiff against harmonic" in printed and "autoencoder alone" in printed
    assert all(value > 0 for value in told["autoencoder"].values())
    for name in ("report.html", "shares1.png", "shares2.png", "task1.png", "rows.csv"):
        assert (out / name).stat().st_size > 500, name
    with (out / "rows.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert {row["task"] for row in rows if row["method"] == "AlignDiff"} == {"1", "2"}
    monkeypatch.setattr(aligndiff, "measured", None)  # nothing is measured again
    monkeypatch.setattr(runs, "train", None)  # nor trained
    command.main(options, Watch())
    assert capsys.readouterr().out == printed


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
