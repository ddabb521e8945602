"""`ferns.learn_in` and `predict_in` on torch: learnt from their few pixels on the CPU, asked on a GPU."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..base import Flags
from ..planes import sampled
from .learners import ferns as bushes

_VALUE = tuple(1 << bit for bit in reversed(range(8)))  # of a fern's answers, the first one's first


def grown(
    known: bushes.Ferns | None,
    said: tuple[Tensor, Tensor, Tensor],
    target: Tensor,
    weight: Tensor,
    near: Flags,
    place: tuple[int, int],
    count: int,
) -> Tensor | None:
    """(B, H, W) what ferns say, NaN where not `near`; None where a tile has none and cannot learn any.

    Args:
        said: leading components, the first regression, the second one, (k, H, W) each. target: (B, H, W).
        weight: (H, W), 0 where the target is unknown. place: row and column of the tile's first pixel.
    """
    flat = [planes.reshape(len(planes), -1) for planes in said]
    width = near.shape[1]

    def lie(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.divmod(places, width)
        return rows + place[0], columns + place[1]

    if known is None:
        weights = weight.cpu().numpy()
        places = sampled(weights > 0)
        some = torch.as_tensor(places, device=target.device)
        everything = (*flat, target.reshape(len(target), -1))
        leading, first, second, goal = (planes[:, some].cpu().numpy() for planes in everything)
        pixels = bushes.Pixels(leading, first, second, *lie(places))
        known = bushes.learn(pixels, goal, weights.ravel()[places], count)
    if known is None:
        return None
    places = np.flatnonzero(near)
    some = torch.as_tensor(places, device=target.device)
    leading, first, second = (planes[:, some] for planes in flat)
    along = torch.as_tensor(bushes.along(*lie(places)), device=target.device)
    base = (first + second) / 2
    out = torch.full_like(target, math.nan)
    out.view(len(out), -1)[:, some] = (
        base + _asked(known, torch.cat([leading, first, second, along]))[: len(base)]
    )
    return out


def _asked(known: bushes.Ferns, inputs: Tensor) -> Tensor:
    """(B or more, n) what ferns add, of inputs (F, n)."""
    there = inputs.device
    low, factor = (torch.as_tensor(each, device=there)[:, None] for each in (known.low, known.factor))
    levels = ((inputs - low) * factor).clamp(0, 255).to(torch.uint8)
    which, bars, leaves = (
        torch.as_tensor(each, device=there) for each in (known.which, known.bars, known.leaves)
    )
    value = torch.as_tensor(_VALUE, device=there)[:, None]
    out = torch.zeros(inputs.shape[1], leaves.shape[2], device=there)
    for asked, bar, leaf in zip(which, bars, leaves, strict=True):
        out += leaf[((levels[asked] > bar[:, None]) * value).sum(0)]
    return out.T
