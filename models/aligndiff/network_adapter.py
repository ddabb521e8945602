"""Semantic alignment: LoRA on the attention layers (Hu et al. 2021), by peft, and how it is merged.

W' = W + (alpha / r) B A with A Gaussian and B zero, so an adapter that has learned nothing changes nothing.
The paper says neither rank nor layers: rank 8 on query, key, value and output of the U-Net's
attention and on query and value of the text encoder. Of the words `<AlignDiff>` alone is learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from .network import AlignDiff, of_adapter

UNET, TEXT = ("to_q", "to_k", "to_v", "to_out.0"), ("q_proj", "v_proj")


class OneWord(nn.Module):
    """Embeddings of words, of which that with the id `word` is a parameter of its own."""

    def __init__(self, words: nn.Embedding, word: int) -> None:
        super().__init__()
        self.words, self.word = words, word
        self.learned = nn.Parameter(words.weight[word].detach().clone())

    def forward(self, ids: Tensor) -> Tensor:
        """(N, L) ids to (N, L, D)."""
        return torch.where((ids == self.word)[..., None], self.learned, self.words(ids))

    def merged(self) -> nn.Embedding:
        """The embeddings, with what was learned in its row."""
        with torch.no_grad():
            self.words.weight[self.word] = self.learned
        return self.words


def adapt(model: AlignDiff, word: int, rank: int = 8) -> None:
    """Put fresh adapters into the U-Net and the text encoder, and part the id `word` from the other words."""
    model.text.set_input_embeddings(OneWord(model.text.get_input_embeddings(), word))  # type: ignore[arg-type]
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
        parent, _, own = name.rpartition(".")
        if isinstance(layer, BaseTunerLayer):
            layer.merge()  # type: ignore[operator]
            setattr(model.get_submodule(parent), own, layer.get_base_layer())
        elif isinstance(layer, OneWord):
            setattr(model.get_submodule(parent), own, layer.merged())


def learned(model: AlignDiff) -> Mapping[str, Tensor]:
    """What the stage of the adapter has learned, by name: a small file beside the large ones."""
    return {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if of_adapter(name)
    }
