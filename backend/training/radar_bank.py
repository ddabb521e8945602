"""Scenes with radar as a bank to draw samples from; every draw is a function of seed and step.

Three kinds of sample come of a scene. *Pair*: a real cloudy image, all of which may change. *Gap*:
the clear image with the shape of a real cloud cut out, marked and started by a harmonic surface.
*Haze*: the clear image under thin cloud that is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.align_cr import inputs
from ...models.base import Flags, Floats
from ..datasets import catalog, radar_layouts
from ..datasets.place import Date, Place
from ..errors import TerramendError
from ..messages.notices import Notice
from . import haze
from .patches import CLEAR, averaged, nearest, turned_crop

KEPT = 512
"""Scenes kept in memory; more are read again when they are drawn."""
DATES = 3
"""Clear dates of a place that are used, spread over its time."""
SMALLEST = 96
"""Pixels that a scene of the pack is high and wide at least."""
WANTED = (
    f"clear dates of at least {SMALLEST} x {SMALLEST} pixels with three of the bands at "
    f"{', '.join(f'{slot:g}' for slot in inputs.SLOTS)} nm by their names or tags, or SEN12MS-CR, "
    "SEN12MS-CR-TS or Planet-CR as published"
)
"""What `bank` looks for."""
CHANGED = 0.05
"""Where there is no mask, cloud is where any band is brighter by more than this reflectance."""


@dataclass(frozen=True)
class Scene:
    """A clear image, and what there is beside it.

    Attributes:
        name, place: of the sample; samples of one place are no independent evidence.
        clear, cloudy: (6, H, W) reflectance by slot, NaN where unknown; cloudy may be None.
        cloud: (H, W), where the cloudy image is clouded. sar: (2, H, W) dB, or None.
    """

    name: str
    place: str
    clear: Floats
    cloudy: Floats | None = None
    cloud: Flags | None = None
    sar: Floats | None = None


@dataclass(frozen=True)
class Shares:
    """How often a sample is of a kind.

    Attributes:
        radar: scenes with radar, where others are there too. pair: real cloud where there is one.
        haze: of the rest; what is left are gaps. blind: radar is withheld. four: short-wave
            infrared is withheld. coarse: two pixels are averaged to one.
        vary: whether bands are made brighter or darker, and radar stronger or weaker, by chance.
    """

    radar: float = 0.75
    pair: float = 0.45
    haze: float = 0.25
    blind: float = 0.1
    four: float = 0.15
    coarse: float = 0.2
    vary: bool = True


@dataclass(frozen=True)
class Bank:
    """Scenes by number, cloud shapes (H, W) to cut gaps with, and which scenes have radar.

    Attributes:
        left: why files of a user's own folders are not among the scenes, a notice each.
    """

    names: tuple[str, ...]
    read: Callable[[int], Scene]
    shapes: tuple[Flags, ...]
    with_radar: tuple[int, ...]
    without: tuple[int, ...]
    left: tuple[Notice, ...] = ()

    def draw(self, seed: int, step: int, count: int, size: int, shares: Shares) -> dict[str, Any]:
        """Arrays of a batch: `given` (count, 10, size, size), `clear` (count, 6, ...), `weigh` and `known`.

        `weigh` (count, 1, ...) marks cloud and gaps; `known` (count, 6, ...) samples whose truth is known.
        """
        random = np.random.default_rng([seed, step])
        rows = [self._sample(random, size, shares) for _ in range(count)]
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}

    def _sample(self, random: np.random.Generator, size: int, shares: Shares) -> dict[str, Any]:
        first, second = self.with_radar, self.without
        pool = first if first and (not second or random.random() < shares.radar) else second
        scene = self.read(int(random.choice(pool)))
        pair = scene.cloudy is not None and random.random() < shares.pair
        planes = [scene.clear, scene.cloudy if pair and scene.cloudy is not None else scene.clear]
        height, width = scene.clear.shape[1:]
        planes.append(np.full((2, height, width), np.nan, np.float32) if scene.sar is None else scene.sar)
        cloud = scene.cloud if pair and scene.cloud is not None else np.zeros((height, width), bool)
        planes.append(cloud[None].astype(np.float32))
        crop = _crop(np.concatenate(planes).astype(np.float32), random, size, shares.coarse)
        clear, image, sar, cloud = crop[:6], crop[6:12], crop[12:14], crop[14] > 0.5
        if shares.vary:
            gain = random.uniform(0.75, 1.3) * random.uniform(0.93, 1.07, (6, 1, 1))
            clear, image = (np.asarray(x * gain, np.float32) for x in (clear, image))
            sar = sar + np.float32(random.normal(0, 1))
        if random.random() < shares.four:
            clear[4:], image[4:] = np.nan, np.nan
        gap = np.zeros((size, size), bool)
        if not pair:
            if random.random() < shares.haze:
                image = haze.veiled(clear, inputs.SLOTS, random)
                cloud = np.asarray((np.nan_to_num(image - clear) > CHANGED).any(0))
            else:
                gap = cloud = self._shape(random, size)
                image = inputs.start(np.where(gap, np.float32(np.nan), clear))
        given = inputs.stack(image, gap, None if random.random() < shares.blind else sar)
        return {
            "given": given,
            "clear": np.nan_to_num(clear),
            "weigh": cloud[None].astype(np.float32),
            "known": (np.isfinite(clear) & np.isfinite(image)).astype(np.float32),
        }

    def _shape(self, random: np.random.Generator, size: int) -> Flags:
        """A crop of a real cloud that hides 4 to 75 % of itself; a disc if none is found soon."""
        for _ in range(12 if self.shapes else 0):
            shape = self.shapes[int(random.integers(len(self.shapes)))]
            if min(shape.shape) < size:
                continue
            row, column = (int(random.integers(0, n - size + 1)) for n in shape.shape)
            cut = np.rot90(shape[row : row + size, column : column + size], int(random.integers(4)))
            if 0.04 <= cut.mean() <= 0.75:
                return np.ascontiguousarray(cut)
        rows, columns = np.indices((size, size))
        middle = random.uniform(0.3, 0.7, 2) * size
        reach = random.uniform(0.12, 0.35) * size
        return np.asarray((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < reach**2)


def bank(data: Path, exclude: Sequence[str] = (), bilinear: bool = False, despeckle: bool = False) -> Bank:
    """Every scene below `data` that has at least three of the six bands.

    Args:
        data: a split of the pack, folders of the layouts of `radar_layouts`, or where there are none of
            these, any folder of scenes.
        exclude: data sets of the pack that are left out. bilinear: how coarser radar is enlarged.
        despeckle: whether radar is smoothed.

    Raises:
        TerramendError: `training.empty` where there is nothing.
    """
    readers: list[tuple[str, bool, Callable[[], Scene]]] = []
    shapes: list[Flags] = []
    left: list[Notice] = []
    published = radar_layouts.find(data) if data.is_dir() else []
    for dataset, name in catalog.places(data) if data.is_dir() else []:
        if dataset in exclude or radar_layouts.held_out(name):
            continue
        if dataset not in catalog.READERS and (published or not catalog.is_own(data, dataset)):
            continue
        place = catalog.read_place(data, dataset, name)
        left += catalog.left_out(data, dataset, name)
        shapes += [d.gaps for d in place.dates if 0.05 <= d.gaps.mean() <= 0.9 and min(d.gaps.shape) >= 128]
        readers += [
            (f"{dataset}/{name}/{clear}", sar, functools.partial(_of_place, data, dataset, name, *dates))
            for clear, sar, dates in _chosen(place)
        ]
    for found in published:
        if Path(found.name).parts[0] in catalog.READERS:
            continue
        if radar_layouts.trained_on(found):
            readers.append((found.name, True, functools.partial(_of_files, found, bilinear)))
    if not readers:
        raise TerramendError("training.empty", path=str(data), wanted=WANTED)
    calls = [call for _, _, call in readers]

    def one(index: int) -> Scene:
        scene = calls[index]()
        return replace(scene, sar=inputs.calmed(scene.sar)) if despeckle and scene.sar is not None else scene

    read = functools.lru_cache(maxsize=KEPT)(one)
    radar = [index for index, (_, sar, _) in enumerate(readers) if sar]
    others = [index for index, (_, sar, _) in enumerate(readers) if not sar]
    names = tuple(name for name, _, _ in readers)
    return Bank(names, read, tuple(shapes), tuple(radar), tuple(others), tuple(left))


shared = functools.lru_cache(maxsize=1)(bank)
"""`bank`, kept for the next training on the same data."""


def _chosen(place: Place) -> list[tuple[str, bool, tuple[str, str | None]]]:
    """(clear date, whether it has radar, (clear, cloudy)) of the dates that are used."""
    known = inputs.slots(place.wavelengths, len(place.bands))
    if sum(band is not None for band in known) < 3 or not np.isfinite(place.wavelengths).any():
        return []
    if min(place.shape) < SMALLEST or place.scale != "reflectance":
        return []
    of = {clear: cloudy for cloudy, clear in place.pairs}
    hazy = set(of.values())
    clear = [d for d in place.dates if len(d.image) and d.name not in hazy and _is_clear(d)]
    at = np.unique(np.linspace(0, len(clear) - 1, min(len(clear), DATES)).round().astype(int))
    dates = [clear[index] for index in at] if clear else []
    return [(d.name, d.sar is not None, (d.name, of.get(d.name))) for d in dates]


def _is_clear(date: Date) -> bool:
    return bool(date.gaps.mean() <= CLEAR and np.isfinite(date.image).mean() >= 1 - CLEAR)


def _of_place(data: Path, dataset: str, name: str, clear: str, cloudy: str | None) -> Scene:
    place = catalog.read_place(data, dataset, name)
    known = inputs.slots(place.wavelengths, len(place.bands))
    truth = place.date(clear)
    label = f"{dataset}/{name}/{clear}"
    if cloudy is None:
        return Scene(label, f"{dataset}/{name}", inputs.by_slot(truth.image, known), sar=truth.sar)
    hidden = place.date(cloudy)
    images = inputs.by_slot(truth.image, known), inputs.by_slot(hidden.image, known)
    return Scene(label, f"{dataset}/{name}", *images, hidden.gaps, hidden.sar)


def _of_files(found: radar_layouts.Triplet, bilinear: bool) -> Scene:
    cloudy, clear, sar, cloud = found.read(bilinear)
    known = nearest(found.wavelengths, inputs.SLOTS[:4], inputs.FAR) or []
    chosen = inputs.slots(found.wavelengths, len(clear)) if known else [None] * len(inputs.SLOTS)
    truth, given = inputs.by_slot(clear, chosen), inputs.by_slot(cloudy, chosen)
    if cloud is None:
        cloud = np.asarray((np.nan_to_num(given - truth) > CHANGED).any(0))
    return Scene(found.name, str(found.region or found.name), truth, given, cloud, sar)


def _crop(planes: Floats, random: np.random.Generator, size: int, coarse: float) -> Floats:
    """A turned, mirrored crop. Smaller images go on as their mirror image, very small ones as their edge.

    All planes go on alike, so what is added is a sample like others: its truth is known where the image's is.
    """
    shrink = 2 if random.random() < coarse and min(planes.shape[1:]) >= 2 * size else 1
    reflect = min(planes.shape[1:]) >= size // 2 + 1
    return averaged(turned_crop(planes, random, size * shrink, reflect), shrink)
