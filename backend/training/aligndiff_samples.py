"""Training samples of AlignDiff: crops of clear scenes with a gap laid over, and all that the hint holds.

Regions stay apart by the folders: everything under `data` is one split. Gaps are real cloud shapes found
there, blobs, and single pixels, each hiding 10 to 50 % of its crop; they are stored with the crops. A crop
starts from the harmonic surface, or from what `guided` makes of the same crop, as a fill may.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.aligndiff import prompt
from ...models.aligndiff.hint import CLIP, channels, hint, last_clear
from ...models.aligndiff.tokens import joint
from ...models.base import About, Flags, Floats, Reference, Tile
from ...models.classical.membrane import cascade
from ...models.diffusion.scaling import standardised
from ...models.guided.model import of_quality
from ..datasets import catalog
from ..datasets.gaps import Gap, make
from ..datasets.place import Date, Place
from ..errors import TerramendError
from ..evaluation.terrain import channels as terrain_of
from ..messages.notices import Notice
from ..raster.outputs import write_whole
from ..watch import Watch
from .crop_store import new_array, provide, read
from .patches import CLEAR, pick, tell_left_out

SHARE = (0.1, 0.5)
"""A gap hides this much of a crop."""
DATES = 3
"""Other dates that a crop has at most."""
STEEP = 6
"""How many times as often a scene with terrain is drawn: few scenes have a DEM."""
GUIDED = 0.5
"""Share of the crops with terrain or other dates that start from `guided`."""
KNOWN = 0.1
"""What a latent or pixel outside the gap counts beside one inside: it is replaced when a gap is filled."""
Half = NDArray[np.float16]


@dataclass(frozen=True)
class Scene:
    """A clear date as crops are cut from it.

    Attributes:
        image: (B, H, W) reflectance, NaN where not observed. mean, spread: (B,) of it.
        terrain: as `Tile.terrain`, or None. others: other dates of the place, gaps NaN.
        bands: name and nanometres of each.
    """

    image: Floats
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    terrain: Floats | None
    others: tuple[Reference, ...]
    about: About
    bands: list[prompt.Named]

    @property
    def weight(self) -> float:
        """How often it is drawn beside others: by its side, more often where there is terrain."""
        return float(self.image[0].size ** 0.5 * (1 if self.terrain is None else STEEP))


@dataclass(frozen=True)
class Bank:
    """Scenes and cloud masks to draw from; every draw is a function of seed and number.

    Attributes:
        wavelengths: nanometres of the bands that are drawn together; empty: one band, any.
        left: why files of a user's own folders are not among the scenes, a notice each.
    """

    scenes: tuple[Scene, ...]
    masks: tuple[Flags, ...]
    wavelengths: tuple[float, ...] = ()
    left: tuple[Notice, ...] = ()

    def crop(self, random: np.random.Generator, size: int) -> tuple[Scene, list[int], tuple[slice, slice]]:
        """A scene, its bands and a window."""
        weights = np.array([scene.weight for scene in self.scenes])
        scene = self.scenes[random.choice(len(self.scenes), p=weights / weights.sum())]
        row, column = (int(random.integers(0, n - size + 1)) for n in scene.image.shape[1:])
        if self.wavelengths:
            bands = list(range(len(self.wavelengths)))
        else:
            bands = [int(random.integers(len(scene.image)))]
        return scene, bands, (slice(row, row + size), slice(column, column + size))

    def planes(self, seed: int, number: int, count: int, size: int) -> Floats:
        """(count, 1, size, size) single bands in network units, turned and mirrored."""
        random = np.random.default_rng([seed, number])
        out = np.empty((count, 1, size, size), np.float32)
        for place in out:
            scene, bands, cut = self.crop(random, size)
            plane = units(scene, bands[:1], cut)[0]
            turned = np.rot90(plane, int(random.integers(4)))
            place[0] = turned[:, ::-1] if random.random() < 0.5 else turned
        return out

    def gap(self, random: np.random.Generator, size: int) -> Flags:
        """(size, size) bool hiding a share within `SHARE`: mostly a cloud, else a blob or single pixels."""
        kind = random.random()
        low, high = SHARE
        for _ in range(20 if kind < 0.7 and self.masks else 0):
            mask = self.masks[int(random.integers(len(self.masks)))]
            zoom = max(-(-size // min(mask.shape)), 1)
            sides = [n * zoom - size + 1 for n in mask.shape]
            turn = int(random.integers(8))
            if turn % 2:
                sides = sides[::-1]
            row, column = (int(random.integers(n)) for n in sides)
            made = make(
                Gap("cloud", row=row, column=column, turn=turn, zoom=zoom, source=("", "", "")),
                (size, size),
                mask,
            )
            if low <= made.mean() <= high:
                return made
        drawn = Gap(
            "random" if kind > 0.85 else "blob",
            int(random.integers(2**31)),
            float(random.uniform(low, high)),
        )
        return make(drawn, (size, size))


def units(scene: Scene, bands: Sequence[int], cut: tuple[slice, slice]) -> Floats:
    """(K, h, w) bands of a window in network units; what was not observed is the band's mean."""
    chosen = list(bands)
    scaled = standardised(scene.image[(chosen, *cut)], scene.mean[chosen], scene.spread[chosen])
    return np.clip(np.nan_to_num(scaled), -CLIP, CLIP).astype(np.float32)


def bank(data: Path, wavelengths: Sequence[float], size: int, without: Sequence[str]) -> Bank:
    """Every clear date below `data` that is large enough, and every cloud mask.

    Args:
        without: folders that are left out.

    Raises:
        TerramendError: `training.empty` where nothing fits.
    """
    scenes: list[Scene] = []
    masks: list[Flags] = []
    left: list[Notice] = []
    for dataset, name in catalog.places(data) if data.is_dir() else []:
        if dataset in without:
            continue
        place = catalog.read_place(data, dataset, name)
        left += catalog.left_out(data, dataset, name)
        masks += [d.gaps for d in place.dates if 0.05 <= d.gaps.mean() <= 0.9 and min(d.gaps.shape) >= 32]
        if not place.dates or min(place.shape) < size or place.scale.startswith("display"):
            continue
        chosen = pick(place, wavelengths) if wavelengths else list(range(len(place.bands)))
        if not chosen:
            continue
        relief = terrain_of(place.elevation, place.pixel_size, place.sun)
        hazy = {cloudy for cloudy, _ in place.pairs}
        for date in place.dates:
            if date.gaps.mean() <= CLEAR and date.name not in hazy and len(date.image):
                scenes.append(_scene(place, date, chosen, relief))
    if not scenes:
        near = f" with bands near {', '.join(f'{w:g}' for w in wavelengths)} nm" if wavelengths else ""
        wanted = f"clear dates of at least {size} x {size} pixels{near}"
        raise TerramendError("training.empty", path=str(data), wanted=wanted)
    return Bank(tuple(scenes), tuple(masks), tuple(wavelengths), tuple(left))


def _scene(place: Place, date: Date, chosen: list[int], terrain: Floats | None) -> Scene:
    image = date.image[chosen]
    others = tuple(
        Reference(
            np.where(other.gaps, np.float32(np.nan), other.image[chosen]),
            (other.day - date.day).days if other.day and date.day else None,
            other.name,
        )
        for other in place.dates
        if other is not date and other.gaps.mean() < 0.6
    )
    mean = np.asarray(np.nanmean(image, axis=(1, 2), dtype=np.float64))
    spread = np.maximum(np.nanstd(image, axis=(1, 2), dtype=np.float64), 1e-3)
    names = tuple(place.bands[i] for i in chosen)
    bands = prompt.named_bands(names, tuple(place.wavelengths[i] for i in chosen), len(chosen))
    return Scene(image, mean, spread, terrain, others, About(place.centre, date.day, names), bands)


# --- crops on disk ------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """Crops with gaps, memory-mapped.

    Attributes:
        hint: (N, channels, S, S). clean: (N, K, S, S) in network units.
        numbers: (N, NUMBERS) float32. texts: N prompts.
    """

    hint: Half
    clean: Half
    numbers: Floats
    texts: tuple[str, ...]


def open_store(folder: Path) -> Store:
    """The crops that `build` wrote."""
    facts, (hints, clean, numbers) = read(folder, ("hint", "clean", "numbers"))
    return Store(hints, clean, np.asarray(numbers), tuple(facts["texts"]))


def stored(config: Mapping[str, Any], data: Path, terrain: bool, watch: Watch) -> Store:
    """The crops of a configuration, made where the folder of its part `samples` has none yet.

    Args:
        terrain: whether it is shown in crops that are made.

    Raises:
        TerramendError: `training.config` where the folder's are of another number of bands or size;
            `training.drawn` where they were drawn otherwise; `training.empty`.
    """
    part, bands, size = config["samples"], config["network"]["bands"], config["size"]
    folder = Path(part["folder"])

    def draw() -> None:
        drawn = bank(data, tuple(config["data"]["wavelengths"]), size, config["without"])
        tell_left_out(drawn.left, data, watch)
        build(drawn, folder, part["count"], size, part["seed"], watch, terrain)

    chosen = {"samples.count": part["count"], "samples.seed": part["seed"], "data.terrain": terrain}
    chosen |= {"data.wavelengths": config["data"]["wavelengths"], "without": config["without"]}
    provide(folder, data, chosen, draw)
    store = open_store(folder)
    found = store.clean.shape[1], store.clean.shape[-1]
    if found != (bands, size):
        why = f"network.bands is {bands} and size {size}, but the samples in {folder} have {found[0]} bands "
        why += f"and {found[1]} pixels: mend the entry, or name another samples.folder"
        raise TerramendError("training.config", name="samples", why=why)
    return store


def build(
    drawn: Bank, folder: Path, count: int, size: int, seed: int, watch: Watch, terrain: bool = True
) -> None:
    """Draw crops, gaps and what stands beside them, and write them.

    Args:
        terrain: whether it is shown; without it crops and gaps are the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bands = max(len(drawn.wavelengths), 1)
    hints = new_array(folder / "hint.npy", (count, channels(bands), size, size))
    clean = new_array(folder / "clean.npy", (count, bands, size, size))
    numbers = np.zeros((count, prompt.NUMBERS), np.float32)
    texts = []
    watch.stage("samples", count)
    for number in range(count):
        random = np.random.default_rng([seed, number])
        scene, chosen, cut = drawn.crop(random, size)
        if not terrain:
            scene = dataclasses.replace(scene, terrain=None)
        gap = drawn.gap(random, size)
        most = min(len(scene.others), DATES) if random.random() < 0.5 else 0
        count_of = int(random.integers(1, most + 1)) if most else 0
        picked = sorted(random.choice(len(scene.others), count_of, replace=False)) if most else []
        references = [scene.others[index] for index in picked]
        started = random.random() < GUIDED and (bool(references) or scene.terrain is not None)
        turn, mirror = int(random.integers(4)), random.random() < 0.5
        images = sample(scene, chosen, cut, gap, references, started)
        clean[number], hints[number] = (
            np.rot90(image, turn, (1, 2))[..., :: -1 if mirror else 1] for image in images
        )
        template = prompt.TIME if references else prompt.SPACE
        texts.append(joint(prompt.of_scene(scene.about, [scene.bands[i] for i in chosen], template)))
        numbers[number] = prompt.numbers(scene.about)
        watch.advance()
    for array in (hints, clean):
        array.flush()
    np.save(folder / "numbers.npy", numbers)
    facts: dict[str, Any] = {"count": count, "size": size, "seed": seed, "texts": texts}
    write_whole(folder / "samples.json", json.dumps(facts, ensure_ascii=False))


def sample(
    scene: Scene,
    bands: Sequence[int],
    cut: tuple[slice, slice],
    gap: Flags,
    references: Sequence[Reference],
    guided: bool = False,
) -> tuple[Floats, Floats]:
    """The truth (K, h, w) in network units and the hint of a window with a gap.

    Args:
        guided: the prior is what `guided` says; else, and where it is silent, the harmonic surface.
    """
    chosen = list(bands)
    truth = units(scene, chosen, cut)
    known = np.where(gap, np.float32(np.nan), truth)
    seen = np.where(gap, np.float32(np.nan), scene.image[(chosen, *cut)])
    windows = [
        dataclasses.replace(r, image=np.ascontiguousarray(r.image[(slice(None), *cut)])) for r in references
    ]
    last = last_clear(windows, chosen, seen, scene.mean[chosen], scene.spread[chosen]) if windows else None
    terrain = None if scene.terrain is None else scene.terrain[(slice(None), *cut)]
    if guided:
        same = [dataclasses.replace(r, image=r.image[chosen]) for r in windows]
        said = standardised(_guided(seen, gap, same, terrain), scene.mean[chosen], scene.spread[chosen])
        known = np.where(gap, np.clip(said, -CLIP, CLIP), known)
    prior = np.stack([cascade(plane) for plane in known])
    return truth, hint(truth, gap, prior, terrain, last)


def _guided(seen: Floats, gap: Flags, references: Sequence[Reference], terrain: Floats | None) -> Floats:
    """(K, h, w) reflectance as `guided` fills a window by itself."""
    relief = None if terrain is None else np.ascontiguousarray(terrain)
    tile = Tile(seen, np.broadcast_to(gap, seen.shape).copy(), tuple(references), relief)
    method = of_quality()
    return method.predict(tile, method.prepare(tile)).mean
