"""Networks that find land cover, to judge reconstructions by: a small one, and DeepLabv3+.

Source of the large one: Chen et al. 2018 (encoder and decoder), He et al. 2016 (ResNet-50).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def layer(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    padding = dilation * (size // 2)
    made = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(made, nn.BatchNorm2d(outputs), nn.ReLU())


class Small(nn.Module):
    """Two levels down and up: (N, bands, H, W) to scores (N, classes, H, W); sizes are multiples of 4."""

    multiple = 4

    def __init__(self, bands: int, classes: int, width: int = 24) -> None:
        super().__init__()
        self.first = nn.Sequential(layer(bands, width), layer(width, width))
        self.second = layer(width, 2 * width, stride=2)
        self.third = nn.Sequential(layer(2 * width, 3 * width, stride=2), layer(3 * width, 3 * width))
        self.up = layer(5 * width, 2 * width)
        self.leave = nn.Sequential(layer(3 * width, width), nn.Conv2d(width, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        first = self.first(x)
        second = self.second(first)
        here = self.up(torch.cat([_larger(self.third(second), second), second], 1))
        out: Tensor = self.leave(torch.cat([_larger(here, first), first], 1))
        return out


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 with a way around."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.parts = nn.Sequential(
            layer(inputs, width, 1),
            layer(width, width, 3, stride, dilation),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.around: nn.Module = nn.Identity()
        if not same:
            around = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.around = nn.Sequential(around, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 width, H / stride, W / stride)."""
        return F.relu(self.parts(x) + self.around(x))


class DeepLab(nn.Module):
    """DeepLabv3+ over ResNet-50 at output stride 16; sizes are multiples of 16."""

    multiple = 16

    def __init__(self, bands: int, classes: int, blocks: tuple[int, ...] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer(bands, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        stages, inputs = [], 64
        for level, (count, stride, dilation) in enumerate(
            zip(blocks, (1, 2, 2, 1), (1, 1, 1, 2), strict=True)
        ):
            width, made = 64 * 2**level, []
            for index in range(count):
                made.append(Bottleneck(inputs, width, stride if index == 0 else 1, dilation))
                inputs = 4 * width
            stages.append(nn.Sequential(*made))
        self.stages = nn.ModuleList(stages)
        self.scales = nn.ModuleList(
            [layer(inputs, 256, 1), *(layer(inputs, 256, 3, dilation=rate) for rate in (6, 12, 18))]
        )
        self.whole = nn.Sequential(nn.Conv2d(inputs, 256, 1), nn.ReLU())
        self.join, self.low = layer(5 * 256, 256, 1), layer(256, 48, 1)
        self.leave = nn.Sequential(layer(304, 256), layer(256, 256), nn.Conv2d(256, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, bands, H, W) to scores (N, classes, H, W)."""
        low = self.stages[0](self.stem(x))
        here = low
        for stage in list(self.stages)[1:]:
            here = stage(here)
        whole = _larger(self.whole(here.mean((2, 3), keepdim=True)), here)
        here = self.join(torch.cat([*(scale(here) for scale in self.scales), whole], 1))
        out = self.leave(torch.cat([_larger(here, low), self.low(low)], 1))
        return _larger(out, x)


def _larger(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the size of `like`, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
