"""What is wrong with a configuration is said in one sentence, before anything is trained."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from hills import hills  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from terramend.backend import device  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.experiments import command as experiments  # noqa: E402
from terramend.backend.training import checkpoint, command, export_command, names, recipe  # noqa: E402
from terramend.backend.training.loop import Schedule, train  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.weights import PACKAGED, read_manifest  # noqa: E402

REMOVERS = names.trained_by(".removers")


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("ddpm", "diffusion.noise", "square", "'square' is no noise schedule; there are linear, cosine"),
        ("ddpm", "diffusion.predicts", "y", "predicts is one of epsilon, x0, v, not y"),
        ("ddpm", "diffusion.steps", "1", "at least 2 steps"),
        ("ddpm", "training.steps", "many", "training.steps must be a number, not 'many'"),
        ("ddpm", "training.steps", "-1", "steps must be a whole number from 0 on, not -1"),
        ("ddpm", "training.batch", "0.5", "batch must be a whole number from 1 on, not 0.5"),
        ("ddpm", "training.rate", "0", "rate and clip lie above 0"),
        ("ddpm", "training.precision", "fp8", "precision is one of no, bf16, fp16, not fp8"),
        ("ddpm", "training.end", "1.5", "end lies between 0 and 1, not 1.5"),
        ("ddpm", "training.halve", "[1]", "halve holds two numbers"),
        ("ddpm", "training.halve", "[1, 0]", "halve holds two numbers from 1 on"),
        ("ddpm", "training.speed", "3", "it has no entry training.speed"),
        ("ddpm", "training", "3", "training must be a group of entries, not 3"),
        ("ddpm", "size", "null", "size must be a number, not None"),
        ("ddpm", "size", "0", "size must be a whole number from 1 on, not 0"),
        ("ddpm", "size.x", "1", "it has no entry size.x"),
        ("de", "training.rate", "1e-4", "it has no entry training.rate"),  # but one in every stage
        ("ddpm", "network.base", "7", "base must be even"),
        ("ddpm", "network.heads", "0", "heads must be a whole number from 1 on"),
        ("ddpm", "network.heads", "5", "heads must divide every width with attention"),
        ("ddpm", "network.multipliers", "[]", "multipliers must be a list of whole numbers"),
        ("ddpm", "network.inputs", "4", "inputs and outputs must be 3: red, green, blue"),
        ("de", "stage", "first", "stage is one of coarse, weights, joint, not first"),
        ("de", "stage", "weights", "the stage weights begins with the run before it: --set start=FOLDER"),
        ("de", "use", "look", "use is clear or fill, not look"),
        ("de", "network.bands", "4", "network.bands is 4, and data.wavelengths holds 3"),
        ("de", "diffusion.clip", "0", "clip lies above 0, not 0"),
        ("de", "coarse.shrink", "0", "shrink must be a whole number from 1 on"),
        ("de", "coarse.training.seed", "-4", "seed must be a whole number from 0 on"),
        ("de", "diffusion.steps", "2.5", "steps must be a whole number from 1 on, not 2.5"),
        ("palette", "noise.schedule", "square", "'square' is no noise schedule; there are linear, cosine"),
        ("palette", "noise.predicts", "y", "predicts is one of epsilon, x0, v, not y"),
        ("lama", "noise.steps", "1", "at least 2 steps"),
        ("stcnn", "noise.steps", "2.5", "steps must be a whole number from 1 on, not 2.5"),
        ("stcnn", "network.width", "-3", "negative dimension"),
        ("autoencoder", "size", "0", "size must be a whole number from 1 on, not 0"),
        ("mcgan", "size", "0", "size must be a whole number from 1 on, not 0"),
        ("segmenter", "size", "0", "size must be a whole number from 1 on, not 0"),
        ("aligndiff", "stage", "adapter", "the stage adapter begins with the run before it: --set start="),
        ("aligndiff", "size", "0", "size must be a whole number from 1 on, not 0"),
        ("aligndiff", "size", "50", "size must be a multiple of 16"),
        ("aligndiff", "network.bands", "-3", "negative dimension"),
        ("msda-cr", "network.inputs", "4", "network.inputs is 4, and data.wavelengths holds 3"),
        ("msda-cr", "data.haze", "2", "haze lies between 0 and 1, not 2"),
        ("msda-cr", "size", "1.5", "size must be a whole number from 1 on, not 1.5"),
    ],
)
def test_a_wrong_entry(name, key, value, said, tmp_path) -> None:
    with pytest.raises(TerramendError) as caught:
        recipe.made(name, recipe.load_config(name, "small", {key: value}), tmp_path, Watch())
    assert said in str(caught.value) and str(caught.value).startswith("The training configuration ")


def test_an_entry_of_a_stage_is_told_by_what_it_is_called() -> None:
    with pytest.raises(TerramendError) as caught:
        recipe.load_config("de", "small", {"training.steps": "20"})
    told = "no entry training.steps; there is coarse.training.steps, weights.training.steps, joint.training.steps"
    assert told in str(caught.value)
    with pytest.raises(TerramendError, match="there is coarse.training.accumulate,"):
        recipe.load_config("de", "small", {"training.accumulate": "2"})
    with pytest.raises(TerramendError, match=r"it has no entry training\.stepz\.$"):
        recipe.load_config("de", "small", {"training.stepz": "20"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON"),
        ("[]", "it must be a group of entries, not []"),
        ("{}", "it has no entry training"),
        ('{"size": "x"}', "size must be a number, not 'x'"),
        ('{"training": {"steps": 2}}', "it has no entry batch"),
    ],
)
def test_a_wrong_file(text, said, tmp_path) -> None:
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(TerramendError) as caught:
        recipe.made("ddpm", recipe.load_config("ddpm", str(path)), tmp_path, Watch())
    assert said in str(caught.value)


def test_optional_entries_can_be_set_though_no_file_has_them() -> None:
    config = recipe.load_config("ddpm", "small", {"training.accumulate": "3", "training.clip": "0.5"})
    made = recipe.build(Schedule, config["training"], "training")
    assert (made.accumulate, made.clip) == (3, 0.5)


def test_folders_that_are_set_are_found_in_the_home_folder(tmp_path, monkeypatch) -> None:
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    changes = {"start": "~/run", "reference": "~/remover", "stage": "shared"}
    config = recipe.load_config("de", "small", changes)
    assert [Path(config[key]) for key in changes] == [tmp_path / "run", tmp_path / "remover", Path("shared")]


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize(
    ("networks", "key", "value"),
    [
        ((*REMOVERS, "de"), "data.haze", 0),
        ((*REMOVERS, "de"), "data.without", ["planet_cr"]),
        (("align-cr",), "network.align", False),
        (("align-cr",), "network.sar", 0),
        (("align-cr",), "samples.bilinear", True),
        (("align-cr",), "samples.despeckle", True),
    ],
)
def test_what_the_guide_says_to_set_is_there_in_both_sizes(networks, key, value, size) -> None:
    group, entry = key.split(".")
    for name in networks:
        assert recipe.load_config(name, size, {key: json.dumps(value)})[group][entry] == value


@pytest.mark.parametrize("path", sorted(recipe.CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_configurations_are_of_the_kind_of_the_small_one(path) -> None:
    name = path.stem.rpartition("-")[0]
    assert recipe.load_config(name, str(path)) == json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("path", sorted(recipe.CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_samples_of_a_run_elsewhere_lie_beside_it(path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    def folders(out: Path) -> list[str]:
        config = json.loads(path.read_text("utf-8"))
        recipe.bring_samples(config, out)
        parts = config.get("samples", [])
        return [
            part["folder"] for part in ([parts] if isinstance(parts, dict) else parts) if "folder" in part
        ]

    here = folders(Path("out/group/run"))
    assert folders(tmp_path / "out" / "run") == here
    assert all(folder.startswith("out/") for folder in here)
    assert folders(Path("disk/run")) == [folder.replace("out/", "disk/", 1) for folder in here]


def test_of_data_with_its_splits_only_one_is_learnt_from(tmp_path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    watch = Watch()
    with pytest.raises(TerramendError) as caught:
        command.main(options(data=tmp_path, out=tmp_path / "run"), watch)
    assert caught.value.code == "training.empty" and f"{tmp_path / 'train'} is no folder" in str(caught.value)
    assert [notice.code for notice in watch.notices] == ["training.split"]
    with pytest.raises(TerramendError, match="no folder with scenes"):
        command.main(options(data=tmp_path / "train", out=tmp_path / "run"), watch)


def test_files_that_are_not_learnt_from_are_said(tmp_path) -> None:
    data = hills(tmp_path / "data", 96, 96, (665, 560, 490))
    aspect = data / "hills" / "one" / "z_aspect.tif"
    shutil.copy(data / "hills" / "one" / "dem.tif", aspect)
    told = f"{aspect} is left out: its bands are 1, those of 2020-05-01.tif 3."
    for name in ("ddpm", "aligndiff", "palette", "align-cr"):
        config, watch = recipe.load_config(name, "small"), Watch()
        if name == "palette":
            config["samples"] |= {"folder": str(tmp_path / "samples"), "count": 1}
        recipe.made(name, config, data, watch)
        (said,) = map(str, watch.notices)
        assert said == f"Files below {data} that are not learnt from: 1. The first: {told}"


def options(**changes: object) -> argparse.Namespace:
    given = {"name": "ddpm", "config": "small", "data": Path("nowhere"), "out": Path("nowhere"), "set": []}
    return argparse.Namespace(**{**given, "schedule": None, "device": "cpu", **changes})


def test_the_schedule_of_ddpm_is_an_option(monkeypatch) -> None:
    asked = []

    def made(name: str, config: dict, data: Path, watch: Watch) -> None:
        asked.append((name, config["diffusion"]["noise"]))
        raise InterruptedError

    monkeypatch.setattr(recipe, "made", made)
    for schedule in ("linear", "cosine", "sigmoid"):
        with pytest.raises(InterruptedError):
            command.main(options(schedule=schedule), Watch())
    assert asked == [("ddpm", name) for name in ("linear", "cosine", "sigmoid")]
    with pytest.raises(TerramendError, match="--schedule is not valid: only ddpm has it.*--set"):
        command.main(options(name="de", schedule="cosine"), Watch())
    with pytest.raises(TerramendError, match="no network called foo"):
        command.main(options(name="foo", schedule="cosine"), Watch())


def test_unknown_networks_folders_and_devices() -> None:
    with pytest.raises(TerramendError, match="no network called foo to train; there are: align-cr"):
        command.main(options(name="foo"), Watch())
    with pytest.raises(
        TerramendError, match="nowhere is no folder with scenes that this network can learn from"
    ):
        command.main(options(), Watch())


def test_the_device_is_one_on_which_torch_computes(monkeypatch) -> None:
    """Networks are trained by torch: what ONNX Runtime reaches says nothing."""
    monkeypatch.setattr(device, "probe", lambda name: device.Probe(name, True, 1.0, ""))
    monkeypatch.setattr(
        device, "torch_probe", lambda: device.Probe("cuda, by torch", False, None, "no driver")
    )
    with pytest.raises(TerramendError, match=r"cuda was asked for but does not compute here \(no driver\)"):
        command.main(options(device="cuda"), Watch())
    with pytest.raises(TerramendError, match="no folder with scenes"):
        command.main(options(device="auto"), Watch())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "0"), "--seeds is not valid: it must be 1 or more"),
        (("--gap-places", "0"), "--gap-places is not valid: it must be 1 or more"),
        (("--budget", "0"), "--budget is not valid: it must be a number above 0"),
        (("--budget", "nan"), "--budget is not valid: it must be a number above 0"),
    ],
)
def test_experiments_of_no_seed_or_step(words, said, tmp_path) -> None:
    parser = argparse.ArgumentParser()
    experiments.add_arguments(parser)
    with pytest.raises(TerramendError, match=said):
        experiments.main(parser.parse_args(["de", "--data", str(tmp_path), *words]), Watch())


@pytest.mark.parametrize("name", ["../beside", "a/b", "..", ""])
def test_an_exported_network_stays_in_its_folder(name, tmp_path) -> None:
    with pytest.raises(TerramendError, match="NAME is not valid: it must be the plain name of a folder"):
        export_command.main(argparse.Namespace(name=name, run=tmp_path, to=tmp_path), Watch())


@pytest.mark.parametrize("name", read_manifest())
def test_the_manifest_and_the_cards_say_what_the_folders_hold(name, tmp_path) -> None:
    folder, pinned = shutil.copytree(PACKAGED / name, tmp_path / name), read_manifest()[name]
    told = export_command.describe(folder, pinned.title, pinned.licence)
    assert told == json.loads((PACKAGED / "manifest.json").read_text("utf-8"))["weights"][name]
    assert (folder / "card.md").read_text("utf-8") == (PACKAGED / name / "card.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "stage", "rate", "average"),
    [
        ("ddpm", None, 2e-5, 0.9995),  # 0.995 at every tenth step
        *(("de", stage, 1e-5, 0.9999) for stage in ("coarse", "weights", "joint")),
    ],
)
def test_published_rates_stay_as_they_begin(name, stage, rate, average) -> None:
    config = recipe.load_config(name, "paper")
    made = recipe.build(Schedule, (config[stage] if stage else config)["training"], "training")
    assert [made.rate_at(step) for step in (0, 1, made.steps // 2, made.steps - 1)] == [rate] * 4
    assert made.average == average


@pytest.mark.parametrize("name", ["align-cr", "mcgan", "sar-opt-cgan", "dsen2-cr", "glf-cr"])
def test_published_networks_with_radar_learn_from_pairs_as_they_are(name) -> None:
    samples = recipe.load_config(name, "paper")["samples"]
    assert samples["pair"] == 1 and samples["vary"] is False


# --- what the entries do ------------------------------------------------------------------------


def fitted(tmp_path: Path, name: str, **schedule: object) -> list[torch.Tensor]:
    """Weights after three steps of a line through eight points."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1))
    points = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    given = Schedule(steps=3, warmup=0, rate=1e-2, average=0.0, **schedule)  # type: ignore[arg-type]

    def batch(step: int, part: int) -> dict[str, torch.Tensor]:
        here = slice(part * given.batch, (part + 1) * given.batch)
        return {"x": points[here], "y": points[here].sum(1, keepdim=True)}

    def loss(model: torch.nn.Module, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        return {"loss": (model(batch["x"]).float() - batch["y"]).square().mean()}

    seen: list[torch.dtype] = []
    model[0].register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    average = train(model, batch, loss, given, tmp_path / name, Watch())
    assert set(seen) == {torch.bfloat16 if given.precision == "bf16" else torch.float32}
    return [p.clone() for p in average.parameters()]


def test_accumulated_parts_are_one_large_batch(tmp_path) -> None:
    whole, parts = fitted(tmp_path, "whole", batch=8), fitted(tmp_path, "parts", batch=2, accumulate=4)
    for a, b in zip(whole, parts, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_rate_falls_to_the_share_that_is_asked_for() -> None:
    def rates(**chosen: float) -> list[float]:
        made = Schedule(steps=104, batch=1, rate=2.0, warmup=4, **chosen)  # type: ignore[arg-type]
        return [made.rate_at(step) for step in (1, 4, 54, 104)]

    assert rates() == pytest.approx([1.0, 2.0, 1.01, 0.02])
    assert rates(end=0.5) == pytest.approx([1.0, 2.0, 1.5, 1.0])
    assert rates(end=1.0) == pytest.approx([1.0, 2.0, 2.0, 2.0])


def test_half_precision_computes_in_half_and_keeps_whole_weights(tmp_path) -> None:
    whole, half = fitted(tmp_path, "whole", batch=8), fitted(tmp_path, "half", batch=8, precision="bf16")
    for a, b in zip(whole, half, strict=True):
        assert b.dtype == torch.float32 and torch.allclose(a, b, atol=2e-2) and not torch.equal(a, b)
    with pytest.raises(TerramendError, match="fp16 needs a GPU"):
        fitted(tmp_path, "fp16", batch=8, precision="fp16")


def test_weights_that_are_no_numbers_are_never_kept(tmp_path) -> None:
    model = torch.nn.Linear(1, 1)

    def batch(step: int, part: int) -> dict[str, torch.Tensor]:
        return {"x": torch.full((2, 1), float("inf") if step == 5 else 1.0)}

    def loss(model: torch.nn.Module, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        return {"loss": model(batch["x"]).square().mean()}

    with pytest.raises(TerramendError, match="At step 5 the gradients are no finite numbers"):
        train(model, batch, loss, Schedule(steps=9, batch=2, save_every=3), tmp_path, Watch())
    assert checkpoint.latest(tmp_path) == tmp_path / "step-3"
    assert all(
        torch.isfinite(value).all() for value in load_file(tmp_path / "step-3/model.safetensors").values()
    )
