"""What the regression sees: principal components of all dates and bands, their gradients and blur.

Gradients stand for shifts between dates below a pixel, the low-pass for another point spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base import Floats
from ..planes import blur, slopes
from .impute import Joint


@dataclass(frozen=True)
class Basis:
    """Principal axes of the z-scored channels.

    Attributes:
        axes: (P, C) float32. fine: number of leading components with gradient and low-pass.
        fine_scale: (3 * fine,) factors that bring those to half the deviation of a component,
            which makes their ridge four times as strong.
    """

    axes: Floats
    fine: int
    fine_scale: Floats


def principal_axes(joint: Joint, count: int) -> Floats:
    """(count, C) leading eigenvectors of the joint correlation, signs fixed."""
    values, vectors = np.linalg.eigh(joint.correlation)
    axes = vectors[:, np.argsort(-values, kind="stable")[:count]].T
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])
    return np.ascontiguousarray(axes * sign[:, None], np.float32)


def project(axes: Floats, channels: Floats) -> Floats:
    """(P, H, W) components of complete channels (C, H, W)."""
    shape = channels.shape[1:]
    return np.asarray(axes @ channels.reshape(len(channels), -1)).reshape(len(axes), *shape)


def fine_features(components: Floats, out: Floats, sigma: float = 2.0) -> None:
    """Horizontal and vertical slope and low-pass of n components into `out`, (3 n, H, W)."""
    for k, plane in enumerate(components):
        out[3 * k], out[3 * k + 1] = slopes(plane)
        out[3 * k + 2] = blur(plane, sigma)


def make_basis(joint: Joint, channels: Floats, count: int, fine: int) -> Basis:
    """Axes from the joint correlation, fine scales from the complete overview channels."""
    axes = principal_axes(joint, count)
    fine = min(fine, len(axes))
    if not fine:
        return Basis(axes, 0, np.empty(0, np.float32))
    planes = np.empty((3 * fine, *channels.shape[1:]), np.float32)
    fine_features(project(axes[:fine], channels), planes)
    spread: NDArray[np.float64] = planes.std((1, 2), dtype=np.float64)
    scale = np.where(spread > 1e-6, 0.5 / np.maximum(spread, 1e-6), 0.0)
    return Basis(axes, fine, scale.astype(np.float32))


def build(basis: Basis, channels: Floats, more: int = 0) -> Floats:
    """(P + 3 fine + more, H, W) features of complete, z-scored channels (C, H, W).

    The last `more` planes are left for the caller to fill.
    """
    count, shape = len(basis.axes), channels.shape[1:]
    end = count + 3 * basis.fine
    out = np.empty((end + more, *shape), np.float32)
    np.matmul(basis.axes, channels.reshape(len(channels), -1), out=out[:count].reshape(count, -1))
    if basis.fine:
        fine_features(out[: basis.fine], out[count:end])
        out[count:end] *= basis.fine_scale[:, None, None]
    return out
