"""DSen2-CR: residual blocks at full resolution over bands and radar together (Meraner et al. 2020)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv


class DSen2Cr(Remover):
    """(N, inputs, H, W) in 0..1; the last `sar` inputs are radar. The published size is the default.

    Args:
        width, blocks: of the residual blocks. scale: of what each adds. unshuffle: pixels a side that
            become channels (1: none, as published).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        sar: int = 2,
        width: int = 256,
        blocks: int = 16,
        scale: float = 0.1,
        unshuffle: int = 1,
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.scale, self.unshuffle, self.multiple = sar, scale, unshuffle, unshuffle
        self.enter = conv(inputs * unshuffle**2, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width)) for _ in range(blocks)
        )
        self.leave = conv(width, outputs * unshuffle**2)

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result alone."""
        here = F.relu(self.enter(F.pixel_unshuffle(x, self.unshuffle)))
        for block in self.blocks:
            here = here + self.scale * block(here)
        return (x[:, : self.outputs] + F.pixel_shuffle(self.leave(here), self.unshuffle),)
