"""Features from terrain and radar: what explains brightness where no other date does.

Sun on slopes, height above the surroundings (valleys, ridges) and height itself; radar backscatter
smoothed against speckle, and its roughness. Gradients are per metre, so that an overview and its tiles
agree; low-passes have fixed widths on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...base import Floats, Tile
from ...classical.membrane import solve
from ...planes import blur, slopes

TERRAIN = 10
"""Planes of `terrain_features`."""


@dataclass(frozen=True)
class Guides:
    """Which guides to read.

    Attributes:
        low, high: (n,) what terrain shows at valid pixels, to which its features are held; endless of radar.
        mean, factor: (n,) that standardise features so held.
    """

    terrain: bool
    sar: bool
    low: Floats
    high: Floats
    mean: Floats
    factor: Floats


def _smooth(plane: Floats, sigma: float) -> Floats:
    """Gaussian low-pass; a width below a third of a pixel changes nothing."""
    if sigma < 0.3:
        return plane
    return blur(plane, sigma)


def _filled(plane: Floats) -> Floats:
    """NaN replaced by a membrane through the rest (0 if there is none): a step would be a cliff of ours."""
    known = np.isfinite(plane)
    if known.all():
        return plane
    return solve(plane, cycles=3) if known.any() else np.zeros_like(plane)


def terrain_features(terrain: Floats, pixel_size: tuple[float, float], step: int) -> list[Floats]:
    """Planes (H, W): height, slope, illumination, aspect at two scales, height above the surroundings.

    Args:
        terrain: (3, H, W) elevation (m), slope (rad), illumination; NaN where unknown.
        pixel_size: metres a pixel is high and wide. step: scene pixels per pixel.
    """
    height, slope, light = (_filled(plane) for plane in terrain)
    down, across = pixel_size
    planes = [height, slope, light]
    for sigma in (1.0, 4.0):
        right, below = slopes(_smooth(height, sigma / step))
        planes += [right / np.float32(across), below / np.float32(down)]
    planes += [height - _smooth(height, sigma / step) for sigma in (8.0, 32.0)]
    planes.append(_smooth(light, 3.0 / step))
    return planes


def sar_features(sar: Floats, step: int) -> list[Floats]:
    """Planes (H, W) of VV and VH: at three widths against speckle, and how rough they are at two scales.

    Roughness tells a town or a wood from a field as bright: the strength of what lies between two widths,
    both wide enough for an overview to know it too.

    Args:
        sar: (2, H, W) dB, NaN where unknown. step: scene pixels per pixel.
    """
    planes = []
    for band in sar:
        whole = _filled(band)
        sharp, fine, calm, wide = (_smooth(whole, sigma / step) for sigma in (1.5, 3.0, 6.0, 12.0))
        rough = [_rms(sharp - fine, 6.0 / step), _rms(fine - calm, 12.0 / step)]
        planes += [sharp, calm, wide, *rough]
    return planes


def _rms(plane: Floats, sigma: float) -> Floats:
    """Local root mean square."""
    return np.sqrt(_smooth(plane * plane, sigma))


def _planes(tile: Tile, terrain: bool, sar: bool) -> Floats:
    planes: list[Floats] = []
    if terrain and tile.terrain is not None:
        planes += terrain_features(tile.terrain, tile.pixel_size, tile.step)
    if sar and tile.sar is not None:
        planes += sar_features(tile.sar, tile.step)
    return np.stack(planes)


def learn(overview: Tile) -> Guides | None:
    """Bounds and scale of the guides that the overview carries; None if none varies at valid pixels."""
    valid = np.all(overview.valid, axis=0)
    terrain = overview.terrain is not None and bool(np.isfinite(overview.terrain[0]).any())
    sar = overview.sar is not None and bool(np.isfinite(overview.sar).any())
    if not (terrain or sar) or not valid.any():
        return None
    planes = _planes(overview, terrain, sar)
    low, high = (np.full(len(planes), end, np.float32) for end in (-np.inf, np.inf))
    if terrain:  # a regression says nothing of a hill that rises above all that it learnt from
        shown = planes[:TERRAIN, valid]
        low[:TERRAIN], high[:TERRAIN] = shown.min(1), shown.max(1)
    _hold(planes, low, high)
    mean = planes.mean((1, 2), dtype=np.float64)
    deviation = planes.std((1, 2), dtype=np.float64)
    factor = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    if not factor.any():
        return None
    return Guides(terrain, sar, low, high, mean.astype(np.float32), factor.astype(np.float32))


def _hold(planes: Floats, low: Floats, high: Floats) -> None:
    """Bring planes (n, H, W) between bounds (n,), in place."""
    np.clip(planes, low[:, None, None], high[:, None, None], out=planes)


def features(tile: Tile, guides: Guides) -> Floats:
    """(n, H, W) standardised features of a tile, no further out than valid pixels of the scene showed."""
    planes = _planes(tile, guides.terrain, guides.sar)
    _hold(planes, guides.low, guides.high)
    planes -= guides.mean[:, None, None]
    planes *= guides.factor[:, None, None]
    return planes
