"""Coefficients for the whole scene, from wide windows to less wide ones, on the overview."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from ...base import Flags, Floats
from ...planes import combine, sampled
from ...ridge import ridge_weights
from . import robust, solve
from .statistics import CELL, cells_over, moments

WINDOWS = (96.0, 48.0)
"""Window sigmas in scene pixels."""

COARSEN = 2  # block statistics a side that make one cell of the coarse solution


def groups(*masks: Flags) -> list[list[int]]:
    """Bands that are alike in each of the masks (B, H, W), together: they share one side of the equations."""
    out: list[list[int]] = []
    for band in range(len(masks[0])):
        for group in out:
            if all(np.array_equal(mask[band], mask[group[0]]) for mask in masks):
                group.append(band)
                break
        else:
            out.append([band])
    return out


def penalties(count: int, slope: float, intercept: float) -> Floats:
    """(1 + count,) ridge: of the intercept, then of each slope, in pixels of a unit feature."""
    penalty = np.full(1 + count, slope, np.float32)
    penalty[0] = intercept
    return penalty


def fit(
    stack: Floats,
    target: Floats,
    valid: Flags,
    weight: Floats,
    penalty: Floats,
    step: int,
    windows: tuple[float, ...] = WINDOWS,
) -> solve.Field:
    """Coefficients of all bands over the scene; without `windows`, one set for all of it.

    Args:
        stack: (P, h, w) features of the overview. target: (B, h, w) z-scored. valid: (B, h, w).
        weight: (h, w) of a pixel apart from its residual. penalty: (1 + P,).
        step: scene pixels per overview pixel.
    """
    bands, height, width = target.shape
    cells = cells_over(0, 0, height, width, multiple=COARSEN)
    values: Floats | None = None
    for group in groups(valid):
        clear = valid[group[0]]
        aim = target if len(group) == bands else target[group]
        weights = np.where(clear, weight, np.float32(0))
        left = _first_fit(stack, aim, weights, penalty)
        np.subtract(aim, left, out=left)
        weights *= robust.cauchy(left, clear & (weights > 0))
        sums = moments(stack, aim, weights, cells, 0, 0).level_free().coarse(COARSEN)
        start = solve.ridge(sums.total()[None], len(group), penalty, np.zeros((1, len(penalty), 1)))
        size = float(max(cells.rows, cells.columns) * CELL * step)
        field = solve.Field(start[None].astype(np.float32), size, 0.0, 0.0)
        everywhere = np.ones((sums.cells.rows, sums.cells.columns), bool)
        for sigma in windows:
            sigma = max(sigma, float(CELL * COARSEN * step))
            field = solve.refine(sums, sigma, field, penalty, len(group), everywhere, step)
        if values is None:
            values = np.empty((*field.values.shape[:3], bands), np.float32)
        values[..., group] = field.values
    return replace(field, values=cast(Floats, values))  # a target has at least one band


def _first_fit(stack: Floats, target: Floats, weight: Floats, penalty: Floats) -> Floats:
    """(B, H, W) prediction of one ridge regression for the whole array, from a regular sample.

    Args:
        stack: (P, H, W) features. target: (B, H, W), read where `weight` (H, W) is above 0.
        penalty: (1 + P,), intercept first.
    """
    places = sampled(weight > 0)
    flat = stack.reshape(len(stack), -1)
    x = np.concatenate([np.ones((1, len(places)), np.float32), flat[:, places]]).astype(np.float64)
    y = target.reshape(len(target), -1)[:, places].astype(np.float64)
    weighted = x * weight.ravel()[places]
    beta = ridge_weights(weighted @ x.T, weighted @ y.T, penalty).T.astype(np.float32)
    fitted = np.empty((len(target), flat.shape[1]), np.float32)
    combine(beta[:, 1:], flat, fitted)
    fitted += beta[:, :1]
    return fitted.reshape(target.shape)
