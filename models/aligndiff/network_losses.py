"""Distribution alignment: statistics of VGG features of what is generated, held to those of the truth.

The paper's "VGG adapter" is these losses: no module of its own takes part in filling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

DEPTHS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}
"""Convolutions before each pooling of VGG-16 and VGG-19, by how many there are in all."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, which VGG was trained on."""


class Features(nn.Module):
    """Activations of VGG's conv1_1, conv2_1, conv3_1, conv4_1 and conv5_1; frozen.

    Args:
        convolutions: (out, in, 3, 3) kernels and (out,) biases, of VGG-16 or VGG-19.
        depths: convolutions before each pooling; by default as their number says.
    """

    def __init__(
        self, convolutions: Sequence[tuple[Tensor, Tensor]], depths: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.depths = tuple(depths or DEPTHS[len(convolutions)])
        # What comes after the last of the first convolutions is never looked at.
        self.used = sum(self.depths[:-1]) + 1
        for place, (kernel, bias) in enumerate(convolutions[: self.used]):
            self.register_buffer(f"kernel{place}", kernel.float())
            self.register_buffer(f"bias{place}", bias.float())
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 1, H, W) in -1..1 (a band, seen as grey) to five maps, the first at full size."""
        x = ((image.float() + 1) / 2 - self.mean) / self.deviation
        found, place = [], 0
        for stage, depth in enumerate(self.depths):
            if stage:
                x = F.max_pool2d(x, 2)
            for layer in range(depth):
                x = F.relu(
                    F.conv2d(x, getattr(self, f"kernel{place}"), getattr(self, f"bias{place}"), padding=1)
                )
                place += 1
                if layer == 0:
                    found.append(x)
                if place == self.used:
                    return found
        return found


@dataclass(frozen=True)
class Alignment:
    """The two losses and how much they count beside the reconstruction (the paper's lambda: 1 and 100)."""

    features: Features
    distribution: float = 1.0
    style: float = 100.0

    def __call__(self, made: Tensor, truth: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Losses of (N, K, H, W) images, weighted by (N,): a one-step x0 says little where t is large.

        On the images' device, and in single precision whatever the network learns in: sums over all places
        of products of features leave half precision's range, and their differences its digits.
        """
        self.features.to(made.device)
        with torch.autocast(made.device.type, enabled=False):
            return self._terms(made.float(), truth.float(), weight.float())

    def _terms(self, made: Tensor, truth: Tensor, weight: Tensor) -> dict[str, Tensor]:
        bands = made.shape[1]
        flat, wanted = (image.reshape(-1, 1, *image.shape[2:]) for image in (made, truth))
        with torch.no_grad():
            aims = self.features(wanted)
        maps, share = self.features(flat), weight.repeat_interleave(bands)
        apart = {
            "distribution": sum(mean_distance(a, b) for a, b in zip(maps, aims, strict=True)),
            "style": sum(style_distance(a, b) for a, b in zip(maps, aims, strict=True)),
        }
        return {name: (share * value).mean() for name, value in apart.items()}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum (equation 7 without the reconstruction)."""
        return self.distribution * terms["distribution"] + self.style * terms["style"]


def mean_distance(made: Tensor, truth: Tensor) -> Tensor:
    """(N,) squared distance of the mean features (equation 4): MMD with a linear kernel."""
    return (made.mean((2, 3)) - truth.mean((2, 3))).square().sum(1)


def style_distance(made: Tensor, truth: Tensor) -> Tensor:
    """(N,) squared distance of the Gram matrices over 4 C^2 H^2 W^2 (equation 5)."""
    size = made[0].numel()  # C H W
    return (gram(made) - gram(truth)).square().sum((1, 2)) / (4 * size**2)


def gram(maps: Tensor) -> Tensor:
    """(N, C, C) sums over places of products of features."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2)
