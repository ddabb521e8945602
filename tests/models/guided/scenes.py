"""Scenes that several tests make."""

from dataclasses import replace

import cv2
import numpy as np
from terramend.models.base import Tile


def thinned(tile, step):
    """An overview of every `step`-th pixel."""
    return replace(
        tile,
        image=tile.image[:, ::step, ::step],
        gaps=tile.gaps[:, ::step, ::step],
        references=tuple(replace(r, image=r.image[:, ::step, ::step]) for r in tile.references),
        step=step,
    )


def moved(gap, rows, columns):
    """The gaps so many rows and columns further; what leaves the scene is lost."""
    height, width = gap.shape
    out = np.zeros_like(gap)
    out[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = gap[
        max(-rows, 0) : height - max(rows, 0), max(-columns, 0) : width - max(columns, 0)
    ]
    return out


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


def patchwork(seed=0, side=128):
    """Fields in a tree of which kinds of soil and height each decide: no sum of functions of both."""
    random = np.random.default_rng(seed)
    soil, height = (random.integers(0, 4, (side // 16, side // 16)).repeat(16, 0).repeat(16, 1) for _ in "ab")
    kinds = random.uniform(0.05, 0.4, (2, 4, 4))
    truth = kinds[:, soil, height] + random.normal(0, 0.004, (2, side, side))
    radar = np.stack([3.0 * soil - 15, 0 * soil]) + random.normal(0, 0.3, (2, side, side))
    terrain = np.stack([100.0 * height, 0 * height, 0 * height])
    rows, columns = np.indices((side, side))
    gaps = np.broadcast_to((rows // 12 % 3 == 1) & (columns // 12 % 2 == 0), truth.shape).copy()
    image = np.where(gaps, np.nan, truth)
    planes = (image, terrain, radar)
    image, terrain, radar = (plane.astype(np.float32) for plane in planes)
    return Tile(image, gaps, terrain=terrain, sar=radar, pixel_size=(10.0, 10.0)), truth
