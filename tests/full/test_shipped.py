"""The weights that come along: torch says what ONNX Runtime and the numpy sampler say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from terramend.backend.training import aligndiff, de, halves, removers  # noqa: E402
from terramend.backend.training.recipe import build  # noqa: E402
from terramend.models import registry  # noqa: E402
from terramend.models.aligndiff import model as graphs  # noqa: E402
from terramend.models.aligndiff.prompt import NUMBERS, TOKEN  # noqa: E402
from terramend.models.base import Tile  # noqa: E402
from terramend.models.ddpm import model as ddpm  # noqa: E402
from terramend.models.diffusion import sampler, schedules  # noqa: E402
from terramend.models.diffusion.unet import UNet, UNetConfig  # noqa: E402
from terramend.models.diffusion_enhancement import door  # noqa: E402
from terramend.models.diffusion_enhancement.fusion import enhance  # noqa: E402
from terramend.models.diffusion_enhancement.model import Networks  # noqa: E402
from terramend.models.rivals import model as rivals  # noqa: E402
from terramend.models.weights import PACKAGED  # noqa: E402

SAMPLE = Path(__file__).parents[2] / "sample" / "cloudy" / "landsat8_cloudy.tif"


@pytest.fixture(scope="module")
def clouded():
    """(3, 32, 48) red, green, blue of the clouded sample, about reflectance."""
    with rasterio.open(SAMPLE) as file:
        image = file.read((3, 2, 1), window=((100, 132), (120, 168))).astype(np.float32)
    return np.clip(image * 2e-5 - 0.1, 0, 1)


def in_torch(use, condition, reference, start, steps, limit):
    """The loop with the torch networks of the shipped safetensors."""
    net, config = de.load(PACKAGED / f"de-{use}")
    given, beside = (torch.from_numpy(np.ascontiguousarray(image))[None] for image in (condition, reference))

    def asked(function, *more):
        def call(x, t):
            with torch.no_grad():
                times = torch.full((len(x),), float(t))
                images = (image.expand(len(x), -1, -1, -1) for image in (given, *more))
                return function(torch.from_numpy(x), times, *images).numpy()

        return call

    forward = schedules.make(config["diffusion"]["noise"], config["diffusion"]["steps"])
    return list(
        enhance(
            forward,
            asked(net.noise),
            asked(net.weight, beside),
            reference,
            start,
            sampler.spaced(forward.steps, steps),
            limit=limit,
            clip=config["diffusion"]["clip"],
            known=condition[len(reference) :] < 0.5 if config["network"]["mask"] else None,
            predicts=config["diffusion"]["predicts"],
        )
    )


@pytest.mark.parametrize("use", ["fill", "clear"])
def test_de_on_the_clouded_sample(use, clouded, monkeypatch) -> None:
    asked = []
    run = Networks.run

    def recorded(self, *arguments):
        looks = list(run(self, *arguments))
        asked.append((arguments, looks))
        return iter(looks)

    monkeypatch.setattr(Networks, "run", recorded)
    if use == "fill":
        gaps = np.broadcast_to(clouded[2] > np.quantile(clouded[2], 0.8), clouded.shape).copy()
        tile = Tile(np.where(gaps, np.nan, clouded).astype(np.float32), gaps)
    else:
        tile = Tile(clouded, np.ones(clouded.shape, bool), wavelengths=(665.0, 560.0, 490.0))
    row = registry.find("de")
    assert row is not None
    model = row.create("fast", 3)
    found = model.predict(tile, model.prepare(tile))
    assert np.isfinite(found.mean[tile.gaps]).mean() > 0.99
    assert len(asked) == (3 if use == "fill" else 1) and len(asked[0][1]) == 5
    for arguments, looks in asked:
        condition, reference, start, *_ = arguments
        rows, columns = (length // 16 * 16 for length in start.shape[-2:])  # nothing to pad
        cut = np.s_[..., :rows, :columns]
        networks = door.load(PACKAGED / f"de-{use}")
        whole = run(networks, condition[cut], reference[cut], start[cut], 5, 0.3)
        expected = in_torch(use, condition[cut], reference[cut], start[cut], 5, 0.3)
        for ours, theirs in zip(whole, expected, strict=True):
            assert np.abs(ours.weight - theirs.weight).max() < 1e-3
            assert np.abs(ours.sample - theirs.sample).max() < 1e-3
        assert all(np.isfinite(look.sample).all() for look in looks)


def test_msda_cr(clouded) -> None:
    net = removers.load(PACKAGED / "msda-cr")
    image = clouded * 2 - 1
    with torch.no_grad():
        expected = net(torch.from_numpy(image)[None])[0].numpy()
    assert np.abs(rivals.create("default", 0).clear(image) - expected).max() < 1e-3


def test_ddpm() -> None:
    config = json.loads((PACKAGED / "ddpm" / "config.json").read_text())
    net = UNet(build(UNetConfig, config["network"], "network")).eval()
    net.load_state_dict(load_file(PACKAGED / "ddpm" / "ddpm.safetensors"))
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 48)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x), torch.full((2,), 77.0)).numpy()
    assert np.abs(ddpm.load(PACKAGED / "ddpm").denoise(x, 77) - expected).max() < 1e-3


def test_aligndiff() -> None:
    (torched, words), (light, _) = aligndiff.load(PACKAGED / "aligndiff"), graphs.load(PACKAGED / "aligndiff")
    random = np.random.default_rng(0)
    image, hint = (random.normal(0, 0.5, (1, n, 64, 96)).astype(np.float32) for n in (1, 10))
    text, place = f"{TOKEN} Peru, 2019-05-03, 123, NIR", random.normal(size=NUMBERS).astype(np.float32)
    ids = torch.from_numpy(words.encode(text))[None]
    with torch.no_grad():
        latents = torched.encode(torch.from_numpy(image))
        context = torched.context(ids, torch.from_numpy(place)[None])
        given = torch.randn(latents.shape), torch.tensor([700.0]), context, torch.from_numpy(hint), latents
        said, decoded = torched.denoise(*given), torched.decode(latents)
    arrays = [given[0].numpy(), 700, context.numpy(), hint, latents.numpy()]
    for mine, theirs in (
        (light.encode(image), latents),
        (light.context(text, place), context),
        (light.denoise(*arrays), said),
        (light.decode(latents.numpy()), decoded),
    ):
        assert np.abs(mine - theirs.numpy()).max() < 1e-4


def test_halved_networks_hold_their_large_constants_in_half_precision() -> None:
    model = onnx.load(PACKAGED / "msda-cr" / "remover.onnx")
    types = [numpy_helper.to_array(c).dtype for c in model.graph.initializer if np.prod(c.dims) > 64]
    assert types and all(kind == np.float16 for kind in types)
    again = halves.halved(model)  # nothing is left to round
    assert len(again.graph.node) == len(model.graph.node)
