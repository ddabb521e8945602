"""Cloud removal networks: published sizes, any bands and size, their losses, their memory."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from safetensors.torch import load_file, save_file  # noqa: E402
from terramend.backend.errors import TerramendError  # noqa: E402
from terramend.backend.training import checkpoint, removers  # noqa: E402
from terramend.backend.training.adversary import adversarial  # noqa: E402
from terramend.backend.training.export import export  # noqa: E402
from terramend.backend.training.names import RECIPES  # noqa: E402
from terramend.backend.training.recipe import load_config, maker  # noqa: E402
from terramend.models.diffusion.unet import parameters  # noqa: E402
from terramend.models.onnx import session  # noqa: E402
from terramend.models.rivals.network import NETWORKS, Discriminator, make  # noqa: E402
from terramend.models.rivals.network_memory import Memory  # noqa: E402
from terramend.models.rivals.network_msda import Restoration  # noqa: E402

TINY = {
    "msda-cr": {"width": 8, "growth": 4, "modules": 1},
    "memorynet": {"width": 8, "growth": 4, "more": 4, "blocks": 1, "slots": 6},
    "mprnet": {"width": 8, "growth": 4, "more": 4, "blocks": 1},
    "cvae": {"width": 8, "latent": 4},
    "spa-gan": {"width": 8, "passes": 1},
    "amgan-cr": {"width": 8, "looks": 2, "blocks": 1, "removal": 1},
}
PUBLISHED = {"msda-cr": 3.91, "mprnet": 3.64, "cvae": 15.56, "spa-gan": 0.22, "amgan-cr": 0.24}
"""Millions of parameters that the papers' comparison reports at four bands; MemoryNet's own has none."""


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_published_sizes(kind) -> None:
    values = {k: v for k, v in load_config(kind, "paper")["network"].items() if k != "kind"}
    assert (values["inputs"], values["outputs"]) == (4, 4)
    with torch.device("meta"):
        made = parameters(make(kind, values)) / 1e6
    assert made == pytest.approx(PUBLISHED[kind], rel=0.012)


@pytest.mark.parametrize("kind", sorted(NETWORKS))
@pytest.mark.parametrize(("bands", "mask", "size"), [(1, 1, (5, 9)), (13, 0, (33, 18))])
def test_any_bands_and_size(kind, bands, mask, size) -> None:
    torch.manual_seed(0)
    net = make(kind, {"inputs": bands + mask, "outputs": bands, **TINY[kind]}).eval()
    x = torch.randn(2, bands + mask, *size)
    made = net(x)
    assert made.shape == (2, bands, *size)
    assert torch.equal(made, net(x))


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_learns_and_exports(kind, tmp_path) -> None:
    torch.manual_seed(0)
    model = removers.trained({"kind": kind, "inputs": 3, "outputs": 3, "adversary": 4, **TINY[kind]})
    batch = {"cloudy": torch.rand(2, 3, 16, 16), "known": torch.ones(2, 1, 16, 16)}
    batch["clear"] = 0.5 * batch["cloudy"] - 0.4
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    errors = []
    for _ in range(10):
        terms = removers.losses(model, kind, batch)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        errors.append(float(terms["error"]))
    assert errors[-1] < 0.9 * errors[0]
    net = model.network.eval()
    export(net, net, [("image", (1, 3, 32, 32))], tmp_path / "net.onnx")
    x = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = net(x).numpy()
    found = session(tmp_path / "net.onnx").run(None, {"image": x.numpy()})[0]
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_its_weights_are_written_and_read_again(kind, tmp_path) -> None:
    """MPRNet's blocks share one activation: files may not refuse that, and sharing stays."""
    torch.manual_seed(0)
    config = {"kind": kind, "inputs": 3, "outputs": 3, "adversary": 4, **TINY[kind]}
    model, other = removers.trained(config), removers.trained(config)
    save_file(checkpoint.tensors(model), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(model.network.eval()(image), other.network.eval()(image))
    assert len(list(model.parameters())) == len(list(other.parameters()))


def test_adversaries_move_only_by_their_own_terms() -> None:
    torch.manual_seed(0)
    adversary = Discriminator(6, 4)
    given, truth = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    fooled, caught = adversarial(adversary, given, image, truth)
    fooled.backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert all(p.grad is None for p in adversary.parameters())
    image.grad = None
    caught.backward()
    assert image.grad is None
    assert all(p.grad is not None for p in adversary.parameters())


def test_memory_reads_by_resemblance_and_is_written_towards_what_it_saw() -> None:
    memory = Memory(4, 3, keep=0.5)
    memory.items.copy_(torch.eye(3, 4))
    place = torch.tensor([0.0, 2.0, 0.0, 2.0]).reshape(1, 4, 1, 1)
    address = memory.address(place)[0, :, 0, 0]
    assert torch.allclose(address.sum(), torch.tensor(1.0)) and address.argmax() == 1
    memory.write(place)
    expected = torch.nn.functional.normalize(
        torch.tensor([0.0, 0.5 + 0.5 / 2**0.5, 0.0, 0.5 / 2**0.5]), dim=0
    )
    assert torch.allclose(memory.items[1], expected)
    assert torch.equal(memory.items[[0, 2]], torch.eye(3, 4)[[0, 2]])


def test_dynamic_filter_is_a_weighted_mean_of_neighbours() -> None:
    torch.manual_seed(0)
    module = Restoration(2, 3)
    x, code = torch.rand(1, 2, 4, 5), torch.rand(1, 2, 4, 5)
    weights = torch.softmax(module.filters(code), 1)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    expected = torch.zeros_like(x)
    for row in range(4):
        for column in range(5):
            patch = padded[0, :, row : row + 3, column : column + 3].reshape(2, 9)
            expected[0, :, row, column] = patch @ weights[0, :, row, column]
    assert torch.allclose(module.filtered(x, code), expected, atol=1e-6)


def test_every_network_has_configurations_and_a_recipe() -> None:
    for kind in NETWORKS:
        assert maker(kind) is removers and RECIPES[kind] == ".removers"
        for size in ("small", "paper"):
            config = load_config(kind, size)
            with torch.device("meta"):
                net = removers.built(config["network"])
            assert config["size"] % net.multiple == 0
            assert len(config["data"]["wavelengths"]) == net.outputs


def test_wrong_networks_say_what_is_wrong(tmp_path) -> None:
    with pytest.raises(TerramendError, match="there is no network msda, only"):
        removers.built({"kind": "msda"})
    with pytest.raises(TerramendError, match="widht"):
        removers.built({"kind": "mprnet", "inputs": 3, "outputs": 3, "widht": 4})
    with pytest.raises(TerramendError, match="is no run of a reference network"):
        removers.load(tmp_path)
    model = removers.trained({"kind": "cvae", "inputs": 3, "outputs": 3, **TINY["cvae"]})
    batch = {"cloudy": torch.zeros(1, 3, 20, 20), "clear": torch.zeros(1, 3, 20, 20)}
    with pytest.raises(TerramendError, match="size must be a multiple of 16"):
        removers.losses(model, "cvae", {**batch, "known": torch.ones(1, 1, 20, 20)})
