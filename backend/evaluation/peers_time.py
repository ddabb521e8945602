"""Peers that fill from other dates: what the literature and the toolboxes of the field do.

Each takes a tile and settings and returns (B, H, W), NaN where it cannot fill; what is left is
closed by the membrane for everybody alike, and its share is reported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, spatial

from ...models.base import Floats, Tile
from .membrane import membrane
from .peers_space import unknown
from .regress import apply, completed, fit, from_one, known, predicted, ranked, usable


def _by_nearness(tile: Tile) -> list[int]:
    days = [reference.days for reference in tile.references]
    return sorted(range(len(days)), key=lambda i: (days[i] is None, abs(days[i] or 0), i))


def copy(tile: Tile) -> Floats:
    """The value of the nearest date that sees the pixel."""
    filled, todo = tile.image.copy(), unknown(tile)
    for index in _by_nearness(tile):
        image = tile.references[index].image
        place = todo & known(image)
        filled[:, place] = image[:, place]
        todo &= ~place
    return filled


def _series(tile: Tile) -> tuple[NDArray[np.float64], Floats, NDArray[np.bool_]] | None:
    """Days, (T, B, N) values and (T, N) validity of the gap's pixels, in time order."""
    dated = sorted(
        (reference.days, index)
        for index, reference in enumerate(tile.references)
        if reference.days is not None
    )
    if not dated:
        return None
    gaps = unknown(tile)
    values = np.stack([tile.references[index].image[:, gaps] for _, index in dated])
    return np.array([day for day, _ in dated], np.float64), values, np.asarray(np.isfinite(values).all(1))


def _by_pattern(
    tile: Tile, make: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]], least: int
) -> Floats:
    """Apply `make(days, (t, B * n) values) -> (B * n)` to pixels that are seen on the same dates."""
    filled = np.where(unknown(tile), np.float32(np.nan), tile.image)
    series = _series(tile)
    if series is None:
        return filled
    days, values, seen = series
    patterns, group = np.unique(seen, axis=1, return_inverse=True)
    group = group.reshape(-1)
    made = np.full(values.shape[1:], np.nan)
    for number, pattern in enumerate(patterns.T):
        if pattern.sum() < least:
            continue
        members = np.flatnonzero(group == number)
        y = values[pattern][:, :, members].astype(np.float64)
        made[:, members] = make(days[pattern], y.reshape(len(y), -1)).reshape(y.shape[1:])
    filled[:, unknown(tile)] = made
    return filled


def time_linear(tile: Tile) -> Floats:
    """A line between the dates before and after; beyond the last date its value."""

    def make(days: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        after = int(np.searchsorted(days, 0))
        if after == 0 or after == len(days):
            return np.asarray(values[min(after, len(days) - 1)])
        share = -days[after - 1] / (days[after] - days[after - 1])
        return np.asarray(values[after - 1] * (1 - share) + values[after] * share)

    return _by_pattern(tile, make, 1)


def akima(tile: Tile) -> Floats:
    """Akima's (1970) piecewise cubic through the dates of each pixel; beyond them the last value."""

    def make(days: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = float(np.clip(0, days[0], days[-1]))
        return np.asarray(interpolate.Akima1DInterpolator(days, values)(inside))

    return _by_pattern(tile, make, 2)


def whittaker(tile: Tile, smoothness: float = 1e4) -> Floats:
    """Whittaker's smoother (Eilers 2003) with second divided differences over uneven days."""

    def make(days: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        times = np.unique(np.append(days, 0.0))
        weight = np.isin(times, days).astype(np.float64)
        if len(times) < 3:
            return values.mean(0)
        first = np.diff(np.eye(len(times)), axis=0) / np.diff(times)[:, None]
        second = np.diff(first, axis=0) / ((times[2:] - times[:-2]) / 2)[:, None]
        system = np.diag(weight) + smoothness * second.T @ second + 1e-9 * np.eye(len(times))
        row = np.linalg.solve(system, np.eye(len(times))[np.searchsorted(times, 0.0)])
        observed = np.zeros((len(times), values.shape[1]))
        observed[np.searchsorted(times, days)] = values
        return np.asarray((row * weight) @ observed)

    return _by_pattern(tile, make, 1)


def harmonic(tile: Tile, order: int = 1, ridge: float = 0.1) -> Floats:
    """Mean and `order` harmonics of the year, by ridge regression a pixel."""

    def basis(days: NDArray[np.float64]) -> NDArray[np.float64]:
        angle = 2 * np.pi * days[:, None] * np.arange(1, order + 1) / 365.25
        return np.hstack([np.ones((len(days), 1)), np.cos(angle), np.sin(angle)])

    def make(days: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        x = basis(days)
        penalty = ridge * len(days) * np.diag(np.append(1e-6, np.ones(2 * order)))
        row = basis(np.zeros(1))[0] @ np.linalg.solve(x.T @ x + penalty, x.T)
        return np.asarray(row @ values)

    return _by_pattern(tile, make, 1)


def histogram(tile: Tile, quantiles: int = 256) -> Floats:
    """Each band of the most alike date mapped so that its quantiles equal the target's."""
    filled, todo = tile.image.copy(), unknown(tile)
    images, share = usable(tile), np.linspace(0, 1, quantiles)
    for index in ranked(tile.image, images):
        image = images[index]
        there = known(image)
        both, place = known(tile.image) & there, todo & there
        if both.sum() < 30:
            continue
        for band in range(len(filled)):
            here, wanted = np.quantile(image[band, both], share), np.quantile(tile.image[band, both], share)
            filled[band, place] = np.interp(image[band, place], here, wanted)
        todo &= ~place
    return filled


def lsq_one(tile: Tile, ridge: float = 1e-4) -> Floats:
    """Global least squares on all bands of the most alike date that sees the pixel."""
    return from_one(tile.image, usable(tile), ridge)


def lsq_one_residual(tile: Tile, ridge: float = 1e-4) -> Floats:
    """`lsq_one`, its misfit at the rim spread into the gap by the membrane."""
    gaps, made = unknown(tile), predicted(tile.image, usable(tile), ridge)
    residual = membrane(np.where(gaps, 0, tile.image - made), gaps | ~known(made))
    return np.where(gaps, made + residual, tile.image).astype(np.float32)


def lsq_all(tile: Tile, ridge: float = 1e-3) -> Floats:
    """Global least squares on all bands of all dates, their own gaps regressed first."""
    return _lsq_all(tile, ridge)[0]


def lsq_all_residual(tile: Tile, ridge: float = 1e-3) -> Floats:
    """`lsq_all` and the membrane of its misfit: the strongest simple method of the field."""
    filled, fitted = _lsq_all(tile, ridge)
    gaps = unknown(tile)
    residual = membrane(np.where(gaps, 0, tile.image - fitted), gaps)
    return np.where(gaps, filled + residual, tile.image).astype(np.float32)


def _lsq_all(tile: Tile, ridge: float) -> tuple[Floats, Floats]:
    gaps, images = unknown(tile), usable(tile)
    if not images:
        nothing = np.full_like(tile.image, np.nan)
        return nothing, nothing
    features = np.concatenate(completed(images))
    fitted = apply(features, fit(features[:, ~gaps], tile.image[:, ~gaps], ridge)).astype(np.float32)
    return np.where(gaps, fitted, tile.image).astype(np.float32), fitted


def nspi(tile: Tile, candidates: int = 300, similar: int = 20) -> Floats:
    """Neighbourhood similar pixels (after Chen et al. 2011 and Zhu et al. 2012; own implementation).

    For each gap pixel the `similar` spectrally closest of the nearest `candidates` pixels known in
    both dates, weighted by 1 / (spectral x spatial distance), give a spatial prediction (their
    mean) and a temporal one (the reference plus their mean change); the two are weighted by how
    well each can be trusted.
    """
    filled, todo = tile.image.copy(), unknown(tile)
    images = usable(tile)
    for index in ranked(tile.image, images):
        reference = images[index]
        both, place = known(tile.image) & known(reference), todo & known(reference)
        if not place.any() or both.sum() < 30:
            continue
        count = min(candidates, int(both.sum()))
        where, targets = np.argwhere(both), np.argwhere(place)
        before, now = reference[:, both].T, tile.image[:, both].T
        tree = spatial.KDTree(where)
        for start in range(0, len(targets), 2000):
            chunk = targets[start : start + 2000]
            distance, near = tree.query(chunk, count)
            own = reference[:, chunk[:, 0], chunk[:, 1]].T
            filled[:, chunk[:, 0], chunk[:, 1]] = _nspi(
                own, before, now, distance, near, min(similar, count - 1)
            ).T
        todo &= ~place
    return filled


def _nspi(
    own: Floats,
    before: Floats,
    now: Floats,
    distance: NDArray[np.float64],
    near: NDArray[np.int64],
    similar: int,
) -> NDArray[np.floating]:
    unlike = np.sqrt(((before[near] - own[:, None]) ** 2).mean(2))
    best = np.argpartition(unlike, similar, axis=1)[:, :similar]
    rows = np.arange(len(own))[:, None]
    chosen = near[rows, best]
    spectral, far = unlike[rows, best], distance[rows, best]
    weight = 1 / ((spectral + 1e-4) * far)
    weight /= weight.sum(1, keepdims=True)
    there, here = before[chosen], now[chosen]
    space = (weight[..., None] * here).sum(1)
    time = own + (weight[..., None] * (here - there)).sum(1)
    uneven = spectral.mean(1) + 1e-6
    change = np.sqrt(((here - there) ** 2).mean(2)).mean(1) + 1e-6
    trust = ((1 / uneven) / (1 / uneven + 1 / change))[:, None]
    return np.asarray(trust * space + (1 - trust) * time)
