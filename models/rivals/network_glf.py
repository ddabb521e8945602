"""GLF-CR: global fusion by attention after every dense convolution, local fusion by filters (Xu et al. 2022).

Align-CR came of it: the windows of attention and the dynamic filters are the same parts, there is no
alignment, and attention looks at the new channels of each dense convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..align_cr.network_fuse import Attention, Compensate
from .network import Remover, conv


class Fuse(nn.Module):
    """Dense convolutions of both streams that attend to each other, then the exchange."""

    def __init__(self, width: int, growth: int, dense: int, window: int, heads: int, kernel: int) -> None:
        super().__init__()
        entering = [width + growth * index for index in range(dense)]
        self.optical = nn.ModuleList(conv(count, growth) for count in entering)
        self.radar = nn.ModuleList(conv(count, growth) for count in entering)
        self.attention = nn.ModuleList(
            Attention(growth, heads, window, window // 2 * (index % 2), 2, ratio=2, normed=False)
            for index in range(dense)
        )
        total = width + growth * dense
        self.fuse_optical, self.fuse_radar = conv(total, width), conv(total, width)
        self.compensate = Compensate(width, kernel)

    def forward(self, optical: Tensor, radar: Tensor) -> tuple[Tensor, Tensor]:
        """Both features (N, width, H, W) to the same."""
        first, second = optical, radar
        for one, other, attend in zip(self.optical, self.radar, self.attention, strict=True):
            new = attend([F.relu(one(first)), F.relu(other(second))])
            first, second = torch.cat([first, new[0]], 1), torch.cat([second, new[1]], 1)
        found: tuple[Tensor, Tensor] = self.compensate(
            optical + self.fuse_optical(first), radar + self.fuse_radar(second)
        )
        return found


class GlfCr(Remover):
    """(N, inputs, H, W) in 0..1; the last `sar` inputs are radar. The published size is the default.

    Args:
        width, growth, dense, blocks: channels of the features and of each dense convolution, dense
            convolutions a block, blocks. window, heads: of the attention. kernel: of the filters.
        unshuffle: pixels a side that become channels. last: channels at full size.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        sar: int = 2,
        width: int = 96,
        growth: int = 48,
        dense: int = 5,
        blocks: int = 6,
        window: int = 8,
        heads: int = 8,
        kernel: int = 5,
        unshuffle: int = 2,
        last: int = 64,
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.unshuffle, self.multiple = sar, unshuffle, unshuffle * window
        area = unshuffle**2
        self.optical = nn.ModuleList([conv((inputs - sar) * area, width), conv(width, width)])
        self.radar = nn.ModuleList([conv(sar * area, width), conv(width, width)])
        self.blocks = nn.ModuleList(Fuse(width, growth, dense, window, heads, kernel) for _ in range(blocks))
        self.gather = nn.Sequential(nn.Conv2d(blocks * width, width, 1), conv(width, width))
        self.grow, self.leave = conv(width, last * area), conv(last, outputs)

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result alone."""
        split = self.inputs - self.sar
        first = self.optical[0](F.pixel_unshuffle(x[:, :split], self.unshuffle))
        optical = self.optical[1](first)
        radar = self.radar[1](self.radar[0](F.pixel_unshuffle(x[:, split:], self.unshuffle)))
        kept = []
        for block in self.blocks:
            optical, radar = block(optical, radar)
            kept.append(optical)
        here = self.gather(torch.cat(kept, 1)) + first
        residual = self.leave(F.pixel_shuffle(self.grow(here), self.unshuffle))
        return (x[:, : self.outputs] + residual,)
