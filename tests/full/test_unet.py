"""The U-Net: published size, shapes of any size, values of its parts."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend.training.recipe import build, load_config  # noqa: E402
from terramend.models.diffusion import unet  # noqa: E402
from terramend.models.diffusion.unet import UNet, UNetConfig  # noqa: E402

TINY = UNetConfig(5, 3, base=16, multipliers=(1, 2), blocks=1, attention=(2,), heads=2, groups=8)


def test_diffusion_enhancement_has_the_published_36_80_million_parameters() -> None:
    with torch.device("meta"):
        predictor = UNet(UNetConfig(8, 4, 96, (1, 1, 2, 2, 3), 2, (4, 8), 4, film=True))
        allocator = UNet(UNetConfig(12, 4, 64, (1, 1, 2), 2, (4,), 1, film=False))
    assert unet.parameters(predictor) == 32_144_740
    assert unet.parameters(predictor) + unet.parameters(allocator) == 36_805_224


def test_the_large_unet_of_ddpm_has_the_parameters_that_its_card_says() -> None:
    with torch.device("meta"):
        made = UNet(build(UNetConfig, load_config("ddpm", "paper")["network"], "network"))
    assert unet.parameters(made) == 16_432_195


@pytest.mark.parametrize("size", [(1, 1), (37, 50), (64, 64)])
@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("film", [True, False])
def test_any_size(size, unshuffle, film) -> None:
    net = UNet(dataclasses.replace(TINY, unshuffle=unshuffle, film=film))
    assert net(torch.randn(2, 5, *size), torch.tensor([1, 500])).shape == (2, 3, *size)


@pytest.mark.parametrize("bands", [1, 4, 13])
def test_any_number_of_bands(bands) -> None:
    net = UNet(dataclasses.replace(TINY, inputs=2 * bands, outputs=bands))
    assert net(torch.randn(1, 2 * bands, 16, 16), torch.tensor([3])).shape == (1, bands, 16, 16)


def test_begins_as_zero_and_learns() -> None:
    torch.manual_seed(0)
    net = UNet(TINY)
    x, t = torch.randn(4, 5, 16, 16), torch.tensor([1, 10, 100, 1000])
    assert torch.equal(net(x, t), torch.zeros(4, 3, 16, 16))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = (net(x, t) - x[:, :3]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_time_embedding_values() -> None:
    made = unet.time_embedding(torch.tensor([0.0, 7.0]), 4)
    assert torch.equal(made[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    slow = torch.tensor(7.0), torch.tensor(0.07)  # 7 at frequencies 1 and 1/100
    assert torch.allclose(made[1], torch.stack([slow[0].cos(), slow[1].cos(), slow[0].sin(), slow[1].sin()]))


@pytest.mark.parametrize("film", [True, False])
def test_a_residual_block_against_its_formula(film) -> None:
    """Time scales and shifts what is normalised (Dhariwal, Nichol 2021), or is added before that is done."""
    torch.manual_seed(2)
    block = unet.Residual(4, 6, 5, dataclasses.replace(TINY, film=film, groups=2))
    torch.nn.init.normal_(block.after[1].weight)
    x, time = torch.randn(2, 4, 5, 3), torch.randn(2, 5)

    def normed(hidden, layer):
        parts = hidden.reshape(2, 2, -1)
        parts = (parts - parts.mean(2, keepdim=True)) / (
            parts.var(2, correction=0, keepdim=True) + 1e-5
        ).sqrt()
        return parts.reshape(hidden.shape) * layer.weight[:, None, None] + layer.bias[:, None, None]

    def active(hidden):
        return hidden * torch.sigmoid(hidden)

    conv = torch.nn.functional.conv2d
    hidden = conv(active(normed(x, block.before[0])), block.before[2].weight, block.before[2].bias, padding=1)
    said = (active(time) @ block.time[1].weight.T + block.time[1].bias)[:, :, None, None]
    if film:
        hidden = normed(hidden, block.norm) * (1 + said[:, :6]) + said[:, 6:]
    else:
        hidden = normed(hidden + said, block.norm)
    hidden = conv(active(hidden), block.after[1].weight, block.after[1].bias, padding=1)
    expected = hidden + conv(x, block.skip.weight, block.skip.bias)
    assert torch.allclose(block(x, time), expected, atol=1e-5)


def test_attention_against_a_loop() -> None:
    torch.manual_seed(1)
    layer = unet.Attention(8, TINY)
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(1, 8, 3, 2)
    flat = layer.norm(x).reshape(8, 6)
    q, k, v = (
        layer.qkv.weight[i * 8 : i * 8 + 8, :, 0, 0] @ flat + layer.qkv.bias[i * 8 : i * 8 + 8, None]
        for i in range(3)
    )
    mixed = torch.zeros(8, 6)
    for head in range(2):
        rows = slice(head * 4, head * 4 + 4)
        for i in range(6):
            weights = torch.softmax(q[rows, i] @ k[rows] / 2, dim=0)  # sqrt(4) = 2
            mixed[rows, i] = v[rows] @ weights
    expected = x + (layer.out.weight[:, :, 0, 0] @ mixed + layer.out.bias[:, None]).reshape(1, 8, 3, 2)
    assert torch.allclose(layer(x), expected, atol=1e-5)
