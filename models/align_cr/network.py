"""The network of Align-CR, in torch: features, blocks that align and fuse, reconstruction.

Widths that the paper leaves out are those of its published code; `paper` has its 45.5 million
parameters, of which 29.2 million align.

Source: Xu et al. 2023, section 4.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..rivals.network import Remover
from .network_deform import Align, Deformable, conv
from .network_fuse import Attention, Compensate, Dense


class Normed(nn.Conv2d):
    """A convolution whose kernels have a learned length apart from their direction (Salimans 2016)."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.length = nn.Parameter(self.weight.detach().flatten(1).norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        shape = (-1, 1, 1, 1)
        direction = self.weight / self.weight.flatten(1).norm(dim=1).reshape(shape)
        return F.conv2d(x, direction * self.length.reshape(shape), self.bias, padding=self.padding)


class Features(nn.Module):
    """First features of a stream: a convolution, then residual blocks that widen before they narrow."""

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = conv(inputs, width)
        wide, narrow = 6 * width, int(0.8 * width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                Normed(width, wide, 1), nn.ReLU(), Normed(wide, narrow, 1), Normed(narrow, width, 3)
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W) to what the convolution gave, and the feature."""
        first = self.enter(x)
        here = F.relu(first)
        for block in self.blocks:
            here = here + block(here)
        return first, here


class AlignFuse(nn.Module):
    """One block: align the radar to the optical feature, let both attend, exchange."""

    def __init__(
        self, width: int, growth: int, dense: int, window: int, shift: int, heads: int, groups: int,
        kernel: int, radar: bool, align: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.align = Align(width, groups) if radar and align else None
        self.dense = nn.ModuleList(Dense(width, growth, dense) for _ in range(1 + radar))
        self.attention = Attention(width, heads, window, shift, 1 + radar)
        self.compensate = Compensate(width, kernel) if radar else None

    def forward(self, optical: Tensor, radar: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The two features, or the one that there is."""
        if radar is None or self.compensate is None:
            (seen,) = self.attention([self.dense[0](optical)])
            return optical + seen, None
        if self.align is not None:
            radar = self.align(radar, optical)
        given = [optical, radar]
        seen = self.attention([dense(x) for dense, x in zip(self.dense, given, strict=True)])
        found: tuple[Tensor, Tensor] = self.compensate(*(x + s for x, s in zip(given, seen, strict=True)))
        return found


class AlignCr(Remover):
    """(N, inputs, H, W): clouded bands, further optical planes, then `sar` radar planes; 0..1.

    Args:
        inputs, outputs: channels in and bands out. sar: of the inputs, the last so many are radar;
            0: without radar.
        width, growth, dense, blocks, wide: channels of the features, of each dense convolution,
            dense convolutions a block, blocks, widening blocks of the first features.
        window, heads: of the attention; shifted by half a window in every second block.
        groups: of channels that move together. kernel: side of the dynamic filters.
        unshuffle: pixels a side that become channels. last: channels at full size.
        align: False for the network without alignment.
        gain: reflectance is centred on 0.2 and multiplied by this inside.
        radar_gain: the same for radar, centred on 0.6; 0 leaves it as it comes. Its spread is a tenth of
            its mean, so a short training does not find it otherwise.
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
        wide: int = 5,
        window: int = 8,
        heads: int = 8,
        groups: int = 8,
        kernel: int = 5,
        unshuffle: int = 2,
        last: int = 64,
        align: bool = True,
        gain: float = 1.0,
        radar_gain: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        self.sar, self.unshuffle, self.gain, self.radar_gain = sar, unshuffle, gain, radar_gain
        self.multiple = unshuffle * max(window, 4)
        self.optical = Features((inputs - sar) * unshuffle**2, width, wide)
        self.radar = Features(sar * unshuffle**2, width, wide) if sar else None
        self.blocks = nn.ModuleList(
            AlignFuse(
                width,
                growth,
                dense,
                window,
                window // 2 * (index % 2),
                heads,
                groups,
                kernel,
                bool(sar),
                align,
            )
            for index in range(blocks)
        )
        self.gather = nn.Sequential(nn.Conv2d(blocks * width, width, 1), conv(width, width))
        self.grow = conv(width, last * unshuffle**2)
        self.leave = conv(last, outputs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result alone."""
        bands = x[:, : self.outputs]
        given = torch.cat([(bands - 0.2) * self.gain, x[:, self.outputs : self.inputs - self.sar]], 1)
        first, optical = self.optical(F.pixel_unshuffle(given, self.unshuffle))
        radar = None
        if self.radar is not None:
            radar = self.radar(F.pixel_unshuffle(self._spread(x[:, -self.sar :]), self.unshuffle))[1]
        kept = []
        for block in self.blocks:
            optical, radar = block(optical, radar)
            kept.append(optical)
        here = self.gather(torch.cat(kept, 1)) + first
        residual = self.leave(F.pixel_shuffle(self.grow(here), self.unshuffle))
        return (bands + residual / self.gain,)

    def _spread(self, radar: Tensor) -> Tensor:
        """Radar planes as the network takes them in; where radar is known to be missing it stays 0."""
        if not self.radar_gain:
            return radar
        known = radar[:, 2:]
        values = (radar[:, :2] - 0.6) * self.radar_gain
        return torch.cat([values * known if self.sar > 2 else values, known], 1)

    def native(self) -> AlignCr:
        """From here on export writes ONNX's own DeformConv (needs opset 19, and a runtime that has it)."""
        for module in self.modules():
            if isinstance(module, Deformable):
                module.native = True
        return self
