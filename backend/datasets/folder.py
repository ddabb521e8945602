"""Any folder of scenes: a subfolder (or the folder itself) is a place, its GeoTIFFs are dates.

By words in the file names: `dem` (also `CopDEM`), `dsm`, `dtm`, `srtm`, `elevation` is the terrain; `s1`,
`s1a`, `sentinel1`, `sar` radar, VV and VH, in dB or linear; `mask`, `cloudmask`, `clouds` nonzero is a gap;
`cloudprob`, `SCL`, `QA_PIXEL`, `BQA`, `Fmask` and the like are read as a fill reads them, from any grid. All
else is an optical date; a mask or radar image belongs to the date whose day, or else whose name, it shares,
radar else to those whose days are nearest; a mask that is called by its word alone (`clouds.tif`) to all that
have none of its kind. The other files of a place lie on one grid; what does not is left out (`terramend fetch
landsat --from` brings scenes and DEMs onto one), and `layout` says so. Values become reflectance as in a
fill: by tags, scale and offset, product names. Tags that are read besides: `date`, `sun` (azimuth,elevation),
a band's `wavelength` (nm).
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...models.base import Flags, Floats
from ..errors import TerramendError
from ..messages.notices import Notice
from ..raster.grid import Grid
from ..raster.masks.names import WORDS, mask_kind_of
from ..raster.products.dates import date_in
from ..raster.products.products import open_product
from ..raster.products.siblings import RADAR_WORDS, TERRAIN_WORDS
from ..raster.raster import Band, Raster
from ..raster.reader import RasterReader
from ..raster.scene.guides import open_guide
from ..raster.scene.reference_gaps import ReferenceGaps
from ..raster.scene.sar import SarReader
from ..request import DEFAULT_CLASSES, Mask
from ..watch import Watch
from .files import (
    COLOURS,
    LANDSAT8,
    SENTINEL2,
    elevation,
    geotiffs,
    grid,
    opened,
    raw,
    tag,
)
from .paired import is_cloudy_half
from .place import Date, Place

_KINDS = (
    ("terrain", TERRAIN_WORDS),
    ("sar", f"({RADAR_WORDS})"),
    ("probability", r"(cloudprob|clp)"),
    ("mask", WORDS),
)
MASKS = ("probability", "mask", "classes")
"""Kinds of files that say what is a gap."""


def kind(path: Path) -> str:
    """What a file is, by the words of its name."""
    for found, words in _KINDS:
        if re.search(rf"(^|[_\-.]){words}([_\-.]|$)", path.stem.lower()):
            return found
    told = mask_kind_of(path.stem)
    return "optical" if told is None else {"auto": "mask", "cloudprob": "probability"}.get(told, "classes")


def _places(folder: Path) -> dict[str, Path]:
    inner = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and geotiffs(path)}
    return inner or {folder.name: folder}


def names(folder: Path) -> list[str]:
    """The places: subfolders with GeoTIFFs, or the folder itself."""
    found = {name: _files(path) for name, path in _places(folder).items()}
    return [name for name, paths in found.items() if any(kind(path) == "optical" for path in paths)]


def files(folder: Path, name: str) -> list[Path]:
    """All GeoTIFFs of a place, but for the cloudy images of pairs: they would pass for clear dates."""
    return _files(_places(folder)[name])


def _files(place: Path) -> list[Path]:
    return [path for path in geotiffs(place) if not is_cloudy_half(path)]


@dataclass(frozen=True)
class Layout:
    """Which file of a place is what.

    Attributes:
        dates: key -> the optical bands.
        kinds: kind -> the others on the same grid, each with its date's key or None (`owners`).
        left: why a file is none of these, a notice each.
    """

    dates: dict[str, Raster]
    kinds: dict[str, dict[Path, str | None]]
    left: tuple[Notice, ...]


def layout(folder: Path, name: str) -> Layout:
    """Sort a place's files; the first optical one decides on grid and number of bands."""
    by_kind: dict[str, list[Path]] = {}
    for path in files(folder, name):
        by_kind.setdefault(kind(path), []).append(path)
    scenes = {path: _optical(path) for path in by_kind["optical"]}
    first = next(iter(scenes.values()))
    dates: dict[str, Raster] = {}
    kinds: dict[str, list[Path]] = {}
    left = []
    for word, paths in by_kind.items():
        for path in paths:
            said = {"path": str(path), "first": first.name}
            if word not in ("classes", "probability") and not grid(path).same_as(first.grid):
                left.append(Notice("evaluate.grid", said))
            elif word == "sar" and _count(path) < 2:
                left.append(Notice("evaluate.radar", {"path": str(path)}))
            elif word != "optical":
                kinds.setdefault(word, []).append(path)
            elif len(scenes[path].bands) != len(first.bands):
                counts = {"count": len(scenes[path].bands), "expected": len(first.bands)}
                left.append(Notice("evaluate.bands", {**said, **counts}))
            elif key(path) in dates:
                left.append(Notice("evaluate.day", {**said, "first": dates[key(path)].name}))
            else:
                dates[key(path)] = scenes[path]
    owned = {word: owners(paths, dates) for word, paths in kinds.items()}
    masks = [item for word in MASKS for item in owned.get(word, {}).items()]
    alone = [path for path, own in masks if own is None and not _common(path)]
    left += [Notice("evaluate.alone", {"path": str(path)}) for path in alone]
    return Layout(dates, owned, tuple(left))


def _count(path: Path) -> int:
    with opened(path) as source:
        return int(source.count)


def _sun(path: Path) -> tuple[float, float] | None:
    """Azimuth and elevation in degrees of the tag `sun`; None leaves it to the product's own."""
    told = tag(path, "sun")
    if not told:
        return None
    azimuth, _, height = (_number(part) for part in told.partition(","))
    if not (0 <= azimuth <= 360 and 0 < height <= 90):
        wanted = "AZIMUTH,ELEVATION in degrees, such as 150.2,35"
        raise TerramendError("dataset.tag", path=str(path), tag="sun", told=told, wanted=wanted)
    return azimuth, height


def _number(text: str) -> float:
    """NaN where a text is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _optical(path: Path) -> Raster:
    """The optical bands of a file with their radiometry, all bands where none is optical.

    Raises:
        TerramendError: `dataset.sun` where the sun is needed and not told; `dataset.tag`; as opening it for
            a fill.
    """
    try:
        raster = open_product((str(path),), sun=_sun(path), watch=Watch())[0]
    except TerramendError as error:
        if error.code != "radiometry.sun":
            raise
        raise TerramendError("dataset.sun", path=str(path)) from error
    return replace(raster, bands=tuple(b for b in raster.bands if b.role == "optical") or raster.bands)


def key(path: Path) -> str:
    """What a file and its masks share: the day, else the name."""
    known = date_in(path.stem) or date_in(tag(path, "date"))
    return str(known or re.sub(r"[_\-](s2|optical|sr|toa|image)$", "", path.stem))


def owners(paths: Iterable[Path], keys: Collection[str]) -> dict[Path, str | None]:
    """Whose mask or radar image each file is, of the dates with these keys; None: of none."""
    return {path: _owner(path, keys) for path in paths}


def _owner(path: Path, keys: Collection[str]) -> str | None:
    """The key that a file shares, else the longest that begins its name."""
    shared = key(path)
    begun = [known for known in keys if re.match(rf"{re.escape(known)}([^A-Za-z0-9]|$)", path.stem)]
    return shared if shared in keys else max(begun, key=len, default=None)


def _partner(owned: Mapping[Path, str | None], wanted: str) -> Path | None:
    return next((path for path, own in owned.items() if own == wanted), None)


def mask_of(owned: Mapping[Path, str | None], wanted: str) -> Path | None:
    """The mask of a date among files with their `owners`.

    Its own, else one that names none, because its name is its word alone.
    """
    return _partner(owned, wanted) or next(filter(_common, owned), None)


def _common(path: Path) -> bool:
    return any(re.fullmatch(words, path.stem.lower()) for found, words in _KINDS if found in MASKS)


def read(folder: Path, name: str) -> Place:
    """One place from its files."""
    found = layout(folder, name)
    first = next(iter(found.dates.values()))
    dates = []
    for own in sorted(found.dates):
        with RasterReader(found.dates[own]) as reader:
            image = reader.reflectance(first.grid.whole)
        gaps = ~np.isfinite(image).all(0) | _gaps(found, own, image.shape[1:])
        dates.append(Date(own, image, gaps, date_in(own), _radar(found, own)))
    terrain = next(iter(found.kinds.get("terrain", {})), None)
    return Place(
        folder.name,
        name,
        tuple(band.description for band in first.bands),
        tuple(_centre(band) for band in first.bands),
        tuple(dates),
        first.grid.pixel_size,
        elevation(terrain) if terrain else None,
        first.grid.sun_from_north(first.sun),
    )


def _centre(band: Band) -> float:
    """Nanometres by the band's tag `wavelength`, as a fill knows them, or else by its name."""
    with opened(Path(band.path)) as source:
        told = source.tags(band.index).get("wavelength")
    if told:
        if not 0 < _number(told) < math.inf:
            wanted = "a number of nanometres, such as 665"
            raise TerramendError("dataset.tag", path=band.path, tag="wavelength", told=told, wanted=wanted)
        return float(told)
    if math.isfinite(band.wavelength):
        return band.wavelength
    return {**COLOURS, **LANDSAT8, **SENTINEL2}.get(band.description.split("_")[0], math.nan)


def _gaps(found: Layout, own: str, shape: tuple[int, ...]) -> Flags:
    gaps = np.zeros(shape, bool)
    for word in MASKS:
        path = mask_of(found.kinds.get(word, {}), own)
        if path is not None:
            gaps |= raw(path)[0] != 0 if word == "mask" else _decoded(path, found.dates[own].grid)
    return gaps


def _decoded(path: Path, main: Grid) -> Flags:
    """(H, W) bool of a mask with classes, flags or probabilities: as a fill reads it, not yet grown."""
    mask = Mask(str(path), mask_kind_of(path.stem) or "auto")
    with ReferenceGaps(
        (mask,), main, main, grow="0px", classes=DEFAULT_CLASSES, cloud_threshold=None, watch=Watch()
    ) as marked:
        return marked(main.whole)


def _nearest(paths: Collection[Path], day: datetime.date | None) -> Path | None:
    """The file of the nearest day, the earlier of two that are as near; the only one whatever its day."""
    if len(paths) == 1:
        return next(iter(paths))
    dated = [(date_in(path.stem) or date_in(tag(path, "date")), path) for path in sorted(paths)]
    near = [(abs((other - day).days), other, path) for other, path in dated if other and day]
    return min(near)[2] if near else None


def _radar(found: Layout, own: str) -> Floats | None:
    owned = found.kinds.get("sar", {})
    path = _partner(owned, own) or _nearest(owned, date_in(own))
    if path is None:
        return None
    main = found.dates[own].grid
    with SarReader(open_guide(str(path), main, "--sar", Watch()), main, Watch()) as reader:
        return reader.read(main.whole)
