"""Clear patches of real scenes as a bank to draw from; every draw is a function of seed and step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.base import Floats
from ..datasets import catalog, paired, sen12ms
from ..datasets.place import Place
from ..errors import TerramendError
from ..messages.notices import Notice
from ..watch import Watch

KEPT = 512
"""Patches of large sets that are kept in memory."""
CLEAR = 0.02
"""A clear date misses or hides at most this share of itself."""


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


def pick(place: Place, wavelengths: Sequence[float]) -> list[int] | None:
    """Indices of the place's bands nearest to `wavelengths`, or None where one is too far away."""
    return nearest(place.wavelengths, wavelengths)


def averaged(images: Floats, shrink: int) -> Floats:
    """(..., H, W) float32 by the means of `shrink` x `shrink` pixels; sides are multiples of `shrink`."""
    *front, height, width = images.shape
    cells = images.reshape(*front, height // shrink, shrink, width // shrink, shrink)
    return np.ascontiguousarray(cells.mean((-3, -1)), np.float32)


def turned_crop(planes: Floats, random: np.random.Generator, side: int, reflect: bool = False) -> Floats:
    """(C, side, side) of (C, H, W), turned and mirrored by chance; smaller ones repeat or `reflect` edges."""
    grow = [(0, 0), *((0, max(0, side - length)) for length in planes.shape[1:])]
    planes = np.pad(planes, grow, mode="reflect" if reflect else "edge")
    row, column = (int(random.integers(0, n - side + 1)) for n in planes.shape[1:])
    cut = np.rot90(planes[:, row : row + side, column : column + side], int(random.integers(4)), (1, 2))
    return cut[:, :, ::-1] if random.random() < 0.5 else cut


@dataclass(frozen=True)
class Bank:
    """Clear images of any size.

    Attributes:
        names: of the images. areas: in pixels; larger images are drawn more often.
        read: an index to (C, H, W) float32 reflectance without NaN.
        left: why files of a user's own folders are not among them, a notice each.
    """

    names: tuple[str, ...]
    areas: tuple[int, ...]
    read: Callable[[int], Floats]
    left: tuple[Notice, ...] = ()

    def draw(self, seed: int, step: int, count: int, size: int) -> Floats:
        """(count, C, size, size): crops of images drawn by area, mirrored at random."""
        random = np.random.default_rng([seed, step])
        areas, out = np.array(self.areas, float), []
        for which in random.choice(len(areas), count, p=areas / areas.sum()):
            image = self.read(int(which))
            row, column = (int(random.integers(0, side - size + 1)) for side in image.shape[1:])
            crop = image[:, row : row + size, column : column + size]
            out.append(crop[:, :, ::-1] if random.random() < 0.5 else crop)
        return np.stack(out)


def clear_bank(
    data: Path,
    wavelengths: Sequence[float],
    smallest: int,
    without: Sequence[str] = (),
) -> Bank:
    """Every nearly clear date under `data` (a split of the pack, or any folder of scenes).

    Small patches that a file stacks are kept apart. Missing pixels become the band's median. Scenes are
    read here, patches of SEN12MS when they are drawn.

    Args:
        data: folder of data set folders. wavelengths: nanometres of the bands that are drawn.
        smallest: images with a shorter side are left out.
        without: folders of data sets that are left out.

    Raises:
        TerramendError: `training.empty` where nothing fits.
    """
    readers: list[tuple[str, int, Callable[[], Floats]]] = []
    left: list[Notice] = []
    for dataset, name in catalog.places(data) if data.is_dir() else []:
        if dataset in without:
            continue
        if catalog.reader((data / dataset).resolve()) is sen12ms:  # far too many to be read in advance
            bands, area = nearest(paired.THIRTEEN, wavelengths), sen12ms.SHAPE[0] * sen12ms.SHAPE[1]
            if bands is not None and min(sen12ms.SHAPE) >= smallest:
                call = functools.partial(_patch, data, dataset, name, bands)
                readers.append((f"{dataset}/{name}", area, call))
            continue
        place = catalog.read_place(data, dataset, name)
        left += catalog.left_out(data, dataset, name)
        bands = pick(place, wavelengths)
        if bands is None or min(place.shape) < smallest or place.scale != "reflectance":
            continue
        hazy = {cloudy for cloudy, _ in place.pairs}
        for date in place.dates:
            if date.gaps.mean() > CLEAR or date.name in hazy:
                continue
            image = closed(date.image[bands])
            found = f"{dataset}/{name}/{date.name}", image[0].size, functools.partial(_kept, image)
            readers.append(found)
    if not readers:
        wanted = f"clear dates of at least {smallest} x {smallest} pixels with bands near "
        wanted += f"{', '.join(f'{w:g}' for w in wavelengths)} nm, by their names or tags"
        raise TerramendError("training.empty", path=str(data), wanted=wanted)
    names, areas, calls = zip(*readers, strict=True)
    return Bank(names, areas, functools.lru_cache(KEPT)(lambda index: calls[index]()), tuple(left))


def tell_left_out(left: Sequence[Notice], data: Path, watch: Watch) -> None:
    """Say how many files below `data` are not learnt from, and of the first why."""
    if left:
        watch.notice("training.left-out", path=str(data), count=len(left), first=left[0])


def closed(image: Floats) -> Floats:
    """(C, H, W) with missing pixels at the band's median."""
    median = np.nanmedian(image, axis=(1, 2), keepdims=True)
    return np.where(np.isfinite(image), image, median).astype(np.float32)


def _kept(image: Floats) -> Floats:
    return image


def _patch(data: Path, dataset: str, name: str, bands: list[int]) -> Floats:
    return closed(catalog.read_place(data, dataset, name).dates[0].image[bands])
