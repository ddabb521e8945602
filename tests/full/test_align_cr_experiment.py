"""The Align-CR experiment on a tiny budget: cases, rows, tables; land cover and the judge of it."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")
import rasterio  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.experiments import (  # noqa: E402
    align_cr,
    align_cr_report,
    align_cr_speed,
    command,
    radar_cases,
    radar_rows,
    runs,
)  # fmt: skip
from terramend.backend.experiments.align_cr_speed import Speed  # noqa: E402
from terramend.backend.training import radar, removers, segmenter  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.rivals.network import RADAR  # noqa: E402


@pytest.fixture
def pack(tmp_path):
    """Two scenes to learn from, two to measure on, and one that training must leave out."""
    random = np.random.default_rng(0)
    names = {"train": ("sample_1", "sample_2", "ROIs1970_fall_139_p839"), "val": ("sample_3", "sample_4")}
    for split, scenes in names.items():
        folder = tmp_path / "pack" / split / "s1_s2_triplets"
        folder.mkdir(parents=True)
        for index, name in enumerate(scenes):
            rough = random.integers(0, 1500, (6, 170, 165))
            clear = (800 + rough).astype(np.uint16)
            prob = np.zeros((1, 170, 165), np.uint8)
            prob[:, 20 : 60 + 40 * index, 10:150] = 90
            cloudy = np.where(prob > 40, 6000, clear).astype(np.uint16)
            sar = (-1500 + rough[:2] // 4).astype(np.int16)
            for word, image in (("clear", clear), ("cloudy", cloudy), ("cloudprob", prob), ("s1", sar)):
                options = {
                    "driver": "GTiff",
                    "height": 170,
                    "width": 165,
                    "count": len(image),
                    "dtype": image.dtype,
                }
                with rasterio.open(folder / f"{name}_{word}.tif", "w", **options) as sink:
                    sink.write(image)
    return tmp_path / "pack"


def options(pack, out, *more):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["align-cr", "--data", str(pack), "--out", str(out), *more])


def test_cases_are_of_scenes_that_nobody_trained_on(pack) -> None:
    found = radar_cases.cases(pack)
    assert {case.place.rsplit("/", 1)[1] for case in found} == {
        "sample_3",
        "sample_4",
        "ROIs1970_fall_139_p839",
    }
    assert sum(not case.made for case in found) == 3 and len(found) == 3 * (1 + 5 * radar_cases.DRAWS)
    assert len({case.key for case in found}) == len(found)
    for case in found:
        assert case.clear.shape == (6, 160, 160) and case.sar is not None and case.bands == list(range(6))
        clear = ~case.cloud
        assert case.made == ("%" in case.name)
        assert np.abs(case.cloudy - case.clear)[:, clear].max(initial=0) < 0.05
        if case.cloud.any():
            assert (case.cloudy - case.clear)[:, case.cloud].mean() > 0.05
    again = radar_cases.cases(pack, 1)
    assert len(again) == len(found) / 3
    assert all(np.array_equal(a.cloudy, b.cloudy) for a, b in zip(found, again))
    with pytest.raises(TerramendError):
        radar_cases.cases(pack / "train")


def test_the_pack_has_real_ones_and_a_map(data_pack) -> None:
    every = radar_cases.cases(data_pack)
    made = [case for case in every if case.made]
    assert all(radar_cases.LEVELS[case.level] == case.name.split("/")[-2] for case in made)
    assert min(sum(case.level == level for case in made) for level in range(5)) >= 8
    found = [case for case in every if not case.made]
    names = {case.place for case in found}
    assert {"planet_cr/fall_1_p_457", "s1_s2_triplets/ROIs1970_fall_139_p839"} <= names and len(found) >= 4
    (planet,) = [case for case in found if case.fine]
    assert planet.bands == [0, 1, 2, 3] and set(np.unique(planet.classes)) <= {0, 1, 2, 3, 4}
    assert (planet.classes == 2).mean() > 0.3  # mostly crops


def test_runs_on_a_tiny_budget_and_keeps_what_it_has(pack, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(radar, "write", lambda network, path, native=False: path.touch())
    monkeypatch.setattr(radar_cases, "SIDE", 64)
    small = load_config("align-cr", "small")

    def tiny(name, size, changes=None):
        config = load_config(name, size, changes)
        config["size"] = 32
        if name == "align-cr":
            config["network"] |= {"width": 8, "growth": 4, "blocks": 1, "dense": 1}
        if name == "segmenter":
            config["training"] |= {"steps": 3, "warmup": 0}
        return config

    monkeypatch.setattr(align_cr, "load_config", tiny)
    out = tmp_path / "out"
    chosen = options(pack, out, "--budget", "0.002", "--seeds", "2", "--rivals", "dsen2-cr", "--scenes", "1", "--parts", "tables")  # fmt: skip
    align_cr.main(chosen, Watch())
    told = json.loads((out / "report.json").read_text())
    titles = {f"Table 2, {p}, {c} cloud" for p in ("full", "hole") for c in ("real", "made")}
    titles |= {f"Figure 5, {p}, {m}" for p in ("full", "hole") for m in ("psnr", "mae", "sam", "ssim")}
    assert titles | {"Table 2, by land cover", "Table 3", "Figure 6", "findings", "speed"} == told.keys()
    rows = {row[0]: row[1:] for row in told["Table 2, hole, made cloud"]["rows"]}
    assert list(rows) == [
        "do nothing",
        "harmonic surface",
        "guided",
        "guided with radar",
        *align_cr.SWITCHES,
        "dsen2-cr",
    ]
    psnr = {name: float(cells[0].split()[0]) for name, cells in rows.items()}
    assert psnr["do nothing"] < 12 < 20 < psnr["harmonic surface"]
    assert "+-" in rows["Align-CR"][0] and "+-" not in rows["dsen2-cr"][0]
    free = next(row for row in told["Table 3"]["rows"] if row[0] == "cloud-free")
    assert float(free[-1]) >= max(float(row[-1]) for row in told["Table 3"]["rows"][1:2])
    blind = "radar, Align-CR over Align-CR without radar, "
    assert any(line.startswith(f"{blind}80-100 % made cloud, hole") for line in told["findings"])
    assert any(line.startswith(f"{blind}full") and "fifth of cloud" in line for line in told["findings"])
    names = ("report.html", "figure5-full.png", "figure5-hole.png", "figure6.png", "pictures.png")
    assert all((out / name).exists() for name in names)
    samples = round(small["training"]["steps"] * 0.002) * small["training"]["batch"]
    assert f"saw {samples} samples" in (out / "report.html").read_text()
    folders = sorted(path.name for path in (out / "runs").iterdir())
    assert len(folders) == 1 + 2 * 3 + 1
    monkeypatch.setattr(runs, "train", None)  # nothing is trained again
    align_cr.main(chosen, Watch())
    capsys.readouterr()


def test_radar_is_withheld_or_turned_over(pack) -> None:
    class Sees(torch.nn.Module):
        inputs, outputs, sar = 10, 6, 3

        def forward(self, x):
            return x[:, 7:8].expand(-1, 6, -1, -1)

    case = radar_cases.cases(pack, 1)[0]
    plain = radar_rows.network("it", Sees(), "key")
    seen = plain.make(case, "full")
    turned = radar_rows.turned("turned", plain).make(case, "full")
    assert np.array_equal(turned, seen[:, ::-1, ::-1]) and not np.array_equal(turned, seen)
    assert not radar_rows.network("it", Sees(), "key", blind=True).make(case, "full").any()


def test_words_that_are_no_part_are_said(pack, tmp_path) -> None:
    with pytest.raises(TerramendError, match="spa-gan"):
        align_cr.main(options(pack, tmp_path, "--rivals", "spa-gan"), Watch())


def test_the_report_says_what_each_network_saw() -> None:
    """The published schedules are not of one length."""
    asked = argparse.Namespace(config="small", budget=0.5)
    assert align_cr._samples(asked, ("mcgan",)) == "Every row that was trained for it saw 2000 samples."
    asked = argparse.Namespace(config="paper", budget=1.0)
    said = align_cr._samples(asked, ("mcgan", "glf-cr"))
    assert said == "Samples seen: align-cr 1800000, mcgan 100000, glf-cr 1200000."


def test_gain_is_paired_by_case() -> None:
    ours = {"hole.psnr": [20.0, 31.0, float("nan")], "place": ["a", "b", "c"]}
    theirs = {"hole.psnr": [19.0, 30.0, 5.0], "place": ["a", "b", "c"]}
    line = align_cr_report.gain([ours], [theirs], "radar", "hole.psnr", [True] * 3)
    assert line == "radar: +1.00 dB [+1.00, +1.00] over 2 places, positive with 1 of 1 seeds: it helps."
    line = align_cr_report.gain([ours], [theirs], "radar", "hole.psnr", [True, False, False])
    assert line == "radar: +1.00 dB at one place, positive with 1 of 1 seeds: no difference can be told."
    assert "no case" in align_cr_report.gain([ours], [theirs], "radar", "hole.psnr", [False] * 3)


def test_without_radar_means_that_no_plane_of_it_is_shown(tmp_path, monkeypatch) -> None:
    chosen = []
    monkeypatch.setattr(align_cr, "trained", lambda _, config, *__: chosen.append(config) or tmp_path)
    monkeypatch.setattr(radar, "load", lambda _: None)
    options = argparse.Namespace(config="small", budget=1.0)
    for switch in align_cr.SWITCHES.values():
        align_cr._row("align-cr", "row", switch, 0, options, Watch())
    given = torch.zeros(1, 10, 8, 8)
    given[:, 7:] = 1  # radar, and where it is known
    networks = [removers.built(config["network"], RADAR) for config in chosen]
    assert [bool(radar.fitted(network, given).any()) for network in networks] == [True, True, False]


def test_what_is_lost_of_pixel_accuracy_is_counted_from_the_clear_image() -> None:
    right, half = np.diag([8, 0, 8, 0]), np.array([[4, 4, 0, 0], [0] * 4, [4, 0, 4, 0], [0] * 4])
    clear, found = (
        {"level": list(range(5)), "confusion": [matrix.ravel().tolist()] * 5} for matrix in (right, half)
    )
    head, body = align_cr_report._lost({"a": [found]}, clear)
    assert head[0] == "method" and body == [["a", *5 * ["50.0"]]]


def test_rise_is_the_slope_over_levels_scene_by_scene() -> None:
    about = {"place": ["a"] * 3 + ["b"] * 3, "level": [0, 2, 4] * 2, "made": [True] * 6}
    theirs = {**about, "full.psnr": [20.0] * 6}
    ours = {**about, "full.psnr": [20.0, 20.4, 20.8, 20.0, 21.2, 22.4]}
    line = align_cr_report.rise([ours], [theirs], "radar", "full.psnr")
    each = "radar, for each further fifth of cloud: "
    assert line == f"{each}+0.40 dB [+0.20, +0.60] over 2 places: grows with cloud."
    one = {**ours, "made": [True] * 3 + [False] * 3}
    line = align_cr_report.rise([one], [theirs], "radar", "full.psnr")
    assert line == f"{each}+0.20 dB at one place: no trend can be told."
    assert "one level" in align_cr_report.rise([{**ours, "level": [1] * 6}], [theirs], "radar", "full.psnr")


def test_costs_are_compared_with_a_network_of_plain_convolutions() -> None:
    found = [
        Speed("align-cr (paper)", 5.0, 10.0, 45.5, 468.0),
        Speed("dsen2-cr (paper)", 9.0, 16.0, 18.9, 1239.0),
    ]
    head, body = align_cr_report._costs(found)
    assert body[0] == ["align-cr (paper)", "5.00", "10.00", "45.50", "468.0", "-", "0.62", "0.89"]
    assert len(head) == len(body[0])


def test_speeds_are_of_every_network_and_of_eight_bits(pack, monkeypatch) -> None:
    def tiny(name, size, changes=None):
        config = load_config(name, "small", changes)
        if name in ("align-cr", "glf-cr"):
            config["network"] |= {"width": 8, "growth": 4, "heads": 2}
        if name == "align-cr":
            config["network"] |= {"groups": 2}
        return config

    monkeypatch.setattr(align_cr_speed, "SIDE", 32)
    monkeypatch.setattr(align_cr_speed, "threads", nullcontext)  # two wait for each other on a busy machine
    monkeypatch.setattr(align_cr_speed, "CALIBRATION", 2)
    monkeypatch.setattr(align_cr_speed, "load_config", tiny)
    threads = torch.get_num_threads()
    found = {speed.name: speed for speed in align_cr_speed.speeds("small", None, pack)}
    assert torch.get_num_threads() == threads
    assert {f"{kind} ({size})" for kind in RADAR for size in ("paper", "small")} < found.keys()
    assert align_cr_speed.REPORTED.keys() < found.keys()
    assert all(speed.seconds >= 0 and speed.processor >= 0 for speed in found.values())
    float32, native, eight = (found[f"align-cr (small), ONNX, {w}"] for w in ("GridSample", "DeformConv", "eight bits"))  # fmt: skip
    assert float32.differs < 1e-4 and native.differs < 1e-4 and eight.differs < 0.05


@pytest.mark.parametrize("kind", ["small", "deeplabv3+"])
def test_judges_learn_and_take_any_size(kind) -> None:
    torch.manual_seed(0)
    values = {"blocks": (1, 1, 1, 1)} if kind == "deeplabv3+" else {"width": 8}
    net = segmenter.built({"kind": kind, "bands": 4, "classes": 4, **values})
    image = torch.rand(2, 4, 32, 32)
    batch = {"image": image, "labels": (image[:, 3] > 0.5).long()}
    batch["labels"][0, 0, 0] = 255
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        terms = segmenter.loss(net, batch, 0)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        losses.append(float(terms["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    found = segmenter.classes(net.eval(), np.random.default_rng(0).random((6, 37, 21)).astype(np.float32), 4)
    assert found.shape == (37, 21) and found.max() < 4


def test_deeplab_has_its_published_size() -> None:
    with torch.device("meta"):
        net = segmenter.built(load_config("segmenter", "paper")["network"])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(40.35, abs=0.05)
    with pytest.raises(TerramendError):
        segmenter.built({"kind": "huge"})
