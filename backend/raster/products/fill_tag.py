"""What a filled raster remembers of its product: a GeoTIFF alone says less than a product's folder.

So that an output can be filled again, or be a reference of another date, without the analyst
repeating radiometry, date and sun.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import replace

from ...errors import TerramendError
from ..gdal import open_dataset
from ..raster import Raster

TAG = "TERRAMEND_PRODUCT"


def memory_of(raster: Raster) -> dict[str, str]:
    """The tag of an output that `remembered` reads."""
    known = {
        "date": raster.date.isoformat() if raster.date else None,
        "sun": raster.sun,
        "sensor": raster.sensor,
        "surface": raster.surface,
        "scaling": [[band.gain, band.bias] for band in raster.bands],
        "dtypes": [band.dtype for band in raster.bands],
    }
    return {TAG: json.dumps(known, sort_keys=True)}


def remembered(raster: Raster, tags: Mapping[str, str]) -> Raster:
    """The raster with what its tag of an earlier fill tells and the file itself does not.

    A file whose bands were selected or converted since is no longer what the tag describes: then
    only date, sun and sensor hold.
    """
    try:
        known = json.loads(tags[TAG])
        date = datetime.date.fromisoformat(known["date"]) if known["date"] else None
        sun = (float(known["sun"][0]), float(known["sun"][1])) if known["sun"] else None
        scaling = [(float(gain), float(bias)) for gain, bias in known["scaling"]]
        sensor, surface, dtypes = str(known["sensor"]), known["surface"], known["dtypes"]
    except (LookupError, TypeError, ValueError, RecursionError):  # none, or not ours
        return raster
    raster = replace(raster, date=raster.date or date, sun=raster.sun or sun, sensor=raster.sensor or sensor)
    plain = all((band.gain, band.bias) == (1, 0) for band in raster.bands)
    if not plain or dtypes != [band.dtype for band in raster.bands] or len(scaling) != len(raster.bands):
        return raster
    if any(gain == 0 for gain, _ in scaling):
        return raster
    bands = tuple(
        replace(band, gain=gain, bias=bias) for band, (gain, bias) in zip(raster.bands, scaling, strict=True)
    )
    return replace(raster, bands=bands, surface=surface if isinstance(surface, bool) else None)


def is_filled(path: str) -> bool:
    """Whether a raster file is an output of Terramend."""
    try:
        with open_dataset(path) as file:
            return "TERRAMEND_VERSION" in file.tags()
    except TerramendError:
        return False
