"""Semantic alignment: LoRA on the attention layers (Hu et al. 2021), by peft, and how it is merged.

W' = W + (alpha / r) B A with A Gaussian and B zero, so an adapter that has learned nothing changes nothing.
The paper says neither rank nor layers: rank 8 on query, key, value and output of the U-Net's
attention and on query and value of the text encoder.
"""

from __future__ import annotations

from collections.abc import Mapping

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from .network import AlignDiff

UNET, TEXT = ("to_q", "to_k", "to_v", "to_out.0"), ("q_proj", "v_proj")


def adapt(model: AlignDiff, rank: int = 8) -> None:
    """Put fresh adapters into the U-Net and the text encoder."""
    for part, targets in ((model.unet, UNET), (model.text, TEXT)):
        config = LoraConfig(
            r=rank, lora_alpha=rank, target_modules=list(targets), init_lora_weights="gaussian"
        )
        inject_adapter_in_model(config, part)


def merge(model: nn.Module) -> None:
    """Add the adapters to the weights and take them out; what the model says stays the same.

    A model that is saved with adapters in it writes `base_layer` keys, which diffusers reads back
    as fresh random weights.
    """
    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()  # type: ignore[operator]
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())


def learned(model: AlignDiff) -> Mapping[str, Tensor]:
    """What the stage of the adapter has learned, by name: a small file beside the large ones."""
    return {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if "lora_" in name or name.startswith("numbers.") or "token_embedding" in name
    }
