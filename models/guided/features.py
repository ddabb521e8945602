"""What the regression sees: principal components of all dates and bands, their slopes and low-passes.

Slopes stand for shifts between dates below a pixel, low-passes for another point spread and for
what depends on the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Floats
from ..planes import blur, combine, moments, sampled, slopes, strips
from ..ridge import ridge_weights
from ..threads import each
from .dates.impute import Joint

_RIDGE = 1e-3  # share of the pixels that a unit of a channel's weight costs where directions are sought
BLURS = (1.0, 2.0, 6.0)
"""Sigmas of the low-passes, in pixels."""

EACH = 2 + len(BLURS)
"""Fine features of a component: two slopes and the low-passes."""


@dataclass(frozen=True)
class Basis:
    """Principal axes of the z-scored channels.

    Attributes:
        axes: (P, C) float32. fine: number of leading components with fine features.
        fine_scale: (EACH * fine,) factors that bring those to half the deviation of a component,
            which makes their ridge four times as strong.
    """

    axes: Floats
    fine: int
    fine_scale: Floats


def supervised_axes(channels: Floats, target: Floats, weight: Floats) -> Floats:
    """(B, C) directions that a ridge regression of `target` on all channels uses, strongest first.

    Args:
        channels: (C, H, W) complete. target: (B, H, W), read where `weight` (H, W) is above 0.
    """
    places = sampled(weight > 0)
    x = channels.reshape(len(channels), -1)[:, places].astype(np.float64)
    y = target.reshape(len(target), -1)[:, places].astype(np.float64)
    x -= x.mean(1, keepdims=True)
    y -= y.mean(1, keepdims=True)
    gram = x @ x.T
    weights = ridge_weights(gram, x @ y.T, _RIDGE * len(places) + 1e-6)
    strength, mix = np.linalg.eigh(weights.T @ gram @ weights)
    axes = (weights @ mix[:, np.argsort(-strength, kind="stable")]).T
    length = np.linalg.norm(axes, axis=1)
    axes = axes[length > 1e-6 * max(length.max(), 1e-12)]
    return _signed(axes / np.linalg.norm(axes, axis=1, keepdims=True))


def _signed(axes: NDArray[np.float64]) -> Floats:
    """Rows turned so that their largest entry is positive."""
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)]) if len(axes) else np.ones(0)
    return np.ascontiguousarray(axes * sign[:, None], np.float32)


def principal_axes(joint: Joint, count: int, without: Floats | None = None) -> Floats:
    """(count, C) leading eigenvectors of the joint correlation, outside the span of `without`."""
    correlation = joint.correlation
    size = len(correlation)
    if without is not None and len(without):
        span, _ = np.linalg.qr(without.T.astype(np.float64))
        rest = np.eye(size) - span @ span.T
        correlation = rest @ correlation @ rest
        count = min(count, size - span.shape[1])
    values, vectors = np.linalg.eigh(correlation)
    return _signed(vectors[:, np.argsort(-values, kind="stable")[: max(count, 0)]].T)


def fine_features(components: Floats, out: Floats, pieces: int = 1) -> None:
    """Horizontal and vertical slope and low-passes of n components into `out`, (EACH n, H, W).

    `pieces`: how many windows lie side by side; none sees its neighbour.
    """
    planes = out.reshape(-1, EACH, *out.shape[1:])  # a view of whole planes

    def one(pair: tuple[Floats, Floats]) -> None:
        plane, planes = pair
        planes[0], planes[1] = slopes(plane)
        for place, sigma in enumerate(BLURS, start=2):
            planes[place] = blur(plane, sigma)

    for piece in range(pieces):
        across = np.s_[..., piece * out.shape[-1] // pieces : (piece + 1) * out.shape[-1] // pieces]
        each(one, zip(components[across], planes[across], strict=True))


def make_basis(
    joint: Joint,
    channels: Floats,
    target: Floats,
    weight: Floats,
    count: int,
    fine: int,
    more: int = 0,
    pieces: int = 1,
) -> tuple[Basis, Floats]:
    """Axes from the joint correlation, fine scales from the complete overview channels; and its features.

    The second is what `build` makes of the channels, or of each of the `pieces` that lie side by side.
    """
    if count < len(channels):
        # What is cut off by variance may still tell of the target: its directions come first.
        axes = supervised_axes(channels, target, weight)[:count]
        axes = np.concatenate([axes, principal_axes(joint, count - len(axes), axes)])
    else:
        axes = principal_axes(joint, count)
    fine = min(fine, len(axes))
    out = _unscaled(axes, fine, channels, more, pieces)
    planes = out[len(axes) : len(axes) + EACH * fine]
    seen = strips(planes.shape[1:])
    spread = np.array(each(lambda plane: moments(plane[seen])[1], planes))
    scale = np.where(spread > 1e-6, 0.5 / np.maximum(spread, 1e-6), 0.0).astype(np.float32)
    planes *= scale[:, None, None]
    return Basis(axes, fine, scale), out


def build(basis: Basis, channels: Floats, more: int = 0) -> Floats:
    """(P + EACH fine + more, H, W) features of complete, z-scored channels (C, H, W).

    The last `more` planes are left for the caller to fill.
    """
    out = _unscaled(basis.axes, basis.fine, channels, more)
    count = len(basis.axes)
    out[count : count + EACH * basis.fine] *= basis.fine_scale[:, None, None]
    return out


def _unscaled(axes: Floats, fine: int, channels: Floats, more: int, pieces: int = 1) -> Floats:
    count = len(axes)
    out = np.empty((count + EACH * fine + more, *channels.shape[1:]), np.float32)
    combine(axes, channels, out[:count])
    fine_features(out[:fine], out[count : count + EACH * fine], pieces)
    return out
