"""Filling from the surroundings alone: mean, nearest, linear, harmonic, inverse distance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage
import scipy.spatial
from numpy.typing import NDArray
from rasterio.fill import fillnodata

from ..base import Flags, Floats, Prediction, Source, Tile
from ..holdout import ErrorTable
from . import membrane
from .common import Base, Fill, anchor, finish, make_base, measured_errors, observed, spread


def nearest(image: Floats) -> Floats:
    """Each unknown pixel of (H, W) takes the value of the nearest known one."""
    known = np.isfinite(image)
    if not known.any():
        return image.copy()
    _, (rows, columns) = scipy.ndimage.distance_transform_edt(~known, return_indices=True)
    return np.asarray(image[rows, columns], np.float32)


def _rim(known: Flags) -> Flags:
    """Known pixels that touch an unknown one (8 neighbours)."""
    touching: Flags = known & scipy.ndimage.binary_dilation(~known, np.ones((3, 3), bool))
    return touching


@dataclass(frozen=True)
class Triangles:
    """Where unknown pixels lie in the triangles of the gaps' rims.

    Attributes:
        rim: (2, r) rows and columns of the corners. places: (2, n) of the pixels inside triangles.
        corners: (n, 3) indices into the rim. weights: (n, 3) barycentric, they sum to 1.
    """

    rim: NDArray[np.intp]
    places: NDArray[np.intp]
    corners: NDArray[np.intp]
    weights: NDArray[np.float64]


@lru_cache(maxsize=2)
def _triangles(known: bytes, shape: tuple[int, int]) -> Triangles | None:
    """The triangles of a mask of known pixels, or None; kept, as bands mostly share their gaps."""
    flags = np.frombuffer(known, bool).reshape(shape)
    points, unknown = np.argwhere(_rim(flags)), np.argwhere(~flags)
    if len(points) < 4:
        return None
    try:
        mesh = scipy.spatial.Delaunay(points)
    except scipy.spatial.QhullError:  # all rim pixels on one line
        return None
    triangle = mesh.find_simplex(unknown)
    inside = triangle >= 0
    triangle, unknown = triangle[inside], unknown[inside]
    affine = mesh.transform[triangle]
    first = np.einsum("nij,nj->ni", affine[:, :2], unknown - affine[:, 2])
    weights = np.column_stack([first, 1 - first.sum(axis=1)])
    return Triangles(points.T, unknown.T, mesh.simplices[triangle].astype(np.intp), weights)


def linear(image: Floats) -> Floats:
    """Linear interpolation on the Delaunay triangles of the gaps' rims; nearest outside them."""
    out = nearest(image)
    found = _triangles(np.isfinite(image).tobytes(), image.shape)
    if found is None:
        return out
    rim = image[tuple(found.rim)].astype(np.float64)
    out[tuple(found.places)] = (rim[found.corners] * found.weights).sum(axis=1)
    return out


def inverse_distance(image: Floats) -> Floats:
    """GDAL's fillnodata: inverse distance weights of rim pixels in eight directions."""
    known = np.isfinite(image)
    if known.all() or not known.any():
        return image.copy()
    filled: Floats = fillnodata(
        np.where(known, image, 0).astype(np.float32),
        mask=known.astype(np.uint8),
        max_search_distance=float(np.hypot(*image.shape)),
    )
    return filled


@dataclass(frozen=True)
class SpaceState:
    """What a spatial method knows of the whole scene."""

    base: Base
    errors: ErrorTable


@dataclass(frozen=True)
class Spatial:
    """A method that fills band by band from the values around the gap."""

    fill: Fill

    def _mean(self, tile: Tile, base: Base | None) -> Floats:
        image = observed(tile)
        if base is not None:
            image = anchor(image, tile.gaps, tile, base)
        for band, gap in enumerate(tile.gaps):
            if gap.any():
                image[band] = self.fill(image[band])
        return image

    def prepare(self, overview: Tile) -> SpaceState:
        """Fill the overview, and measure errors in its pseudo-gaps."""
        return SpaceState(
            make_base(overview, self.fill), measured_errors(overview, lambda t: self._mean(t, None))
        )

    def predict(self, tile: Tile, state: SpaceState) -> Prediction:
        """Fill the tile's gaps; a gap larger than the tile leans on the overview's fill."""
        return finish(
            tile,
            self._mean(tile, state.base),
            state.errors.std(tile.gaps),
            Source.SURROUNDINGS,
        )


@dataclass(frozen=True)
class MeanState:
    """Mean and standard deviation of each band, (B,); NaN without data."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]


@dataclass(frozen=True)
class Mean:
    """The mean of each band's valid pixels in the scene: the floor that all must beat."""

    def prepare(self, overview: Tile) -> MeanState:
        """Means in float64."""
        means = np.full(len(overview.image), np.nan, np.float32)
        for band, image in enumerate(observed(overview)):
            values = image[np.isfinite(image)]
            if len(values):
                means[band] = values.mean(dtype=np.float64)
        return MeanState(means, spread(overview))

    def predict(self, tile: Tile, state: MeanState) -> Prediction:
        """The scene's mean in every gap."""
        shape = tile.gaps.shape
        mean = np.broadcast_to(state.mean[:, None, None], shape)
        return finish(tile, mean, np.broadcast_to(state.std[:, None, None], shape), Source.SURROUNDINGS)


def create_mean(quality: str = "default", seed: int = 0) -> Mean:
    """Registry entry of `mean`."""
    return Mean()


def create_nearest(quality: str = "default", seed: int = 0) -> Spatial:
    """Registry entry of `nearest`."""
    return Spatial(nearest)


def create_linear(quality: str = "default", seed: int = 0) -> Spatial:
    """Registry entry of `linear`."""
    return Spatial(linear)


def create_harmonic(quality: str = "default", seed: int = 0) -> Spatial:
    """Registry entry of `harmonic`."""
    return Spatial(membrane.solve)


def create_idw(quality: str = "default", seed: int = 0) -> Spatial:
    """Registry entry of `idw`."""
    return Spatial(inverse_distance)
