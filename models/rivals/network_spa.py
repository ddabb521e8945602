"""SpA-GAN: cloud removal by local-to-global spatial attention (Pan 2020).

The generator is a row of dilated bottleneck blocks; an attention map, made by passing features
along rows and columns in four directions, twice, says where their change is wanted. One attention
module serves all four passes of the row. As in the released network a direction passes one pixel
on in each round, which can be exported at free sizes, where a scan over the whole row cannot.
Trained against a patch discriminator, and with the map held to where cloud is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv

DIRECTIONS = ((0, -1), (0, 1), (-1, 0), (1, 0))
"""Where a feature comes from: left, right, above, below."""


def moved(x: Tensor, rows: int, columns: int) -> Tensor:
    """The image with the pixel at an offset in each place; zeros from outside."""
    height, width = x.shape[-2:]
    padded = F.pad(x, (1, 1, 1, 1))
    return padded[..., 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]


class Bottleneck(nn.Module):
    """1x1, dilated 3x3, 1x1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width, 1, bias=False),
            nn.ReLU(),
            conv(width, width, 3, bias=False, dilation=2),
            nn.ReLU(),
            conv(width, width, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        out: Tensor = self.body(x)
        return out


class Passing(nn.Module):
    """Features passed from the neighbour in each of four directions (an identity-matrix RNN's step)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.ModuleList(nn.Conv2d(width, width, 1, groups=width) for _ in DIRECTIONS)

    def forward(self, x: Tensor, wanted: Tensor) -> Tensor:
        """(N, C, H, W) and (N, 4, H, W) weights of directions to (N, 4 C, H, W)."""
        passed = [
            F.relu(moved(layer(x), *offset) + x) * wanted[:, index : index + 1]
            for index, (layer, offset) in enumerate(zip(self.weigh, DIRECTIONS, strict=True))
        ]
        return torch.cat(passed, 1)


class SpatialAttention(nn.Module):
    """Where something is to be changed: (N, 1, H, W) in 0..1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.wanted = nn.Sequential(
            conv(width, half),
            nn.ReLU(),
            conv(half, half),
            nn.ReLU(),
            conv(half, len(DIRECTIONS), 1),
            nn.Sigmoid(),
        )
        self.enter = nn.Sequential(conv(width, width, bias=False), nn.ReLU(), conv(width, width, 1))
        self.rounds = nn.ModuleList(Passing(width) for _ in range(2))
        self.join = nn.ModuleList(conv(4 * width, width, 1) for _ in range(2))
        self.leave = conv(width, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        wanted, here = self.wanted(x), self.enter(x)
        for passing, join in zip(self.rounds, self.join, strict=True):
            here = join(passing(here, wanted))
        return torch.sigmoid(self.leave(F.relu(here)))


class SpaGan(Remover):
    """The generator; see the module.

    Args:
        width: channels (32 published). passes: groups of three blocks under an attention map.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 32, passes: int = 4) -> None:
        super().__init__(inputs, outputs)
        self.enter = nn.Sequential(conv(inputs, width, bias=False), nn.ReLU())
        self.first = nn.ModuleList(Bottleneck(width) for _ in range(3))
        self.attention = SpatialAttention(width)
        self.middle = nn.ModuleList(nn.ModuleList(Bottleneck(width) for _ in range(3)) for _ in range(passes))
        self.last = nn.ModuleList(Bottleneck(width) for _ in range(2))
        self.leave = conv(width, outputs, bias=False)

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """Result, and the first attention map."""
        here = self.enter(x)
        for block in self.first:
            here = F.relu(block(here) + here)
        maps = []
        for group in self.middle:
            maps.append(self.attention(here))
            for block in group:
                here = F.relu(block(here) * maps[-1] + here)
        for block in self.last:
            here = F.relu(block(here) + here)
        return self.leave(here), maps[0]
