"""The network of `mend`, in torch (training and export only).

A set encoder reads each reference by itself; attention lets every place choose among them,
or none; what all say together, and how far apart they are, comes beside it. A U-Net at half
resolution predicts, per sample, a correction in units of the prior's standard deviation and
the logarithm of the variance's factor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

from .inputs import BASE, REFERENCE

TOGETHER = 3
"""Channels of all references together: mean and deviation of guess minus prior, share known."""


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


class Mend(nn.Module):
    """(N, BASE, H, W) and (N, K, REFERENCE, H, W) to (N, 2, H, W): correction, log variance factor.

    Height and width are multiples of 16; K may be any number.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96, 128), key: int = 16) -> None:
        super().__init__()
        first = widths[0]
        self.enter = block(4 * (BASE + TOGETHER), first)
        self.reference = nn.Sequential(
            nn.Conv2d(4 * REFERENCE, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, first, 1), nn.ReLU()
        )
        self.query, self.key = nn.Conv2d(first, key, 1), nn.Conv2d(first, key, 1)
        self.nothing = nn.Parameter(torch.zeros(1, key, 1, 1))
        entering = (2 * first, *widths[1:-1])  # what each step down reads, and each step up gets back
        self.down = nn.ModuleList(block(a, b) for a, b in zip(entering, widths[1:], strict=True))
        leaving = (first, *widths[1:-1])
        self.up = nn.ModuleList(
            block(below + kept, out)
            for below, kept, out in reversed(list(zip(widths[1:], entering, leaving, strict=True)))
        )
        self.leave = nn.Conv2d(first, 8, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, base: Tensor, references: Tensor) -> Tensor:
        """See the class."""
        x = torch.cat([base, together(references)], dim=1)
        x = self.enter(F.pixel_unshuffle(x, 2))
        x = torch.cat([x, self.attend(x, references)], dim=1)
        kept = []
        for layer in self.down:
            kept.append(x)
            x = layer(F.max_pool2d(x, 2))
        for layer in self.up:
            larger = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = layer(torch.cat([larger, kept.pop()], dim=1))
        out: Tensor = F.pixel_shuffle(self.leave(x), 2)
        return out

    def attend(self, x: Tensor, references: Tensor) -> Tensor:
        """Features of the references, weighted per place by a softmax that may also choose none."""
        n, k, channels, height, width = references.shape
        flat = F.pixel_unshuffle(references.reshape(n * k, channels, height, width), 2)
        read = self.reference(flat)
        keys = self.key(read).reshape(n, k, -1, height // 2, width // 2)
        seen = F.avg_pool2d(references[:, :, 1], 2)
        scores = (
            self.query(x)[:, None] * torch.cat([keys, self.nothing[None].expand_as(keys[:, :1])], 1)
        ).sum(2)
        hidden = torch.cat([(seen < 0.5).float() * -1e4, torch.zeros_like(seen[:, :1])], 1)
        weights = torch.softmax(scores + hidden, dim=1)[:, :k]
        mixed: Tensor = (weights[:, :, None] * read.reshape(n, k, -1, height // 2, width // 2)).sum(1)
        return mixed


def together(references: Tensor) -> Tensor:
    """(N, TOGETHER, H, W) of references (N, K, REFERENCE, H, W)."""
    known, apart = references[:, :, 1], references[:, :, 2]
    count = known.sum(1, keepdim=True)
    least = count.clamp(min=1)
    mean = (apart * known).sum(1, keepdim=True) / least
    deviation = (((apart - mean) ** 2 * known).sum(1, keepdim=True) / least + 1e-6).sqrt()
    return torch.cat([mean, deviation, count / known.shape[1]], dim=1)
