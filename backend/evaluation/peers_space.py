"""Peers that fill from the scene alone: other people's implementations, called as they are meant to be.

Each takes a tile and settings and returns (B, H, W) with its gaps filled, NaN where it cannot.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import interpolate, ndimage

from ...models.base import Flags, Floats, Tile


def unknown(tile: Tile) -> Flags:
    """(H, W) bool: pixels with a gap in any band; the cases hide all bands alike."""
    return np.asarray(~tile.valid.all(0))


def _rim(gaps: Flags, width: int) -> Flags:
    """Known pixels within `width` of a gap: all that an interpolation across it can use."""
    return ndimage.binary_dilation(gaps, np.ones((3, 3), bool), width) & ~gaps


def band_mean(tile: Tile) -> Floats:
    """The mean of each band's known pixels."""
    gaps = unknown(tile)
    means = tile.image[:, ~gaps].mean(1, dtype=np.float64)
    return np.where(gaps, means[:, None, None], tile.image).astype(np.float32)


def nearest(tile: Tile) -> Floats:
    """The nearest known pixel (scipy's Euclidean distance transform)."""
    rows, columns = ndimage.distance_transform_edt(unknown(tile), return_distances=False, return_indices=True)
    return np.ascontiguousarray(tile.image[:, rows, columns])


def _scattered(tile: Tile, width: int, cubic: bool) -> Floats:
    gaps = unknown(tile)
    rim = _rim(gaps, width)
    points, wanted = np.argwhere(rim), np.argwhere(gaps)
    made = interpolate.CloughTocher2DInterpolator if cubic else interpolate.LinearNDInterpolator
    filled = tile.image.copy()
    filled[:, gaps] = made(points, tile.image[:, rim].T.astype(np.float64))(wanted).T
    left = ~np.isfinite(filled).all(0)  # outside the hull: the nearest known pixel
    return np.where(left, nearest(tile), filled).astype(np.float32)


def linear(tile: Tile) -> Floats:
    """Triangles between rim pixels (scipy's LinearNDInterpolator)."""
    return _scattered(tile, 1, cubic=False)


def _clipped(filled: Floats, tile: Tile) -> Floats:
    """Each band kept inside the range of its known pixels: surfaces overshoot across large gaps."""
    known = tile.image[:, ~unknown(tile)]
    return np.clip(filled, known.min(1)[:, None, None], known.max(1)[:, None, None])


def cubic(tile: Tile, width: int = 3) -> Floats:
    """Clough-Tocher cubic triangles (scipy) on a rim of `width` pixels, clipped to the known range."""
    return _clipped(_scattered(tile, width, cubic=True), tile)


def _opencv(tile: Tile, radius: float, method: int) -> Floats:
    """On uint16 over the band's known range: OpenCV's Telea is wrong on float images."""
    gaps = unknown(tile)
    filled = tile.image.copy()
    for band, plane in enumerate(tile.image):
        low, high = float(plane[~gaps].min()), float(plane[~gaps].max())
        scale = 65535 / max(high - low, 1e-6)
        stored = np.where(gaps, 0, np.rint((plane - low) * scale)).astype(np.uint16)
        made = cv2.inpaint(stored, gaps.astype(np.uint8), radius, method)
        filled[band, gaps] = made[gaps] / scale + low
    return filled


def telea(tile: Tile, radius: float = 5) -> Floats:
    """OpenCV's fast marching (Telea 2004)."""
    return _opencv(tile, radius, cv2.INPAINT_TELEA)


def navier_stokes(tile: Tile, radius: float = 5) -> Floats:
    """OpenCV's Navier-Stokes (Bertalmio et al. 2001)."""
    return _opencv(tile, radius, cv2.INPAINT_NS)


def biharmonic(tile: Tile) -> Floats:
    """scikit-image's biharmonic surface (Damelin and Hoang 2018), clipped to the known range."""
    from skimage.restoration import inpaint_biharmonic

    gaps = unknown(tile)
    image = np.where(gaps, 0, tile.image).transpose(1, 2, 0).astype(np.float64)
    made = inpaint_biharmonic(image, gaps, channel_axis=-1, split_into_regions=True)
    return _clipped(np.ascontiguousarray(made.transpose(2, 0, 1), dtype=np.float32), tile)


def gdal(tile: Tile, distance: float = 500, smoothing: int = 0) -> Floats:
    """GDAL's fillnodata: inverse distance weights in eight directions."""
    from rasterio.fill import fillnodata

    gaps = unknown(tile)
    planes = [
        fillnodata(np.where(gaps, 0, plane), (~gaps).astype(np.uint8), distance, smoothing)
        for plane in tile.image
    ]
    return np.where(gaps, np.stack(planes), tile.image).astype(np.float32)


def kriging(tile: Tile, neighbours: int = 16, model: str = "exponential", samples: int = 1500) -> Floats:
    """PyKrige's ordinary kriging from the `neighbours` nearest rim pixels, variogram fitted a band."""
    from pykrige.ok import OrdinaryKriging

    gaps = unknown(tile)
    points, wanted = np.argwhere(_rim(gaps, 2)), np.argwhere(gaps)
    if len(points) > samples:
        points = points[np.random.default_rng(0).choice(len(points), samples, replace=False)]
    filled = tile.image.copy()
    for band, plane in enumerate(tile.image):
        values = plane[points[:, 0], points[:, 1]].astype(np.float64)
        if np.ptp(values) < 1e-6:
            filled[band, gaps] = values.mean()
            continue
        made = OrdinaryKriging(
            points[:, 1].astype(float), points[:, 0].astype(float), values, model, nlags=12, pseudo_inv=True
        )
        mean, _ = made.execute(
            "points", wanted[:, 1].astype(float), wanted[:, 0].astype(float), backend="C",
            n_closest_points=min(neighbours, len(values) - 1),
        )  # fmt: skip
        filled[band, gaps] = mean
    return filled


def exemplar(tile: Tile, size: int = 9, candidates: int = 3000) -> Floats:
    """Patches copied inwards, the best known one first (after Criminisi et al. 2004; own, short).

    Priority is the confidence term alone; sources are `candidates` fully known patches drawn once.
    """
    gaps = unknown(tile)
    half = size // 2
    pad = ((half, half), (half, half))
    image = np.pad(np.where(gaps, 0, tile.image), ((0, 0), *pad), mode="reflect")
    todo = np.pad(gaps, pad)  # the frame counts as known (reflected), never as a target
    broken = cv2.dilate(todo.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    inner = np.zeros_like(broken)
    inner[size:-size, size:-size] = True
    sources = np.argwhere(~broken & inner)
    if not len(sources):
        return np.where(gaps, np.float32(np.nan), tile.image)
    if len(sources) > candidates:
        sources = sources[np.random.default_rng(0).choice(len(sources), candidates, replace=False)]
    shift = np.arange(-half, half + 1)
    library = image[:, (sources[:, 0, None] + shift)[:, :, None], (sources[:, 1, None] + shift)[:, None]]
    flat = library.transpose(1, 0, 2, 3).reshape(len(sources), -1)
    squares = flat**2
    confidence = (~todo).astype(np.float32)
    while todo.any():
        share = cv2.boxFilter(confidence, -1, (size, size), borderType=cv2.BORDER_CONSTANT)
        edge = todo & (cv2.erode(todo.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        row, column = np.unravel_index(np.argmax(np.where(edge, share, -1)), todo.shape)
        box = (slice(row - half, row + half + 1), slice(column - half, column + half + 1))
        known = np.broadcast_to(~todo[box], (len(image), size, size)).reshape(-1).astype(np.float32)
        patch = image[(slice(None), *box)].reshape(-1) * known
        best = int(np.argmin(squares @ known - 2 * (flat @ patch)))
        hole = todo[box]
        view = image[(slice(None), *box)]
        view[:, hole] = library[:, best][:, hole]
        confidence[box][hole] = share[row, column]
        todo[box] = False
    return np.where(gaps, image[:, half:-half, half:-half], tile.image).astype(np.float32)
