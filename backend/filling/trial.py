"""What `auto` measures before it fills: which inputs serve best on hidden pixels of the scene itself.

A few windows at full resolution, near gaps, lose a part of their valid pixels under the shapes of
their own gaps. Every candidate fills them; the errors are compared. The first candidate, which
leans on everything that was given, keeps its place unless another is clearly better everywhere:
picking the best of a few noisy figures loses more than it gains (measured on training scenes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models import threads
from ...models.base import Flags, Reconstructor, Tile
from ...models.holdout import pseudo_gap
from ..errors import Notice

WINDOWS = 3
"""Windows at full size (see `raster.detail`) that are tried: a second or two of work."""

LEAST = 500
"""Hidden pixels without which nothing is decided."""

CLEARLY = 0.9
"""An error must be below this share of the first candidate's, in every window, to take its place."""


def shown(tile: Tile, leans: frozenset[str]) -> Tile:
    """The tile with these of `references`, `terrain`, `sar` alone."""
    return replace(
        tile,
        references=tile.references if "references" in leans else (),
        terrain=tile.terrain if "terrain" in leans else None,
        sar=tile.sar if "sar" in leans else None,
        detail=tuple(shown(window, leans) for window in tile.detail),
    )


@dataclass(frozen=True)
class Candidate:
    """A way to fill: which of `references`, `terrain`, `sar` it may see, and how a sentence names it."""

    leans: frozenset[str]
    name: Notice

    @property
    def words(self) -> str:
        """Its name in English."""
        return self.name.sentence

    def shown(self, tile: Tile) -> Tile:
        """The tile without what the candidate may not see."""
        return shown(tile, self.leans)


@dataclass(frozen=True)
class Tried:
    """One candidate's root mean square error (reflectance, over all bands) on the hidden pixels."""

    way: Candidate
    rmse: float
    samples: int
    chosen: bool

    def to_json(self) -> dict[str, Any]:
        """For results and tags; the error is rounded, so that the text is short."""
        rmse = round(self.rmse, 6)
        return {"with": self.way.words, "rmse": rmse, "samples": self.samples, "chosen": self.chosen}


def candidates(references: int, terrain: bool, sar: bool) -> tuple[Candidate, ...]:
    """Ways that make sense with what a scene holds, the preferred one first."""
    guides = frozenset(name for name, there in (("terrain", terrain), ("sar", sar)) if there)
    found = []
    if references:
        dates = Notice("way.date") if references == 1 else Notice("way.dates", {"count": references})
        found.append(Candidate(guides | {"references"}, dates))
    if guides:
        code = "way.guides" if len(guides) > 1 else f"way.{next(iter(guides))}"
        found.append(Candidate(guides, Notice(f"{code}-alone" if references else code)))
    return (*found, Candidate(frozenset(), Notice("way.surroundings")))


def compare(model: Reconstructor, ways: Sequence[Candidate], tiles: Sequence[Tile]) -> tuple[Tried, ...]:
    """Let `model`, prepared on each tile alone, fill pixels that are hidden in it, in every way.

    Tiles and ways go side by side where the caller allows it.

    Returns:
        One a candidate, one of them chosen; empty where too few pixels can be hidden.
    """
    found = [(tile, hidden) for tile in tiles if (hidden := _hidden(tile)) is not None]
    said = threads.each(
        lambda one: _wrong(model, one[1], *one[0]), [(pair, way) for pair in found for way in ways]
    )
    squares: list[list[float]] = [[] for _ in ways]
    samples = pixels = 0
    for place, (_, hidden) in enumerate(found):
        wrong = said[place * len(ways) : (place + 1) * len(ways)]
        known = np.all(np.isfinite(wrong), axis=0)
        if known.any():
            samples, pixels = samples + int(known.sum()), pixels + int(hidden.sum())
            for error, sums in zip(wrong, squares, strict=True):
                sums.append(float((error[known] ** 2).sum()))
    if pixels < LEAST:
        return ()
    errors = [math.sqrt(sum(found) / samples) for found in squares]
    best = min(range(len(ways)), key=lambda i: (errors[i], i))
    clear = all(a < CLEARLY**2 * b for a, b in zip(squares[best], squares[0], strict=True))
    chosen = best if clear else 0
    return tuple(
        Tried(way, error, samples, i == chosen)
        for i, (way, error) in enumerate(zip(ways, errors, strict=True))
    )


def _hidden(tile: Tile) -> Flags | None:
    return pseudo_gap(np.all(tile.valid, axis=0), np.any(tile.gaps, axis=0))


def _wrong(model: Reconstructor, way: Candidate, tile: Tile, hidden: Flags) -> NDArray[np.float64]:
    """(B, n) errors at the hidden samples that one way makes."""
    shown = way.shown(replace(tile.hiding(hidden), row=0, column=0))  # a small scene of its own
    truth = tile.image[:, hidden].astype(np.float64)
    return np.asarray(model.predict(shown, model.prepare(shown)).mean[:, hidden] - truth)
