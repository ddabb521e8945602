"""Cloudy and clear pairs as a bank to draw from; every draw is a function of seed and step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.base import Flags, Floats
from ...models.diffusion.scaling import centred, shown
from ..datasets import catalog, paired, radar_layouts
from ..datasets.place import Place
from ..errors import TerramendError
from .patches import averaged, nearest, pick, turned_crop

Draw = Callable[..., tuple[Floats, Floats, Flags]]
"""(seed, step, count, size, shrink) to cloudy, clear and known; see `PairBank.draw`."""
KEPT = 512
"""Pairs kept in memory; larger sets are read again when they are drawn."""
CHANGED = 0.1
"""Where a pair has no mask, cloud is where any band changed by more than this (values 0..1)."""


@dataclass(frozen=True)
class Pair:
    """One pair in network units (-1..1), with the pixels that are clouded.

    Attributes:
        place: pairs of one place are no independent evidence.
        cloudy, clear: (C, H, W). cloud: (H, W). known: (H, W), observed in both.
    """

    name: str
    place: str
    cloudy: Floats
    clear: Floats
    cloud: Flags
    known: Flags


@dataclass(frozen=True)
class PairBank:
    """Names of pairs, and how to read one."""

    names: tuple[str, ...]
    read: Callable[[int], Pair]

    def draw(
        self, seed: int, step: int, count: int, size: int, shrink: int = 1
    ) -> tuple[Floats, Floats, Flags]:
        """(count, C, size, size) cloudy and clear, and (count, 1, size, size) known pixels.

        Crops of `size * shrink` pixels (or what a smaller image has, its edge repeated), turned and
        mirrored alike, are averaged down by `shrink`.
        """
        random = np.random.default_rng([seed, step])
        drawn = []
        for which in random.integers(0, len(self.names), count):
            pair = self.read(int(which))
            stacked = np.concatenate([pair.cloudy, pair.clear, pair.known[None]])
            drawn.append(averaged(turned_crop(stacked, random, size * shrink), shrink))
        batch = np.stack(drawn)
        channels = batch.shape[1] // 2
        return batch[:, :channels], batch[:, channels:-1], batch[:, -1:] > 0.5


def pair_bank(data: Path, wavelengths: Sequence[float], without: Sequence[str] = ()) -> PairBank:
    """Every pair below `data` with bands near `wavelengths` (nm): the pack, or a published layout.

    Args:
        without: folders of data sets that are left out.

    Raises:
        TerramendError: `training.pairs` where there is none.
    """
    readers: list[tuple[str, Callable[[], Pair]]] = []
    for dataset, name in catalog.places(data) if data.is_dir() else []:
        if dataset not in catalog.READERS or dataset in without:
            continue
        place = catalog.read_place(data, dataset, name)
        bands = pick(place, wavelengths)
        if bands is not None:
            readers += [
                (f"{dataset}/{name}", functools.partial(_of_place, place, bands, *pair))
                for pair in place.pairs
            ]
    for found in paired.find(data) if data.is_dir() else []:
        if Path(found.name).parts[0] not in {*catalog.READERS, *without}:
            chosen = nearest(found.wavelengths(), wavelengths)
            if chosen is not None:
                readers.append((found.name, functools.partial(_of_files, found, chosen)))
    if not readers:
        raise TerramendError("training.pairs", path=str(data))
    calls = [call for _, call in readers]
    read = functools.lru_cache(maxsize=KEPT)(lambda index: calls[index]())
    return PairBank(tuple(name for name, _ in readers), read)


def _of_place(place: Place, bands: list[int], cloudy: str, clear: str) -> Pair:
    first, second = place.date(cloudy), place.date(clear)
    cloud = None if first.gaps.all() else first.gaps
    images = first.image[bands], second.image[bands]
    # Patches of one region overlap; their region is the name up to the patch's number.
    region = f"{place.dataset}/{place.name.rpartition('_p')[0] or place.name}"
    return _pair(f"{place.dataset}/{place.name}", region, *images, place.scale != "reflectance", cloud)


def _of_files(found: paired.Found, bands: list[int]) -> Pair:
    cloudy, clear = found.read()
    region = str(radar_layouts.region(found.name) or found.name)
    return _pair(found.name, region, cloudy[bands], clear[bands], found.display(), None)


def _pair(name: str, place: str, cloudy: Floats, clear: Floats, display: bool, cloud: Flags | None) -> Pair:
    known = np.asarray(np.isfinite(cloudy).all(0) & np.isfinite(clear).all(0))
    scaled = centred if display else shown
    first, second = (np.nan_to_num(scaled(image)) for image in (cloudy, clear))
    if cloud is None:
        cloud = np.asarray((np.abs(first - second) > 2 * CHANGED).any(0))
    return Pair(name, place, first, second, cloud, known)
