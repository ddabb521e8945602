"""What several benchmarks print of hidden samples: how well they were filled, and how honestly."""

from __future__ import annotations

import numpy as np
from terramend.backend.evaluation.methods import Filled
from terramend.models.base import Flags, Floats, Tile
from terramend.models.registry import find


def guided(tile: Tile) -> Filled:
    """What `guided` says of a tile that is the whole scene."""
    model = find("guided").create()
    made = model.predict(tile, model.prepare(tile))
    return made.mean, made.std


def figures(made: Filled, truth: Floats, hidden: Flags) -> tuple[float, float]:
    """PSNR in dB at hidden pixels (H, W), and their samples' share in 90 % intervals (NaN without).

    `made` and `truth` are of (..., H, W).
    """
    mean, std = made
    error = (mean - truth)[..., hidden]
    held = np.nan if std is None else (np.abs(error) < 1.645 * std[..., hidden]).mean()
    return -10 * float(np.log10(np.nanmean(error**2))), float(held)


def line(title: str, psnr: float, held: float) -> str:
    """A row of a table of such figures."""
    return f"  {title:36} {psnr:6.2f}" + ("" if np.isnan(held) else f"  ({held:.0%})")
