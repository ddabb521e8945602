"""What diffusion networks see: values about -1..1. The only places where images are scaled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base import Floats, Tile

GAMMA = 2.2


def shown(reflectance: Floats, top: float = 1.0) -> Floats:
    """Reflectance 0..`top` to -1..1 with gamma 1/2.2, so that dark land has contrast beside cloud."""
    return np.asarray(np.clip(reflectance / top, 0, 1) ** (1 / GAMMA) * 2 - 1, np.float32)


def reflected(shown: Floats, top: float = 1.0) -> Floats:
    """The inverse of `shown`."""
    return np.asarray(np.clip((shown + 1) / 2, 0, 1) ** GAMMA * top, np.float32)


def centred(picture: Floats) -> Floats:
    """Values of a picture, 0..1, to -1..1."""
    return np.asarray(np.clip(picture, 0, 1) * 2 - 1, np.float32)


def moments(scene: Tile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B,) mean and spread of each band's valid samples, reflectance; 0 and 0.05 where there are none."""
    mean, spread = np.zeros(len(scene.image)), np.full(len(scene.image), 0.05)
    for band, (image, valid) in enumerate(zip(scene.image, scene.valid, strict=True)):
        values = image[valid].astype(np.float64)
        if len(values) > 1:
            mean[band], spread[band] = values.mean(), max(values.std(), 1e-3)
    return mean, spread


def standardised(image: Floats, mean: NDArray[np.floating], scale: NDArray[np.floating]) -> Floats:
    """(B, H, W) reflectance in twice the (B,) spread of each band about its mean."""
    return np.asarray((image - mean[:, None, None]) / (2 * scale[:, None, None]), np.float32)


def restored(image: Floats, mean: NDArray[np.floating], scale: NDArray[np.floating]) -> Floats:
    """The inverse of `standardised`; (..., B, H, W)."""
    return np.asarray(image * (2 * scale[:, None, None]) + mean[:, None, None], np.float32)
