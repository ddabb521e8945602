"""What the cloud removal networks share: one way in, sizes, and which one a name means.

Every network takes (N, inputs, H, W) in -1..1, of any height and width, and gives
(N, outputs, H, W); its first `outputs` inputs are the clouded bands, further ones may be a
gap mask. `stages` gives all that its loss looks at, the result first.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "msda-cr": ".network_msda:MsdaCr",
        "memorynet": ".network_memory:MemoryNet",
        "mprnet": ".network_mprnet:MprNet",
        "cvae": ".network_cvae:Cvae",
        "spa-gan": ".network_spa:SpaGan",
        "amgan-cr": ".network_amgan:AmganCr",
    }
)
"""Name of each network, and module and class that build it."""

RADAR: Mapping[str, str] = MappingProxyType(
    {
        "align-cr": "..align_cr.network:AlignCr",
        "mcgan": ".network_mcgan:McGan",
        "sar-opt-cgan": ".network_mcgan:SarOptCgan",
        "dsen2-cr": ".network_dsen2:DSen2Cr",
        "glf-cr": ".network_glf:GlfCr",
    }
)
"""The same for networks whose last inputs are radar; reflectance and radar in 0..1."""


class Remover(nn.Module):
    """A cloud removal network.

    Attributes:
        inputs, outputs: channels. multiple: heights and widths inside are multiples of this.
    """

    multiple = 1

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result, then what else the loss needs; `truth` helps those that learn with it.

        Height and width are multiples of `multiple`.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W) at any size: edges are repeated and cut again."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        return self.stages(x)[0][..., :height, :width]


def make(kind: str, values: Mapping[str, Any]) -> Remover:
    """A fresh network called `kind`.

    Raises:
        KeyError: an unknown name. TypeError: a value that it does not take.
    """
    module, _, name = {**NETWORKS, **RADAR}[kind].partition(":")
    made: Remover = getattr(importlib.import_module(module, __package__), name)(**values)
    return made


def conv(inputs: int, outputs: int, size: int = 3, *, bias: bool = True, dilation: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, size, padding=dilation * (size // 2), bias=bias, dilation=dilation)


def halved(x: Tensor) -> Tensor:
    """Half the size, by means of 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Discriminator(nn.Module):
    """Patches of the pair (input, image) as real or made: logits (N, 1, H/8, W/8) (Isola et al. 2017)."""

    def __init__(self, channels: int, base: int = 64) -> None:
        super().__init__()
        widths = [channels, base, 2 * base, 4 * base]
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(1, after)]
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, conv(widths[-1], 1))

    def forward(self, given: Tensor, image: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, outputs, H, W) to logits."""
        out: Tensor = self.layers(torch.cat([given, image], 1))
        return out
