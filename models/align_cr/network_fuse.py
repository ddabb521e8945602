"""Fusion of an optical and a radar feature: dense convolutions, windows of attention, local filters.

Sources: Zhang et al. 2020 (residual dense blocks), Liu et al. 2021 (shifted windows), Xu et al. 2022
(the radar's attention corrects the optical one; radar compensates through dynamic filters).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network_deform import conv

APART = -100.0
"""Added to the score of two places that the shift made neighbours."""


class Dense(nn.Module):
    """Convolutions that each see all before, and their fusion to the first width."""

    def __init__(self, width: int, growth: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(width + growth * index, growth) for index in range(count))
        self.fuse = conv(width + growth * count, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        out: Tensor = self.fuse(x)
        return out


def windows(x: Tensor, side: int) -> Tensor:
    """(N, C, H, W) to (N, windows, side * side, C)."""
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // side, side, width // side, side)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, side * side, channels)


def joined(x: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `windows`."""
    n, _, _, channels = x.shape
    x = x.reshape(n, height // side, width // side, side, side, channels)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(n, channels, height, width)


def apart(height: int, width: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(windows, side^2, side^2): `APART` for pairs that a cyclic shift brought into one window, else 0.

    Made for the size at hand; a network must not remember the one it was built with.
    """
    strips = []
    for length in (height, width):
        at = torch.arange(length, device=device)
        strips.append((at >= length - side).float() + (at >= length - shift).float())
    region = strips[0][:, None] * 3 + strips[1][None]
    labels = windows(region[None, None], side)[0, :, :, 0]
    return (labels[:, :, None] != labels[:, None]).float() * APART


class Stream(nn.Module):
    """What one stream of a transformer layer has for itself."""

    def __init__(self, width: int, ratio: int, normed: bool) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width) if normed else nn.Identity()
        self.after = nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))


class Attention(nn.Module):
    """One layer of attention in (shifted) windows over one or two streams.

    Scores of both streams share a bias by relative position. A gate per head decides how far the
    optical scores follow the radar's; the radar keeps its own.

    Args:
        heads, side, shift: of the attention, its windows, and their shift. streams: one or two.
        ratio: width of the layer's perceptron. normed: whether features are normalised before.
    """

    def __init__(
        self, width: int, heads: int, side: int, shift: int, streams: int, ratio: int = 4, normed: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.side, self.shift = heads, side, shift
        self.streams = nn.ModuleList(Stream(width, ratio, normed) for _ in range(streams))
        self.bias = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        at = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)
        apart_by = at[:, :, None] - at[:, None] + side - 1
        self.register_buffer("relative", apart_by[0] * (2 * side - 1) + apart_by[1], persistent=False)
        self.gate = nn.Conv2d(heads, heads, 1) if streams == 2 else None

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features (N, width, H, W) of the streams; H and W are multiples of the window."""
        _, _, height, width = features[0].shape
        side, shift, count = self.side, self.shift, len(features)
        tokens = [windows(torch.roll(x, (-shift, -shift), (2, 3)) if shift else x, side) for x in features]
        parts = [self._read(s, x) for s, x in zip(self.streams, tokens, strict=True)]
        bias = self.bias[self.relative.flatten()].reshape(side**2, side**2, -1).permute(2, 0, 1)
        scores = [q @ k.transpose(-1, -2) + bias for q, k, _ in parts]
        if self.gate is not None and count == 2:
            apart_by = scores[1] - scores[0]
            shape = apart_by.shape
            gate = torch.sigmoid(self.gate(apart_by.flatten(0, 1))).reshape(shape)
            scores = [scores[0] + gate * apart_by, scores[1]]
        if shift:
            mask = apart(height, width, side, shift, features[0].device)
            scores = [score + mask[:, None] for score in scores]
        out = []
        for stream, x, score, (_, _, values) in zip(self.streams, tokens, scores, parts, strict=True):
            seen = (torch.softmax(score, -1) @ values).transpose(2, 3).flatten(3)
            x = x + stream.write(seen)
            x = joined(x + stream.mix(stream.after(x)), side, height, width)
            out.append(torch.roll(x, (shift, shift), (2, 3)) if shift else x)
        return out

    def _read(self, stream: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (N, windows, heads, places, depth) each."""
        n, count, places, width = x.shape
        read = stream.read(stream.before(x))  # type: ignore[operator]
        q, k, v = read.reshape(n, count, places, 3, self.heads, width // self.heads).permute(3, 0, 1, 4, 2, 5)
        return q * (width // self.heads) ** -0.5, k, v


class Compensate(nn.Module):
    """Radar, filtered by kernels that depend on the place, fills in what the optical feature lacks.

    The kernels begin near the one that changes nothing.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.enter = conv(2 * width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width)) for _ in range(2)
        )
        self.filters = nn.Conv2d(width, width * kernel**2, 1)
        with torch.no_grad():
            self.filters.weight *= 0.1
            self.filters.bias.zero_()  # type: ignore[union-attr]
            self.filters.bias[kernel**2 // 2 :: kernel**2] = 1  # type: ignore[index]
        self.to_optical, self.to_radar = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, optical: Tensor, radar: Tensor) -> tuple[Tensor, Tensor]:
        """Both features after the exchange."""
        here = F.leaky_relu(self.enter(torch.cat([optical, radar], 1)), 0.2)
        for block in self.blocks:
            here = here + block(here)
        filtered = self.filtered(radar, self.filters(here))
        more = filtered - optical
        optical = optical + torch.sigmoid(self.to_optical(more)) * more
        more = optical - filtered
        return optical, radar + torch.sigmoid(self.to_radar(more)) * more

    def filtered(self, x: Tensor, weights: Tensor) -> Tensor:
        """`x` under its own kernel at every place and channel; the edge is repeated."""
        n, channels, height, width = x.shape
        side = self.kernel
        weights = weights.reshape(n, channels, side * side, height, width)
        padded = F.pad(x, [side // 2] * 4, mode="replicate")
        out = torch.zeros_like(x)
        for tap in range(side * side):
            row, column = divmod(tap, side)
            out = out + padded[:, :, row : row + height, column : column + width] * weights[:, :, tap]
        return out
