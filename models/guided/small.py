"""Values far below those of light, as columns of gas in mol/m2: taken times a power of two, which is exact.

What keeps a division from zero elsewhere is small beside reflectance, and would be large beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..base import Floats, Prediction, Tile

_BELOW = 1e-3  # 95th percentile of the values' size; reflectance lies far above


@dataclass(frozen=True)
class Small:
    """What values are taken times: (B,) of the target's bands, (K,) of each reference; 1 where not small."""

    own: Floats
    others: tuple[Floats, ...]


def learn(overview: Tile) -> Small | None:
    """The factors of a scene with small values; None of another. Bands whose centres are known hold light."""
    if np.isfinite(overview.wavelengths).any():
        return None
    count = len(overview.image)
    alike = [r.image[:count] for r in overview.references if r.alike and len(r.image) >= count]
    shown = np.where(overview.gaps, np.float32(np.nan), overview.image)
    if alike:  # a band that the target does not show is as others show it
        shown = np.where(np.isfinite(shown).any(axis=(1, 2), keepdims=True), shown, alike[0])
    own = _factors(shown)
    if (own == 1).all():
        return None
    others = []
    for date in overview.references:
        shared = count if date.alike and len(date.image) >= count else 0
        others.append(np.concatenate([own[:shared], _factors(date.image[shared:])]))
    return Small(own, tuple(others))


def scaled(tile: Tile, known: Small | None) -> Tile:
    """The tile (and its windows at full size) with its values times the factors."""
    if known is None:
        return tile
    return replace(
        tile,
        image=tile.image * known.own[:, None, None],
        references=tuple(
            replace(date, image=date.image * factors[:, None, None])
            for date, factors in zip(tile.references, known.others, strict=True)
        ),
        detail=tuple(scaled(look, known) for look in tile.detail),
    )


def told(said: Prediction, known: Small | None) -> Prediction:
    """A prediction of such a tile in the tile's own values."""
    if known is None:
        return said
    own = known.own[:, None, None]
    return replace(said, mean=said.mean / own, std=said.std / own)


def _factors(planes: Floats) -> Floats:
    """(B,) the power of two that brings the large ones of each band's values (B, h, w) to about 1."""
    factors = np.ones(len(planes), np.float32)
    for band, plane in enumerate(planes):
        if np.count_nonzero(np.abs(plane) >= _BELOW) > 0.05 * plane.size:
            continue  # a percentile takes ten times as long
        size = np.abs(plane[np.isfinite(plane)])
        large = float(np.quantile(size, 0.95)) if size.size else 0.0
        if 0 < large < _BELOW:
            factors[band] = 2.0 ** min(-round(np.log2(large)), 126)  # float32 ends at 2^127
    return factors
