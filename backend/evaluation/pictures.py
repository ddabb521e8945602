"""Pictures of single cases: truth, input, peer, ours, errors, standard deviation, as PNG bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.base import Floats
from ..filling.views import heat, png
from .cases import Case, Sample, sample
from .membrane import membrane
from .methods import find
from .metrics import psnr

GAP = (1.0, 0.0, 1.0)
"""Colour of gaps in the input: magenta occurs in no landscape."""


@dataclass(frozen=True)
class Picture:
    """A caption and the PNG file that belongs to it."""

    caption: str
    png: bytes


def case_pictures(case: Case, track: str, root: Path, peer: str, ours: str) -> list[Picture]:
    """One case as a row of pictures; both methods are run again."""
    given = sample(case, track, root)
    theirs, _ = _filled(peer, given)
    mean, std = _filled(ours, given)
    colour = Colour(given)
    limit = max(float(np.nanpercentile(_error(theirs, given)[given.scored], 98)), 1e-4)
    hidden = colour(given.tile.image)
    hidden[:, given.tile.gaps.any(0)] = np.array(GAP)[:, None]
    made = [
        Picture("truth", png(colour(given.truth))),
        Picture("input", png(hidden)),
        Picture(f"{peer} {_level(theirs, given):.1f} dB", png(colour(theirs))),
        Picture(f"{ours} {_level(mean, given):.1f} dB", png(colour(mean))),
        Picture(f"error of {peer}, 0 to {limit:.3f}", png(_heat(_error(theirs, given), limit, given))),
        Picture(f"error of {ours}, same scale", png(_heat(_error(mean, given), limit, given))),
    ]
    if std is not None:
        spread = np.sqrt(np.mean(np.square(np.nan_to_num(std)), axis=0))
        made.append(Picture(f"std of {ours}, same scale", png(_heat(spread, limit, given))))
    return made


def _filled(name: str, given: Sample) -> tuple[Floats, Floats | None]:
    method = find(name)
    mean, std = method.make(method.settings)(given)
    picture = np.where(given.tile.gaps, mean, given.tile.image)
    closed = membrane(picture, np.asarray(~np.isfinite(picture).all(0)))
    return closed, std


def _error(mean: Floats, given: Sample) -> Floats:
    return np.sqrt(np.mean(np.square(mean - given.truth), axis=0))


def _level(mean: Floats, given: Sample) -> float:
    return psnr((mean - given.truth)[:, given.scored])


class Colour:
    """(B, H, W) as red, green and blue, stretched as the case's truth is (2 to 98 %)."""

    def __init__(self, given: Sample) -> None:
        waves = np.array(given.tile.wavelengths or (np.nan,) * len(given.truth))
        wanted = (660.0, 560.0, 485.0)
        if np.isfinite(waves).sum() >= 3:
            self.bands = [int(np.nanargmin(np.abs(waves - centre))) for centre in wanted]
        else:
            self.bands = [0, 0, 0]
        chosen = given.truth[self.bands]
        self.low, self.high = np.nanpercentile(chosen, [2, 98], axis=(1, 2))[:, :, None, None]

    def __call__(self, image: Floats) -> Floats:
        """(3, H, W) in 0..1; what is not known is 0."""
        scaled = (image[self.bands] - self.low) / np.maximum(self.high - self.low, 1e-6)
        return np.clip(np.nan_to_num(scaled), 0, 1).astype(np.float32)


def _heat(values: Floats, limit: float, given: Sample) -> Floats:
    """Viridis from 0 to `limit` at scored pixels, light grey elsewhere."""
    return np.where(given.scored, heat(np.nan_to_num(values) / limit), 225 / 255)
