"""Which bands of a target are predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import TerramendError
from ...request import FillRequest
from ...watch import Watch
from ..gdal import sparse_sample
from ..masks.gapmap import GapMap
from ..products.dates import date_in
from ..products.roles import measured_by
from ..raster import Band, Raster, is_light, is_reflectance, measured, telling

FEW = 100
"""Valid pixels up to which a band beside clearer ones is as good as empty."""


def fill_bands(target: Raster, asked: tuple[int, ...], first_band: int, watch: Watch) -> tuple[int, ...]:
    """0-based bands of `target` that are predicted; class bands are not, `compose` fills them by majority.

    A notice says where bands are dates by their names.

    Args:
        asked: 1-based bands as the request counts them, over all rasters of the product; empty: `telling`.
        first_band: number of the product's bands before this raster's.

    Raises:
        TerramendError: `model.band` for a QA or alpha band.
    """
    days = sorted(day for band in target.bands if (day := date_in(band.description)))
    if days and days[0] < days[-1]:
        watch.notice("bands.dates", name=target.name, first=str(days[0]), last=str(days[-1]))
    if not asked:
        return telling(target.bands)
    chosen = tuple(n - 1 - first_band for n in sorted(asked) if 0 <= n - 1 - first_band < len(target.bands))
    for i in chosen:
        band = target.bands[i]
        if band.role in ("qa", "alpha"):
            raise TerramendError(
                "model.band", band=i + 1 + first_band, description=band.description, role=band.role
            )
        if band.role == "thermal":
            watch.notice("bands.thermal", band=band.description)
    return tuple(i for i in chosen if target.bands[i].role != "class")


def say_left(request: FillRequest, target: Raster, first_band: int, gap_map: GapMap, watch: Watch) -> None:
    """Tell of temperatures and indices whose gaps a fill leaves, where it is not asked for certain bands.

    Angles and the like, and Landsat's thermal bands, which products bring along, are nobody's to fill.
    """
    if request.bands or request.mode != "fill":
        return
    filled, landsat = telling(target.bands), target.sensor.startswith("landsat")
    left = [
        f"{i + 1 + first_band} ({band.description})"
        for i, band in enumerate(target.bands)
        if (band.role == "thermal" and not landsat)
        or (band.role == "index" and measured_by(band.description))
        if i not in filled and gap_map.gap_counts[i]
    ]
    if left:
        watch.notice("bands.left", bands=", ".join(left), name=target.name)


def unit_of(target: Raster, chosen: Sequence[int]) -> str:
    """What errors of the chosen bands of a raster are in, of `units.WORDS`."""
    bands = target.bands
    roles = {bands[i].role for i in chosen}
    if not roles or any(is_light(target, bands[i]) for i in chosen):
        return "reflectance"
    return "kilokelvin" if roles == {"thermal"} and is_reflectance(bands) else "values"


def class_bands(target: Raster, asked: tuple[int, ...], first_band: int) -> tuple[int, ...]:
    """0-based class bands of `target` that were asked for; the arguments are those of `fill_bands`."""
    return tuple(
        i for i, band in enumerate(target.bands) if band.role == "class" and i + 1 + first_band in asked
    )


def opaque(band: Band) -> float:
    """What an alpha band holds where it hides nothing: its most at some places, else its dtype's.

    GDAL's warper writes 255 into bands of 32 bits too, floats among them.
    """
    values = sparse_sample(band.path, band.index)
    most = values[measured(values)].max(initial=0)
    if most > 0:
        return float(most)
    kind = np.dtype(band.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0


def known_bands(
    target: Raster, bands: tuple[int, ...], first_band: int, gap_map: GapMap, watch: Watch
) -> tuple[int, ...]:
    """Those of `bands` with more valid pixels than `FEW`, or a hundredth of the clearest one's; else all.

    An empty one would leave no pixels that are valid in all bands, of which the others are learnt.
    """
    valid = {i: gap_map.footprint_counts[i] - gap_map.gap_counts[i] for i in bands}
    least = min(FEW, max(valid.values(), default=0) // 100)
    known = tuple(i for i in bands if valid[i] > least)
    if not known:
        return bands
    for i in sorted(set(bands) - set(known)):
        watch.notice("bands.empty", band=i + 1 + first_band, name=target.name)
    return known
