"""Cloud polygons of Sentinel-2 Level-1C before baseline 04.00 (`MSK_CLOUDS_B00.gml`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio.crs
import shapely
from numpy.typing import NDArray

from ..product_files import parse_xml, read_text


def read_gml(file: str) -> tuple[NDArray[np.object_], str | None]:
    """All polygons of a file, and the WKT of their CRS (None where it names none).

    Args:
        file: a path, or GDAL's name of a file in a zip or tar.

    Raises:
        ValueError, OSError: the file is not what it seems.
    """
    root = parse_xml(read_text(file))
    names = [e.get("srsName") for e in root.iter() if e.get("srsName")]
    crs = rasterio.crs.CRS.from_epsg(int(str(names[0]).rsplit(":", 1)[-1])).to_wkt() if names else None
    shapes = [
        shapely.Polygon(
            _ring(polygon.find(".//exterior")), [_ring(hole) for hole in polygon.iter("interior")]
        )
        for polygon in root.iter("Polygon")
    ]
    return np.array(shapes, dtype=object), crs


def _ring(element: Any) -> NDArray[np.float64]:
    """Positions of a ring; east and north, with a height in three-dimensional files."""
    positions = element.find(".//posList")
    size = int(positions.get("srsDimension", "2"))
    return np.array(positions.text.split(), float).reshape(-1, size)[:, :2]
