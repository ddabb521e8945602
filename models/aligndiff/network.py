"""The networks of AlignDiff, built of diffusers and transformers: one class for both sizes.

`paper` is the layout of Stable Diffusion 1.5 (the paper names no version; its counts fit), `small` is
ours. Images are (N, K, H, W) in network units, K bands at once; the autoencoder sees every band by
itself, as one grey picture, so K changes only the latents' channels (K times the autoencoder's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from .hint import channels
from .prompt import NUMBERS

STAGES = ("autoencoder", "diffusion", "adapter")
"""What is trained after what."""


@dataclass(frozen=True)
class Layout:
    """The networks.

    Attributes:
        bands: K. colours: copies of a band that the autoencoder reads; their mean is the band again.
        unshuffle: pixels of a side that are made channels before the autoencoder, and back after it.
        residual: whether the U-Net adds the encoded prior to what it says (for networks that predict
            x0: a fresh one then says the prior). Not in the paper.
        autoencoder, unet, controlnet, text: arguments of the diffusers and transformers classes.
    """

    bands: int = 1
    colours: int = 3
    unshuffle: int = 1
    residual: bool = False
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    unet: Mapping[str, Any] = field(default_factory=dict)
    controlnet: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)

    @property
    def factor(self) -> int:
        """Pixels of a latent's side."""
        return int(self.unshuffle * 2 ** (len(self.autoencoder["block_out_channels"]) - 1))

    @property
    def multiple(self) -> int:
        """What heights and widths of images divide by."""
        return int(self.factor * 2 ** (len(self.unet["block_out_channels"]) - 1))


class AlignDiff(nn.Module):
    """Autoencoder, text encoder, embedding of numbers, U-Net and ControlNet.

    Attributes:
        scale: what latents are multiplied with to be about as large as noise.
    """

    def __init__(
        self,
        layout: Layout,
        autoencoder: AutoencoderKL,
        unet: UNet2DConditionModel,
        controlnet: ControlNetModel,
        text: CLIPTextModel,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.autoencoder, self.unet, self.controlnet, self.text = autoencoder, unet, controlnet, text
        self.numbers = Numbers(unet.config.cross_attention_dim)
        self.register_buffer("scale", torch.tensor(float(autoencoder.config.scaling_factor)))

    def encode(self, image: Tensor) -> Tensor:
        """(N, K, H, W) to latents (N, K C, H/f, W/f): the mode of their distribution."""
        return self._together(self.posterior(image).mode() * self.scale)

    def posterior(self, image: Tensor) -> Any:
        """The distribution of the N K bands' latents, as diffusers gives it, before scaling."""
        layout = self.layout
        grey = image.reshape(-1, 1, *image.shape[2:]).expand(-1, layout.colours, -1, -1)
        return self.autoencoder.encode(F.pixel_unshuffle(grey, layout.unshuffle)).latent_dist

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to (N, K, H, W)."""
        width = self.autoencoder.config.latent_channels
        flat = latents.reshape(-1, width, *latents.shape[2:]) / self.scale
        colours = F.pixel_shuffle(self.autoencoder.decode(flat).sample, self.layout.unshuffle)
        return self._together(colours.mean(1, keepdim=True))

    def context(self, ids: Tensor, numbers: Tensor) -> Tensor:
        """(N, L) tokens and (N, NUMBERS) numbers to the (N, L + 1, D) that attention reads."""
        words = self.text(input_ids=ids).last_hidden_state
        return torch.cat([words, self.numbers(numbers)[:, None].to(words.dtype)], 1)

    def denoise(
        self, x: Tensor, t: Tensor, context: Tensor, hint: Tensor, prior: Tensor | None = None
    ) -> Tensor:
        """What the U-Net says of latents `x` at times `t` (1..T).

        Args:
            hint: (N, channels, H, W). prior: latents of the prior's fill, where `residual`.
        """
        time = t - 1  # diffusers counts from 0
        down, middle = self.controlnet(
            x, time, encoder_hidden_states=context, controlnet_cond=hint, return_dict=False
        )
        said: Tensor = self.unet(
            x,
            time,
            encoder_hidden_states=context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        return said if prior is None or not self.layout.residual else said + prior

    def _together(self, planes: Tensor) -> Tensor:
        """(N K, C, h, w), a band each, to (N, K C, h, w)."""
        return planes.reshape(-1, self.layout.bands * planes.shape[1], *planes.shape[2:])


class Numbers(nn.Module):
    """Place and day as one more token; a fresh one is nought: pretrained networks start as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(NUMBERS, width), nn.Linear(width, width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, numbers: Tensor) -> Tensor:
        """(N, NUMBERS) to (N, width)."""
        out: Tensor = self.leave(F.silu(self.enter(numbers.to(self.enter.weight.dtype))))
        return out


def make(layout: Layout) -> AlignDiff:
    """Fresh networks; those that predict on top of the prior start by saying it.

    Raises:
        ValueError, TypeError: a layout that the libraries do not take.
    """
    flat = layout.colours * layout.unshuffle**2
    autoencoder = AutoencoderKL(in_channels=flat, out_channels=flat, **layout.autoencoder)
    latent = layout.bands * autoencoder.config.latent_channels
    unet = UNet2DConditionModel(in_channels=latent, out_channels=latent, **layout.unet)
    text = CLIPTextModel(CLIPTextConfig(**layout.text))
    model = AlignDiff(layout, autoencoder, unet, control(unet, layout), text)
    if layout.residual:
        nn.init.zeros_(unet.conv_out.weight)
        nn.init.zeros_(unet.conv_out.bias)
    return model


def control(unet: UNet2DConditionModel, layout: Layout, copied: bool = False) -> ControlNetModel:
    """A ControlNet that reads our hint; `copied`: it starts from the U-Net's own weights."""
    return ControlNetModel.from_unet(
        unet,
        conditioning_channels=channels(layout.bands),
        load_weights_from_unet=copied,
        **layout.controlnet,
    )


def freeze(model: AlignDiff, stage: str) -> None:
    """Let only the parts learn that the stage trains; adapters must be in place (`network_adapter`)."""
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        if stage == "autoencoder":
            learns = part == "autoencoder"
        elif stage == "diffusion":
            learns = part != "autoencoder"
        else:
            learns = of_adapter(name)
        parameter.requires_grad_(learns)


def of_adapter(name: str) -> bool:
    """Whether a parameter called so is learned in the stage of the adapter."""
    return "lora_" in name or name.startswith("numbers.") or name.endswith("token_embedding.learned")


def count(layout: Layout) -> dict[str, int]:
    """Parameters of each part, counted without memory."""
    with torch.device("meta"):
        model = make(layout)
    return {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
