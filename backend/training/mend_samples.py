"""Training samples of `mend`: what `guided` made of hidden pixels, and what was there.

Cases are drawn with the evaluation's own recipe maker from the *train* split, with other
seeds than the committed recipe, so the tables' cases are never learned from. Some of the
places are held out of the training, to choose by; val stays a test.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.guided.model import of_quality
from ...models.mend.inputs import BASE, REFERENCE, SLOTS, frame, stack
from ..evaluation.cases import WITH_DATES, Case, Sample, sample
from ..evaluation.make_cases import make_cases
from ..raster.outputs import write_whole
from ..watch import Watch
from .crop_store import new_array, provide, read
from .variety import varied

SIZE = 96
"""Pixels a training crop is high and wide; smaller places are padded with weight 0."""
PER_SAMPLE = 5
"""Crops (each of one band) drawn from a case."""

TRACKS = {
    "S": 0.14, "S-DEM": 0.1, "R": 0.06, "T1": 0.2, "T2": 0.14, "T4": 0.14, "T4past": 0.07, "series": 0.15,
}  # fmt: skip
KINDS = {"cloud": 0.5, "blob": 0.2, "stripes": 0.15, "random": 0.15}
"""Shares of a balanced draw."""
RESEARCH_ONLY = ("planet_cr", "rice_rgb_pairs")
"""Data sets whose licence does not let weights be given away."""
HELD_OUT, SALT = 6, "c"
"""One place in so many is never learned from; with this salt they are of every kind (cities, plots
in a series with radar, relief, pairs, patches)."""
WANTED = f"places that are not kept to choose by, as one of {HELD_OUT} is"
"""What `training.empty` says is missing where every place is held out."""

Half = NDArray[np.float16]


@dataclass(frozen=True)
class Store:
    """Crops on disk, memory-mapped.

    Attributes:
        base: (N, BASE, SIZE, SIZE). references: (N, SLOTS, REFERENCE, SIZE, SIZE).
        target: (N, 2, SIZE, SIZE): error of the prior in its standard deviations
            (truth - prior) / std, and 1 where it is scored.
        origin: (N, 4) text: data set, place, track, gap kind.
    """

    base: Half
    references: Half
    target: Half
    origin: NDArray[np.str_]

    def held_out(self) -> NDArray[np.bool_]:
        """(N,) whether a crop's place is kept to choose by."""
        return np.array([is_held_out(dataset, place) for dataset, place, _, _ in self.origin], bool)

    def made_up(self) -> NDArray[np.bool_]:
        """(N,) whether a crop's dates are made up: its track has none."""
        dated = np.array([track in WITH_DATES for _, _, track, _ in self.origin], bool)
        known = np.array([bool(crop[:, 1, ::8, ::8].any()) for crop in self.references], bool)
        return known & ~dated


ARRAYS = ("base", "references", "target")


def is_held_out(dataset: str, place: str) -> bool:
    """Whether a place of the train split is kept to choose by."""
    return zlib.crc32(f"{SALT}{dataset}/{place}".encode()) % HELD_OUT == 0


def open_store(folder: Path) -> Store:
    """The crops that `build` wrote."""
    facts, (base, references, target) = read(folder, ARRAYS)
    origin = np.repeat([row[:4] for row in facts["drawn"]], [row[4] for row in facts["drawn"]], axis=0)
    return Store(base, references, target, origin)


def stored(part: Mapping[str, Any], data: Path, watch: Watch) -> Store:
    """The crops of a part `samples` of a configuration, made where its folder has none yet."""
    folder = Path(part["folder"])

    def draw() -> None:
        seeds = range(part["seed"], part["seed"] + part["recipes"])
        build(data, folder, part["quality"], seeds, watch, part["cases"], part["crops"], part["variety"])

    names = ("seed", "recipes", "quality", "cases", "crops", "variety")
    provide(folder, data, {f"samples.{name}": part[name] for name in names if name in part}, draw)
    return open_store(folder)


def build(
    data: Path,
    folder: Path,
    quality: str,
    seeds: range,
    watch: Watch,
    cases: int = 0,
    crops: int = PER_SAMPLE,
    variety: bool = False,
) -> None:
    """Fill the cases of every seed with `guided` and keep crops around the hidden pixels.

    Args:
        cases: how many to draw, balanced over tracks and gap kinds; 0 takes all as they come.
        crops: of one band each, a case.
        variety: also what `variety` makes up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seeds.start)
    drawn = _drawn(data, seeds, cases, random, watch)
    capacity = len(drawn) * crops
    shapes = ((BASE, SIZE, SIZE), (SLOTS, REFERENCE, SIZE, SIZE), (2, SIZE, SIZE))
    arrays = [
        new_array(folder / f".{name}.npy", (capacity, *shape))
        for name, shape in zip(ARRAYS, shapes, strict=True)
    ]
    guided = of_quality(quality)
    count, origin = 0, []
    watch.stage("samples", len(drawn))
    for case, track in drawn:
        given = sample(case, track, data)
        if variety:
            given = varied(given, random)
        known = frame(given.tile)
        prior = guided.predict(given.tile, guided.prepare(given.tile))
        base, others, spread = stack(given.tile, prior, known)
        error = np.clip((given.truth - prior.mean) / spread, -30, 30)
        usable = given.scored & np.isfinite(error)
        target = np.stack([np.where(usable, error, 0), usable], axis=1)
        before = count
        for band, place in _crops(given, crops, random):
            for array, values in zip(arrays, (base[band], others[band], target[band]), strict=True):
                array[count] = _padded(values[(..., *place)])
            count += 1
        origin.append([case.dataset, case.place, track, case.gap.kind, count - before])
        watch.advance()
    for name, array in zip(ARRAYS, arrays, strict=True):
        array.flush()
        part = folder / f".{name}.npy"
        if count == capacity:
            part.replace(folder / f"{name}.npy")
        else:
            np.save(folder / f"{name}.npy", array[:count])
            part.unlink()
    facts = {"crops": count, "quality": quality, "seeds": [seeds.start, seeds.stop], "variety": variety}
    write_whole(folder / "samples.json", json.dumps({**facts, "drawn": origin}))


def _drawn(
    data: Path, seeds: range, cases: int, random: np.random.Generator, watch: Watch
) -> Sequence[tuple[Case, str]]:
    """Cases and tracks to fill, those of a place together: it is read once."""
    recipes = [make_cases(data, "train", seed, watch) for seed in seeds]
    drawn = [(case, track) for recipe in recipes for case in recipe.cases for track in case.tracks]
    drawn = [(case, track) for case, track in drawn if track != "P" and _free(case, track)]
    if cases:
        groups = [(case.dataset, track, case.gap.kind) for case, track in drawn]
        chance = np.array([TRACKS.get(track, 0.05) * KINDS.get(kind, 0.1) for _, track, kind in groups])
        # Within a track and kind, data sets of many cases are drawn less often a case, not less in all.
        of_group = np.array([groups.count(group) for group in groups])
        of_kind = np.array([sum(g[1:] == group[1:] for g in set(groups)) for group in groups])
        chance /= np.sqrt(of_group) * of_kind
        chosen = random.choice(len(drawn), min(cases, len(drawn)), replace=False, p=chance / chance.sum())
        drawn = [drawn[index] for index in chosen]
    return sorted(drawn, key=lambda pair: (pair[0].dataset, pair[0].place))


def _free(case: Case, track: str) -> bool:
    """Whether weights learnt from the case may be given away; a borrowed cloud shape counts."""
    gaps = [case.gap, *(other.extra for other in case.tracks[track].references if other.extra)]
    sources = {case.dataset, *(gap.source[0] for gap in gaps if gap.source)}
    return not sources & set(RESEARCH_ONLY)


def _crops(
    given: Sample, count: int, random: np.random.Generator
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Bands and places of crops that hold hidden pixels."""
    rows, columns = np.nonzero(given.scored)
    if not len(rows):
        return
    for _ in range(count):
        pick = int(random.integers(len(rows)))
        place = tuple(
            _span(int(at[pick]), side, random)
            for at, side in zip((rows, columns), given.scored.shape, strict=True)
        )
        yield int(random.integers(len(given.tile.image))), (place[0], place[1])


def _span(at: int, side: int, random: np.random.Generator) -> slice:
    """A slice of SIZE (or the whole side) that holds `at`."""
    length = min(SIZE, side)
    first = int(np.clip(at - random.integers(length), 0, side - length))
    return slice(first, first + length)


def _padded(values: NDArray[np.floating]) -> Half:
    out = np.zeros((*values.shape[:-2], SIZE, SIZE), np.float16)
    out[..., : values.shape[-2], : values.shape[-1]] = values
    return out
