"""Regression of the target on other dates, as the peers and the oracles share it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...models.base import Flags, Floats, Tile
from .membrane import membrane


def known(image: Floats) -> Flags:
    """(H, W) bool: pixels observed in every band."""
    return np.asarray(np.isfinite(image).all(0))


def fit(features: NDArray[np.floating], wanted: NDArray[np.floating], ridge: float) -> NDArray[np.float64]:
    """(F + 1, B) coefficients, the last an intercept; features standardised for the ridge.

    Args:
        features: (F, N). wanted: (B, N). ridge: relative to the features' variance.
    """
    x = features.astype(np.float64)
    mean, spread = x.mean(1, keepdims=True), x.std(1, keepdims=True)
    spread = np.maximum(spread, 1e-9)
    x = (x - mean) / spread
    y = wanted.astype(np.float64)
    level = y.mean(1, keepdims=True)
    gram = x @ x.T + (ridge * x.shape[1] + 1e-9) * np.eye(len(x))
    slopes = np.linalg.solve(gram, x @ (y - level).T) / spread
    return np.vstack([slopes, level.T - mean.T @ slopes])


def apply(features: NDArray[np.floating], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, ...) predictions from (F, ...) features."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return (coefficients[:-1].T @ flat + coefficients[-1][:, None]).reshape(-1, *features.shape[1:])


def agreement(first: Floats, second: Floats) -> float:
    """Mean correlation over bands on common pixels; -1 where there are fewer than 30."""
    both = known(first) & known(second)
    if both.sum() < 30:
        return -1.0
    a, b = first[:, both].astype(np.float64), second[:, both].astype(np.float64)
    if len(a) != len(b):
        return -1.0
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return float(np.mean((a * b).sum(1) / np.maximum(norm, 1e-12)))


def ranked(image: Floats, others: list[Floats]) -> list[int]:
    """Indices of `others`, most alike first."""
    return sorted(range(len(others)), key=lambda index: -agreement(image, others[index]))


def from_one(image: Floats, others: list[Floats], ridge: float = 1e-4) -> Floats:
    """(B, H, W): `image` where known, else as `predicted`; a pixel that no date knows stays as it is."""
    made = predicted(image, others, ridge)
    return np.where(known(image) | ~known(made), image, made)


def predicted(image: Floats, others: list[Floats], ridge: float) -> Floats:
    """(B, H, W) regressed on all bands of the most alike date known there, NaN where none is."""
    made = np.full_like(image, np.nan)
    todo = np.ones(image.shape[1:], bool)
    for index in ranked(image, others):
        other = others[index]
        there = known(other)
        train, place = known(image) & there, todo & there
        if not place.any() or train.sum() < 2 * len(other) + 2:
            continue
        made[:, place] = apply(other[:, place], fit(other[:, train], image[:, train], ridge))
        todo &= ~place
    return made


def completed(references: list[Floats]) -> list[Floats]:
    """References with their own gaps regressed on each other, and the rest a membrane."""
    made = []
    for index, image in enumerate(references):
        filled = from_one(image, [other for j, other in enumerate(references) if j != index])
        made.append(membrane(filled, ~known(filled)))
    return made


def usable(tile: Tile) -> list[Floats]:
    """Reference images that see anything of the window."""
    return [reference.image for reference in tile.references if known(reference.image).sum() >= 30]


def local(features: Floats, wanted: Floats, trained: Flags, sigma: float, ridge: float) -> Floats:
    """(B, H, W) from regressions weighted by a Gaussian of `sigma` pixels around each pixel.

    Coefficients are solved on a grid of sigma / 4 and interpolated linearly.
    """
    step = max(int(sigma / 4), 1)
    height, width = trained.shape
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    weight = trained.astype(np.float64)
    spread = np.maximum(features[:, trained].std(1), 1e-9)[:, None, None]
    middle = features[:, trained].mean(1)[:, None, None]
    x = np.concatenate([(features - middle) / spread, np.ones((1, height, width))]) * weight
    y = np.where(trained, wanted, 0)

    def moment(plane: NDArray[np.floating]) -> NDArray[np.float64]:
        smooth = ndimage.gaussian_filter(plane.astype(np.float64), sigma, truncate=3, mode="constant")
        return np.asarray(smooth[np.ix_(rows, columns)])

    size = len(x)
    gram = np.empty((len(rows), len(columns), size, size))
    for i in range(size):
        for j in range(i, size):
            gram[..., i, j] = gram[..., j, i] = moment(x[i] * x[j])
    right = np.stack([[moment(plane * band) for band in y] for plane in x]).transpose(2, 3, 0, 1)
    amount = gram[..., -1, -1]
    diagonal = ridge * amount[..., None] * np.append(np.ones(size - 1), 0) + 1e-9
    gram[..., range(size), range(size)] += diagonal
    solved = np.linalg.solve(gram, right).transpose(2, 3, 0, 1)
    made = np.zeros(wanted.shape)
    where = np.meshgrid(np.arange(height) / step, np.arange(width) / step, indexing="ij")
    full = np.concatenate([(features - middle) / spread, np.ones((1, height, width))])
    for i in range(size):
        for band in range(len(wanted)):
            made[band] += full[i] * ndimage.map_coordinates(solved[i, band], where, order=1, mode="nearest")
    return made.astype(np.float32)
