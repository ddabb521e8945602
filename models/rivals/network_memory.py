"""MemoryNet: a restoration network with memory and contrast (Zhang, Gu, Zhu 2023).

On the three-stage network, a memory of prototypes at the coarsest features: every place reads
a mixture of the prototypes that resemble it, and gets it back beside its own features. In
training the memory is written by moving averages of clear features that chose each prototype.
Contrast pulls the features of the result (actual) to those of the clear image (positive) and
away from those of the clouded one (negative). Sizes of the memory are ours: none are published.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import conv
from .network_mprnet import Features, MprNet


class Memory(nn.Module):
    """`slots` prototypes, read by resemblance, written by moving averages.

    Args:
        width: of the features. keep: share of a prototype that stays when it is written.
    """

    items: Tensor

    def __init__(self, width: int, slots: int, keep: float = 0.99) -> None:
        super().__init__()
        self.keep = keep
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("items", F.normalize(torch.randn(slots, width, generator=generator), dim=1))
        self.mix = conv(2 * width, width, 1)

    def address(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, slots, H, W): a softmax over prototypes of the cosines with each place."""
        items = self.items.clone()  # what gradients need must outlive the next `write`
        cosine = torch.einsum("nchw,kc->nkhw", F.normalize(x, dim=1), items)
        return torch.softmax(10 * cosine, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape: what is remembered, mixed into the features."""
        read = torch.einsum("nkhw,kc->nchw", self.address(x), self.items.clone())
        size = x.square().mean(1, keepdim=True).sqrt() * x.shape[1] ** 0.5
        out: Tensor = x + self.mix(torch.cat([x, read * size], 1))
        return out

    @torch.no_grad()
    def write(self, x: Tensor) -> None:
        """Move each prototype towards the mean direction of the places that resemble it most."""
        places = F.normalize(x.detach().float(), dim=1).permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        nearest = (places @ self.items.T).argmax(1)
        sums = torch.zeros_like(self.items).index_add_(0, nearest, places)
        written = sums.abs().sum(1) > 0
        moved = self.keep * self.items + (1 - self.keep) * F.normalize(sums, dim=1)
        self.items.copy_(torch.where(written[:, None], F.normalize(moved, dim=1), self.items))


class MemoryNet(MprNet):
    """See the module.

    Args:
        slots: prototypes of the memory. Others: as `MprNet`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 40,
        growth: int = 20,
        more: int = 16,
        blocks: int = 8,
        slots: int = 64,
    ) -> None:
        super().__init__(inputs, outputs, width, growth, more, blocks)
        self.memory = Memory(width + 2 * growth, slots)
        nn.init.zeros_(self.memory.mix.weight)
        nn.init.zeros_(self.memory.mix.bias)

    def coarsest(self, found: Features) -> Features:
        """The coarsest features with what the memory holds of them."""
        return [*found[:-1], self.memory(found[-1])]

    def described(self, image: Tensor, given: Tensor) -> Tensor:
        """Coarsest features of an image; channels beside the bands (a mask) come from `given`."""
        full = torch.cat([image, given[:, self.outputs :]], 1)
        out: Tensor = self.encoders[0](self.enter[0](full))[-1]
        return out

    def contrast(self, result: Tensor, given: Tensor, truth: Tensor) -> Tensor:
        """Distance to the clear image's features over distance to the clouded one's; writes the memory."""
        with torch.no_grad():
            positive, negative = self.described(truth, given), self.described(given[:, : self.outputs], given)
        if self.training:
            self.memory.write(positive)
        actual = self.described(result, given)
        near, far = (actual - positive).abs().mean((1, 2, 3)), (actual - negative).abs().mean((1, 2, 3))
        return (near / (far + near + 1e-6)).mean()
