"""McGAN and SAR-Opt-cGAN: U-Nets against a patch discriminator.

McGAN (Enomoto et al. 2017) sees the bands alone; its layout is that of its authors' published code.
SAR-Opt-cGAN (Grohnfeldt et al. 2018) sees radar too. Neither states its size, and of the latter no code
is public: here it is the U-Net of pix2pix that it goes back to (Isola et al. 2017, section 6.1.1).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv


class McGan(Remover):
    """(N, inputs, H, W) in 0..1; the last `sar` inputs are radar. The published size is the default.

    Args:
        width: channels of the first level; they double to eight times that. levels: full size, and
            halvings. drop: share of values dropped in the three deepest levels of the way up while training.
    """

    def __init__(
        self, inputs: int, outputs: int, sar: int = 0, width: int = 64, levels: int = 8, drop: float = 0.5
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.multiple, self.drop = sar, 2 ** (levels - 1), drop
        widths = _widths(width, levels)
        self.enter, self.leave = conv(inputs, width), conv(2 * width, outputs)
        self.down = nn.ModuleList(_halving(before, after) for before, after in pairwise(widths))
        entering = [widths[-1], *(2 * count for count in widths[-2:0:-1])]
        self.up = nn.ModuleList(
            nn.Sequential(_doubling(before, after), nn.BatchNorm2d(after))
            for before, after in zip(entering, widths[-2::-1], strict=True)
        )
        self.norm = nn.ModuleList(nn.BatchNorm2d(count) for count in widths[1:])

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result alone."""
        here, kept = F.leaky_relu(self.enter(2 * x - 1), 0.2), []
        for layer, norm in zip(self.down, self.norm, strict=True):
            kept.append(here)
            here = F.leaky_relu(norm(layer(here)), 0.2)
        for level, layer in enumerate(self.up):
            here = F.dropout(layer(here), self.drop, self.training and level < 3)
            here = torch.cat([F.relu(here), kept.pop()], 1)
        return ((self.leave(here) + 1) / 2,)


class SarOptCgan(Remover):
    """(N, inputs, H, W) in 0..1; the last `sar` inputs are radar. pix2pix's size is the default.

    Args:
        width, drop: see `McGan`. levels: halvings.
    """

    def __init__(
        self, inputs: int, outputs: int, sar: int = 2, width: int = 64, levels: int = 8, drop: float = 0.5
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.multiple, self.drop = sar, 2**levels, drop
        widths = _widths(width, levels)
        self.down = nn.ModuleList(_halving(before, after) for before, after in pairwise([inputs, *widths]))
        entering = [widths[-1], *(2 * count for count in widths[-2::-1])]
        leaving = [*widths[-2::-1], outputs]
        self.up = nn.ModuleList(
            _doubling(before, after, bias=level == levels - 1)
            for level, (before, after) in enumerate(zip(entering, leaving, strict=True))
        )
        # The outermost and the innermost level stay as they are: one has raw values, one a single pixel.
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(count) for count in widths[1:-1])
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(count) for count in widths[-2::-1])

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result alone, in 0..1."""
        here, kept = self.down[0](2 * x - 1), []
        for layer, norm in zip(self.down[1:-1], self.down_norm, strict=True):
            kept.append(here)
            here = norm(layer(F.leaky_relu(here, 0.2)))
        kept.append(here)
        here = self.down[-1](F.leaky_relu(here, 0.2))
        for level, (layer, norm) in enumerate(zip(self.up[:-1], self.up_norm, strict=True)):
            here = norm(layer(F.relu(here)))
            here = F.dropout(here, self.drop, self.training and level < 3)
            here = torch.cat([here, kept.pop()], 1)
        return ((torch.tanh(self.up[-1](F.relu(here))) + 1) / 2,)


def _widths(width: int, levels: int) -> list[int]:
    return [width * min(2**level, 8) for level in range(levels)]


def _halving(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)


def _doubling(before: int, after: int, bias: bool = False) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)
