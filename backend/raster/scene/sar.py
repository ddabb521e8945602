"""Sentinel-1 backscatter on a scene's grid: VV and VH in dB, whatever form it is stored in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....models.base import Floats
from ...errors import TerramendError
from ...watch import Watch
from ..closing import Closing
from ..gdal import sparse_sample
from ..grid import Grid, Window
from ..raster import Band, Raster, is_image
from ..reader import RasterReader
from .polarisations import is_named

LOWEST = -40.0
"""dB below which a linear value is taken for noise (sigma nought of a calm lake is about -25)."""


class SarReader(Closing):
    """VV, VH in dB on a grid; a context manager that stays in one thread.

    Args:
        sar: bands named VV and VH in any order, or unnamed; one polarisation will do.
        grid: the scene's grid.
        watch: told what was recognised where names do not tell.
        nearest: repeat pixels that are larger than the grid's, instead of going evenly from one to the next.
    """

    def __init__(self, sar: Raster, grid: Grid, watch: Watch, nearest: bool = False) -> None:
        self._order = _order(sar, watch)
        self._form = _form(sar, self._order, watch)
        # Programs leave zero where radar saw nothing; a measured zero is as good as never met.
        role = "class" if nearest else "optical"
        bands = [replace(band, role=role, nodata=band.nodata or 0.0) for band in sar.bands]
        if self._form == "dB x 100":
            bands = [replace(band, gain=0.01, bias=0.0) for band in bands]
        self._reader = RasterReader(replace(sar, bands=tuple(bands), zero_fill=False), grid)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def read(self, window: Window) -> Floats:
        """(2, h, w) float32 dB: VV, VH; NaN where unknown, all of it for a polarisation not there."""
        out = np.full((2, window.height, window.width), np.nan, np.float32)
        for place, band in enumerate(self._order):
            if band is not None:
                out[place] = _to_db(self._reader.reflectance(window, [band])[0], self._form)
        return out


def _to_db(values: Floats, form: str) -> Floats:
    if form.startswith("dB"):
        return values
    factor = 20.0 if form == "amplitude" else 10.0
    with np.errstate(divide="ignore", invalid="ignore"):
        decibel = np.float32(factor) * np.log10(values)
        return np.where(values > 0, np.maximum(decibel, np.float32(LOWEST)), np.float32(np.nan))


def _order(sar: Raster, watch: Watch) -> tuple[int | None, int | None]:
    """0-based bands of VV and VH: by name, else the brighter one of the first two is VV."""
    paths = [band.path for band in sar.bands]  # a file of one band may tell by its name
    names = [
        f"{band.description} {band.path.rsplit('/', 1)[-1] if paths.count(band.path) == 1 else ''}"
        for band in sar.bands
    ]
    found = {p: next((i for i, name in enumerate(names) if is_named(name, p)), None) for p in ("VV", "VH")}
    vv, vh = found["VV"], found["VH"]
    if vv is not None or vh is not None:
        if vv is not None and vh is not None and _darker(sar.bands[vv], sar.bands[vh]):
            watch.notice("sar.swapped", name=sar.name)
        return vv, vh
    if is_image(sar.bands):
        raise TerramendError("sar.optical", path=sar.name)
    if len(sar.bands) == 1:
        watch.notice("sar.one", name=sar.name)
        return 0, None
    first, second = (float(np.median(v)) if (v := _sample(sar.bands[i])).size else 0.0 for i in (0, 1))
    order = (0, 1) if first >= second else (1, 0)
    watch.notice("sar.order", name=sar.name, vv=order[0] + 1, vh=order[1] + 1)
    return order


def _darker(one: Band, other: Band) -> bool:
    """Whether a band is darker than another at most places."""
    first, second = _sample(one), _sample(other)
    return bool(first.size and second.size and np.median(first) < np.median(second))


def _form(sar: Raster, order: tuple[int | None, int | None], watch: Watch) -> str:
    """`dB`, `dB x 100`, `linear` (power) or `amplitude`, by tags, dtype and values."""
    band = sar.bands[next(i for i in order if i is not None)]
    values = _sample(band)
    if not values.size:
        return "dB"
    middle, low = float(np.median(values)), float(np.percentile(values, 5))
    if low < 0:
        return "dB x 100" if middle < -100 or low < -200 else "dB"
    if middle > 20:
        watch.notice("sar.amplitude", name=sar.name)
        return "amplitude"
    watch.notice("sar.linear", name=sar.name)
    return "linear"


def _sample(band: Band) -> Floats:
    """Some observed values of a band, spread over it."""
    values = sparse_sample(band.path, band.index).astype(np.float32)
    observed = np.isfinite(values)
    if band.nodata is not None:
        observed &= values != np.float32(band.nodata)
    elif np.dtype(band.dtype).kind != "f" or (values[observed] == 0).mean() > 0.05:
        observed &= values != 0
    return values[observed] * np.float32(band.gain) + np.float32(band.bias)
