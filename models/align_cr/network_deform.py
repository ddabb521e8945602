"""Deformable convolution without compiled code, and the alignment that is built of it.

Sampling at learned places is `grid_sample`, which every device has and ONNX knows. Where a
runtime has the operator itself, `native` writes ONNX's DeformConv instead (opset 19).

Sources: Dai et al. 2017 and Zhu et al. 2019 (deformable convolution, modulated); Wang et al. 2019
(pyramid, cascade).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

from ..rivals.network import doubled

TAPS = 9
"""Of a 3 x 3 kernel."""


def deform(
    x: Tensor, offsets: Tensor, modulation: Tensor, weight: Tensor, bias: Tensor, groups: int
) -> Tensor:
    """3 x 3 convolution whose taps are moved and weighed at every place; zero beyond the edge.

    Args:
        x: (N, C, H, W). weight: (O, C, 3, 3). bias: (O,).
        offsets: (N, groups * 18, H, W) pixels: down, right for each tap of each group of channels.
        modulation: (N, groups * 9, H, W), a factor for each tap.
    """
    n, channels, height, width = x.shape
    device = x.device
    tap = torch.arange(TAPS, device=device)
    moved = offsets.float().reshape(n * groups, TAPS, 2, height, width)
    rows = torch.arange(height, device=device, dtype=torch.float32)[:, None]
    columns = torch.arange(width, device=device, dtype=torch.float32)
    down = moved[:, :, 0] + (tap // 3 - 1).float()[:, None, None] + rows
    right = moved[:, :, 1] + (tap % 3 - 1).float()[:, None, None] + columns
    # Pixel centres in the -1..1 of grid_sample, whose -1 and 1 are the outer edges.
    place = torch.stack([(2 * right + 1) / width - 1, (2 * down + 1) / height - 1], -1)
    place = place.reshape(n * groups, TAPS * height, width, 2)
    parts = x.float().reshape(n * groups, channels // groups, height, width)
    seen = F.grid_sample(parts, place, mode="bilinear", padding_mode="zeros", align_corners=False)
    seen = seen.reshape(n, groups, channels // groups, TAPS, height * width)
    seen = seen * modulation.float().reshape(n, groups, 1, TAPS, height * width)
    columns_of = seen.reshape(n, channels * TAPS, height * width).to(weight.dtype)
    out = weight.reshape(1, -1, channels * TAPS) @ columns_of
    return out.reshape(n, -1, height, width) + bias[:, None, None]


class _Native(torch.autograd.Function):
    """`deform` that exports as one ONNX operator; no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, o: Tensor, m: Tensor, weight: Tensor, bias: Tensor, n: int) -> Tensor:
        return deform(x, o, m, weight, bias, n)

    @staticmethod
    def symbolic(g: Any, x: Any, o: Any, m: Any, weight: Any, bias: Any, n: int) -> Any:
        attributes = {"kernel_shape_i": [3, 3], "pads_i": [1, 1, 1, 1], "offset_group_i": n}
        return g.op("DeformConv", x, weight, o, bias, m, **attributes).setType(x.type())


class Deformable(nn.Module):
    """Modulated deformable convolution whose offsets are predicted from another feature.

    At first offsets are zero, every tap counts half, and the feature comes out as it went in: random
    kernels, one after the other, would leave a hundredth of the radar's variance, and it would never be used.
    """

    native = False

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        nn.init.dirac_(self.conv.weight)
        self.conv.weight.data *= 2
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.places = nn.Conv2d(width, groups * 3 * TAPS, 3, padding=1)
        nn.init.zeros_(self.places.weight)
        nn.init.zeros_(self.places.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, by: Tensor) -> Tensor:
        """`x` sampled where `by` says; both (N, width, H, W)."""
        said = self.places(by)
        offsets, modulation = said.split([self.groups * 2 * TAPS, self.groups * TAPS], 1)
        inputs = (x, offsets, torch.sigmoid(modulation), self.conv.weight, self.conv.bias, self.groups)
        out: Tensor = _Native.apply(*inputs) if self.native else deform(*inputs)  # type: ignore[arg-type]
        return out


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3 x 3."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


class Pyramid(nn.Module):
    """Three levels of one stream, each of the stream's width: down by strides, then up by sums."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(width, 2 * width, 2), conv(2 * width, 4 * width, 2)])
        self.level = nn.ModuleList(nn.Conv2d(factor * width, width, 1) for factor in (1, 2, 4))
        self.smooth = nn.ModuleList(conv(width, width) for _ in range(2))
        for layer in (self.level[0], self.smooth[0]):  # the finest level begins as what was given
            nn.init.dirac_(layer.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, width, H, W) to levels at H, H/2, H/4; H and W are multiples of 4."""
        half = F.relu(self.down[0](x))
        quarter = F.relu(self.down[1](half))
        third = self.level[2](quarter)
        second = self.level[1](half) + doubled(third)
        first = self.level[0](x) + doubled(second)
        return [self.smooth[0](first), self.smooth[1](second), third]


class Level(nn.Module):
    """Alignment on one level of the pyramid; the coarsest has nothing below it."""

    def __init__(self, width: int, groups: int, coarser: bool) -> None:
        super().__init__()
        self.compare = conv(2 * width, width)
        self.offset = nn.ModuleList([conv(2 * width, width), conv(width, width)] if coarser else [])
        if not coarser:
            self.offset.append(conv(width, width))
        self.sample = Deformable(width, groups)
        self.merge = conv(2 * width, width) if coarser else None
        if self.merge is not None:  # the finer level first, the coarser one to correct it
            with torch.no_grad():
                self.merge.weight[:, :width] = nn.init.dirac_(torch.empty(width, width, 3, 3))

    def forward(
        self, moving: Tensor, fixed: Tensor, below: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Offset feature and aligned feature, from those of the level below."""
        feature = _leaky(self.compare(torch.cat([moving, fixed], 1)))
        if below is not None:  # an offset is twice as many pixels at double size
            feature = torch.cat([feature, doubled(below[0]) * 2], 1)
        for layer in self.offset:
            feature = _leaky(layer(feature))
        aligned = self.sample(moving, feature)
        if below is not None and self.merge is not None:
            aligned = self.merge(torch.cat([aligned, doubled(below[1])], 1))
        return feature, aligned


class Align(nn.Module):
    """Moves the radar feature onto the optical one: pyramid, then a cascade."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.fixed, self.moving = Pyramid(width), Pyramid(width)
        self.levels = nn.ModuleList(Level(width, groups, coarser) for coarser in (True, True, False))
        self.cascade = nn.ModuleList([conv(2 * width, width), conv(width, width)])
        self.sample = Deformable(width, groups)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Radar and optical feature (N, width, H, W) to the aligned radar feature."""
        fixed_levels, moving_levels = self.fixed(fixed), self.moving(moving)
        below: tuple[Tensor, Tensor] | None = None
        for level in (2, 1, 0):
            feature, aligned = self.levels[level](moving_levels[level], fixed_levels[level], below)
            below = feature, aligned if level == 0 else _leaky(aligned)
        feature = torch.cat([aligned, fixed_levels[0]], 1)
        for layer in self.cascade:
            feature = _leaky(layer(feature))
        return _leaky(self.sample(aligned, feature))


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)
