"""Networks by their parts: from Stable Diffusion's folders or a hub, and from a run's own record.

The layout of a folder is diffusers': `vae`, `unet`, `text_encoder`, `tokenizer`, and, where it was
AlignDiff before, `controlnet` and `numbers.safetensors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from . import tokens
from .hint import channels
from .network import AlignDiff, Layout, control

NUMBERS = "numbers.safetensors"
HINT = (16, 32, 96, 256)
"""Widths of a new ControlNet's way from the hint's size to that of latents, halved at each but the first."""


def pretrained(source: str, kind: torch.dtype = torch.float32) -> tuple[AlignDiff, tokens.Vocabulary]:
    """Stable Diffusion (or AlignDiff) of a local folder or a hub's id, with our hint, word and numbers.

    A ControlNet that is not there starts as a copy of the U-Net's encoder, whose zero convolutions
    leave what Stable Diffusion says as it is.

    Raises:
        OSError: there is no such folder or hub, or a part is missing.
    """
    local = Path(source)
    told = {"torch_dtype": kind, "use_safetensors": True}  # never a pickle
    autoencoder = AutoencoderKL.from_pretrained(source, subfolder="vae", **told)
    unet = UNet2DConditionModel.from_pretrained(source, subfolder="unet", **told)
    # A hub's id is the user's own choice, and what comes of it is no pickle
    text = CLIPTextModel.from_pretrained(  # nosec B615
        source, subfolder="text_encoder", dtype=kind, use_safetensors=True
    )
    colours = autoencoder.config.in_channels
    bands = unet.config.in_channels // autoencoder.config.latent_channels
    layout = Layout(bands, colours, **_shapes(autoencoder, unet))
    if (local / "controlnet").is_dir():
        reader = ControlNetModel.from_pretrained(source, subfolder="controlnet", **told)
        if reader.config.conditioning_channels != channels(bands):
            raise OSError(
                f"its controlnet reads {reader.config.conditioning_channels} channels, ours are more"
            )
    else:
        widths = {"conditioning_embedding_out_channels": HINT[: layout.factor.bit_length()]}
        reader = control(unet, replace(layout, controlnet=widths), copied=True).to(kind)
    model = AlignDiff(layout, autoencoder, unet, reader, text)
    model.numbers.to(kind)
    if (local / NUMBERS).is_file():
        model.numbers.load_state_dict(load_file(local / NUMBERS))
    vocabulary = _vocabulary(source, text.config.max_position_embeddings)
    if len(vocabulary.ids) > text.config.vocab_size:
        text.resize_token_embeddings(len(vocabulary.ids), mean_resizing=False)
    return model, vocabulary


def _vocabulary(source: str, length: int) -> tokens.Vocabulary:
    folder = Path(source) / "tokenizer"
    if not (folder / "vocab.json").is_file():
        if Path(source).is_dir():
            raise OSError(f"{source} has no tokenizer/vocab.json")
        names = ("tokenizer/vocab.json", "tokenizer/merges.txt")
        found = [hf_hub_download(source, name) for name in names]  # nosec B615 - as above, and text
        folder = Path(found[0]).parent
    return tokens.load(folder, length)


def save(model: AlignDiff, vocabulary: tokens.Vocabulary, folder: Path) -> None:
    """Write the parts in the layout that `pretrained` reads; adapters must be merged."""
    for name, part in (
        ("vae", model.autoencoder),
        ("unet", model.unet),
        ("controlnet", model.controlnet),
        ("text_encoder", model.text),
    ):
        part.save_pretrained(folder / name)
    save_file({k: v.contiguous() for k, v in model.numbers.state_dict().items()}, folder / NUMBERS)
    vocabulary.save(folder / "tokenizer")


def facts(model: AlignDiff) -> dict[str, Any]:
    """What `from_parts` makes the same networks of, as JSON."""
    parts: dict[str, Any] = {"unshuffle": model.layout.unshuffle, "residual": model.layout.residual}
    parts |= {"bands": model.layout.bands, "colours": model.layout.colours}
    parts |= {"factor": model.layout.factor, "multiple": model.layout.multiple}
    for name in ("autoencoder", "unet", "controlnet"):
        parts[name] = dict(getattr(model, name).config)
    parts["text"] = model.text.config.to_diff_dict()
    return {"parts": parts}


def from_parts(parts: Mapping[str, Any]) -> AlignDiff:
    """Fresh networks of the shapes that `facts` recorded."""
    autoencoder = AutoencoderKL.from_config(parts["autoencoder"])
    unet = UNet2DConditionModel.from_config(parts["unet"])
    reader = ControlNetModel.from_config(parts["controlnet"])
    text = CLIPTextModel(CLIPTextConfig(**parts["text"]))
    words = ("bands", "colours", "unshuffle", "residual")
    layout = Layout(**{word: parts[word] for word in words}, **_shapes(autoencoder, unet))
    return AlignDiff(layout, autoencoder, unet, reader, text)


def _shapes(autoencoder: nn.Module, unet: nn.Module) -> dict[str, Any]:
    return {
        "autoencoder": {"block_out_channels": autoencoder.config.block_out_channels},
        "unet": {"block_out_channels": unet.config.block_out_channels},
    }
