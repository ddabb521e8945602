"""CVAE: thin cloud removal with a conditional variational autoencoder (Ding, Zi, Xie 2022).

A clouded image has many clear ones. A prior network tells from it a distribution of a latent
vector, a posterior network (training only) from both images; a decoder makes the clear image of
the clouded image's features and a latent. The result is the decoder's image of the prior's mean;
drawn latents give others, and their spread is the uncertainty. Widths are ours: they make the
published 15.6 M parameters.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv, doubled

LEVELS = 4


def norm(width: int) -> nn.GroupNorm:
    """Eight groups of channels, or as many of them as divide the width."""
    return nn.GroupNorm(math.gcd(width, 8), width)


class Down(nn.Module):
    """Half the size: a strided convolution and another one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            norm(outputs),
            nn.SiLU(),
            conv(outputs, outputs),
            norm(outputs),
            nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        out: Tensor = self.body(x)
        return out


class Latent(nn.Module):
    """An encoder that ends in mean and log variance of a latent vector."""

    def __init__(self, inputs: int, width: int, latent: int) -> None:
        super().__init__()
        widths = [inputs, width, 2 * width, 4 * width, 4 * width]
        self.body = nn.Sequential(*(Down(a, b) for a, b in zip(widths, widths[1:], strict=False)))
        self.leave = nn.Linear(widths[-1], 2 * latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W) to two (N, latent)."""
        mean, log_variance = self.leave(self.body(x).mean((2, 3))).chunk(2, 1)
        return mean, log_variance.clamp(-8, 4)


class Cvae(Remover):
    """See the module.

    Args:
        width: channels of the first level; they double with each. latent: length of the vector.
    """

    multiple = 2**LEVELS

    def __init__(self, inputs: int, outputs: int, width: int = 55, latent: int = 64) -> None:
        super().__init__(inputs, outputs)
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.enter = nn.Sequential(conv(inputs, width), norm(width), nn.SiLU())
        self.down = nn.ModuleList(Down(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.prior = Latent(inputs, width, latent)
        self.posterior = Latent(inputs + outputs, width, latent)
        self.told = nn.Linear(latent, widths[-1])
        self.up = nn.ModuleList(
            nn.Sequential(conv(b + a, a), norm(a), nn.SiLU())
            for a, b in reversed(list(zip(widths, widths[1:], strict=False)))
        )
        self.leave = conv(width, outputs)
        nn.init.zeros_(self.leave.weight)

    def decoded(self, x: Tensor, latent: Tensor) -> Tensor:
        """The clear image that a latent stands for."""
        kept = [self.enter(x)]
        for layer in self.down:
            kept.append(layer(kept[-1]))
        here = F.silu(kept.pop() + self.told(latent)[:, :, None, None])
        for layer in self.up:
            here = layer(torch.cat([doubled(here), kept.pop()], 1))
        out: Tensor = x[:, : self.outputs] + self.leave(here)
        return out

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """Result; with `truth` from the posterior's latent, and then the divergence from the prior."""
        mean, log_variance = self.prior(x)
        if truth is None:
            return (self.decoded(x, mean),)
        seen, seen_log_variance = self.posterior(torch.cat([x, truth], 1))
        drawn = seen + torch.randn_like(seen) * torch.exp(0.5 * seen_log_variance)
        ratio = seen_log_variance - log_variance
        divergence = 0.5 * (ratio.exp() + (seen - mean).square() / log_variance.exp() - 1 - ratio)
        return self.decoded(x, drawn), divergence.sum(1).mean()
