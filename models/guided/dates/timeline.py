"""What the other dates say by themselves: a line in time, for scenes that show too little to learn from.

Of a scene that is clouded all over a regression learns nothing, and of a few clear pixels what holds there
alone. Between dates land wanders about like a random walk, whose best guess is the line between the dates
before and after; how far it wanders in a day, as a whole and pixel by pixel, the dates say of each other.

The fewer pixels were observed, the more a fill follows the line: its law is a mixture of both laws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats, Reference, Source, Tile
from ...classical.common import FEW, SURE, UNSEEN
from ...classical.time import Line, between
from ...planes import everywhere, sampled

ENOUGH = 0.15  # share of the scene from which regressions do alone (train)
_HALF = 0.008  # share at which the line weighs as much as they do (train)
_LARGEST = 1 << 18  # pixels of a scene, at most, of which that is a share: a larger landscape repeats itself
_BLOCK = 8  # pixels a side of a block whose errors count as one piece of evidence of the level
_ELSEWHEN = 2.5  # how much more the level varies at the gap's date than between the others (train)
_DATES = 20  # nearest dates that are compared with each other
_SEEN = 50  # pixels that two dates share at least to be compared
_ODD = 2.0  # typical variances that a date counts with at most: more is cloud or snow (train)
_MEDIAN = 0.455  # median of the square of a standard normal variable


@dataclass(frozen=True)
class Timeline:
    """How far the line in time holds.

    Attributes:
        dates: indices of the references that it is drawn between. weight: (B,) of it against regression.
        level: (B,) what is added to it. doubt: (B,) variance of that.
        rate: (B,) variance of a pixel around it for each day of `Line.span`.
        spread: (B,) standard deviation of the dates' own pixels: no regression on so few errs by more.
        dated: whether all dates are known; else a span is one day.
    """

    dates: tuple[int, ...]
    weight: Floats
    level: Floats
    doubt: Floats
    rate: Floats
    spread: Floats
    dated: bool


def learn(overview: Tile, bands: Sequence[Sequence[int]]) -> Timeline | None:
    """How the line holds in a scene of which less than `ENOUGH` was observed; None of others.

    Args:
        bands: of each reference, the bands that are read (see `bands`): a line needs those of the target.
            Without such a date there is none.
    """
    count = len(overview.image)
    dates = tuple(
        index
        for index, (reference, kept) in enumerate(zip(overview.references, bands, strict=True))
        if reference.alike and tuple(kept[:count]) == tuple(range(count))
    )
    valid = overview.valid
    whole = np.count_nonzero(np.any(valid | overview.gaps, axis=0)) * overview.step**2
    share = valid.sum(axis=(1, 2)) * overview.step**2 / max(min(whole, _LARGEST), 1)
    if not dates or share.min() >= ENOUGH:
        return None
    dated = all(overview.references[index].days is not None for index in dates)
    line = _line(overview, dates, dated)
    spread, level, rate = _wandering([overview.references[index] for index in dates], count, dated)
    there = np.isfinite(line.span)
    span = float(line.span[there].mean()) if there.any() else 1.0
    if level is None or rate is None:  # one date alone does not say how far it goes in a day
        level = rate = spread**2 / (2 * span)
    known, doubt = np.zeros(count, np.float32), level * span
    for band in range(count):
        seen = valid[band] & there
        if seen.any():
            error = rate[band] * span / _blocks(seen, overview)
            off = float((overview.image[band] - line.values[band])[seen].mean())
            known[band] = off * doubt[band] / (doubt[band] + error)
            doubt[band] *= error / (doubt[band] + error)
    weight = np.where(share < ENOUGH, _HALF / (_HALF + share), 0)
    return Timeline(dates, weight.astype(np.float32), known, doubt, rate, spread, dated)


def mix(
    tile: Tile, known: Timeline, mean: Floats, std: Floats, source: NDArray[np.uint8], main: NDArray[np.int16]
) -> None:
    """Draw what regressions say of a tile's gaps to the line, in place; it alone where they say nothing.

    Args:
        mean, std: (B, H, W), NaN where nothing is said. source, main: (H, W), as `Prediction` has them.
    """
    line = _line(tile, known.dates, known.dated)
    taken = np.zeros(source.shape, bool)
    for band, weight in enumerate(known.weight):
        where = tile.gaps[band] & np.isfinite(line.values[band])
        if weight <= 0 or not where.any():
            continue
        own = line.values[band][where] + known.level[band]
        variance = known.rate[band] * line.span[where] + known.doubt[band]
        said, sure = mean[band][where], np.minimum(std[band][where], known.spread[band])
        told = np.isfinite(said) & np.isfinite(sure)
        said, sure = np.where(told, said, own), np.where(told, sure, np.float32(0))
        share = np.where(told, weight, np.float32(1))
        mean[band][where] = said + share * (own - said)
        variance = share * variance + (1 - share) * (sure**2 + share * (own - said) ** 2)
        std[band][where] = np.maximum(np.sqrt(variance), SURE)
        taken[where] |= share > 0.5
    source[taken] = Source.REFERENCE
    main[taken] = np.array([*known.dates, -1], np.int16)[line.index[taken]]


def _line(tile: Tile, dates: Sequence[int], dated: bool) -> Line:
    """The line of a tile; a span is one day where dates are not known, and at least."""
    line = between(tuple(tile.references[index] for index in dates), len(tile.image), tile.image.shape[1:])
    span = np.where(line.index >= 0, np.fmax(line.span, 1) if dated else np.float32(1), np.float32(np.nan))
    return replace(line, span=span.astype(np.float32))


def _wandering(
    references: Sequence[Reference], bands: int, dated: bool
) -> tuple[Floats, Floats | None, Floats | None]:
    """(B,) each: spread of the dates' pixels; variances a day of span of the level, and of pixels around it.

    Each date is compared with the line between the others. None where no two dates share enough. A cloud that
    a date's mask missed is no drift: what such a date says is cut to what is typical of the others.
    """
    nearest = sorted(references, key=lambda r: abs(r.days or 0))[:_DATES]
    clear = [everywhere(r.image[:bands]) for r in nearest]
    places = sampled(np.any(clear, axis=0))
    few = [replace(r, image=r.image[:bands].reshape(bands, -1)[:, None, places]) for r in nearest]
    pixels = np.concatenate([r.image[:, 0] for r in few], axis=1)
    pixels = pixels[:, everywhere(pixels)]
    least = SURE if pixels.shape[1] >= FEW else UNSEEN
    spread = np.maximum(pixels.std(axis=1, dtype=np.float64) if pixels.size else np.zeros(bands), least)
    spread = spread.astype(np.float32)
    inner: list[Floats] = []  # (3, B) of a date: span, and variances of level and of pixels
    ends: list[Floats] = []
    for own in few:
        others = tuple(
            replace(r, days=(r.days or 0) - (own.days or 0) if dated else None) for r in few if r is not own
        )
        line = between(others, bands, (1, len(places)))
        error = own.image - line.values
        seen = everywhere(error)
        if seen.sum() < _SEEN:
            continue
        days = [r.days for r in others if r.days is not None]
        tied = bool(days) and min(days) <= 0 < max(days)
        span = float(np.fmax(line.span[seen], 1).mean()) if dated else 1.0
        found = error[:, seen].astype(np.float64)
        said = np.stack([np.full(bands, span), found.mean(axis=1) ** 2, found.var(axis=1)])
        (inner if tied else ends).append(said)
    if not (inner or ends):
        return spread, None, None
    spans, *variances = np.stack(inner or ends, axis=1)
    level, rate = (
        _usual(each, spans, typical) for each, typical in zip(variances, (_MEDIAN, 1.0), strict=True)
    )
    return spread, _ELSEWHEN * level, rate


def _usual(variances: Floats, spans: Floats, typical: float) -> Floats:
    """(B,) variance for a day of span, of what n dates say: (n, B) variances over (n, B) spans.

    Args:
        typical: median of what one date says, in true variances.
    """
    most = _ODD / typical * np.median(variances / spans, axis=0)
    found = np.minimum(variances, most * spans).sum(axis=0) / spans.sum(axis=0)
    return np.maximum(found, float(SURE) ** 2).astype(np.float32)


def _blocks(seen: Flags, overview: Tile) -> int:
    """Blocks of `_BLOCK` scene pixels a side that hold any pixel of a mask (H, W)."""
    rows, columns = (place * overview.step // _BLOCK for place in np.nonzero(seen))
    return len(np.unique(rows * (overview.image.shape[2] * overview.step + 1) + columns))
