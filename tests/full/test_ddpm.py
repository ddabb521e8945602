"""The unconditional model: torch beside ONNX and numpy, and gaps filled with it."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import cv2  # noqa: E402
from hills import hills  # noqa: E402
from terramend.backend.training import ddpm as training  # noqa: E402
from terramend.backend.training import sample_command  # noqa: E402
from terramend.backend.training.export import export  # noqa: E402
from terramend.backend.training.noising import noised  # noqa: E402
from terramend.backend.training.patches import averaged  # noqa: E402
from terramend.backend.training.recipe import load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.base import Source, Tile  # noqa: E402
from terramend.models.ddpm import model as light  # noqa: E402
from terramend.models.ddpm.model import RGB  # noqa: E402
from terramend.models.diffusion.schedules import make  # noqa: E402
from terramend.models.diffusion.unet import UNet, UNetConfig  # noqa: E402

NETWORK = {"inputs": 3, "outputs": 3, "base": 8, "multipliers": [1, 2], "blocks": 1, "groups": 4}
CONFIG = {
    "size": 16,
    "diffusion": {"noise": "sigmoid", "steps": 50, "zero_snr": True, "predicts": "v"},
    "network": NETWORK,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network whose every layer says something, as a finished run."""
    torch.manual_seed(0)
    net = UNet(UNetConfig(**{**NETWORK, "multipliers": (1, 2)})).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    out = tmp_path_factory.mktemp("ddpm")
    (out / "config.json").write_text(json.dumps(CONFIG))
    export(net, net, [("sample", (1, 3, 64, 64)), ("t", (1,))], out / "ddpm.onnx")
    return out, net


def test_light_samples_are_the_torch_samples(run, tmp_path) -> None:
    out, net = run
    prior = light.load(out)
    expected = training.draw(net, CONFIG, 3, 24, 20, seed=5)
    assert np.abs(prior.draw(3, 24, 20, 5) - expected).max() < 1e-3
    parser = argparse.ArgumentParser()
    sample_command.add_arguments(parser)
    words = ["ddpm", "--weights", str(out), "--count", "4", "--size", "24", "--steps", "3"]
    sample_command.main(parser.parse_args([*words, "-o", str(tmp_path / "s.png")]), Watch())
    assert cv2.imread(str(tmp_path / "s.png")).shape == (52, 208, 3)


def test_published_crops_are_shrunk_after_they_are_shown(tmp_path) -> None:
    """The report's 256 pixels are halved, not cut, and its gamma comes first."""
    data = hills(tmp_path, 256, 256, RGB)
    assert [load_config("ddpm", "paper")[key] for key in ("size", "shrink")] == [128, 2]
    whole = training.crops({"size": 256}, data, Watch())(1, 2, 3)
    halved = training.crops({"size": 128, "shrink": 2}, data, Watch())(1, 2, 3)
    assert halved.shape == (3, 3, 128, 128)
    np.testing.assert_allclose(halved, averaged(whole, 2), atol=1e-6)


def test_an_error_of_the_velocity_counts_as_one_of_the_noise(tmp_path) -> None:
    """Of what a network says the noise follows: sqrt(bar) v + sqrt(1 - bar) x."""
    data = hills(tmp_path, 16, 16, RGB)
    schedule = {"steps": 1, "batch": 4, "warmup": 0}
    config = {**CONFIG, "diffusion": {**CONFIG["diffusion"], "zero_snr": False}, "training": schedule}
    made = training.recipe(config, data, Watch())
    batch = made.batch(0, 0)
    said = torch.randn(batch["x"].shape)
    bar = torch.from_numpy(make("sigmoid", 50).bar).float()[batch["t"] - 1][:, None, None, None]
    noise = noised(torch.from_numpy(training.crops(config, data, Watch())(0, 0, 4)), make("sigmoid", 50), 0)[
        "noise"
    ]
    error = bar.sqrt() * said + (1 - bar).sqrt() * batch["x"] - noise
    torch.testing.assert_close(made.loss(lambda *_: said, batch, 0)["loss"], error.square().mean())


def test_every_time_is_trained_the_last_one_too() -> None:
    made = noised(torch.zeros(200, 1, 1, 1), make("linear", 4), 0)
    assert made["t"].unique().tolist() == [1, 2, 3, 4]


def test_fills_red_green_blue_and_says_that_it_invents(run) -> None:
    out, _ = run
    random = np.random.default_rng(0)
    truth = (0.1 + 0.1 * random.random((4, 21, 27))).astype(np.float32)
    gaps = np.zeros(truth.shape, bool)
    gaps[:, 4:12, 6:20] = True
    tile = Tile(
        np.where(gaps, np.nan, truth).astype(np.float32), gaps, wavelengths=(490.0, 560.0, 665.0, 842.0)
    )
    made = light.create("fast", 3, str(out), steps="5", again="2")
    found = made.predict(tile, made.prepare(tile))
    assert np.array_equal(np.isfinite(found.mean[:3]), gaps[:3])
    assert np.isnan(found.mean[3]).all()
    assert (found.std[:3][gaps[:3]] > 0).mean() > 0.8  # both samples may be black
    assert (found.source[gaps[0]] == Source.GENERATED).all() and (found.source[~gaps[0]] == 0).all()
    assert np.array_equal(made.predict(tile, None).mean, found.mean, equal_nan=True)
    other = light.create("fast", 4, str(out), steps="5", again="2").predict(tile, None)
    assert not np.array_equal(other.mean, found.mean, equal_nan=True)
    near = Tile(tile.image[3:], gaps[3:], wavelengths=(842.0,))
    assert (made.predict(near, None).source[gaps[3]] == Source.UNFILLED).all()
