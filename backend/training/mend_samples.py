"""Training samples of `mend`: what `guided` made of hidden pixels, and what was there.

Cases are drawn with the evaluation's own recipe maker from the *train* split, with other
seeds than the committed recipe, so the tables' cases are never learned from.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models import registry
from ...models.base import Tile
from ...models.mend.inputs import BASE, REFERENCE, SLOTS, frame, stack
from ..evaluation.cases import Sample, sample
from ..evaluation.make_cases import make_cases
from ..watch import Watch

SIZE = 96
"""Pixels a training crop is high and wide; smaller places are padded with weight 0."""
PER_SAMPLE = 5
"""Crops (each of one band) drawn from a case."""

Half = NDArray[np.float16]


@dataclass(frozen=True)
class Store:
    """Crops on disk, memory-mapped.

    Attributes:
        base: (N, BASE, SIZE, SIZE). references: (N, SLOTS, REFERENCE, SIZE, SIZE).
        target: (N, 2, SIZE, SIZE): error of the prior in its standard deviations
            (truth - prior) / std, and 1 where it is scored.
    """

    base: Half
    references: Half
    target: Half


def open_store(folder: Path) -> Store:
    """The crops that `build` wrote."""
    arrays = (np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in dataclasses.fields(Store))
    return Store(*arrays)


def build(data: Path, folder: Path, quality: str, seeds: range, watch: Watch) -> None:
    """Fill the cases of every seed with `guided` and keep crops around the hidden pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    recipes = [make_cases(data, "train", seed) for seed in seeds]
    drawn = [(case, track) for recipe in recipes for case in recipe.cases for track in case.tracks]
    drawn = [(case, track) for case, track in drawn if track != "P"]
    drawn.sort(key=lambda pair: (pair[0].dataset, pair[0].place))  # a place is read once
    capacity = len(drawn) * PER_SAMPLE
    shapes = ((BASE, SIZE, SIZE), (SLOTS, REFERENCE, SIZE, SIZE), (2, SIZE, SIZE))
    arrays = [
        np.lib.format.open_memmap(
            folder / f".{field.name}.npy", mode="w+", dtype=np.float16, shape=(capacity, *shape)
        )
        for field, shape in zip(dataclasses.fields(Store), shapes, strict=True)
    ]
    random = np.random.default_rng(seeds.start)
    row = registry.find("guided")
    assert row is not None  # noqa: S101 (the table holds it)
    guided = row.create(quality=quality)
    count = 0
    watch.stage("samples", len(drawn))
    for case, track in drawn:
        given = sample(case, track, data)
        known = frame(given.tile)
        prior = guided.predict(given.tile, guided.prepare(given.tile))
        base, others, spread = stack(given.tile, prior, known)
        error = np.clip((given.truth - prior.mean) / spread, -30, 30)
        usable = given.scored & np.isfinite(error)
        target = np.stack([np.where(usable, error, 0), usable], axis=1)
        for band, place in _crops(given, random):
            for array, values in zip(arrays, (base[band], others[band], target[band]), strict=True):
                array[count] = _padded(values[(..., *place)])
            count += 1
        watch.advance()
    for field, array in zip(dataclasses.fields(Store), arrays, strict=True):
        array.flush()
        part = folder / f".{field.name}.npy"
        np.save(folder / f"{field.name}.npy", array[:count])
        part.unlink()
    facts = {"crops": count, "quality": quality, "seeds": [seeds.start, seeds.stop]}
    (folder / "samples.json").write_text(json.dumps(facts), "utf-8")


def _crops(given: Sample, random: np.random.Generator) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Bands and places of crops that hold hidden pixels."""
    rows, columns = np.nonzero(given.scored)
    if not len(rows):
        return
    for _ in range(PER_SAMPLE):
        pick = int(random.integers(len(rows)))
        place = tuple(
            _span(int(at[pick]), side, random)
            for at, side in zip((rows, columns), given.scored.shape, strict=True)
        )
        yield int(random.integers(_bands(given.tile))), (place[0], place[1])


def _bands(tile: Tile) -> int:
    return len(tile.image)


def _span(at: int, side: int, random: np.random.Generator) -> slice:
    """A slice of SIZE (or the whole side) that holds `at`."""
    length = min(SIZE, side)
    first = int(np.clip(at - random.integers(length), 0, side - length))
    return slice(first, first + length)


def _padded(values: NDArray[np.floating]) -> Half:
    out = np.zeros((*values.shape[:-2], SIZE, SIZE), np.float16)
    out[..., : values.shape[-2], : values.shape[-1]] = values
    return out
