"""From mask values to class flags.

Every kind of mask becomes a `Decoder`: it names the bands to read and turns their values
into one byte a pixel, a bit for each class of `request.CLASSES` and `FILL` for pixels
that the mask's producer had no observation of. Kinds without classes set all class bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import TerramendError
from ...request import CLASSES
from .tables import CLOUD_PROBABILITY_GROWTH, Field, Layout

Bits = NDArray[np.uint8]
Values = NDArray[Any]
Rule = Callable[[Values], Bits]
"""From values (any shape and dtype) to one byte of class bits each."""

CLASS_BITS = {name: 1 << position for position, name in enumerate(CLASSES)}
ANY_CLASS = (1 << len(CLASSES)) - 1
FILL = 128
ALIKE = 32
"""Rules and tables that are kept: the masks of many dates are of one kind, and a table may take 64 KiB."""


def selection(classes: Iterable[str]) -> int:
    """The bits of the ticked classes."""
    return sum(CLASS_BITS[name] for name in set(classes))


@dataclass(frozen=True)
class Decoder:
    """How one mask is read.

    Attributes:
        kind: of `request.MASK_KINDS`, never `auto`.
        bands: 1-based bands to read, in the order of `rules`.
        rules: one function per band: values (any shape and dtype) to bits.
        classes: class names that it can mark; empty for kinds without classes.
        growth: default growth in pixels of the mask.
        has_fill: whether it can mark pixels without observation.
        per_band: whether each band is the mask of one band of the raster.
    """

    kind: str
    bands: tuple[int, ...]
    rules: tuple[Rule, ...]
    classes: frozenset[str] = frozenset()
    growth: float = 0.0
    has_fill: bool = False
    per_band: bool = False

    def decode(self, values: Values) -> Bits:
        """(K, h, w) values of `bands` to (K, h, w) bits if `per_band`, else to (1, h, w)."""
        planes = [rule(plane) for rule, plane in zip(self.rules, values, strict=True)]
        if self.per_band:
            return np.stack(planes)
        united = planes[0]
        for plane in planes[1:]:
            united = united | plane
        return united[np.newaxis]

    def tabulated(self, dtype: str) -> Decoder:
        """The same with look-up tables, where the dtype has few enough values."""
        kind = np.dtype(dtype)
        if kind.kind not in "ui" or kind.itemsize > 2:
            return self
        return replace(self, rules=tuple(_tabulate(rule, kind) for rule in self.rules))


def layout_decoder(layout: Layout, band: int = 1, nodata: float | None = None) -> Decoder:
    """A decoder by a sensor's table.

    Args:
        band: where a one-band layer stands in its file.
        nodata: declared; not observed, except 0, whose meaning the tables know.
    """
    found: dict[int, list[tuple[int, Field]]] = {}
    for bits, fields in [(CLASS_BITS[name], tests) for name, tests in layout.classes.items()] + [
        (FILL, layout.fill)
    ]:
        for test in fields:
            found.setdefault(test.band, []).append((bits, test))
    bands = tuple(sorted(found))
    rules = tuple(_by_fields(tuple(found[number]), nodata or None) for number in bands)
    if bands == (1,):
        bands = (band,)
    classes = frozenset(layout.classes)
    has_fill = bool(layout.fill) or bool(nodata)
    return Decoder(layout.kind, bands, rules, classes, layout.growth, has_fill)


@lru_cache(ALIKE)
def probability_decoder(band: int, scale: float, threshold: float, nodata: float | None) -> Decoder:
    """Cloud where value * scale reaches `threshold` percent; NaN and nodata are not observed."""

    def rule(values: Values) -> Bits:
        missing = _is_nodata(values, nodata)
        cloud = values.astype(np.float32) * np.float32(scale) >= np.float32(threshold)
        return np.where(missing, np.uint8(FILL), cloud * np.uint8(CLASS_BITS["cloud"])).astype(np.uint8)

    return Decoder(
        "cloudprob", (band,), (rule,), frozenset({"cloud"}), CLOUD_PROBABILITY_GROWTH, nodata is not None
    )


@lru_cache(ALIKE)
def plain_decoder(kind: str, bands: tuple[int, ...], nodata: float | None) -> Decoder:
    """A decoder of `nonzero`, `zero`, `nodata` or `value=V[,V...]`, each band for itself.

    Pixels that are nodata (declared, or NaN) are no gap for `nonzero`; `zero` and `value`
    take the values as they stand, because they are named. `nodata` marks what was not
    observed: declared nodata and NaN, or zero where nothing is declared.
    """
    if kind == "nonzero":

        def rule(values: Values) -> Bits:
            return _flags((values != 0) & ~_is_nodata(values, nodata))

    elif kind == "zero":

        def rule(values: Values) -> Bits:
            return _flags(values == 0)

    elif kind == "nodata":

        def rule(values: Values) -> Bits:
            declared = _is_nodata(values, 0 if nodata is None and values.dtype.kind != "f" else nodata)
            return declared * np.uint8(FILL)

    else:
        wanted = _values(kind)

        def rule(values: Values) -> Bits:
            named = np.array([v for v in wanted if not math.isnan(v)])
            if values.dtype.kind == "f":
                named = named.astype(values.dtype)  # 0.1 as the mask holds it
            marked = np.isin(values, named)
            if any(math.isnan(v) for v in wanted) and values.dtype.kind == "f":
                marked |= np.isnan(values)
            return _flags(marked)

    name = kind.split("=", 1)[0]
    return Decoder(name, bands, (rule,) * len(bands), has_fill=name == "nodata", per_band=len(bands) > 1)


def _values(kind: str) -> list[float]:
    try:
        return [float(text) for text in kind.split("=", 1)[1].split(",")]
    except (ValueError, IndexError):
        raise TerramendError("mask.value", kind=kind) from None


def _flags(marked: NDArray[np.bool_]) -> Bits:
    return marked * np.uint8(ANY_CLASS)


def _is_nodata(values: Values, nodata: float | None) -> NDArray[np.bool_]:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if nodata is not None and not math.isnan(nodata):
        missing |= values == (np.float32(nodata) if values.dtype == np.float32 else nodata)
    return missing


@lru_cache(ALIKE)
def _by_fields(tests: tuple[tuple[int, Field], ...], nodata: float | None) -> Rule:
    numbers = np.arange(1 << 16)
    table = np.zeros(numbers.size, np.uint8)
    for bits, test in tests:
        part = (numbers >> test.first) & ((1 << test.width) - 1) if test.width else numbers
        table[np.isin(part, test.values)] |= bits
    table[table & FILL != 0] = FILL  # what was not observed has no class

    def rule(values: Values) -> Bits:
        missing = _is_nodata(values, nodata)
        # The lowest 16 bits: files that are signed or wider hold the same bits there.
        found: Bits = table[np.where(missing, 0, values).astype(np.int64) & 0xFFFF]
        found[missing] = FILL
        return found

    return rule


@lru_cache(ALIKE)
def _tabulate(rule: Rule, dtype: np.dtype[Any]) -> Rule:
    unsigned = np.dtype(f"u{dtype.itemsize}")
    table = rule(np.arange(1 << 8 * dtype.itemsize, dtype=unsigned).view(dtype))

    def looked_up(values: Values) -> Bits:
        return table[np.ascontiguousarray(values).view(unsigned)]

    return looked_up
