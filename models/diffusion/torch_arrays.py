"""Arrays to torch and back, and the precision that networks are served in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..base import Floats

_PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def precision_of(word: str, device: str) -> torch.dtype:
    """The type that `word` names; without one half precision on a GPU, else single.

    Raises:
        ValueError: an unknown word, saying which are known.
    """
    word = word or ("fp16" if device == "cuda" else "fp32")
    if word not in _PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(_PRECISIONS)}, not {word}")
    return _PRECISIONS[word]


def there(array: Floats, device: str, kind: torch.dtype) -> Tensor:
    """The array on a device, in its precision."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device, kind)


def back(tensor: Tensor) -> Floats:
    """The tensor as an array of single precision."""
    out: Floats = tensor.float().cpu().numpy()
    return out
