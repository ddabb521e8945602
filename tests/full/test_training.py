"""Whole training runs: killed and resumed, and the experiment that is built on them."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import cv2  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.experiments import command, de_report, de_rows, runs, schedules_report  # noqa: E402
from terramend.backend.experiments import de as experiment  # noqa: E402
from terramend.backend.training import checkpoint, de, loop, removers, sample_command  # noqa: E402
from terramend.backend.training import command as training  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402

REMOVER = {
    "size": 16,
    "data": {"wavelengths": [665, 560, 490]},
    "network": {"kind": "spa-gan", "inputs": 3, "outputs": 3, "width": 4, "passes": 1, "adversary": 4},
    "training": {"steps": 12, "batch": 2, "warmup": 2, "save_every": 4},
}
NET = {"base": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4, "unshuffle": 4}
PART = {"size": 16, "shrink": 1, "training": {"steps": 4, "batch": 2, "warmup": 1, "save_every": 4}}
ENHANCEMENT = {
    "use": "clear",
    "stage": "coarse",
    "start": "",
    "reference": "",
    "data": {"wavelengths": [665, 560, 490]},
    "diffusion": {"noise": "linear", "steps": 100, "clip": 1.0, "predicts": "epsilon"},
    "balance": 1.0,
    "network": {"bands": 3, "mask": False, "predictor": NET, "allocator": NET},
    **dict.fromkeys(("coarse", "weights", "joint"), PART),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two splits in the layout of RICE: smooth land, and haze over it."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for side in ("cloud", "label"):
            (root / split / "RICE1" / side).mkdir(parents=True)
        for name in "abc":
            land = cv2.GaussianBlur(random.random((48, 40, 3)).astype(np.float32), (9, 9), 3)
            haze = cv2.GaussianBlur(random.random((48, 40)).astype(np.float32), (31, 31), 9)[..., None]
            for side, image in (("label", land), ("cloud", land * (1 - haze) + haze)):
                cv2.imwrite(
                    str(root / split / "RICE1" / side / f"{name}.png"), (image * 255).astype(np.uint8)
                )
    return root


def curve(folder):
    """Loss columns of a run; the time column differs between runs."""
    with (folder / "loss.csv").open(newline="") as source:
        return [[v for k, v in row.items() if k != "seconds"] for row in csv.DictReader(source)]


def options(name, config, data, out):
    return argparse.Namespace(
        name=name, config=str(config), data=data / "train", out=out, set=[], schedule=None, device="cpu"
    )


def test_a_killed_run_resumes_to_the_same_curve(data, tmp_path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(REMOVER))
    slow = tmp_path / "slow.json"  # steps enough to be killed among
    slow.write_text(json.dumps({**REMOVER, "training": {**REMOVER["training"], "steps": 4000}}))
    killed = tmp_path / "killed"
    words = ["train", "spa-gan", "--config", str(slow), "--data", str(data / "train"), "--out", str(killed)]
    process = subprocess.Popen(
        [sys.executable, "-m", "terramend.backend", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        while checkpoint.latest(killed) is None:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    newest = checkpoint.latest(killed)  # the one before may be there too
    reached = int(newest.name.removeprefix("step-"))
    steps = reached + 5
    for path in (config, slow):
        path.write_text(json.dumps({**REMOVER, "training": {**REMOVER["training"], "steps": steps}}))
    # The rate's schedule knows the last step, so both runs must end at the same one: the killed
    # run's rows before the kill are those of a run of 4000 steps.
    early = curve(killed)[:reached]
    training.main(options("spa-gan", slow, data, killed), Watch())
    assert curve(killed)[:reached] == early and len(curve(killed)) == steps
    assert (killed / "remover.onnx").exists()


def test_a_resumed_run_is_the_run_that_was_never_interrupted(data, tmp_path, monkeypatch) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(REMOVER))
    training.main(options("spa-gan", config, data, tmp_path / "whole"), Watch())

    class Stop(Watch):
        done = 0

        def advance(self, units: int = 1) -> None:
            self.done += units
            if self.done == 7:  # between two checkpoints
                raise InterruptedError

    with pytest.raises(InterruptedError):
        training.main(options("spa-gan", config, data, tmp_path / "broken"), Stop())
    training.main(options("spa-gan", config, data, tmp_path / "broken"), Watch())
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    made, whole = (checkpoint.stored(tmp_path / name / "remover.safetensors") for name in ("broken", "whole"))
    assert all(torch.equal(made[name], whole[name]) for name in whole)  # the averages, too


@pytest.mark.posix("rights of files")
def test_others_may_read_and_go_on_with_a_run(data, tmp_path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(REMOVER))
    training.main(options("spa-gan", config, data, tmp_path / "run"), Watch())
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {config.stat().st_mode}
    assert sum(path.suffix == ".safetensors" for path in files) == 5


def test_a_cancelled_run_says_what_is_kept(data, tmp_path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(REMOVER))
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.done == 6 else None)
    with pytest.raises(TerramendError, match=r"kept in .*run, and the same command goes on") as caught:
        training.main(options("spa-gan", config, data, tmp_path / "run"), watch)
    assert caught.value.exit_status == 4
    assert checkpoint.latest(tmp_path / "run").name == "step-7"  # after the sixth it was asked for
    training.main(options("spa-gan", config, data, tmp_path / "run"), Watch())
    training.main(options("spa-gan", config, data, tmp_path / "whole"), Watch())
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")


def test_a_run_without_a_step_is_written_all_the_same(data, tmp_path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps({**REMOVER, "training": {**REMOVER["training"], "steps": 0}}))
    training.main(options("spa-gan", config, data, tmp_path / "run"), Watch())
    assert (tmp_path / "run" / "remover.onnx").exists() and (tmp_path / "run" / "loss.png").exists()


def test_a_folder_that_was_begun_with_another_configuration_is_said(data, tmp_path) -> None:
    """Also where the weights would fit: a finished run would only get other words for what it learnt."""
    config, run = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(REMOVER))
    training.main(options("spa-gan", config, data, run), Watch())
    config.write_text(json.dumps({**REMOVER, "size": 20}))
    said = r"step-12 was begun with .* \(size was 16, and is 20\): name a new folder"
    with pytest.raises(TerramendError, match=said):
        training.main(options("spa-gan", config, data, run), Watch())
    config.write_text(json.dumps({**REMOVER, "network": {**REMOVER["network"], "width": 8}}))
    with pytest.raises(TerramendError, match=r"\(network.width was"):
        training.main(options("spa-gan", config, data, run), Watch())
    longer = {**REMOVER, "training": {**REMOVER["training"], "steps": 14, "rate": 1e-4}}
    config.write_text(json.dumps(longer))
    training.main(options("spa-gan", config, data, run), Watch())
    assert len(curve(run)) == 14
    (run / "begun.json").unlink()  # as before there was one
    config.write_text(json.dumps({**REMOVER, "network": {**REMOVER["network"], "width": 8}}))
    with pytest.raises(TerramendError, match="was begun with another configuration .* name a new folder"):
        training.main(options("spa-gan", config, data, run), Watch())


def test_a_folder_is_trained_in_by_one_run_at_a_time(data, tmp_path) -> None:
    """Each would clear away the checkpoints that the other is writing."""
    config, run = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(REMOVER))
    found = []

    def second(progress: object) -> None:
        if not found:
            with pytest.raises(
                TerramendError, match="Another run writes to .*run: wait for it or end"
            ) as one:
                training.main(options("spa-gan", config, data, run), Watch())
            found.append(one.value.code)

    training.main(options("spa-gan", config, data, run), Watch(on_progress=second))
    assert found == ["training.busy"] and len(curve(run)) == 12
    training.main(options("spa-gan", config, data, run), Watch())
    assert not (run / ".running").exists()


def test_data_that_a_run_was_not_begun_with_are_said(data, tmp_path) -> None:
    """Where they are only elsewhere, or QGIS put something beside them, they are the same."""
    config, run = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps({**REMOVER, "training": {**REMOVER["training"], "steps": 1}}))
    training.main(options("spa-gan", config, data, run), Watch())
    moved = shutil.copytree(data, tmp_path / "moved")
    (moved / "train" / "RICE1" / "label" / "a.png.aux.xml").write_text("<PAMDataset/>")
    (moved / "train" / ".listing").write_text("")
    training.main(options("spa-gan", config, moved, run), watch := Watch())
    assert not watch.notices
    for side in ("label", "cloud"):
        (moved / "train" / "RICE1" / side / "c.png").unlink()
    training.main(options("spa-gan", config, moved, run), watch := Watch())
    (notice,) = watch.notices
    assert notice.code == "training.data"
    assert "(6 files, " in notice.sentence and "(4 files, " in notice.sentence
    begun = json.loads((run / "begun.json").read_text())
    del begun["--data"]  # as before they were noted
    (run / "begun.json").write_text(json.dumps(begun))
    training.main(options("spa-gan", config, moved, run), watch := Watch())
    assert not watch.notices


@pytest.mark.parametrize("name", ["average.safetensors", "state.json"])
def test_a_checkpoint_that_was_cut_off_is_said(name, data, tmp_path) -> None:
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps({**REMOVER, "training": {**REMOVER["training"], "steps": 1}}))
    training.main(options("spa-gan", config, data, tmp_path / "run"), Watch())
    os.truncate(tmp_path / "run" / "step-1" / name, 7)
    with pytest.raises(TerramendError, match="step-1 cannot be read as a checkpoint .* remove it"):
        training.main(options("spa-gan", config, data, tmp_path / "run"), Watch())


def test_a_run_that_was_stopped_while_it_was_written_is_no_finished_run(data, tmp_path, monkeypatch) -> None:
    config = {**REMOVER, "training": {**REMOVER["training"], "steps": 1, "seed": 0}}
    asked = "spa-gan", config, argparse.Namespace(data=data, out=tmp_path, device="cpu"), Watch()
    with monkeypatch.context() as patched:
        patched.setattr(removers, "export", lambda *_: (_ for _ in ()).throw(InterruptedError))
        with pytest.raises(InterruptedError):
            runs.trained(*asked)
    assert (runs.trained(*asked) / "remover.onnx").exists()


def test_dropout_goes_on_where_it_was(tmp_path) -> None:
    def trained(out, stop=None):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))

        def batch(step, part):
            if step == stop:
                raise InterruptedError
            return {"x": torch.ones(4, 8)}

        def loss(model, batch, step):
            return {"loss": (model(batch["x"]) - 1).square().mean()}

        return loop.train(model, batch, loss, loop.Schedule(8, 4, save_every=3, warmup=1), out, Watch())

    whole = trained(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        trained(tmp_path / "broken", stop=5)
    again = trained(tmp_path / "broken")
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_the_scale_of_half_precision_goes_on_where_it_was(tmp_path, monkeypatch) -> None:
    """The scaler of fp16, here on a CPU: it doubles after every second step."""

    class Scaled(loop.Accelerator):
        def __init__(self, **_: object) -> None:
            super().__init__(cpu=True)
            self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)

    monkeypatch.setattr(loop, "Accelerator", Scaled)

    def scaler(steps):
        def loss(model, batch, step):
            return {"loss": model(batch["x"]).square().mean()}

        schedule = loop.Schedule(steps, 2, save_every=3)
        loop.train(
            torch.nn.Linear(1, 1), lambda *_: {"x": torch.ones(2, 1)}, loss, schedule, tmp_path, Watch()
        )
        return json.loads((tmp_path / f"step-{steps}" / "state.json").read_text())["scaler"]

    assert (scaler(3)["scale"], scaler(6)["scale"]) == (16, 64)


def test_the_experiment_measures_every_row_once(data, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(de_rows, "STEPS", (2, 3))
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(ENHANCEMENT))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [
        "de",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--config",
        str(config),
        "--seeds",
        "1",
    ]
    words += ["--parts", "pairs", "--rivals", "amgan-cr", "--reference", "spa-gan", "--budget", "0.002"]
    watch = Watch()
    command.main(parser.parse_args(words), watch)
    told = capsys.readouterr().out
    said = {str(notice) for notice in watch.notices if notice.code == "experiment.trains"}
    made = [path for path in (tmp_path / "out" / "runs").iterdir() if path.is_dir()]
    assert said == {f"The network in {path} is trained." for path in made} and len(made) == 5
    report = json.loads((tmp_path / "out" / "report.json").read_text())["pairs"]
    names = [row[0] for row in report["rows"]]
    assert names == [
        "do nothing",
        "dark object subtraction",
        "mean and spread of clear images",
        "amgan-cr",
        "spa-gan (the reference)",
        "fixed W = .5",
        "DE",
        "diffusion alone",
        *(f"DE, limiting factor {v:g}" for v in (0, 0.1, 0.3, 0.5)),
        *(f"DE, {v} steps" for v in (2, 3)),
    ]
    assert "DE against spa-gan (the reference): gain" in told and "of 1 seeds" in told
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000

    def none(*_: object) -> None:
        raise AssertionError("a row or a run was made twice")

    monkeypatch.setattr(runs, "train", none)
    monkeypatch.setattr(experiment, "measured", none)
    watch = Watch()
    command.main(parser.parse_args(words), watch)
    assert capsys.readouterr().out == told and not watch.notices
    (tmp_path / "out").rename(tmp_path / "moved")  # and called from elsewhere
    monkeypatch.chdir(tmp_path)
    words[words.index("--out") + 1] = "moved"
    command.main(parser.parse_args(words), Watch())
    assert capsys.readouterr().out == told
    (joint,) = (tmp_path / "moved" / "runs").glob("de-joint-0-*")
    parser = argparse.ArgumentParser()
    sample_command.add_arguments(parser)
    picture = data / "val" / "RICE1" / "cloud" / "a.png"
    words = ["de", "--weights", str(joint), "--image", str(picture), "-o", str(tmp_path / "clear.png")]
    words += ["--steps", "4", "--save-weights-map", str(tmp_path / "w.png")]
    words += ["--save-trajectory", str(tmp_path / "x0.png")]
    sample_command.main(parser.parse_args(words), Watch())
    assert cv2.imread(str(tmp_path / "clear.png")).shape == (50, 42, 3)
    assert cv2.imread(str(tmp_path / "w.png")).shape == (50, 42 * 4, 3)
    assert cv2.imread(str(tmp_path / "x0.png")).shape == (50, 42 * 4, 3)


def test_findings_say_what_the_interval_allows() -> None:
    places = ["a", "b", "c", "d"]

    def numbers(*values: float):
        return [{"place": places, "full.psnr": list(values), "full.lpips": list(values)}]

    better = de_report.finding(numbers(21, 22, 23, 24), numbers(20, 20, 21, 21), "it", "full.psnr")
    assert better.endswith("DE is better.") and "+2.0000" in better
    assert de_report.finding(numbers(21, 22, 23, 24), numbers(20, 20, 21, 21), "it", "full.lpips").endswith(
        "DE is worse."
    )
    level = de_report.finding(numbers(21, 19, 22, 18), numbers(20, 20, 20, 20), "it", "full.psnr")
    assert level.endswith("no difference can be told.")
    places[:] = ["a"] * 4
    alone = de_report.finding(numbers(21, 22, 23, 24), numbers(20, 20, 21, 21), "it", "full.psnr")
    assert "gain +2.0000 at one place, " in alone and alone.endswith("no difference can be told.")


def test_a_lead_is_held_to_the_spread_over_seeds_which_one_seed_has_not() -> None:
    several = {"linear": {"fid": [5.0, 5.2]}, "cosine": {"fid": [4.0, 4.2]}}
    told = schedules_report.finding(several, "fid", "fid")
    assert (
        told == "fid: cosine < linear; the lead of cosine (1.0000) is clear of twice the spread over seeds."
    )
    for less in ([4.6, 5.6], [3.0, 5.6]):  # 1.4 times it, and 0.1
        several["linear"]["fid"] = less
        assert schedules_report.finding(several, "fid", "fid").endswith("within twice the spread over seeds.")
    one = {name: {"fid": values["fid"][:1]} for name, values in several.items()}
    told = schedules_report.finding(one, "fid", "fid")
    assert told.startswith("fid: linear < cosine; the lead of linear (1.0000) may be chance: one seed")
    assert schedules_report._spread([4.0]) == "4.0000" and "+- 0.1414" in schedules_report._spread([4.0, 4.2])


def test_rows_of_gap_filling(data_pack, tmp_path, monkeypatch) -> None:
    fill = {**ENHANCEMENT, "use": "fill", "stage": "joint", "reference": "guided"}
    fill["network"] = {"bands": 1, "mask": True, "predictor": NET, "allocator": NET}
    torch.manual_seed(0)
    de.write(de.Enhancement(de.layout(fill)), fill, tmp_path)
    monkeypatch.setattr(experiment, "_stages", lambda *_: tmp_path)
    monkeypatch.setattr(de_rows, "FILL_TRACKS", ("S",))
    monkeypatch.setattr(de_rows, "STEPS", (2, 3))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [
        "de",
        "--data",
        str(data_pack),
        "--out",
        str(tmp_path / "out"),
        "--parts",
        "gaps",
        "--gap-places",
        "1",
        "--seeds",
        "2",
    ]
    command.main(parser.parse_args(words), Watch())
    told = json.loads((tmp_path / "out" / "report.json").read_text())["gaps"]
    assert [row[0] for row in told["rows"]] == [
        "mean",
        "harmonic",
        "guided (the reference)",
        "fixed W = .5",
        "DE",
        "diffusion alone",
        *(f"DE, limiting factor {v:g}" for v in (0, 0.1, 0.3, 0.5)),
        *(f"DE, {v} steps" for v in (2, 3)),
    ]
    numbers = [float(row[1].split()[0]) for row in told["rows"]]
    assert all(5 < value < 80 for value in numbers)
    assert "+-" in told["rows"][4][1] and "+-" not in told["rows"][2][1]  # two seeds, one reference
    assert all("of 2 seeds" in line for line in told["findings"]) and len(told["findings"]) == 4
