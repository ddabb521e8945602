"""Networks that fill gaps beside AlignDiff: which parts of its hint they see, and which one a name means.

All read the hint that AlignDiff's ControlNet reads (`aligndiff.hint`), so that all are trained on the same
samples and fill through the same door; each looks at the parts that its paper gives it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ..aligndiff.hint import channels
from ..diffusion.unet import UNet, UNetConfig

PARTS = ("terrain", "gap", "observed", "prior", "last")
"""Of the hint: four channels of terrain; the gap's mask; the masked bands; the prior's fill of them; the last
clear date's, whether there is one, and its age."""
NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "palette": ".network_fill:Palette",
        "lama": ".network_lama:Lama",
        "stcnn": ".network_time:Stcnn",
        "autoencoder": ".network_time:Autoencoder",
    }
)
"""Name of each network, and module and class that build it."""


def places(part: str, bands: int) -> list[int]:
    """Channels of a part of the hint.

    Raises:
        ValueError: an unknown part.
    """
    spans = {
        "terrain": range(4),
        "gap": range(4, 5),
        "observed": range(5, 5 + bands),
        "prior": range(5 + bands, 5 + 2 * bands),
        "last": range(5 + 2 * bands, channels(bands)),
    }
    if part not in spans:
        raise ValueError(f"{part!r} is none of {', '.join(PARTS)}")
    return list(spans[part])


class Filler(nn.Module):
    """A network that says `bands` from a hint (N, channels, H, W); H and W divide by `multiple`.

    Attributes:
        diffusion: whether it is asked again and again about a noised image, else once.
    """

    multiple = 1
    diffusion = False

    def __init__(self, bands: int, given: Sequence[str]) -> None:
        super().__init__()
        self.bands = bands
        self.chosen = [place for part in given for place in places(part, bands)]

    def seen(self, hint: Tensor) -> Tensor:
        """The channels that this network looks at."""
        return hint[:, self.chosen]

    def part(self, hint: Tensor, name: str) -> Tensor:
        """One part of the hint."""
        return hint[:, places(name, self.bands)]


class Palette(Filler):
    """Palette: diffusion in pixels, the condition beside the noised image (Saharia et al. 2022)."""

    diffusion = True

    def __init__(self, bands: int, given: Sequence[str], **layout: Any) -> None:
        super().__init__(bands, given)
        layout = {k: tuple(v) if isinstance(v, list) else v for k, v in layout.items()}
        self.unet = UNet(UNetConfig(len(self.chosen) + bands, bands, **layout))
        self.multiple = self.unet.config.multiple

    def forward(self, x: Tensor, t: Tensor, hint: Tensor) -> Tensor:
        """(N, K, H, W) noised, (N,) times, hint to what the configuration says is predicted."""
        out: Tensor = self.unet(torch.cat([x, self.seen(hint)], 1), t)
        return out


def make(kind: str, values: Mapping[str, Any]) -> Filler:
    """A fresh network called `kind`.

    Raises:
        KeyError: an unknown name. TypeError, ValueError: a value that it does not take.
    """
    module, _, name = NETWORKS[kind].partition(":")
    made: Filler = getattr(importlib.import_module(module, __package__), name)(**values)
    return made
