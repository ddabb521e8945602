"""Networks that are trained against an adversary: both learn in one step, each by its own term.

The network's term sees the adversary's weights as constants, the adversary's term sees the image as one.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch.func import functional_call

from ...models.rivals.network import Discriminator

Network = TypeVar("Network", bound=torch.nn.Module)


class Trained(torch.nn.Module, Generic[Network]):
    """A network and, where it has one, its adversary: what the trainer keeps and averages."""

    def __init__(self, network: Network, adversary: Discriminator | None = None) -> None:
        super().__init__()
        self.network, self.adversary = network, adversary


def adversarial(
    adversary: Discriminator, given: torch.Tensor, image: torch.Tensor, truth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The network's term (gradients for the image alone) and the adversary's (for it alone)."""
    held = {name: value.detach() for name, value in adversary.named_parameters()}
    softplus = torch.nn.functional.softplus
    fooled = softplus(-functional_call(adversary, held, (given, image)).float()).mean()
    real, made = adversary(given, truth).float(), adversary(given, image.detach()).float()
    return fooled, 0.5 * (softplus(-real).mean() + softplus(made).mean())
