"""McGAN and SAR-Opt-cGAN: the U-Net of pix2pix against a patch discriminator.

McGAN (Enomoto et al. 2017) sees the bands alone, SAR-Opt-cGAN (Grohnfeldt et al. 2018) radar too.
Layout of the generator: Isola et al. 2017, section 6.1.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover


class McGan(Remover):
    """(N, inputs, H, W) in 0..1; the last `sar` inputs are radar. The published size is the default.

    Args:
        width: channels of the first level; they double to eight times that. levels: halvings.
        drop: share of channels dropped in the three deepest levels of the way up while training.
    """

    def __init__(
        self, inputs: int, outputs: int, sar: int = 0, width: int = 64, levels: int = 8, drop: float = 0.5
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.multiple, self.drop = sar, 2**levels, drop
        widths = [width * min(2**level, 8) for level in range(levels)]
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
            for before, after in zip([inputs, *widths[:-1]], widths, strict=True)
        )
        entering = [widths[-1], *(2 * count for count in widths[-2::-1])]
        leaving = [*widths[-2::-1], outputs]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=level == levels - 1)
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


class SarOptCgan(McGan):
    """The same with radar among the inputs."""

    def __init__(
        self, inputs: int, outputs: int, sar: int = 2, width: int = 64, levels: int = 8, drop: float = 0.5
    ) -> None:
        super().__init__(inputs, outputs, sar, width, levels, drop)
