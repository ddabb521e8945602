"""Puts blended predictions into the target's samples; what was valid is never touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.base import Flags, Source
from ..raster.encode import avoid, encode, frequent_class
from ..raster.masks.gapmap import GAP, OUTSIDE, VALID
from ..raster.mosaic import NO_AGE, Block
from ..raster.raster import Raster

CLASS_REACH = 64
"""Pixels around a core in which the most frequent class is sought (half the largest window)."""

Samples = NDArray[Any]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Recipe:
    """How the samples of one raster are composed.

    Attributes:
        target: bands with their roles, gains and nodata values.
        fill_bands: 0-based bands that are predicted, in the prediction's order.
        class_bands: 0-based bands whose gaps take the most frequent class around them.
        dtype, nodata: of the output. to_nodata: gaps that stay become `nodata`.
        scales: declared scale of each band, for the deviation.
        opaque: what each of `alpha_bands` holds where it hides nothing.
        clear: whether thin cloud is removed rather than gaps filled.
    """

    target: Raster
    fill_bands: tuple[int, ...]
    class_bands: tuple[int, ...]
    dtype: str
    nodata: float | None
    to_nodata: bool
    scales: tuple[float, ...]
    opaque: tuple[float, ...]
    clear: bool = False

    @property
    def alpha_bands(self) -> tuple[int, ...]:
        """Bands that become opaque where a pixel was filled."""
        return tuple(i for i, band in enumerate(self.target.bands) if band.role == "alpha")

    @property
    def other_nodata(self) -> tuple[int, ...]:
        """Bands of several files whose nodata is not the output's: it has one for all, which they take."""
        if self.nodata is None:
            return ()
        bands = enumerate(self.target.bands)
        told = ((i, b.nodata) for i, b in bands if b.role not in ("class", "qa", "alpha"))
        return tuple(i for i, nodata in told if nodata is not None and nodata != self.nodata)

    def forbidden(self, band: int) -> tuple[float | None, ...]:
        """Stored values that would make a filled sample of the band look like a gap again."""
        zero = 0.0 if self.target.zero_fill else None
        return self.target.bands[band].nodata, self.nodata, zero


@dataclass
class Composed:
    """One finished core.

    Attributes:
        samples: (B, h, w) in the output's dtype. filled: (F, h, w), of the predicted bands.
        gaps: (F, h, w) of the predicted bands.
        class_gaps: (C, h, w) of the class bands. classed: those of them that took their neighbours' classes.
    """

    samples: Samples
    filled: Flags
    gaps: Flags
    class_gaps: Flags
    classed: Flags

    @property
    def restored(self) -> Flags:
        """(h, w) pixels that had gaps, all of which are filled."""
        return np.asarray(self.gaps.any(axis=0) & ~(self.gaps & ~self.filled).any(axis=0))


def changed(codes: Codes, recipe: Recipe, block: Block | None) -> Codes:
    """(B, h, w) codes where only what was predicted counts as a gap.

    Where thin cloud is removed, bands that a method does not know stay what they are: observed.
    """
    kept = np.where(codes == GAP, np.uint8(VALID), codes)
    if block is not None:
        for place, index in enumerate(recipe.fill_bands):
            kept[index][(codes[index] == GAP) & np.isfinite(block.mean[place])] = GAP
    return kept


def copied(recipe: Recipe, stored: Sequence[Samples]) -> Samples:
    """(B, h, w) the file's samples in the output's dtype, with the nodata that the output has."""
    samples = np.stack(stored).astype(recipe.dtype, copy=False)
    for index in recipe.other_nodata:
        samples[index][stored[index] == recipe.target.bands[index].nodata] = recipe.nodata
    return samples


def misread(recipe: Recipe, stored: Sequence[Samples], codes: Codes | None) -> int:
    """How many valid samples equal the output's nodata, but not their band's; codes: None without gaps."""
    same = ((i, stored[i] == recipe.nodata) for i in recipe.other_nodata)
    return sum(int((equal if codes is None else equal & (codes[i] == VALID)).sum()) for i, equal in same)


def compose(
    recipe: Recipe, stored: Sequence[Samples], codes: Codes, classed: Flags, block: Block | None
) -> Composed:
    """The output's samples of one core.

    Args:
        stored: the file's samples, one (h, w) array per band; those of class bands by `classes`.
        codes: (B, h, w) of the gap map. classed: (C, h, w) gaps of class bands that have a class.
        block: blended predictions of `fill_bands`, or None.
    """
    samples = copied(recipe, stored)
    gaps = codes[list(recipe.fill_bands)] == GAP
    filled = np.zeros_like(gaps) if block is None else gaps & np.isfinite(block.mean)
    for place, index in enumerate(recipe.fill_bands):
        band = recipe.target.bands[index]
        put = filled[place]
        if block is not None and put.any():
            values = encode(block.mean[place][put], band.dtype, band.gain, band.bias)
            samples[index][put] = avoid(values, recipe.forbidden(index))
        if recipe.to_nodata:
            samples[index][gaps[place] & ~put] = recipe.nodata
    class_gaps = codes[list(recipe.class_bands)] == GAP
    if recipe.to_nodata:
        for place, index in enumerate(recipe.class_bands):
            samples[index][class_gaps[place] & ~classed[place]] = recipe.nodata
    done = Composed(samples, filled, gaps, class_gaps, classed)
    for index, opaque in zip(recipe.alpha_bands, recipe.opaque, strict=True):
        samples[index][done.restored] = opaque
    return done


def classes(stored: Samples, codes: Codes, inner: tuple[slice, slice]) -> tuple[Samples, Flags]:
    """A class band of one core, its gaps from their neighbours; and which gaps, those that have some.

    Args:
        stored, codes: (h, w) of the core and a margin around it. inner: the core in them.
    """
    gaps = codes == GAP
    frequent, found = frequent_class(stored, codes != VALID)
    return np.where(gaps, frequent, stored)[inner], (gaps & found)[inner]


def deviation(recipe: Recipe, codes: Codes, done: Composed, block: Block | None) -> NDArray[np.float32]:
    """(B, h, w) standard deviation in the target's scaled units: 0 where valid, NaN where unknown.

    Unknown are gaps that were not predicted, also those of bands that nobody asked for: what lies under
    the cloud there is the cloud. QA and alpha bands tell of pixels, not of the ground, and are certain.
    """
    std = np.where(codes == OUTSIDE, np.float32(np.nan), np.float32(0))
    for index, band in enumerate(recipe.target.bands):
        if band.role not in ("qa", "alpha"):
            std[index][codes[index] == GAP] = np.nan
    for place, index in enumerate(recipe.fill_bands):
        if block is not None:
            put = done.filled[place]
            unit = abs(recipe.scales[index] / recipe.target.bands[index].gain)
            std[index][put] = block.std[place][put] * np.float32(unit)
    return std


def sources(recipe: Recipe, codes: Codes, done: Composed, block: Block | None) -> Codes:
    """(2, h, w): dominant source of each pixel (`models.base.Source`), age of its main reference."""
    judged = codes[list(recipe.fill_bands)] if recipe.fill_bands else codes
    outside = (judged == OUTSIDE).all(axis=0)
    source = np.where(outside, np.uint8(Source.OUTSIDE), np.uint8(Source.VALID))
    age = np.full(source.shape, NO_AGE, np.uint8)
    source[done.class_gaps.any(axis=0)] = Source.UNFILLED
    source[done.classed.any(axis=0)] = Source.SURROUNDINGS
    source[done.gaps.any(axis=0)] = Source.UNFILLED
    if block is not None:
        put = done.filled.any(axis=0)
        source[put] = Source.ALTERED if recipe.clear else block.source[put]
        age[put] = block.age[put]
    return np.stack([source, age])
