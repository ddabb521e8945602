"""The two networks of Diffusion Enhancement, in torch, and the losses of its three stages.

The conditional noise predictor reads (x_t, y), the weight allocator (x_t, y, x0_reference);
y may carry a mask as its last channel. Sui et al. 2024, section IV and table VI: attention
"resolutions" 4 and 8 are downsample factors, and the allocator never reaches 8.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..diffusion import torch_forward
from ..diffusion.unet import UNet, UNetConfig

STAGES = ("coarse", "weights", "joint")


@dataclass(frozen=True)
class EnhancementConfig:
    """Layout.

    Attributes:
        bands: of the image. mask: whether y has a gap mask as one more channel.
        predictor, allocator: U-Nets; their channels in and out follow from `bands` and `mask`.
        residual: whether the predictor adds y to what it says (for predictors of x0: a fresh one
            says y). Not in the paper.
    """

    bands: int
    predictor: UNetConfig
    allocator: UNetConfig
    mask: bool = False
    residual: bool = False


class Enhancement(nn.Module):
    """Noise predictor and weight allocator."""

    def __init__(self, config: EnhancementConfig) -> None:
        super().__init__()
        bands, extra = config.bands, int(config.mask)
        self.config = config
        self.predictor = UNet(dataclasses.replace(config.predictor, inputs=2 * bands + extra, outputs=bands))
        self.allocator = UNet(dataclasses.replace(config.allocator, inputs=3 * bands + extra, outputs=bands))

    def noise(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """(N, B, H, W), (N,), (N, B or B + 1, H, W) to the noise (or what else it predicts)."""
        out: Tensor = self.predictor(torch.cat([x, condition], 1), t)
        return out + condition[:, : self.config.bands] if self.config.residual else out

    def weight(self, x: Tensor, t: Tensor, condition: Tensor, reference: Tensor) -> Tensor:
        """W in 0..1: a sigmoid, so that it begins at one half and cannot leave its range."""
        logits: Tensor = self.allocator(torch.cat([x, condition, reference], 1), t)
        return torch.sigmoid(logits)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Noise and W."""
        return self.noise(x, t, condition), self.weight(x, t, condition, reference)


def freeze(model: Enhancement, stage: str) -> None:
    """Let only what a stage trains have gradients.

    Raises:
        ValueError: an unknown stage.
    """
    if stage not in STAGES:
        raise ValueError(f"{stage!r} is none of the stages {', '.join(STAGES)}")
    model.predictor.requires_grad_(stage != "weights")
    model.allocator.requires_grad_(stage != "coarse")


def losses(
    model: Enhancement,
    batch: dict[str, Tensor],
    stage: str,
    balance: float,
    clip: float,
    predicts: str = "epsilon",
    rollout: bool = False,
) -> dict[str, Tensor]:
    """Loss terms of a stage (eq. 7, 14 with its sign mended, 15).

    Args:
        batch: `x`, `noise`, `clean`, `condition`, `reference` (N, B, H, W), `t` and `bar` (N,),
            `scored` (N, 1, H, W): the pixels that count; for `rollout` what `rolled` needs.
        balance: the factor of the noise's loss in the joint stage. clip: bound of x0.
        predicts: `epsilon` as published; `x0` or `v` for predictors too narrow to pass noise through.
        rollout: whether x_t is the model's own (`rolled`) and not the truth's. The published
            stages see the truth in every x_t, so W learns to trust a branch that in sampling has
            only its own guess to look at. Not in the paper.
    """
    scored = batch["scored"]
    x, noise, bar = batch["x"], batch["noise"], batch["bar"]
    if rollout:
        x, (signal, rest) = rolled(model, batch, clip, predicts), torch_forward.shares(bar)
        noise = (x - signal * batch["clean"]) / rest
    wanted = torch_forward.wanted(batch["clean"], noise, bar, predicts)

    def mean(error: Tensor) -> Tensor:
        return (error * scored).sum() / (scored.sum() * error.shape[1]).clamp(min=1)

    with torch.set_grad_enabled(torch.is_grad_enabled() and stage != "weights"):
        said = model.noise(x, batch["t"], batch["condition"]).float()
    terms = {"noise": mean((said - wanted).square())}
    if stage == "coarse":
        return {"loss": terms["noise"], **terms}
    diffused = torch_forward.to_clean(x, said.detach(), bar, predicts).clamp(-clip, clip)
    weight = model.weight(x, batch["t"], batch["condition"], batch["reference"]).float()
    clean = (1 - weight) * diffused + weight * batch["reference"]
    terms |= {"fusion": mean((batch["clean"] - clean).abs()), "w": mean(weight.detach())}
    loss = terms["fusion"] + (balance * terms["noise"] if stage == "joint" else 0)
    return {"loss": loss, **terms}


@torch.no_grad()
def rolled(model: Enhancement, batch: dict[str, Tensor], clip: float, predicts: str) -> Tensor:
    """x_t as a sampler would bring it: from noise at the last time in one step to x0, and noised again.

    DDIM without added noise keeps the noise that it began with, so one step stands for many.

    Args:
        batch: as `losses` takes it; `last` and `last_bar` (N,): the last time and its alpha-bar.
    """
    start, reference = batch["noise"], batch["reference"]
    said = model.noise(start, batch["last"], batch["condition"]).float()
    diffused = torch_forward.to_clean(start, said, batch["last_bar"], predicts).clamp(-clip, clip)
    weight = model.weight(start, batch["last"], batch["condition"], reference).float()
    if model.config.mask:
        weight = torch.where(batch["condition"][:, model.config.bands :] < 0.5, 1.0, weight)
    return torch_forward.forward(diffused + weight * (reference - diffused), start, batch["bar"])
