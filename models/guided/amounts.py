"""Amounts that spread over orders of magnitude, as chlorophyll or light at night: filled as logarithms.

Squares would tell of their few largest values alone, and a regression on them goes below zero. The scale is
asinh(value / 2 knee): the logarithm of values above the knee, and straight below it, so that it holds zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..base import Floats, Prediction, Reference, Tile

_HEAVY = 3.0  # medians that the 95th percentile is, at least: unnamed reflectance of train has 2.8 at most
_FEW = 500  # observed samples below which the other dates say what values are like
_MARGIN = 0.25  # of the observed range: how far above it a fill may go


@dataclass(frozen=True)
class Amounts:
    """The logarithmic scale of a scene.

    Attributes:
        knee: (B,) of the target's bands. others: (K,) of each reference, NaN for bands that stay as they are.
        low, high: (B,) bounds of plausible values.
    """

    knee: Floats
    others: tuple[Floats, ...]
    low: Floats
    high: Floats


def learn(overview: Tile) -> Amounts | None:
    """The scale of a scene whose bands are all amounts that spread far; None of another.

    Bands whose centres are known hold light. Other values go below zero (radar in dB, indices) or lie close
    together (temperatures).
    """
    if np.isfinite(overview.wavelengths).any():
        return None
    looks, knees, bounds = overview.detail or (overview,), [], []
    for band in range(len(overview.image)):
        values = _known(look.image[band][~look.gaps[band]] for look in looks)
        if len(values) < _FEW:
            alike = (r for look in looks for r in look.references if _shared(r, len(overview.image)))
            values = np.concatenate([values, _known(r.image[band] for r in alike)])
        knee = _knee(values)
        if np.isnan(knee):
            return None
        values = _known([values, overview.image[band][~overview.gaps[band]]])  # windows do not show all
        least, most = float(values.min()), float(values.max())
        if least < 0:
            return None
        knees.append(knee)
        bounds.append((least, most + _MARGIN * (most - least)))
    own, (low, high) = np.array(knees, np.float32), np.array(bounds, np.float32).T
    dates = [[look.references[i] for look in looks] for i in range(len(overview.references))]
    return Amounts(own, tuple(_of_date(date, own) for date in dates), low, high)


def scaled(tile: Tile, known: Amounts | None) -> Tile:
    """The tile (and its windows at full size) with its values on the scale."""
    if known is None:
        return tile
    return replace(
        tile,
        image=_up(tile.image, known.knee),
        references=tuple(
            replace(date, image=_up(date.image, knee))
            for date, knee in zip(tile.references, known.others, strict=True)
        ),
        detail=tuple(scaled(look, known) for look in tile.detail),
    )


def told(said: Prediction, known: Amounts | None) -> Prediction:
    """A prediction on the scale in values again; the deviation by the scale's slope there (delta method)."""
    if known is None:
        return said
    knee, low, high = (each[:, None, None] for each in (known.knee, known.low, known.high))
    mean = np.clip(2 * knee * np.sinh(said.mean), low, high)
    return replace(said, mean=mean, std=said.std * np.hypot(mean, 2 * knee))


def _up(image: Floats, knee: Floats) -> Floats:
    knee = knee[:, None, None]
    return np.where(np.isnan(knee), image, np.arcsinh(image / (2 * knee)))


def _known(planes: Iterable[Floats]) -> Floats:
    """(n,) observed values."""
    found = [plane[np.isfinite(plane)] for plane in planes]
    return np.concatenate(found) if found else np.empty(0, np.float32)


def _knee(values: Floats) -> float:
    """The lower quartile of amounts (n,) that spread far, zeros left out; NaN of others, or of many zeros."""
    if not values.size or values.min() < 0:
        return float("nan")
    low, middle, large = np.quantile(values, (0.25, 0.5, 0.95))
    if low <= 0 or large < _HEAVY * middle:
        return float("nan")
    return float(np.quantile(values[values > 0], 0.25))


def _shared(reference: Reference, count: int) -> int:
    """How many of a date's first bands show what the target's `count` bands do: all or none."""
    return count if reference.alike and len(reference.image) >= count else 0


def _of_date(looks: list[Reference], knee: Floats) -> Floats:
    """(K,) knees of a date: the target's for bands that show what its do, own ones for others."""
    shared = _shared(looks[0], len(knee))
    own = [_knee(_known(look.image[band] for look in looks)) for band in range(shared, len(looks[0].image))]
    return np.array([*knee[:shared], *own], np.float32)
