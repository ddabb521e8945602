"""MPRNet (Zamir et al. 2021): restoration in three stages.

The first stage reads quarters of the image, the second halves, both as encoder and decoder; the
third keeps full resolution. Supervised attention hands features on between stages. This is the
network that public code of Diffusion Enhancement calls "MemoryNet", though it has no memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import Remover, conv, doubled, halved

Features = list[Tensor]


class Channel(nn.Module):
    """Two convolutions whose channels are weighed by what all places say; added to the input."""

    def __init__(self, width: int, act: nn.PReLU, reduction: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width, bias=False), act, conv(width, width, bias=False))
        few = width // reduction
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(width, few, 1, bias=False),
            nn.ReLU(),
            conv(few, width, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        out = self.body(x)
        weighed: Tensor = x + out * self.weigh(out)
        return weighed


class Supervised(nn.Module):
    """A stage's image, and its features weighed by that image."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.features = conv(width, width, 1, bias=False)
        self.image = conv(width, outputs, 1, bias=False)
        self.attention = conv(outputs, width, 1, bias=False)

    def forward(self, x: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """Features and clouded image to features and restored image."""
        image = self.image(x) + given
        return x + self.features(x) * torch.sigmoid(self.attention(image)), image


class Encoder(nn.Module):
    """Three scales; with `across` it also takes the features of the stage before."""

    def __init__(self, width: int, growth: int, act: nn.PReLU, across: bool) -> None:
        super().__init__()
        widths = [width, width + growth, width + 2 * growth]
        self.levels = nn.ModuleList(nn.Sequential(Channel(w, act), Channel(w, act)) for w in widths)
        self.down = nn.ModuleList(conv(a, b, 1, bias=False) for a, b in zip(widths, widths[1:], strict=False))
        count = 2 * len(widths) if across else 0
        self.across = nn.ModuleList(conv(widths[i % 3], widths[i % 3], 1, bias=False) for i in range(count))

    def forward(self, x: Tensor, before: tuple[Features, Features] | None = None) -> Features:
        """Features of each scale, the finest first."""
        found = []
        for scale, level in enumerate(self.levels):
            if scale:
                x = self.down[scale - 1](halved(x))
            x = level(x)
            if before is not None:
                x = x + self.across[scale](before[0][scale]) + self.across[scale + 3](before[1][scale])
            found.append(x)
        return found


class Decoder(nn.Module):
    """Back from the coarsest scale."""

    def __init__(self, width: int, growth: int, act: nn.PReLU) -> None:
        super().__init__()
        widths = [width, width + growth, width + 2 * growth]
        self.levels = nn.ModuleList(nn.Sequential(Channel(w, act), Channel(w, act)) for w in widths)
        self.skip = nn.ModuleList(Channel(w, act) for w in widths[:2])
        self.up = nn.ModuleList(conv(b, a, 1, bias=False) for a, b in zip(widths, widths[1:], strict=False))

    def forward(self, found: Features) -> Features:
        """Features of each scale, the finest first."""
        coarse = self.levels[2](found[2])
        middle = self.levels[1](self.up[1](doubled(coarse)) + self.skip[1](found[1]))
        fine = self.levels[0](self.up[0](doubled(middle)) + self.skip[0](found[0]))
        return [fine, middle, coarse]


class Original(nn.Module):
    """Full resolution: three groups of blocks that take in what the second stage found."""

    def __init__(self, width: int, growth: int, more: int, blocks: int, act: nn.PReLU) -> None:
        super().__init__()
        wide = width + more
        self.groups = nn.ModuleList(
            nn.Sequential(*(Channel(wide, act) for _ in range(blocks)), conv(wide, wide, bias=False))
            for _ in range(3)
        )
        steps = [(width + growth, width), (width + 2 * growth, width + growth)]
        self.up = nn.ModuleList(
            nn.ModuleList(conv(a, b, 1, bias=False) for a, b in (steps[0], *reversed(steps)))
            for _ in range(2)
        )
        self.take = nn.ModuleList(
            nn.ModuleList(conv(width, wide, 1, bias=False) for _ in range(3)) for _ in range(2)
        )

    def forward(self, x: Tensor, encoded: Features, decoded: Features) -> Tensor:
        """(N, wide, H, W) to the same shape."""
        for scale, group in enumerate(self.groups):
            x = x + group(x)
            for side, features in enumerate((encoded, decoded)):
                taken = features[scale]
                layers = (self.up[side][:0], self.up[side][:1], self.up[side][1:])[scale]
                for layer in layers:
                    taken = layer(doubled(taken))
                x = x + self.take[side][scale](taken)
        return x


class MprNet(Remover):
    """See the module; the default widths are those of the published deraining network (3.64 M).

    Args:
        width: channels. growth: more for each coarser scale. more: of the third stage.
        blocks: of each group of the third stage.
    """

    multiple = 16

    def __init__(
        self, inputs: int, outputs: int, width: int = 40, growth: int = 20, more: int = 16, blocks: int = 8
    ) -> None:
        super().__init__(inputs, outputs)
        act = nn.PReLU()
        self.enter = nn.ModuleList(
            nn.Sequential(conv(inputs, width, bias=False), Channel(width, act)) for _ in range(3)
        )
        self.encoders = nn.ModuleList(Encoder(width, growth, act, across=stage > 0) for stage in range(2))
        self.decoders = nn.ModuleList(Decoder(width, growth, act) for _ in range(2))
        self.supervised = nn.ModuleList(Supervised(width, outputs) for _ in range(2))
        self.join = nn.ModuleList(conv(2 * width, w, bias=False) for w in (width, width + more))
        self.original = Original(width, growth, more, blocks, act)
        self.leave = conv(width + more, outputs, bias=False)

    def coarsest(self, found: Features) -> Features:
        """A place for what subclasses do to the coarsest features of the first two stages."""
        return found

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The images of the third, second and first stage."""
        height, width = x.shape[-2] // 2, x.shape[-1] // 2
        given = x[:, : self.outputs]
        top, bottom = x[..., :height, :], x[..., height:, :]
        quarters = [top[..., :width], top[..., width:], bottom[..., :width], bottom[..., width:]]
        found = [self.encoders[0](self.enter[0](part)) for part in quarters]
        upper = [torch.cat(pair, 3) for pair in zip(found[0], found[1], strict=True)]
        lower = [torch.cat(pair, 3) for pair in zip(found[2], found[3], strict=True)]
        read = [self.decoders[0](self.coarsest(half)) for half in (upper, lower)]
        halves = [
            self.supervised[0](features[0], part)
            for features, part in zip(read, (given[..., :height, :], given[..., height:, :]), strict=True)
        ]
        first = torch.cat([image for _, image in halves], 2)
        handed = torch.cat([features for features, _ in halves], 2)
        encoded = [torch.cat(pair, 2) for pair in zip(upper, lower, strict=True)]
        decoded = [torch.cat(pair, 2) for pair in zip(*read, strict=True)]
        x2 = self.join[0](torch.cat([self.enter[1](x), handed], 1))
        encoded = self.coarsest(self.encoders[1](x2, (encoded, decoded)))
        decoded = self.decoders[1](encoded)
        handed, second = self.supervised[1](decoded[0], given)
        x3 = self.join[1](torch.cat([self.enter[2](x), handed], 1))
        third = given + self.leave(self.original(x3, encoded, decoded))
        return third, second, first
