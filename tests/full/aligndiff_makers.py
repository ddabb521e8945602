"""AlignDiff small enough for a test."""

from __future__ import annotations

import torch
from terramend.backend.training import aligndiff
from terramend.models.aligndiff import tokens
from terramend.models.aligndiff.hint import channels
from terramend.models.aligndiff.prompt import NUMBERS, TOKEN

STACK = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4}
TINY = {
    "bands": 1,
    "colours": 1,
    "unshuffle": 2,
    "residual": True,
    "autoencoder": {
        **STACK,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "latent_channels": 4,
        "mid_block_add_attention": False,
    },
    "unet": {
        **STACK,
        "sample_size": 8,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
    },
    "controlnet": {"conditioning_embedding_out_channels": [4, 8, 8]},
    "text": {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 12,
    },
}
VOCABULARY = tokens.learn(["Peru, Red edge", "Peru, NIR"], 30, 12)


def layout(**changes):
    return aligndiff.layout({"network": {**TINY, **changes}, "data": {"wavelengths": []}}, VOCABULARY)


def stirred(model, seed=0, scale=0.05):
    """Weights that are all different from what a fresh network has, zero convolutions too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def inputs(bands=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    ids = torch.from_numpy(VOCABULARY.encode(f"{TOKEN} Peru, NIR"))[None].expand(2, -1)
    x, t, prior = drawn(2, 4 * bands, 8, 8), torch.tensor([900.0, 20.0]), drawn(2, 4 * bands, 8, 8)
    return x, t, ids, drawn(2, NUMBERS), drawn(2, channels(bands), 32, 32), prior


def narrow(depths, seed=0):
    """VGG's layers, kernel and bias each, with 4 to 8 channels in place of 64 to 512."""
    generator = torch.Generator().manual_seed(seed)
    widths, layers, before = (4, 5, 6, 7, 8), [], 3
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers.append((0.2 * torch.randn(width, before, 3, 3, generator=generator), torch.zeros(width)))
            before = width
    return layers
