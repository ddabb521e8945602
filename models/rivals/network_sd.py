"""`sd-inpaint`: Stable Diffusion's inpainting without terrain, from a folder or a hub (Rombach et al. 2022).

The pipeline that diffusers reads: text-to-image networks (4 channels in: known latents are replaced at
every step) and inpainting ones (9: noised latents, mask, latents of the masked image). Bands go one by one
as grey pictures, as AlignDiff's paper does; window, sampler and prompt are AlignDiff's. No terrain, no
other date: of the hint only gap and observation are read. Weights are safetensors only, never pickle.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from diffusers import StableDiffusionInpaintPipeline
from torch import Tensor

from ..aligndiff.model import AlignDiff, assemble
from ..aligndiff.prompt import TOKEN
from ..base import Floats
from ..diffusion import schedules
from ..diffusion.torch_arrays import back, precision_of, there
from ..values import folder_or_hub
from .network_fill import places

PREDICTS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


class Inpainting:
    """The networks of a pipeline; see `aligndiff.sampling.Networks`, of which it is one."""

    bands = 1
    weights_sha256 = None

    def __init__(self, pipeline: Any, device: str = "cpu") -> None:
        self.autoencoder, self.unet = pipeline.vae.eval(), pipeline.unet.eval()
        self.text, self.device = pipeline.text_encoder.eval(), device
        for part in (self.autoencoder, self.unet, self.text):
            part.requires_grad_(False).to(device)
        self.scale = float(self.autoencoder.config.scaling_factor)
        self.factor = 2 ** (len(self.autoencoder.config.block_out_channels) - 1)
        self.multiple = int(self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1))
        noise = pipeline.scheduler.config
        self.predicts = PREDICTS[noise.get("prediction_type", "epsilon")]
        name = {"linear": "linear", "squaredcos_cap_v2": "cosine"}.get(noise.beta_schedule, "scaled-linear")
        self.schedule = schedules.make(name, noise.num_train_timesteps)
        self.words = pipeline.tokenizer
        self._known = threading.local()

    def encode(self, image: Floats) -> Floats:
        """(N, 1, H, W) in network units to latents: the mode of their distribution."""
        with torch.no_grad():
            colours = self._there(image).expand(-1, self.autoencoder.config.in_channels, -1, -1)
            return back(self.autoencoder.encode(colours).latent_dist.mode() * self.scale)

    def decode(self, latents: Floats) -> Floats:
        """The inverse of `encode`; one image at a time, which is what memory allows at full size."""
        with torch.no_grad():
            made = [self.autoencoder.decode(self._there(one[None]) / self.scale).sample for one in latents]
            return np.concatenate([back(image.mean(1, keepdim=True)) for image in made])

    def context(self, text: str, place: Floats) -> Floats:
        """A prompt to what attention reads; the model's own word means nothing here and is left out."""
        length = self.text.config.max_position_embeddings
        said = text.replace(TOKEN, "").strip()
        ids = self.words(
            said, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        with torch.no_grad():
            return back(self.text(input_ids=ids.to(self.device)).last_hidden_state)

    def denoise(self, x: Floats, t: int, context: Floats, hint: Floats, prior: Floats) -> Floats:
        """What the U-Net says of latents at time t (1..T)."""
        given = self._there(x)
        if self.unet.config.in_channels > x.shape[1]:
            given = torch.cat([given, self._masked(hint).expand(len(x), -1, -1, -1)], 1)
        times = torch.full((len(x),), float(t - 1), device=self.device)
        words = self._there(context).expand(len(x), -1, -1)
        with torch.no_grad():
            return back(self.unet(given, times, encoder_hidden_states=words).sample)

    def _masked(self, hint: Floats) -> Tensor:
        """(1, 1 + C, h, w): the gap and the latents of the image without it, kept from step to step."""
        before = getattr(self._known, "hint", None)
        if before is None or not np.array_equal(before, hint):
            gap, observed = (hint[:, places(part, 1)] for part in ("gap", "observed"))
            small = F.max_pool2d(self._there(gap), self.factor)
            self._known.value = torch.cat([small, self._there(self.encode(observed))], 1)
            self._known.hint = hint.copy()
        value: Tensor = self._known.value
        return value

    def _there(self, array: Floats) -> Tensor:
        return there(array, self.device, self.unet.dtype)


def load(source: str, device: str = "cpu", precision: str = "") -> Inpainting:
    """The networks of a folder or a hub's id; half precision on a GPU unless told otherwise.

    Raises:
        ValueError: no such folder or hub, weights that are no safetensors, or an unknown precision.
    """
    kind = precision_of(precision, device)
    try:
        pipeline = StableDiffusionInpaintPipeline.from_pretrained(
            source,
            torch_dtype=kind,
            use_safetensors=True,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError) as error:
        raise ValueError(str(error).split("\n")[0]) from None
    extra = pipeline.unet.config.in_channels - pipeline.vae.config.latent_channels
    if extra not in (0, 1 + pipeline.vae.config.latent_channels):
        raise ValueError(f"its U-Net reads {pipeline.unet.config.in_channels} channels, not 4 or 9")
    return Inpainting(pipeline, device)


def create(
    quality: str,
    seed: int,
    weights: str = "",
    prior: str = "harmonic",
    samples: str = "1",
    steps: str = "",
    prompt: str = "",
    region: str = "",
    precision: str = "",
    device: str = "cpu",
) -> AlignDiff:
    """The reconstructor of `weights`, a folder in Stable Diffusion's layout or a hub's id.

    Raises:
        ValueError: none was named, or as `load` and `aligndiff.model.assemble`.
    """
    networks = load(folder_or_hub(weights), device, precision)
    return assemble(networks, (), quality, seed, prior, samples, steps, prompt, region, "0")
