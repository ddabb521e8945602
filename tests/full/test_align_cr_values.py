"""Parts of Align-CR against their equations, written anew in NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, expit, softmax

torch = pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")
import torch.nn.functional as F  # noqa: E402, N812
from terramend.models.align_cr.network import AlignFuse, Features, Normed  # noqa: E402
from terramend.models.align_cr.network_deform import Level  # noqa: E402
from terramend.models.align_cr.network_fuse import Attention, Compensate, Dense  # noqa: E402


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """Weights that are all different from a fresh module's."""
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return module.eval()


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def linear(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ array(layer.weight).T + array(layer.bias)


def normed(layer: torch.nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    return scaled * array(layer.weight) + array(layer.bias)


@pytest.mark.parametrize("shift", [0, 1])
def test_attention_in_windows_pixel_by_pixel(shift) -> None:
    """The optical scores follow the radar's by the gate; a pair that no window holds together sees nothing."""
    width, heads, side, size = 4, 2, 2, 4
    layer = stirred(Attention(width, heads, side, shift, 2))
    images = [torch.rand(1, width, size, size) for _ in range(2)]
    planes = [array(image)[0].transpose(1, 2, 0) for image in images]  # (H, W, C)
    places = [(r, c) for r in range(size) for c in range(size)]
    window = {
        p: ((p[0] - shift) // side, (p[1] - shift) // side) for p in places
    }  # -1 is a window of its own
    read = [
        linear(s.read, normed(s.before, x)).reshape(size, size, 3, heads, -1)
        for s, x in zip(layer.streams, planes)
    ]
    bias, gate = array(layer.bias), layer.gate
    out = [np.zeros_like(x) for x in planes]
    for p in places:
        near = [q for q in places if window[q] == window[p]]
        index = [(p[0] - q[0] + side - 1) * (2 * side - 1) + p[1] - q[1] + side - 1 for q in near]
        scores = [
            np.stack([(r[p][0] * r[q][1]).sum(-1) for q in near]) / np.sqrt(width / heads) + bias[index]
            for r in read
        ]  # (near, heads) of each stream
        apart = scores[1] - scores[0]
        share = expit(apart @ array(gate.weight)[:, :, 0, 0].T + array(gate.bias))
        scores[0] = scores[0] + share * apart
        for k, (stream, score) in enumerate(zip(layer.streams, scores)):
            weights = softmax(score, 0)
            seen = np.concatenate(
                [sum(weights[j, h] * read[k][q][2][h] for j, q in enumerate(near)) for h in range(heads)]
            )
            x = planes[k][p] + linear(stream.write, seen)
            hidden = linear(stream.mix[0], normed(stream.after, x))
            out[k][p] = x + linear(stream.mix[2], hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))))
    for mine, theirs in zip(layer(images), out):
        np.testing.assert_allclose(array(mine)[0].transpose(1, 2, 0), theirs, atol=1e-5)


def test_features_are_exchanged_by_their_gates() -> None:
    """OPT' = OPT + sigmoid(c(F - OPT)) (F - OPT), SAR' = SAR + sigmoid(c(OPT' - F)) (OPT' - F); F is filtered."""
    module = stirred(Compensate(3, 3))
    optical, radar = torch.rand(1, 3, 4, 5), torch.rand(1, 3, 4, 5)
    here = F.leaky_relu(module.enter(torch.cat([optical, radar], 1)), 0.2)
    for block in module.blocks:
        here = here + block(here)
    seen, given, filtered = (
        array(x)[0] for x in (optical, radar, module.filtered(radar, module.filters(here)))
    )

    def gated(layer: torch.nn.Conv2d, x: np.ndarray) -> np.ndarray:
        said = np.einsum("oc,chw->ohw", array(layer.weight)[:, :, 0, 0], x)
        return expit(said + array(layer.bias)[:, None, None]) * x

    first = seen + gated(module.to_optical, filtered - seen)
    second = given + gated(module.to_radar, first - filtered)
    for mine, theirs in zip(module(optical, radar), (first, second)):
        np.testing.assert_allclose(array(mine)[0], theirs, atol=1e-5)


def test_dense_convolutions_see_all_before_them() -> None:
    module = stirred(Dense(3, 2, 2))
    x = torch.rand(1, 3, 5, 4)
    first = module.layers[0](x).clamp(min=0)
    second = module.layers[1](torch.cat([x, first], 1)).clamp(min=0)
    assert torch.allclose(module(x), module.fuse(torch.cat([x, first, second], 1)), atol=1e-6)


def test_a_kernels_length_is_apart_from_its_direction() -> None:
    layer = Normed(3, 2, 3)
    x = torch.rand(1, 3, 5, 4)
    plain = F.conv2d(x, layer.weight, layer.bias, padding=1)
    assert torch.allclose(layer(x), plain, atol=1e-6)  # a fresh one is a convolution
    with torch.no_grad():
        layer.weight *= 7
        layer.length *= 2
    bias = layer.bias[:, None, None]
    assert torch.allclose(layer(x) - bias, 2 * (plain - bias), atol=1e-5)


def test_first_features_are_kept_beside_what_is_made_of_them() -> None:
    module = stirred(Features(2, 5, 2))
    x = torch.rand(1, 2, 4, 4)
    first, feature = module(x)
    assert torch.equal(first, module.enter(x)) and (first < 0).any()
    here = first.clamp(min=0)
    for block in module.blocks:
        assert (block[0].out_channels, block[2].out_channels) == (30, 4)  # wide, then narrow
        here = here + block[3](block[2](block[0](here).clamp(min=0)))
    assert torch.allclose(feature, here, atol=1e-6)


def test_an_offset_is_twice_as_many_pixels_on_the_next_finer_level() -> None:
    level = Level(2, 1, coarser=True)
    for layer in (level.compare, level.offset[0]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.dirac_(level.offset[1].weight)
    torch.nn.init.zeros_(level.offset[1].bias)
    with torch.no_grad():  # nothing but what comes from below
        level.offset[0].weight[:, 2:] = torch.nn.init.dirac_(torch.empty(2, 2, 3, 3))
    below = torch.full((1, 2, 3, 4), 1.5)
    image = torch.rand(1, 2, 6, 8)
    feature, _ = level(image, image, (below, below))
    assert torch.allclose(feature, torch.full((1, 2, 6, 8), 3.0))


def test_a_block_adds_what_it_saw_to_both_streams() -> None:
    block = stirred(AlignFuse(8, 4, 2, 4, 2, 2, 2, 3, radar=True, align=True))
    optical, radar = torch.rand(1, 8, 8, 8), torch.rand(1, 8, 8, 8)
    moved = block.align(radar, optical)
    seen = block.attention([block.dense[0](optical), block.dense[1](moved)])
    expected = block.compensate(optical + seen[0], moved + seen[1])
    for mine, theirs in zip(block(optical, radar), expected):
        assert torch.allclose(mine, theirs, atol=1e-5)
