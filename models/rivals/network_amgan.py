"""AMGAN-CR: one network finds cloud by looking again and again, another removes it (Xu et al. 2022).

The recurrent network looks at image and attention map again and again and keeps a state; each look
sharpens the map. The residual network changes the image where the last map says so. Trained
against a patch discriminator, with every map held to where cloud is, later ones more strictly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv
from .network_spa import Bottleneck

Cell = tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """One look: residual convolutions, a convolutional LSTM, a map."""

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.width = width
        self.enter = nn.Sequential(conv(inputs + 1, width), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU()) for _ in range(blocks)
        )
        self.gates = conv(2 * width, 4 * width)
        self.leave = conv(width, 1)

    def forward(self, x: Tensor, attention: Tensor, cell: Cell | None) -> tuple[Tensor, Cell]:
        """Image, the map before and the state to the next map and state."""
        here = self.enter(torch.cat([x, attention], 1))
        for block in self.blocks:
            here = F.relu(block(here) + here)
        hidden, memory = cell if cell is not None else (torch.zeros_like(here), torch.zeros_like(here))
        let_in, forget, write, let_out = self.gates(torch.cat([here, hidden], 1)).chunk(4, 1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(let_in) * torch.tanh(write)
        hidden = torch.sigmoid(let_out) * torch.tanh(memory)
        return torch.sigmoid(self.leave(hidden)), (hidden, memory)


class AmganCr(Remover):
    """The generator; see the module. Widths are ours: they make the published 0.24 M parameters.

    Args:
        width: channels. looks: of the recurrent network. blocks: residual blocks of each look.
        removal: blocks of the residual network.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int = 32, looks: int = 4, blocks: int = 5, removal: int = 6
    ) -> None:
        super().__init__(inputs, outputs)
        self.looks = looks
        self.recurrent = Recurrent(inputs, width, blocks)
        self.enter = nn.Sequential(conv(inputs + 1, width), nn.ReLU())
        self.removal = nn.ModuleList(Bottleneck(width) for _ in range(removal))
        self.leave = conv(width, outputs)

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """Result, then the maps (N, 1, H, W) in the order of the looks."""
        attention, cell, maps = torch.full_like(x[:, :1], 0.5), None, []
        for _ in range(self.looks):
            attention, cell = self.recurrent(x, attention, cell)
            maps.append(attention)
        here = self.enter(torch.cat([x, attention], 1))
        for block in self.removal:
            here = F.relu(block(here) * attention + here)
        return (x[:, : self.outputs] + self.leave(here), *maps)
