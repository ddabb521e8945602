"""EarthNet2021: cubes of Sentinel-2 at 20 m, every five days, with a quality mask and EU-DEM.

As published (Requena-Mesa et al. 2021, www.earthnet.tech/en21): `SPLIT/TILE/CUBE.npz`, and in the test
splits `context/TILE/context_CUBE.npz` beside `target/TILE/target_CUBE.npz`, whose frames follow. A cube's
name tells its Sentinel-2 tile, first and last day, and pixels in the tile.

    highresdynamic (128, 128, c, t)  blue, green, red, NIR reflectance (B02, B03, B04, B8A), NaN where there
                                     is none; last channel: 1 where the quality is bad
    highresstatic  (128, 128, 1)     metres = 2000 (2 v - 1)
"""

from __future__ import annotations

import datetime
import re
import zipfile
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import rasterio.warp

from ..errors import TerramendError
from .files import SENTINEL2
from .place import Date, Place

BANDS = ("B02", "B03", "B04", "B8A")
FIRST, EVERY = 4, 5
"""Days from a cube's first day to its first frame, and from frame to frame."""
CUBE = re.compile(
    r"(?:context_|target_)?(?P<name>(?P<tile>\d\d[C-X][A-Z]{2})_(?P<first>\d{4}-\d\d-\d\d)_\d{4}-\d\d-\d\d"
    r"_(?P<left>\d+)_(?P<right>\d+)_(?P<top>\d+)_(?P<bottom>\d+)(?:_\d+){4})"
)
_COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"


def holds(folder: Path) -> bool:
    """Whether a folder is a split of EarthNet2021: looks at a few files only."""
    found = (*islice(folder.glob("*/*.npz"), 3), *islice(folder.glob("context/*/*.npz"), 3))
    return any(CUBE.fullmatch(path.stem) for path in found)


def names(folder: Path) -> list[str]:
    """The cubes of a split."""
    paths = [*folder.glob("*/*.npz"), *folder.glob("context/*/*.npz")]
    return sorted({found["name"] for path in paths if (found := CUBE.fullmatch(path.stem))})


def files(folder: Path, name: str) -> list[Path]:
    """The cube's file, or context and target of a test cube (context alone where targets are held back)."""
    tile = name.split("_")[0]
    whole = folder / tile / f"{name}.npz"
    if whole.exists():
        return [whole]
    parts = [folder / part / tile / f"{part}_{name}.npz" for part in ("context", "target")]
    return [path for path in parts if path.exists()]


def read(folder: Path, name: str) -> Place:
    """One cube. Frames without any observation are left out.

    Raises:
        TerramendError: `dataset.file`, a cube that is damaged or laid out differently.
    """
    cube = CUBE.fullmatch(name)
    paths = files(folder, name)
    if cube is None or not paths:
        raise TerramendError("dataset.file", path=str(folder / name), why="there is no such cube")
    frames = []
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as pack:
                dynamic, static = pack["highresdynamic"], pack["highresstatic"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise TerramendError("dataset.file", path=str(path), why=str(error)) from None
        if dynamic.ndim != 4 or dynamic.shape[2] < 5 or static.shape[:2] != dynamic.shape[:2]:
            why = f"highresdynamic has the shape {dynamic.shape}, not (height, width, 5 or 7, time)"
            raise TerramendError("dataset.file", path=str(path), why=why)
        frames += list(np.moveaxis(dynamic, (3, 2), (0, 1)))
    first = datetime.date.fromisoformat(cube["first"]) + datetime.timedelta(FIRST)
    dates = []
    for number, frame in enumerate(frames):
        image = frame[:4].astype(np.float32)
        image[(image < 0) | (image > 2)] = np.nan
        seen = np.isfinite(image).all(0)
        if seen.any():
            day = first + datetime.timedelta(EVERY * number)
            dates.append(Date(str(day), image, ~seen | (frame[-1] != 0), day))
    height = (2000 * (2 * static[..., 0].astype(np.float32) - 1)).astype(np.float32)
    centres = tuple(SENTINEL2[band] for band in BANDS)
    return Place(folder.name, name, BANDS, centres, tuple(dates), (20.0, 20.0), height, centre=centre(name))


def centre(name: str) -> tuple[float, float] | None:
    """Latitude and longitude of a cube's middle, from tile and pixels in its name; to a few kilometres.

    The tile's corner is that of its 100 km square; the publishers say that four tiles of the extreme
    split (32UMC, 32UNC, 32UPC, 32UQC) are misplaced by up to some 40 km.
    """
    cube = CUBE.fullmatch(name)
    if cube is None:
        return None
    tile: str = cube["tile"]
    zone, band, column, row = int(tile[:2]), tile[2], tile[3], tile[4]
    letters = _COLUMNS[(zone - 1) % 3]
    if not 1 <= zone <= 60 or column not in letters or row not in _ROWS or band not in _BANDS:
        return None
    south = 8 * _BANDS.index(band) - 80
    east = 1e5 * (letters.index(column) + 1)
    north = 1e5 * ((_ROWS.index(row) - (0 if zone % 2 else 5)) % 20)
    base = south * 110_574 if south >= 0 else 1e7 + south * 110_574  # metres to the band's southern edge
    while north < base - 1e5:
        north += 2e6
    x = east + 10 * (int(cube["left"]) + int(cube["right"]))  # the mean of two, times 20 m
    y = north + 1e5 - 10 * (int(cube["top"]) + int(cube["bottom"]))
    crs = f"EPSG:{(32600 if south >= 0 else 32700) + zone}"
    (longitude,), (latitude,) = rasterio.warp.transform(crs, "EPSG:4326", [x], [y])[:2]
    return latitude, longitude
