"""Clear patches of real scenes as a bank to draw from; every draw is a function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..datasets import catalog
from ..datasets.place import Place
from ..errors import TerramendError

Floats = NDArray[np.float32]
RGB = (665.0, 560.0, 490.0)
"""Wavelengths (nm) of red, green, blue."""


def nearest(known: Sequence[float], wanted: Sequence[float], tolerance: float = 40.0) -> list[int] | None:
    """Indices of the `known` wavelengths nearest to each wanted one, or None where one is too far away."""
    have = np.asarray(known, float)
    chosen = []
    for wavelength in wanted:
        distance = np.abs(have - wavelength)
        if not len(have) or not np.nanmin(np.where(np.isnan(distance), np.inf, distance)) <= tolerance:
            return None
        chosen.append(int(np.nanargmin(distance)))
    return chosen


def pick(place: Place, wavelengths: Sequence[float], tolerance: float = 40.0) -> list[int] | None:
    """Indices of the place's bands nearest to `wavelengths`, or None where one is too far away."""
    return nearest(place.wavelengths, wavelengths, tolerance)


@dataclass(frozen=True)
class Bank:
    """Clear images of any size, (C, H, W) float32 reflectance without NaN."""

    images: tuple[Floats, ...]
    names: tuple[str, ...]

    def draw(self, seed: int, step: int, count: int, size: int) -> Floats:
        """(count, C, size, size): crops of images drawn by area, mirrored at random."""
        random = np.random.default_rng([seed, step])
        areas = np.array([image[0].size for image in self.images], float)
        out = np.empty((count, len(self.images[0]), size, size), np.float32)
        for index, which in enumerate(random.choice(len(self.images), count, p=areas / areas.sum())):
            image = self.images[which]
            row, column = (int(random.integers(0, side - size + 1)) for side in image.shape[1:])
            crop = image[:, row : row + size, column : column + size]
            out[index] = crop[:, :, ::-1] if random.random() < 0.5 else crop
        return out


def clear_bank(
    data: Path,
    wavelengths: Sequence[float] = RGB,
    smallest: int = 64,
    clouds: float = 0.02,
    without: Sequence[str] = (),
) -> Bank:
    """Every nearly clear date under `data` (a split of the pack, or any folder of scenes).

    Small patches that a file stacks are kept apart. Missing pixels become the band's median.

    Args:
        data: folder of data set folders.
        smallest: images with a shorter side are left out.
        clouds: greatest share of missing or clouded pixels.
        without: folders of data sets that are left out.

    Raises:
        TerramendError: `training.empty` where nothing fits.
    """
    images, names = [], []
    for dataset, name in catalog.places(data) if data.is_dir() else []:
        if dataset in without:
            continue
        place = catalog.read_place(data, dataset, name)
        bands = pick(place, wavelengths)
        if bands is None or min(place.shape) < smallest or place.scale != "reflectance":
            continue
        hazy = {cloudy for cloudy, _ in place.pairs}
        for date in place.dates:
            if date.gaps.mean() > clouds or date.name in hazy:
                continue
            image = date.image[bands]
            median = np.nanmedian(image, axis=(1, 2), keepdims=True)
            images.append(np.where(np.isfinite(image), image, median).astype(np.float32))
            names.append(f"{dataset}/{name}/{date.name}")
    if not images:
        raise TerramendError("training.empty", path=str(data))
    return Bank(tuple(images), tuple(names))
