"""STCNN and an autoencoder: deterministic networks that fill from the last clear date, or from terrain.

STCNN (He, Chow, Zhang 2019) was made for traffic: convolutional LSTM cells read a sequence of maps, a
convolutional decoder says the next one. Here the sequence is the last clear date and the scene with its
gap. The autoencoder is the contractive one of Rifai et al. (2011) with convolutions: its code should change
little where its input does. Neither paper has an image size or width for our case: those are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import conv, doubled
from .network_fill import Filler

State = tuple[Tensor, Tensor]


class Cell(nn.Module):
    """A convolutional LSTM (Shi et al. 2015): one step of a sequence of maps."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.gates = conv(inputs + width, 4 * width)
        self.width = width

    def forward(self, x: Tensor, state: State | None) -> State:
        """A map and the state before to the state after: hidden map, memory."""
        if state is None:
            empty = x.new_zeros((*x.shape[:1], self.width, *x.shape[2:]))
            state = empty, empty
        hidden, memory = state
        let_in, forget, write, let_out = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(let_in) * torch.tanh(write)
        return torch.sigmoid(let_out) * torch.tanh(memory), memory


class Stcnn(Filler):
    """Two maps, cells on top of each other, a decoder.

    Args:
        given: `last` makes the sequence two maps long; `terrain` goes with every map.
        width: of the cells. layers: of cells.
    """

    def __init__(
        self, bands: int, given: Sequence[str] = ("observed", "gap", "last"), width: int = 32, layers: int = 2
    ) -> None:
        super().__init__(bands, given)
        self.before, self.terrain = "last" in given, "terrain" in given
        inputs = bands + 2 + 4 * self.terrain
        widths = [inputs, *[width] * layers]
        self.cells = nn.ModuleList(Cell(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.decode = nn.Sequential(
            conv(width, width), nn.ReLU(), conv(width, width, dilation=2), nn.ReLU(), conv(width, bands)
        )

    def forward(self, hint: Tensor) -> Tensor:
        """A hint to (N, K, H, W) in network units."""
        gap = self.part(hint, "gap")
        now = torch.cat([self.part(hint, "observed"), 1 - gap, torch.zeros_like(gap)], 1)
        maps = [self.part(hint, "last"), now] if self.before else [now]
        states: list[State | None] = [None] * len(self.cells)
        here = now
        for image in maps:
            here = torch.cat([image, self.part(hint, "terrain")], 1) if self.terrain else image
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(here, states[layer])
                here = states[layer][0]  # type: ignore[index]
        out: Tensor = self.decode(here)
        return out


class Autoencoder(Filler):
    """Convolutions down to a code and up again, without ways around it.

    Args:
        width: of the first level; it doubles with each. levels: halvings.
    """

    def __init__(
        self, bands: int, given: Sequence[str] = ("observed", "gap", "last"), width: int = 32, levels: int = 3
    ) -> None:
        super().__init__(bands, given)
        self.multiple = 2**levels
        widths = [len(self.chosen), *(width * 2**level for level in range(levels))]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip(widths, widths[1:], strict=False)
        )
        back = [bands, *widths[1:]]
        self.up = nn.ModuleList(conv(b, a) for a, b in reversed(list(zip(back, back[1:], strict=False))))

    def code(self, seen: Tensor) -> Tensor:
        """What the network sees to (N, C, H/2^levels, W/2^levels), 0 to 1."""
        for layer in self.down[:-1]:
            seen = F.relu(layer(seen))
        return torch.sigmoid(self.down[-1](seen))

    def forward(self, hint: Tensor) -> Tensor:
        """A hint to (N, K, H, W) in network units."""
        here = self.code(self.seen(hint))
        for number, layer in enumerate(self.up):
            here = layer(doubled(here))
            here = F.relu(here) if number < len(self.up) - 1 else here
        return here

    def contraction(self, hint: Tensor, noise: Tensor, size: float = 0.01) -> Tensor:
        """The squared norm of the code's Jacobian by the seen channels, per code value, by a random probe."""
        seen = self.seen(hint)
        return ((self.code(seen + size * noise) - self.code(seen)) / size).square().mean()
