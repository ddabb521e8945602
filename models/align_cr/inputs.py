"""What Align-CR sees: one definition for training and for prediction.

Six band slots in reflectance, a plane that marks known gaps, and three radar planes. A gap holds
a harmonic surface, so that what the network adds is a correction of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..base import Flags, Floats
from ..classical import membrane

SLOTS = (490.0, 560.0, 665.0, 842.0, 1610.0, 2190.0)
"""Centres of the bands that the network knows, nanometres: Sentinel-2's 2, 3, 4, 8, 11, 12."""
FAR = 45.0
"""Nanometres beyond which a band is another band."""
LOWEST = (-25.0, -32.5)
"""dB that become 0 in VV and VH; 0 dB becomes 1 (Meraner et al. 2020)."""
RATIO = 7.0
"""dB that VV usually exceeds VH by: stands in for a polarisation that is not there."""
RADAR = 3
"""Radar planes: VV, VH, known."""


def radar(sar: Floats | None, shape: tuple[int, int]) -> Floats:
    """(3, H, W): VV and VH in 0..1, and 1 where either was observed.

    Args:
        sar: (2, H, W) dB, NaN where unknown, or None.
    """
    out = np.zeros((RADAR, *shape), np.float32)
    if sar is None:
        return out
    vv, vh = sar
    vv, vh = np.where(np.isfinite(vv), vv, vh + RATIO), np.where(np.isfinite(vh), vh, vv - RATIO)
    known = np.isfinite(vv)
    for plane, values, lowest in zip(out, (vv, vh), LOWEST, strict=False):
        plane[...] = np.where(known, 1 - np.clip(values, lowest, 0) / lowest, 0)
    out[2] = known
    return out


def calmed(sar: Floats) -> Floats:
    """(2, H, W) dB with less speckle and its edges kept: a bilateral filter, 3 dB, 2 pixels (Tomasi 1998)."""
    out = sar.copy()
    for plane, smooth in zip(sar, out, strict=True):
        known = np.isfinite(plane)
        if known.any():
            whole = np.where(known, plane, np.median(plane[known])).astype(np.float32)
            smooth[known] = cv2.bilateralFilter(whole, 5, 3.0, 2.0)[known]
    return out


def slots(wavelengths: Sequence[float], bands: int) -> list[int | None]:
    """The band of each slot, or None; no band serves two.

    Without any centre the bands are taken to come in the slots' order, if there are not more.
    """
    known = np.asarray(wavelengths, float)
    if not np.isfinite(known).any():
        return [band if band < bands <= len(SLOTS) else None for band in range(len(SLOTS))]
    found: list[int | None] = []
    for centre in SLOTS:
        apart = np.where(np.isfinite(known), np.abs(known - centre), np.inf)
        apart[[band for band in found if band is not None]] = np.inf
        found.append(int(apart.argmin()) if apart.min() <= FAR else None)
    return found


def by_slot(image: Floats, bands: Sequence[int | None]) -> Floats:
    """(B, H, W) to (6, H, W), NaN in slots without a band."""
    out = np.full((len(bands), *image.shape[1:]), np.nan, np.float32)
    for slot, band in enumerate(bands):
        if band is not None:
            out[slot] = image[band]
    return out


def start(image: Floats) -> Floats:
    """(B, H, W) with NaN at gaps to the same with a harmonic surface there; all NaN stays so."""
    return np.stack([membrane.solve(band, tolerance=1e-2) for band in image]).astype(np.float32)


def stack(image: Floats, gap: Flags, sar: Floats | None) -> Floats:
    """(10, H, W): the network's input.

    Args:
        image: (6, H, W) reflectance by slot, gaps filled by `start`; NaN (a band that is not there,
            a pixel outside) becomes 0. gap: (H, W), known gaps.
    """
    bands = np.clip(np.nan_to_num(image, nan=0.0), 0, 1).astype(np.float32)
    return np.concatenate([bands, gap[None].astype(np.float32), radar(sar, gap.shape)])
