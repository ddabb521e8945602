"""Any folder of scenes: a subfolder (or the folder itself) is a place, its GeoTIFFs are dates.

By words in the file names: `dem`, `srtm`, `elevation` is the terrain; `s1`, `sar` radar in dB
(or dB x 100); `cloudprob` percent; `mask`, `clouds` nonzero is a gap. All else is an optical
date; a mask or radar image belongs to the date whose day, or else whose name, it shares; a mask that is
called by its word alone (`clouds.tif`) to all.
All files of a place lie on one grid; what does not is left out (`terramend fetch landsat --from` brings
scenes and DEMs onto one). Tags that are read: `date`, `sun` (azimuth,elevation), a band's `wavelength` (nm).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .files import (
    COLOURS,
    LANDSAT8,
    SENTINEL2,
    cloud,
    day,
    elevation,
    geotiffs,
    grid,
    opened,
    raw,
    reflectance,
    tag,
)
from .place import Date, Flags, Floats, Place

FOLDER = ""
_KINDS = (
    ("terrain", r"(dem|srtm|elevation)"),
    ("sar", r"(s1|sar)"),
    ("probability", r"(cloudprob|clp)"),
    ("mask", r"(mask|clouds?|gaps?)"),
)


def kind(path: Path) -> str:
    """What a file is, by the words of its name."""
    for found, words in _KINDS:
        if re.search(rf"(^|[_\-.]){words}([_\-.]|$)", path.stem.lower()):
            return found
    return "optical"


def _places(folder: Path) -> dict[str, Path]:
    inner = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and geotiffs(path)}
    return inner or {folder.name: folder}


def names(folder: Path) -> list[str]:
    """The places: subfolders with GeoTIFFs, or the folder itself."""
    return [
        name
        for name, path in _places(folder).items()
        if any(kind(file) == "optical" for file in geotiffs(path))
    ]


def files(folder: Path, name: str) -> list[Path]:
    """All GeoTIFFs of a place."""
    return geotiffs(_places(folder)[name])


def _radiometry(path: Path) -> tuple[float, float]:
    """What stored values are multiplied with, and what is added: the file's own, or as is usual."""
    with opened(path) as source:
        if source.scales[0] != 1.0:
            return float(source.scales[0]), float(source.offsets[0])
        return {"uint8": 1 / 255, "uint16": 1e-4, "int16": 1e-4}.get(source.dtypes[0], 1.0), 0.0


def key(path: Path) -> str:
    """What a file and its masks share: the day, else the name."""
    known = day(path.stem) or day(tag(path, "date"))
    return str(known or re.sub(r"[_\-](s2|optical|sr|toa|image)$", "", path.stem))


def partner(paths: list[Path], wanted: str) -> Path | None:
    """The file that shares the key `wanted`, or whose name begins with it (`a1_mask` is none of `a`)."""
    begins = re.compile(re.escape(wanted) + r"(?![a-z0-9])", re.IGNORECASE)
    return next((path for path in paths if key(path) == wanted or begins.match(path.stem)), None)


def mask_of(paths: list[Path], wanted: str) -> Path | None:
    """The mask of a date: its own, else one that names no date, because its name is its word alone."""
    words = dict(_KINDS)
    common = (p for p in paths if re.fullmatch(words[kind(p)], p.stem.lower()))
    return partner(paths, wanted) or next(common, None)


def read(folder: Path, name: str) -> Place:
    """One place from its files."""
    by_kind: dict[str, list[Path]] = {}
    for path in files(folder, name):
        by_kind.setdefault(kind(path), []).append(path)
    optical = by_kind["optical"]
    main = grid(optical[0])
    same = {k: [p for p in paths if grid(p).same_as(main)] for k, paths in by_kind.items()}
    with opened(optical[0]) as source:
        bands = tuple(text or f"band{index + 1}" for index, text in enumerate(source.descriptions))
    dates = {}
    for path in same["optical"]:
        image = reflectance(path, *_radiometry(path))
        if len(image) != len(bands):
            continue
        own = key(path)
        gaps = ~np.isfinite(image).all(0) | _gaps(same, own, image.shape[1:])
        dates[own] = Date(own, image, gaps, day(own), _radar(same, own))
    terrain = same.get("terrain", [])
    ordered = tuple(dates[own] for own in sorted(dates))
    high = elevation(terrain[0]) if terrain else None
    return Place(
        folder.name,
        name,
        bands,
        _centres(optical[0], bands),
        ordered,
        main.pixel_size,
        high,
        _sun(optical[0]),
    )


def _centres(path: Path, bands: tuple[str, ...]) -> tuple[float, ...]:
    """Nanometres by each band's tag `wavelength`, else by its name."""
    known = {**COLOURS, **LANDSAT8, **SENTINEL2}
    with opened(path) as source:
        tags = [source.tags(number).get("wavelength") for number in range(1, len(bands) + 1)]
    return tuple(
        float(told) if told else known.get(band.split("_")[0], float("nan"))
        for told, band in zip(tags, bands, strict=True)
    )


def _sun(path: Path) -> tuple[float, float] | None:
    """Azimuth and elevation in degrees of the tag `sun`."""
    azimuth, comma, height = tag(path, "sun").partition(",")
    return (float(azimuth), float(height)) if comma else None


def _gaps(same: dict[str, list[Path]], wanted: str, shape: tuple[int, ...]) -> Flags:
    gaps = np.zeros(shape, bool)
    chance, mask = (mask_of(same.get(k, []), wanted) for k in ("probability", "mask"))
    if chance is not None:
        gaps |= cloud(chance)
    if mask is not None:
        gaps |= raw(mask)[0] != 0
    return gaps


def _radar(same: dict[str, list[Path]], wanted: str) -> Floats | None:
    paths = same.get("sar", [])
    path = partner(paths, wanted) or (paths[0] if len(paths) == 1 else None)
    if path is None:
        return None
    values = reflectance(path, 1.0, bands=2)
    return values / np.float32(100 if np.nanmax(np.abs(values)) > 200 else 1)
