"""How far pixels are on the way from ground to the spectrum of a cloud, or of its shadow.

The ground is what the best other date tells of it, or what the scene mostly looks like.

Source: matched filter against a background of known covariance (Reed, Mallett, Brennan 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base import Flags, Floats, Tile
from ...planes import everywhere
from ...ridge import ridge_weights
from ..learners import robust

_SUNLIT = (400.0, 2500.0)  # nanometres between which bands show sunlight
_WHITE = 0.6  # reflectance of a cloud in these bands, or twice the ground's in the brightest, if that is more
_SAMPLE, _LEAST = 8192, 300  # pixels of ground that are looked at, at most and at least
_KNOWN = 0.5  # share of these that a date must show to tell the ground
_CUT, _ROUNDS = 2.0, 4  # deviations at which a pixel counts by half; how often that is judged again
_NOISE = 1e-3  # reflectance below which nothing is told apart
_RIDGE = 1e-7  # of the mean square of what tells: for bands that say the same

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Filter:
    """A weighted sum of bands that is 0 for ground, with robust deviation 1, and grows towards a spectrum.

    Attributes:
        weights: (B,) of the target's bands. date: index of the reference that tells the ground, -1 for none.
        beside: (Bk,) weights of its bands. constant: what is added.
    """

    weights: Floats
    date: int
    beside: Floats
    constant: float

    def of(self, tile: Tile) -> Floats:
        """(H, W), NaN where one of the bands is unknown."""
        out = np.full(tile.image.shape[1:], self.constant, np.float32)
        parts = [(self.weights, tile.image)]
        if self.date >= 0:
            parts.append((self.beside, tile.references[self.date].image))
        for weights, image in parts:
            for weight, layer in zip(weights, image, strict=True):
                if weight:
                    out += weight * layer
        return out


def sunlit(wavelengths: Sequence[float]) -> Flags:
    """(B,) which bands are known to show sunlight; NaN is not known."""
    centres = np.array(wavelengths)
    return np.asarray((centres > _SUNLIT[0]) & (centres < _SUNLIT[1]))


def filters(looks: Sequence[Tile], ground: Sequence[Flags]) -> tuple[Filter, Filter, Filter] | None:
    """The filters of a scene that `looks` show, from their pixels (H, W) that are ground.

    The first two are matched to cloud and to black. The third says how dark a pixel is, all bands alike:
    shadow that the blue sky lights is not on the way to black. None where no band is known to show sunlight,
    or too little ground is seen.
    """
    lit = sunlit(looks[0].wavelengths)
    if not lit.any():
        return None
    known = [
        there & everywhere([look.image[band] for band in np.flatnonzero(lit)])
        for look, there in zip(looks, ground, strict=True)
    ]
    stride = sum(map(np.count_nonzero, known)) // _SAMPLE + 1
    places = [np.flatnonzero(there)[::stride] for there in known]

    def seen(images: Sequence[Floats]) -> Doubles:
        parts = [image.reshape(len(image), -1)[:, at] for image, at in zip(images, places, strict=True)]
        return np.concatenate(parts, axis=1).T.astype(np.float64)

    target = seen([look.image for look in looks])[:, lit]
    if len(target) < _LEAST:
        return None
    date, told = _told(target, [seen(images) for images in zip(*map(_dates, looks), strict=True)])
    clear = np.isfinite(told).all(1)
    target, told, weight = target[clear], told[clear], np.ones(np.count_nonzero(clear))
    for _ in range(_ROUNDS):
        coefficients, left, spread = _left(target, told, weight)
        inverse = np.linalg.inv(spread)
        weight = 1 / (1 + ((left @ inverse) * left).mean(1) / _CUT**2)
    mean = weight @ target / weight.sum()
    white = max(_WHITE, 2 * mean.max())

    def along(way: Doubles) -> Filter:
        said = left @ way
        middle = float(np.median(said))
        scale = robust.deviation((said - middle).astype(np.float32)) + _NOISE * float(np.linalg.norm(way))
        weights = np.zeros(len(lit), np.float32)
        weights[lit] = way / scale
        constant, *beside = -(coefficients @ way) / scale
        return Filter(weights, date, np.array(beside, np.float32), float(constant - middle / scale))

    return along(inverse @ (white - mean)), along(inverse @ -mean), along(-np.ones(len(mean)))


def _dates(look: Tile) -> list[Floats]:
    return [reference.image for reference in look.references]


def _told(target: Doubles, dates: Sequence[Doubles]) -> tuple[int, Doubles]:
    """Which date best explains ground (n, B), -1 for none; its bands, and ones before them (n, P)."""
    best, told = -1, np.ones((len(target), 1))
    least = _size(target, told)
    for index, bands in enumerate(dates):
        beside = np.insert(bands, 0, 1, axis=1)
        clear = np.isfinite(beside).all(1)
        if np.count_nonzero(clear) < max(_LEAST, _KNOWN * len(target)):
            continue
        size = _size(target[clear], beside[clear])
        if size < least:
            best, told, least = index, beside, size
    return best, told


def _size(target: Doubles, told: Doubles) -> float:
    """Of the ellipsoid of what is left: logarithm of its squared volume."""
    _, _, spread = _left(target, told, np.ones(len(target)))
    return float(np.linalg.slogdet(spread)[1])


def _left(target: Doubles, told: Doubles, weight: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Coefficients (P, B) of `target` (n, B) on `told` (n, P), what they leave, and its covariance (B, B)."""
    weighted = told * weight[:, None]
    gram, cross = weighted.T @ told, weighted.T @ target
    coefficients = ridge_weights(gram, cross, _RIDGE * np.trace(gram) / len(gram)).astype(np.float64)
    left = target - told @ coefficients
    spread = (left * weight[:, None]).T @ left / weight.sum()
    least = max(_NOISE**2, 1e-12 * np.trace(spread) / len(spread))  # what floats can tell beside it
    return coefficients, left, spread + least * np.eye(len(spread))
