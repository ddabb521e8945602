"""Spatial alignment: what the ControlNet sees of a window. One definition for training and for filling.

The paper shows its ControlNet the DEM alone and never says how the mask enters. Here the hint holds
terrain, the observation and its gap, our own prior's fill, and for task 2 the last clear date.
Images are in network units (`scaling.standardised`); what is not known is zero beside a channel
that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import Flags, Floats, Reference
from ..diffusion.scaling import standardised

CLIP = 1.5
"""Bound of images in network units: three standard deviations of the band."""
FAR = 365.0
"""Days after which a date is as old as any."""
RELIEF = 10.0
"""Metres of interquartile range below which the ground counts as flat: noise is not blown up."""
UNLIT = 0.8
"""Light on flat ground where the sun is not known, as scenes have on average: nought would be deep shadow."""
COMMON = 50
"""Pixels that another date must share with the target to be matched."""


@dataclass(frozen=True)
class Last:
    """The nearest clear date at each pixel.

    Attributes:
        image: (K, H, W) in network units of the *target's* bands, NaN where no date is clear.
        days: (H, W) float32, its distance in days; 0 where none is.
        index: (H, W) int16 of the reference, -1 where none is.
    """

    image: Floats
    days: Floats
    index: NDArray[np.int16]


def channels(bands: int) -> int:
    """Channels of the hint for so many bands at once."""
    return 7 + 3 * bands


def hint(image: Floats, gap: Flags, prior: Floats, terrain: Floats | None, last: Last | None) -> Floats:
    """(channels, H, W): elevation, slope, illumination, terrain known, gap, then per band the masked
    observation, the prior's fill and the last clear date, then whether there is one, and its age.

    Args:
        image, prior: (K, H, W) in network units, finite; `image` is not read inside `gap`.
        gap: (H, W). terrain: as `Tile.terrain`, NaN where it is not known; or None.
    """
    bands, height, width = image.shape
    out = np.zeros((channels(bands), height, width), np.float32)
    if terrain is not None:
        out[:4] = relief(terrain)
    out[4] = gap
    out[5 : 5 + bands] = np.where(gap, 0, image)
    out[5 + bands : 5 + 2 * bands] = prior
    if last is not None:
        seen = last.index >= 0
        out[5 + 2 * bands : 5 + 3 * bands] = np.where(seen, np.nan_to_num(last.image), 0)
        out[-2] = seen
        out[-1] = np.where(seen, np.minimum(last.days / FAR, 1), 0)
    return out


def relief(terrain: Floats) -> Floats:
    """(4, H, W): elevation about its median in interquartile ranges of the window, slope (rad),
    illumination, and 1 where the elevation is known (SRTM ends at 60 N and 56 S; DEMs have holes).

    Where the sun is not known, the illumination is its mean over all directions that light may come from.
    """
    height = terrain[0]
    known = np.isfinite(height)
    out = np.zeros((4, *height.shape), np.float32)
    if known.any():
        low, middle, high = np.percentile(height[known], (25, 50, 75))
        scaled = (height - middle) / max(high - low, RELIEF)
        out[0] = np.where(known, np.clip(np.nan_to_num(scaled), -4, 4), 0)
    slope, light = np.nan_to_num(terrain[1]), terrain[2]
    out[1] = np.where(known, slope, 0)
    out[2] = np.where(known, np.where(np.isfinite(light), light, UNLIT * np.cos(slope)), 0)
    out[3] = known
    return out


def last_clear(
    references: Sequence[Reference],
    bands: Sequence[int],
    image: Floats,
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> Last | None:
    """The nearest clear date per pixel, with each date's bands matched to the target's mean and spread.

    Args:
        bands: of the target. image: (K, H, W) reflectance of them, NaN where not observed.
        mean, spread: (K,) of the target's bands in the whole scene.

    Returns:
        None where no date is alike in its bands and has pixels in common.
    """
    found = Last(
        np.full(image.shape, np.nan, np.float32),
        np.zeros(image.shape[1:], np.float32),
        np.full(image.shape[1:], -1, np.int16),
    )
    order = sorted(range(len(references)), key=lambda k: (_days(references[k]), k))
    for k in order:
        if not references[k].alike or len(references[k].image) <= max(bands):
            continue
        other = references[k].image[list(bands)]
        seen = np.asarray(np.isfinite(other).all(0))
        common = np.asarray(seen & np.isfinite(image).all(0))
        matched = _matched(other, image, common)
        if matched is None:
            continue
        take = seen & (found.index < 0)
        found.image[:, take] = np.clip(standardised(matched, mean, spread), -CLIP, CLIP)[:, take]
        found.days[take] = min(_days(references[k]), FAR)
        found.index[take] = k
    return found if (found.index >= 0).any() else None


def _days(reference: Reference) -> float:
    return FAR if reference.days is None else abs(reference.days)


def _matched(other: Floats, image: Floats, common: Flags) -> Floats | None:
    """`other` with the mean and spread that `image` has on their common pixels, or None without any."""
    if common.sum() < COMMON:
        return None
    there, here = other[:, common].astype(np.float64), image[:, common].astype(np.float64)
    gain = here.std(1) / np.maximum(there.std(1), 1e-6)
    shift = here.mean(1) - gain * there.mean(1)
    return (other * gain[:, None, None] + shift[:, None, None]).astype(np.float32)


def latent_gap(gap: Flags, factor: int) -> Flags:
    """(h, w) bool: latents that any hidden pixel touches, and their neighbours, whose receptive field
    reaches the gap. Height and width divide by `factor`.
    """
    height, width = gap.shape
    touched = gap.reshape(height // factor, factor, width // factor, factor).any((1, 3))
    return cv2.dilate(np.asarray(touched, np.uint8), np.ones((3, 3), np.uint8)) > 0
