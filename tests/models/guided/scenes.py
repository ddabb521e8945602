"""Scenes that several tests make."""

from dataclasses import replace

import cv2
import numpy as np


def thinned(tile, step):
    """An overview of every `step`-th pixel."""
    return replace(
        tile,
        image=tile.image[:, ::step, ::step],
        gaps=tile.gaps[:, ::step, ::step],
        references=tuple(replace(r, image=r.image[:, ::step, ::step]) for r in tile.references),
        step=step,
    )


def texture(shape, seed, bands=3, blur=1.2):
    """(B, H, W) reflectance-like random fields with detail at all scales."""
    random = np.random.default_rng(seed)
    out = np.zeros((bands, *shape), np.float32)
    for sigma, strength in ((blur, 0.02), (4, 0.03), (16, 0.05)):
        noise = random.standard_normal((bands, *shape)).astype(np.float32)
        smooth = np.stack([cv2.GaussianBlur(n, (0, 0), sigma) for n in noise])
        out += strength * smooth / smooth.std()
    return 0.25 + out


def blobs(shape, seed, share):
    field = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(shape), (0, 0), shape[0] / 14)
    return field > np.quantile(field, 1 - share)


def hide(truth, gap):
    """(image, gaps): the truth (B, H, W) with all bands missing in a gap (H, W)."""
    gaps = np.broadcast_to(gap, truth.shape)
    return np.where(gaps, np.nan, truth).astype(np.float32), gaps.copy()
