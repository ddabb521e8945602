"""Diffusion Enhancement: published size, stages and their gradients, torch beside ONNX and numpy."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import de  # noqa: E402
from terramend.backend.training.recipe import build, load_config  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.base import Source, Tile  # noqa: E402
from terramend.models.classical.space import create_harmonic  # noqa: E402
from terramend.models.diffusion import schedules, unet  # noqa: E402
from terramend.models.diffusion.noise import noise  # noqa: E402
from terramend.models.diffusion_enhancement import door  # noqa: E402
from terramend.models.diffusion_enhancement import model as light  # noqa: E402
from terramend.models.diffusion_enhancement.network import Enhancement, freeze, losses, rolled  # noqa: E402

TINY = {
    "use": "clear",
    "stage": "joint",
    "start": "",
    "reference": "nowhere",
    "data": {"wavelengths": [660, 560, 490]},
    "diffusion": {"noise": "linear", "steps": 100, "clip": 1.0, "predicts": "epsilon"},
    "balance": 1.0,
    "network": {
        "bands": 3,
        "mask": False,
        "predictor": {"base": 8, "multipliers": [1, 2], "blocks": 1, "attention": [2], "groups": 4},
        "allocator": {
            "base": 8,
            "multipliers": [1],
            "blocks": 1,
            "film": False,
            "unshuffle": 2,
            "groups": 4,
        },
    },
}


def tiny(bands: int = 3, mask: bool = False, seed: int = 0) -> Enhancement:
    """A network whose every layer says something (fresh ones begin as zero)."""
    torch.manual_seed(seed)
    config = {**TINY, "network": {**TINY["network"], "bands": bands, "mask": mask}}
    made = Enhancement(de.layout(config))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


def drawn(bands: int = 3, mask: bool = False, size: tuple[int, int] = (16, 16), count: int = 2):
    torch.manual_seed(1)
    images = {k: torch.rand(count, bands, *size) * 2 - 1 for k in ("condition", "reference", "clean")}
    if mask:
        hidden = (torch.rand(count, 1, *size) < 0.4).float()
        images["condition"] = torch.cat([images["condition"], hidden], 1)
    return {**images, "scored": torch.ones(count, 1, *size)}


def test_published_sizes() -> None:
    with torch.device("meta"):
        made = Enhancement(de.layout(load_config("de", "paper")))
    assert unet.parameters(made.predictor) == 32_144_740
    assert unet.parameters(made) == 36_805_224


@pytest.mark.parametrize("bands", [1, 4, 13])
@pytest.mark.parametrize("mask", [False, True])
def test_any_bands_and_size(bands, mask) -> None:
    net = tiny(bands, mask)
    given = drawn(bands, mask, (11, 17))
    noise_, weight = net(given["clean"], torch.tensor([1.0, 99.0]), given["condition"], given["reference"])
    assert noise_.shape == weight.shape == (2, bands, 11, 17)
    assert (weight > 0).all() and (weight < 1).all()


def test_a_residual_predictor_begins_as_its_condition() -> None:
    given = drawn(mask=True)
    config = {**TINY, "network": {**TINY["network"], "mask": True, "residual": True}}
    said = Enhancement(de.layout(config)).noise(given["clean"], torch.tensor([1, 50]), given["condition"])
    assert torch.equal(said, given["condition"][:, :3])


def test_fresh_weights_are_one_half() -> None:
    given = drawn()
    net = Enhancement(de.layout(TINY))
    weight = net.weight(given["clean"], torch.tensor([1, 50]), given["condition"], given["reference"])
    assert torch.equal(weight, torch.full_like(weight, 0.5))


@pytest.mark.parametrize("stage", ["coarse", "weights", "joint"])
def test_gradients_stop_where_they_should(stage) -> None:
    net = tiny().train()
    freeze(net, stage)
    given = drawn()
    batch = {**given, **de.noised(given["clean"], schedules.make("linear", 100), 3)}
    terms = losses(net, batch, stage, 1.0, 1.0)
    terms["loss"].backward()
    moved = {
        name: any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
        for name, part in (("predictor", net.predictor), ("allocator", net.allocator))
    }
    assert moved == {"predictor": stage != "weights", "allocator": stage != "coarse"}
    if stage == "joint":  # the fusion's loss says nothing to the predictor
        alone = tiny().train()
        losses(alone, batch, "coarse", 1.0, 1.0)["loss"].backward()
        for mine, theirs in zip(net.predictor.parameters(), alone.predictor.parameters(), strict=True):
            assert torch.allclose(mine.grad, theirs.grad, atol=1e-7)


def test_losses_against_their_formulas() -> None:
    net, given = tiny(), drawn()
    given["scored"][0, :, :, 5:] = 0
    batch = {**given, **de.noised(given["clean"], schedules.make("linear", 100), 5)}
    terms = losses(net, batch, "joint", 2.0, 1.0)
    with torch.no_grad():
        said, weight = net(batch["x"], batch["t"], batch["condition"], batch["reference"])
    total, seen, count = 0.0, 0.0, 0
    for n in range(2):
        bar = float(batch["bar"][n])
        for row in range(16):
            for column in range(5 if n == 0 else 16):
                at = (n, slice(None), row, column)
                clean = (batch["x"][at] - (1 - bar) ** 0.5 * said[at]) / bar**0.5
                mixed = (1 - weight[at]) * clean.clamp(-1, 1) + weight[at] * batch["reference"][at]
                total += float((batch["clean"][at] - mixed).abs().sum())
                seen += float((said[at] - batch["noise"][at]).square().sum())
                count += 3
    assert float(terms["fusion"].detach()) == pytest.approx(total / count, rel=1e-4)
    assert float(terms["loss"].detach()) == pytest.approx((total + 2 * seen) / count, rel=1e-4)


def test_a_rollout_begins_from_noise_and_never_sees_the_truth() -> None:
    net, given = tiny(mask=True), drawn(mask=True)
    batch = {**given, **de.noised(given["clean"], schedules.make("linear", 100), 5)}
    made = rolled(net, batch, 1.0, "x0")
    other = {**batch, "clean": torch.zeros_like(batch["clean"]), "x": torch.zeros_like(batch["x"])}
    assert torch.equal(made, rolled(net, other, 1.0, "x0")) and not made.requires_grad
    # By hand: x_T is the noise; W is 1 where a pixel is known; the fused x0 is noised with the same noise.
    with torch.no_grad():
        said, weight = net(batch["noise"], batch["last"], batch["condition"], batch["reference"])
    weight = torch.where(batch["condition"][:, 3:] < 0.5, 1.0, weight)
    fused = (1 - weight) * said.clamp(-1, 1) + weight * batch["reference"]
    bar = batch["bar"][:, None, None, None]
    assert torch.allclose(made, bar.sqrt() * fused + (1 - bar).sqrt() * batch["noise"], atol=1e-6)
    assert (batch["last"] == 100).all()


@pytest.mark.parametrize("stage", ["weights", "joint"])
def test_what_a_rollout_stage_trains(stage) -> None:
    net, given = tiny(), drawn()
    freeze(net, stage)
    batch = {**given, **de.noised(given["clean"], schedules.make("linear", 100), 5)}
    terms = losses(net, batch, stage, 1.0, 1.0, "x0", rollout=True)
    terms["loss"].backward()
    assert all(p.grad is not None for p in net.allocator.parameters())
    assert all((p.grad is not None) == (stage == "joint") for p in net.predictor.parameters())


def test_what_a_predictor_says_can_be_noise_image_or_velocity() -> None:
    given = drawn()
    batch = {**given, **de.noised(given["clean"], schedules.make("linear", 100), 5)}
    bar = batch["bar"][:, None, None, None]
    velocity = bar.sqrt() * batch["noise"] - (1 - bar).sqrt() * batch["clean"]
    for predicts, truth in (("epsilon", batch["noise"]), ("x0", batch["clean"]), ("v", velocity)):
        net = tiny()
        net.noise = lambda *_, truth=truth: truth  # one that is right
        net.weight = lambda *_, truth=truth: torch.zeros_like(truth)
        terms = losses(net, batch, "joint", 1.0, 1.0, predicts)
        assert float(terms["noise"]) == 0 and float(terms["fusion"]) < 1e-4


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Exported tiny networks: `clear` for three bands, `fill` for one band with its mask."""
    out = tmp_path_factory.mktemp("de")
    for name, bands, mask in (("clear", 3, False), ("fill", 1, True)):
        config = {**TINY, "use": name, "network": {**TINY["network"], "bands": bands, "mask": mask}}
        (out / name).mkdir()
        de.write(tiny(bands, mask), config, out / name)
    return out


@pytest.mark.parametrize("name", ["clear", "fill"])
def test_light_loop_is_the_torch_loop(runs, name) -> None:
    net, config = de.load(runs / name)
    mask = config["network"]["mask"]
    size = (16, 24)  # nothing to pad: both pad alike but for the noise out there
    given = drawn(config["network"]["bands"], mask, size, count=1)
    torch_run = de.sample(net, config, given, 10, seed=4)
    start = noise(4, 0, given["reference"].shape[1], 0, 0, *size)[None]
    networks = door.load(runs / name)
    run = networks.run(given["condition"][0].numpy(), given["reference"][0].numpy(), start, 10, 0.3)
    for ours, theirs in zip(run, torch_run, strict=True):
        assert ours.t == theirs.t
        for field in ("weight", "clean", "sample"):
            assert np.abs(getattr(ours, field) - getattr(theirs, field)).max() < 1e-3


def test_more_steps_than_a_run_has_are_refused(runs) -> None:
    with pytest.raises(ValueError, match="steps is a whole number from 1 to 100, not 101"):
        door.create("fast", 0, str(runs / "fill"), steps="101")


def test_fills_gaps_and_nothing_else(runs) -> None:
    random = np.random.default_rng(0)
    truth = (0.2 + 0.05 * random.random((2, 40, 45))).astype(np.float32)
    gaps = np.zeros(truth.shape, bool)
    gaps[0, 10:20, 12:30] = True
    tile = Tile(np.where(gaps, np.nan, truth).astype(np.float32), gaps)
    seen = []
    made = light.Enhancer(
        door.load(runs / "fill"),
        create_harmonic("default", 0),
        steps=3,
        samples=3,
        tell=seen.append,
    )
    found = made.predict(tile, made.prepare(tile))
    again = made.predict(tile, made.prepare(tile))
    assert np.array_equal(np.isfinite(found.mean), gaps)
    assert np.array_equal(found.mean[gaps], again.mean[gaps])
    assert (found.std[gaps] > 0).all()
    assert set(np.unique(found.source[gaps[0]])) <= {Source.GENERATED, Source.SURROUNDINGS}
    assert (found.source[~gaps[0]] == Source.VALID).all()
    assert [(look.band, look.step) for look in seen[:3]] == [(0, 0), (0, 1), (0, 2)]
    known = ~gaps[0][: seen[0].weight.shape[0], : seen[0].weight.shape[1]]
    assert (seen[0].weight[known] == 1).all()  # what is known is the reference's
    whole = dataclasses.replace(made, limit=1.0)  # the reference keeps all: DE is the reference
    prior = create_harmonic("default", 0)
    expected = prior.predict(tile, prior.prepare(tile))
    found = whole.predict(tile, whole.prepare(tile))
    assert np.allclose(found.mean[gaps], expected.mean[gaps], atol=1e-5)
    assert np.allclose(found.std[gaps], expected.std[gaps], atol=1e-5)


def test_clears_bands_that_it_knows(runs) -> None:
    image = np.random.default_rng(1).random((4, 21, 30)).astype(np.float32)
    tile = Tile(image, np.ones(image.shape, bool), wavelengths=(490.0, 560.0, 665.0, 1610.0))

    class Same:
        def prepare(self, overview):
            return None

        def predict(self, tile, state):
            return light.altered(tile, tile.image.copy(), np.zeros_like(tile.image))

    made = light.Enhancer(door.load(runs / "clear"), Same(), steps=2, samples=2, limit=1.0)
    found = made.predict(tile, made.prepare(tile))
    assert np.allclose(found.mean[:3], image[:3], atol=1e-5) and np.isnan(found.mean[3]).all()
    assert (found.source == Source.ALTERED).all()
    other = dataclasses.replace(tile, wavelengths=(1000.0, 1600.0, 2200.0, 1610.0))
    none = made.predict(other, made.prepare(other))
    assert np.isnan(none.mean).all() and (none.source == Source.UNFILLED).all()


def test_wrong_configurations_and_folders_say_what_is_wrong(tmp_path) -> None:
    config = load_config("de", "small")
    with pytest.raises(TerramendError, match="stage is one of coarse, weights, joint, not first"):
        de.recipe({**config, "stage": "first"}, tmp_path, Watch())
    with pytest.raises(TerramendError, match="heds means nothing"):
        wrong = {**config["network"], "predictor": {**config["network"]["predictor"], "heds": 2}}
        de.layout({**config, "network": wrong})
    with pytest.raises(TerramendError, match="no folder with pairs"):
        de.recipe(config, tmp_path, Watch())
    with pytest.raises(TerramendError, match="is no run of de to begin from"):
        de.start(tiny(), tmp_path)
    (tmp_path / de.WEIGHTS).write_bytes(b"cut off")
    with pytest.raises(TerramendError, match="is no run of de to begin from.*damaged"):
        de.start(tiny(), tmp_path)
    with pytest.raises(TerramendError, match=r"network\.bands must be 1"):
        de.source({**load_config("de", "fill"), "network": {"bands": 3, "mask": True}}, tmp_path, Watch())
    with pytest.raises(TerramendError, match="training"):
        build(de.Schedule, {"steps": 3}, "training")
    assert json.loads(json.dumps(config)) == config
