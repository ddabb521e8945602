"""Losses of the cloud removal networks against their papers' formulas, in NumPy and SciPy."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest
from scipy.ndimage import laplace

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.training import loop, radar, removers  # noqa: E402
from terramend.backend.watch import Watch  # noqa: E402
from terramend.models.rivals.network import make  # noqa: E402

SHAPE = (2, 3, 8, 8)


class Critic(torch.nn.Module):
    """Says the mean of the image that it is shown, times a weight: an adversary whose answer is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, given: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return self.weight * image.mean((1, 2, 3))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng([7, seed]).uniform(-1, 1, shape).astype(np.float32))


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def terms(kind: str, stages: tuple[torch.Tensor, ...]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """What the recipe says of a network that gives `stages`, and what it was shown."""
    known = (drawn(SHAPE[0], 1, *SHAPE[2:], seed=3) > -0.6).float()
    batch = {"cloudy": drawn(*SHAPE, seed=1), "clear": drawn(*SHAPE, seed=2), "known": known}
    network = Namespace(
        multiple=1, outputs=3, stages=lambda *_: stages, contrast=lambda *_: torch.tensor(0.7)
    )
    said = removers.losses(Namespace(network=network, adversary=Critic()), kind, batch)
    return {name: float(v.detach()) for name, v in said.items()}, {k: array(v) for k, v in batch.items()}


def fooled_and_caught(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """-log D(made) and -(log D(true) + log(1 - D(made))) / 2 of the critic (Goodfellow et al. 2014)."""
    said, true = (1 / (1 + np.exp(-3 * x.mean((1, 2, 3)))) for x in (image, truth))
    return -np.log(said).mean(), -0.5 * (np.log(true).mean() + np.log(1 - said).mean())


def halved(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5))


def test_msda_cr_counts_coarser_scales_half() -> None:
    stages = drawn(*SHAPE), drawn(2, 3, 4, 4, seed=4), drawn(2, 3, 2, 2, seed=5)
    said, shown = terms("msda-cr", stages)
    truth, known = shown["clear"], shown["known"]
    expected = 0.0
    for image, share in zip(stages, (1, 0.5, 0.5)):
        expected += share * (np.abs(array(image) - truth) * known).mean()
        truth, known = halved(truth), halved(known)
    assert said["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "more"), [("mprnet", 0.0), ("memorynet", 0.1 * 0.7)])
def test_mprnet_and_memorynet_are_charbonnier_and_edges_of_every_stage(kind, more) -> None:
    stages = drawn(*SHAPE), drawn(*SHAPE, seed=4)
    said, shown = terms(kind, stages)
    truth, known = shown["clear"], shown["known"]

    def edges(x: np.ndarray) -> np.ndarray:
        return np.stack([[laplace(plane, mode="constant") for plane in image] for image in x])

    expected = more
    for image in map(array, stages):
        expected += (np.sqrt((image - truth) ** 2 + 1e-6) * known).mean()
        expected += 0.05 * (np.sqrt((edges(image) - edges(truth)) ** 2 + 1e-6) * known).mean()
    assert said["loss"] == pytest.approx(expected, rel=1e-5)


def test_cvae_is_the_error_and_a_little_divergence() -> None:
    image = drawn(*SHAPE)
    said, shown = terms("cvae", (image, torch.tensor(5.0)))
    error = (np.abs(array(image) - shown["clear"]) * shown["known"]).mean()
    assert said["loss"] == pytest.approx(error + 5e-4, rel=1e-5)


def test_divergence_of_cvae_is_that_of_two_gaussians() -> None:
    torch.manual_seed(0)
    net = make("cvae", {"inputs": 3, "outputs": 3, "width": 8, "latent": 4}).eval()
    x, truth = drawn(2, 3, 16, 16), drawn(2, 3, 16, 16, seed=2)
    (mean, spread), (seen, own) = net.prior(x), net.posterior(torch.cat([x, truth], 1))
    prior, posterior = (
        torch.distributions.Normal(m, (0.5 * s).exp()) for m, s in ((mean, spread), (seen, own))
    )
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(net.stages(x, truth)[1], expected)


@pytest.mark.parametrize(("kind", "shares"), [("spa-gan", (1.0,)), ("amgan-cr", (0.8, 1.0))])
def test_gans_with_maps_of_attention(kind, shares) -> None:
    image, maps = drawn(*SHAPE), [drawn(2, 1, 8, 8, seed=5 + k) for k in range(len(shares))]
    said, shown = terms(kind, (image, *maps))
    clouded = (np.abs(shown["cloudy"] - shown["clear"]).max(1, keepdims=True) > 0.2).astype(float)
    looked = sum(
        share * ((array(m) - clouded) ** 2 * shown["known"]).mean() for share, m in zip(shares, maps)
    )
    fooled, caught = fooled_and_caught(array(image), shown["clear"])
    error = (np.abs(array(image) - shown["clear"]) * shown["known"]).mean()
    assert said["loss"] == pytest.approx(error + 0.1 * looked + 0.01 * fooled + caught, rel=1e-5)


@pytest.mark.parametrize("kind", ["glf-cr", "dsen2-cr", "mcgan", "sar-opt-cgan"])
def test_networks_with_radar(kind) -> None:
    """L1; the cloud-adaptive loss (Meraner et al. 2020, eq. 3); L1 a hundredfold beside the adversary's."""
    image, given, truth = drawn(2, 4, 8, 8), drawn(2, 10, 8, 8, seed=1), drawn(2, 6, 8, 8, seed=2)
    cloud = (drawn(2, 1, 8, 8, seed=4) > 0).float()
    network = Namespace(inputs=6, outputs=4, sar=2, stages=lambda *_: (image,))
    batch = {"given": given, "clear": truth, "weigh": cloud, "known": torch.ones(2, 6, 8, 8)}
    said = radar.losses(Namespace(network=network, adversary=Critic()), kind, batch)
    made, wanted, clouded, mask = array(image), array(truth)[:, :4], array(given)[:, :4], array(cloud)
    error = np.abs(made - wanted).mean()
    fooled, caught = fooled_and_caught(made, wanted)
    expected = {
        "glf-cr": error,
        "dsen2-cr": np.abs(mask * (made - wanted) + (1 - mask) * (made - clouded)).mean() + error,
    }.get(kind, 100 * error + fooled + caught)
    assert float(said["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_weights_are_averaged_with_the_decay_that_is_asked_for_and_less_at_the_beginning(tmp_path) -> None:
    """Step n keeps min(decay, (n + 1) / (n + 10)): a fresh network's weights are not carried along."""
    model, seen = torch.nn.Linear(1, 1, bias=False), []

    def loss(model: torch.nn.Module, batch: loop.Batch, step: int) -> loop.Batch:
        seen.append(float(model.weight.detach()))
        return {"loss": model(batch["x"]).square().mean()}

    first = float(model.weight.detach())
    schedule = loop.Schedule(steps=5, batch=1, rate=0.1, warmup=0, average=0.2)
    average = loop.train(model, lambda *_: {"x": torch.ones(1, 1)}, loss, schedule, tmp_path, Watch())
    expected = first
    for step, weight in enumerate([*seen[1:], float(model.weight.detach())]):
        keep = min(0.2, (step + 1) / (step + 10))
        expected = keep * expected + (1 - keep) * weight
    assert float(average.weight) == pytest.approx(expected, rel=1e-5)
