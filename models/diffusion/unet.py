"""The one U-Net of the diffusion models, in torch.

Residual blocks with time conditioning, self-attention at chosen downsample factors, skip
connections (Ho et al. 2020; Dhariwal, Nichol 2021). Conditioning images are concatenated
to the input by the caller. Widths, depth, attention, FiLM and pixel-unshuffle are config.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn


@dataclass(frozen=True)
class UNetConfig:
    """Layout of a U-Net.

    Attributes:
        inputs, outputs: channels in (sample and conditioning together) and out.
        base: width of the first level. multipliers: width of each level over `base`.
        blocks: residual blocks a level. attention: downsample factors with attention
            (1 is the network's own full resolution). heads: of the attention.
        film: scale-and-shift time conditioning instead of an added bias.
        unshuffle: pixel-unshuffle factor before and pixel-shuffle after the network.
        groups: of the group normalisation (fewer where a width does not divide).
        resampling: `conv`, or `residual`: levels change size inside a residual block (Dhariwal, Nichol 2021).

    Raises:
        ValueError: a layout that no network can have, naming the entry.
    """

    inputs: int
    outputs: int
    base: int = 64
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 2
    attention: tuple[int, ...] = ()
    heads: int = 1
    film: bool = True
    unshuffle: int = 1
    groups: int = 32
    resampling: str = "conv"

    def __post_init__(self) -> None:
        for name in ("blocks", "heads", "unshuffle", "groups"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= 1):
                raise ValueError(f"{name} must be a whole number from 1 on")
        if self.base < 2 or self.base % 2:
            raise ValueError("base must be even: half of it are sines, half cosines of the time")
        if not self.multipliers or any(not isinstance(m, int) or m < 1 for m in self.multipliers):
            raise ValueError("multipliers must be a list of whole numbers from 1 on")
        factors = dict(enumerate(self.multipliers))
        attentive = {m for depth, m in factors.items() if 2**depth in self.attention} | {self.multipliers[-1]}
        if any(self.base * m % self.heads for m in attentive):
            raise ValueError(f"heads must divide every width with attention, which {self.heads} does not")
        if self.resampling not in ("conv", "residual"):
            raise ValueError(f"resampling is conv or residual, not {self.resampling}")

    @property
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this."""
        return int(self.unshuffle * 2 ** (len(self.multipliers) - 1))


def time_embedding(t: Tensor, width: int) -> Tensor:
    """(N,) times to (N, width): cosines, then sines, at geometric frequencies down to 1/10000."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group normalisation with as many of `groups` groups as divide the width."""
    return nn.GroupNorm(math.gcd(channels, groups), channels)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with all parameters zero: its branch begins as nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """Two 3x3 convolutions with time conditioning between them, added to the input."""

    def __init__(self, inputs: int, outputs: int, time: int, config: UNetConfig) -> None:
        super().__init__()
        self.film = config.film
        self.before = nn.Sequential(
            norm(inputs, config.groups), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * outputs if config.film else outputs))
        self.norm = norm(outputs, config.groups)
        self.after = nn.Sequential(nn.SiLU(), zeroed(nn.Conv2d(outputs, outputs, 3, padding=1)))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(N, inputs, H, W), (N, time) to (N, outputs, H, W)."""
        return self.mixed(x, self.before(x), time)

    def mixed(self, x: Tensor, hidden: Tensor, time: Tensor) -> Tensor:
        """What stands after the first convolution, with the skip from `x`."""
        said = self.time(time)[:, :, None, None]
        if self.film:
            scale, shift = said.chunk(2, dim=1)
            hidden = self.norm(hidden) * (1 + scale) + shift
        else:
            hidden = self.norm(hidden + said)
        out: Tensor = self.skip(x) + self.after(hidden)
        return out


class Resampling(nn.Module):
    """A residual block that halves (means) or doubles (nearest) the size before its first convolution."""

    def __init__(self, channels: int, time: int, config: UNetConfig, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.residual = Residual(channels, channels, time, config)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H f, W f)."""
        block = self.residual
        hidden = block.before[2](self.resized(block.before[1](block.before[0](x))))
        return block.mixed(self.resized(x), hidden, time)

    def resized(self, x: Tensor) -> Tensor:
        """The image at its new size."""
        return F.avg_pool2d(x, 2) if self.factor < 1 else F.interpolate(x, scale_factor=2.0, mode="nearest")


class Attention(nn.Module):
    """Self-attention over all positions, added to the input."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = norm(channels, config.groups)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3, self.heads, c // self.heads, h * w).unbind(1)
        mixed = F.scaled_dot_product_attention(q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3))
        out: Tensor = x + self.out(mixed.transpose(2, 3).reshape(n, c, h, w))
        return out


class Level(nn.Module):
    """A residual block with, where asked, attention after it."""

    def __init__(self, inputs: int, outputs: int, time: int, attention: bool, config: UNetConfig) -> None:
        super().__init__()
        self.residual = Residual(inputs, outputs, time, config)
        self.attention = Attention(outputs, config) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(N, inputs, H, W), (N, time) to (N, outputs, H, W)."""
        out: Tensor = self.attention(self.residual(x, time))
        return out


class UNet(nn.Module):
    """The network. Any height and width: edges are replicated up to a multiple and cut again."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        time = 4 * config.base
        squared = config.unshuffle**2
        self.time = nn.Sequential(nn.Linear(config.base, time), nn.SiLU(), nn.Linear(time, time))
        width = config.base * config.multipliers[0]
        self.enter = nn.Conv2d(config.inputs * squared, width, 3, padding=1)
        widths = [width]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for depth, multiplier in enumerate(config.multipliers):
            here, level = config.base * multiplier, nn.ModuleList()
            for _ in range(config.blocks):
                level.append(Level(width, here, time, 2**depth in config.attention, config))
                width = here
                widths.append(width)
            if depth < len(config.multipliers) - 1:
                level.append(resampling(width, time, config, 0.5))
                widths.append(width)
            self.down.append(level)
        self.middle = nn.ModuleList(
            [Level(width, width, time, True, config), Level(width, width, time, False, config)]
        )
        for depth, multiplier in reversed(list(enumerate(config.multipliers))):
            here, level = config.base * multiplier, nn.ModuleList()
            for _ in range(config.blocks + 1):
                level.append(Level(width + widths.pop(), here, time, 2**depth in config.attention, config))
                width = here
            if depth:
                level.append(resampling(width, time, config, 2.0))
            self.up.append(level)
        self.leave = nn.Sequential(
            norm(width, config.groups),
            nn.SiLU(),
            zeroed(nn.Conv2d(width, config.outputs * squared, 3, padding=1)),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N,) times to (N, outputs, H, W)."""
        height, width = x.shape[-2:]
        multiple = self.config.multiple
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        if self.config.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.config.unshuffle)
        time = self.time(time_embedding(t, self.config.base).to(x.dtype))
        x = self.enter(x)
        kept = [x]
        for level in self.down:
            for block in level:
                x = block(x) if isinstance(block, nn.Conv2d) else block(x, time)
                kept.append(x)
        for block in self.middle:
            x = block(x, time)
        for level in self.up:
            for block in level:
                if isinstance(block, Level):
                    x = block(torch.cat([x, kept.pop()], dim=1), time)
                elif isinstance(block, Resampling):
                    x = block(x, time)
                else:
                    x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = self.leave(x)
        if self.config.unshuffle > 1:
            x = F.pixel_shuffle(x, self.config.unshuffle)
        return x[..., :height, :width]


def resampling(width: int, time: int, config: UNetConfig, factor: float) -> nn.Module:
    """The layer between two levels; a plain convolution upwards expects an image that was doubled."""
    if config.resampling == "residual":
        return Resampling(width, time, config, factor)
    return nn.Conv2d(width, width, 3, stride=2 if factor < 1 else 1, padding=1)


def parameters(module: nn.Module) -> int:
    """How many parameters a module has (works on the meta device too)."""
    return sum(p.numel() for p in module.parameters())
