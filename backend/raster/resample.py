"""Values at places between pixels, and of blocks of pixels: NaN-aware, with sums in one fixed order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.base import Floats
from ...models.planes import masked
from .warp import Places


def bilinear(image: Floats, rows: Places, columns: Places) -> Floats:
    """Values of an image at places, NaN-aware.

    A place is observed where the pixel it falls into is; unobserved neighbours are left out and the
    other weights grow accordingly.

    Args:
        image: (B, h, w) float32, NaN = not observed; at least 1 x 1.
        rows, columns: places from the image's corner, broadcasting to (H, W); NaN: nowhere.

    Returns:
        (B, H, W) float32.
    """
    bands, height, width = image.shape
    observed = np.isfinite(image)
    whole = bool(observed.all())
    top, down, here_row = _neighbours(rows, height)
    left, across, here_column = _neighbours(columns, width)
    inside = (here_row >= 0) & (here_column >= 0)
    nearest = np.clip(here_row, 0, None), np.clip(here_column, 0, None)
    rows_at = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
    columns_at = np.clip(left, 0, width - 1), np.clip(left + 1, 0, width - 1)
    if top.shape[1] == 1 and left.shape[0] == 1:
        lerp = _separable(rows_at, columns_at, down, across)
    else:
        lerp = _scattered(rows_at, columns_at, width, down, across)
    out = np.empty((bands, *inside.shape), np.float32)
    for band in range(bands):
        values = image[band] if whole else np.where(observed[band], image[band], np.float32(0))
        out[band] = lerp(values)
        if not whole:
            weights = lerp(observed[band].astype(np.float32))
            known = observed[band][nearest]
            some = known & (weights < np.float32(1 - 1e-6))
            np.divide(out[band], weights, out=out[band], where=some)
            out[band][~known] = np.nan
        if not inside.all():
            out[band][~inside] = np.nan
    return out


Pair = tuple[NDArray[np.intp], NDArray[np.intp]]
"""First and second neighbour."""


def _separable(rows: Pair, columns: Pair, down: Floats, across: Floats) -> Callable[[Floats], Floats]:
    """The four neighbours' weighted sum where a row has one place and a column too."""
    one = np.float32(1)
    above, below = _run(rows[0][:, 0]), _run(rows[1][:, 0])
    left, right = _run(columns[0][0]), _run(columns[1][0])

    def lerp(v: Floats) -> Floats:
        along = v[above] * (one - down)
        along += v[below] * down
        out = along[:, left] * (one - across)
        out += along[:, right] * across
        return np.asarray(out)

    return lerp


def _scattered(
    rows: Pair, columns: Pair, width: int, down: Floats, across: Floats
) -> Callable[[Floats], Floats]:
    """The same where every pixel has its own place; which pixels to take is worked out once."""
    one = np.float32(1)
    corners = [row * width + column for column in columns for row in rows]
    up, beside = one - down, one - across

    def lerp(v: Floats) -> Floats:
        flat = v.reshape(-1)
        left = flat.take(corners[0]) * up
        left += flat.take(corners[1]) * down
        right = flat.take(corners[2]) * up
        right += flat.take(corners[3]) * down
        return np.asarray(left * beside + right * across)

    return lerp


def _run(indexes: NDArray[np.intp]) -> Any:
    """Consecutive indexes as a slice, which is read without a copy."""
    if indexes[-1] - indexes[0] == indexes.size - 1 and (np.diff(indexes) == 1).all():
        return slice(int(indexes[0]), int(indexes[-1]) + 1)
    return indexes


def _neighbours(places: Places, size: int) -> tuple[NDArray[np.intp], Floats, NDArray[np.intp]]:
    """First neighbour, weight of the second, and the pixel a place falls into (-1: none)."""
    with np.errstate(invalid="ignore"):
        inside = (places >= 0) & (places < size)
    safe = np.where(inside, places, 0.5)
    here = np.where(inside, np.floor(safe), -1).astype(np.intp)
    first = np.floor(safe - 0.5)
    return first.astype(np.intp), (safe - 0.5 - first).astype(np.float32), here


def nearest(image: NDArray[Any], rows: Places, columns: Places, fill: Any = 0) -> NDArray[Any]:
    """Samples (B, H, W) of the pixels that places fall into; `fill` where there is none."""
    _, height, width = image.shape
    row, column = _neighbours(rows, height)[2], _neighbours(columns, width)[2]
    out = image[:, np.clip(row, 0, None), np.clip(column, 0, None)]
    out[:, ~np.broadcast_to((row >= 0) & (column >= 0), out.shape[1:])] = fill
    return out


def block_mean(image: Floats, down: int, across: int) -> Floats:
    """Means of blocks of (B, h, w); a mean is known where half of the block's pixels are.

    Blocks at the lower and right edge may be cut short; they count what they have.
    """
    if (down, across) == (1, 1):
        return image
    height, width = image.shape[1:]
    bottom, right = -height % down, -width % across
    inside = _share(np.ones((height, width), np.float32), down, across) if bottom or right else np.float32(1)
    out = np.empty((len(image), (height + bottom) // down, (width + right) // across), np.float32)
    before: tuple[NDArray[np.bool_], Floats] | None = None
    for plane, mean in zip(image, out, strict=True):  # a plane at a time stays in the cache
        observed = np.isfinite(plane)
        if before is None or not np.array_equal(before[0], observed):  # bands mostly share their mask
            share = _share(observed.astype(np.float32), down, across)
            # 1e-5: a share that is rounded may fall short of a half
            before = observed, np.where(share >= inside * np.float32(0.5 - 1e-5), share, np.float32(np.nan))
        np.divide(_share(masked(plane, observed), down, across), before[1], out=mean)
    return out


def _share(plane: Floats, down: int, across: int) -> Floats:
    """Sums of the blocks of a plane (h, w), each divided by the size of a whole block."""
    height, width = plane.shape
    bottom, right = -height % down, -width % across
    if bottom or right:
        plane = np.pad(plane, ((0, bottom), (0, right)))
    size = ((width + right) // across, (height + bottom) // down)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def block_any(flags: NDArray[np.bool_], down: int, across: int) -> NDArray[np.bool_]:
    """Whether any pixel of each block is set."""
    if (down, across) == (1, 1):
        return flags
    rows = flags[:, ::down].copy()
    for i in range(1, down):
        part = flags[:, i::down]
        rows[:, : part.shape[1]] |= part
    out = rows[:, :, ::across].copy()
    for i in range(1, across):
        part = rows[:, :, i::across]
        out[:, :, : part.shape[2]] |= part
    return out
