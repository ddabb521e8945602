"""What lies beside a raster: its masks, and other dates of the same place."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import TerramendError
from ...request import MASK_KINDS, Mask, Reference, is_text
from ...watch import Watch
from ..gdal import is_local
from ..masks.names import mask_kind_of
from ..outputs import local_files
from ..raster import Raster, is_reflectance, telling
from . import dates
from .files import ENDINGS
from .fill_tag import is_filled
from .roles import is_radar, role_of_file

SEPARATOR = ";"
"""Between the single-band files of one reference."""
KEYS = frozenset({"path", "date", "masks", "kind"})
"""Of a reference in a JSON list, and of its masks."""


def split_paths(path: str) -> tuple[str, ...]:
    """The files of one date that a reference's path names, separated by `;`."""
    return tuple(part.strip() for part in path.split(SEPARATOR) if part.strip())


@dataclass(frozen=True, order=True)
class _MaskFile:
    """A file whose name says mask; `number` is its place among those of its folder."""

    number: int
    path: str
    kind: str
    words: frozenset[str]


@dataclass(frozen=True)
class _Masks:
    """The masks of a folder by their stems, and those that have one by the word that holds their date."""

    by_stem: Mapping[str, list[_MaskFile]]
    by_date: Mapping[str, list[_MaskFile]]


class Folders:
    """Masks that lie in folders, each folder listed once: for as long as one run opens its inputs."""

    def __init__(self) -> None:
        self._known: dict[Path, _Masks] = {}

    def masks(self, folder: Path) -> _Masks:
        """Those in a folder and in its mask folders."""
        if folder not in self._known:
            self._known[folder] = _masks_in(folder)
        return self._known[folder]


def masks_beside(paths: tuple[str, ...], raster: Raster, folders: Folders | None = None) -> tuple[Mask, ...]:
    """Masks in the folder of a raster (or in its `masks` folder) whose names belong to it.

    A mask belongs to a raster if its name is the raster's with another ending or a word put before
    or after (`a.tif`: `a_scl.tif`, `mask_a.tif`; `LC08_..._T1_SR_B4.TIF`: `LC08_..._T1_QA_PIXEL.TIF`),
    else if all words of its name, with a date among them, are in the raster's (`2020-01-31_s2.tif`:
    `2020-01-31_cloudprob.tif`; a date is one word, however it is written). Of several masks, those of a
    known kind are taken.

    Args:
        folders: of the run; default: the folder is listed anew.
    """
    first = paths[0]
    if not is_local(first) or Path(first).is_dir():
        return ()
    path = Path(first)
    stems = {_stem(path.name), _stem(Path(raster.bands[0].path).name)}
    masks = (folders or Folders()).masks(path.parent)
    found = _other([mask for stem in stems for mask in masks.by_stem.get(stem, ())], paths)
    if not found:
        dated = [
            mask
            for words in map(_words, stems)
            for word in words
            for mask in masks.by_date.get(word, ())
            if mask.words <= words
        ]
        found = _other(dated, paths)
    known = [mask for mask in found if mask.kind != "auto"]
    return tuple(Mask(mask.path, mask.kind) for mask in known or found)


def masks_of_others(names: Collection[str]) -> set[str]:
    """Of these files those that are masks of others of them by their names, whatever kind of mask."""
    masks = {name for name in names if mask_kind_of(Path(name).stem) is not None}
    scenes = {_stem(Path(name).name) for name in names if name not in masks}
    return {name for name in masks if _stem(Path(name).name) in scenes}


def _other(masks: list[_MaskFile], paths: tuple[str, ...]) -> list[_MaskFile]:
    """The masks once each and in their order, but for the files of the raster itself."""
    return [m for m in sorted(set(masks)) if m.path not in paths and Path(m.path) != Path(paths[0])]


def _masks_in(folder: Path) -> _Masks:
    beside = _entries(folder)
    files = [file for place in (beside, *map(_entries, _mask_folders(folder, beside))) for file in place]
    by_stem: dict[str, list[_MaskFile]] = {}
    by_date: dict[str, list[_MaskFile]] = {}
    for number, file in enumerate(files):
        kind = mask_kind_of(file.name) if file.suffix.lower() in ENDINGS else None
        if kind is None:
            continue
        stem = _stem(file.name)
        mask = _MaskFile(number, str(file), kind, _words(stem))
        by_stem.setdefault(stem, []).append(mask)
        day = next((word for word in sorted(mask.words) if dates.date_in(word)), None)
        if day is not None:
            by_date.setdefault(day, []).append(mask)
    return _Masks(by_stem, by_date)


def _words(stem: str) -> frozenset[str]:
    """The words of a stem; the parts of a date are one: `2020_01_31` is not made of `2020_01_01`'s words."""
    return frozenset(_DATE_IN_PARTS.sub(r"\1\2\3", stem).split("_"))


_DATE_IN_PARTS = re.compile(r"(?<!\d)((?:19|20)\d\d)_?(0[1-9]|1[0-2])_?(0[1-9]|[12]\d|3[01])(?!\d)")


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it may be entered, but not listed."""
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        return []


def _mask_folders(place: Path, entries: list[Path]) -> list[Path]:
    """Where masks of a folder with these entries lie apart: in `masks`, or in Sentinel-2's 20 m folder."""
    named = [f for f in entries if f.name.lower() == "masks" and f.is_dir()]
    beside = place.parent / "R20m"
    return named + ([beside] if beside.is_dir() and beside != place else [])


def find_references(source: str, target: Raster, watch: Watch) -> tuple[Reference, ...]:
    """References of a folder or a JSON list; the target itself is left out.

    A JSON list holds paths, or objects `{"path", "date", "masks": [{"path", "kind"}]}`; paths are
    relative to the file. To look into a folder's files is a stage of the watch, `list`.

    Raises:
        TerramendError: `references.missing`, `references.json`, `references.none`.
    """
    place = Path(source)
    if place.is_dir():
        found = _in_folder(place, target, watch)
    elif place.is_file():
        found = listed(place)
    else:
        raise TerramendError("references.missing", path=source)
    own = files_of(target)
    kept = tuple(reference for reference in found if not holds(reference, own))
    if not kept:
        raise TerramendError("references.none", path=source)
    return kept


def files_of(target: Raster) -> set[Path]:
    """The files that a raster is read from, also those behind a VRT."""
    return {file.resolve() for path in {band.path for band in target.bands} for file in local_files(path)}


def holds(reference: Reference, files: set[Path]) -> bool:
    """Whether a reference is one of these files, or a folder around one."""
    places = {Path(part).resolve() for part in split_paths(reference.path)}
    return any(not places.isdisjoint((file, *file.parents)) for file in files)


def listed(place: Path) -> tuple[Reference, ...]:
    """The references of a JSON list. Raises `references.json`."""
    try:
        items = json.loads(place.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise TerramendError("references.json", path=str(place), why=str(error)) from None
    if isinstance(items, dict):
        items = items.get("references")
    if not isinstance(items, list):
        raise TerramendError("references.json", path=str(place), why="it is no list")
    return tuple(_item(item, place) for item in items)


def _item(item: Any, place: Path) -> Reference:
    if isinstance(item, str):
        item = {"path": item}
    try:
        for mask in item.get("masks", ()):
            if not isinstance(mask, dict) or not (mask.get("path") or mask.get("kind") == "none"):
                raise ValueError(f"{mask!r} is no mask with a path")
        surplus = {*item, *(key for mask in item.get("masks", ()) for key in mask)} - KEYS
        if surplus:
            raise ValueError(f"{min(surplus)!r} is no key of a reference; they are {', '.join(sorted(KEYS))}")
        masks = tuple(
            Mask(_beside(m.get("path", ""), place), m.get("kind", "auto")) for m in item.get("masks", ())
        )
        path = SEPARATOR.join(_beside(part, place) for part in split_paths(item["path"]))
        if not path:
            raise ValueError(f"{item!r} has no path")
        if not all(map(is_text, [path, *(mask.path for mask in masks)])):
            raise ValueError(f"{item!r} holds a sign that is none in UTF-8")
        date = item.get("date")
        if date is not None:
            datetime.date.fromisoformat(date)
        unknown = [m.kind for m in masks if m.kind.split("=", 1)[0] not in MASK_KINDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no mask kind")
        return Reference(path, masks, date)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{item!r} is no reference"
        raise TerramendError("references.json", path=str(place), why=why) from error


def _beside(path: str, place: Path) -> str:
    """A path of a JSON list: as it is if absolute or GDAL's, else relative to the list."""
    if not path or path.startswith(("/", "http://", "https://")) or re.match(r"^[A-Za-z]\w+:", path):
        return path
    return str(place.parent / path)


def _in_folder(place: Path, target: Raster, watch: Watch) -> tuple[Reference, ...]:
    """Each product, and each date's raster files, as one reference.

    What Terramend filled itself is left out: estimates are no observations. Who wants them names them.
    """
    roles = {"optical", "thermal", *(target.bands[i].role for i in telling(target.bands))}
    own = _own_words(target)
    groups: dict[str, list[str]] = {}
    products = []
    entries = sorted(place.iterdir())
    watch.stage("list", len(entries))
    for entry in entries:
        watch.advance()
        if entry.name.startswith("."):
            continue
        if entry.is_dir() or _is_archive(entry.name):
            if _is_product(entry):
                products.append(Reference(str(entry)))
        elif entry.suffix.lower() not in ENDINGS or not _is_image(entry.stem, roles, own):
            continue
        elif not is_filled(str(entry)):
            groups.setdefault(_stem(entry.name), []).append(str(entry))
    lone = [Reference(SEPARATOR.join(files)) for files in groups.values()]
    return tuple(
        sorted(
            [*products, *lone], key=lambda r: (str(dates.date_in(Path(split_paths(r.path)[0]).name)), r.path)
        )
    )


def _is_image(stem: str, roles: Set[str], own: Set[str]) -> bool:
    """Whether a file's name speaks of an image of one of these roles, and not of what accompanies one."""
    if accompanies(stem, own) or mask_kind_of(stem) is not None:
        return False
    return role_of_file(stem) in roles


def _own_words(target: Raster) -> Set[str]:
    """Words of companions by which a target is called that is no image itself: other dates have them too."""
    if is_reflectance(target.bands):
        return set()
    names = " ".join(f"{Path(band.path).stem} {band.description}" for band in target.bands)
    own = {word.lower() for word in _COMPANION.findall(names)}
    return own | _RADAR if is_radar(names) else own


def accompanies(stem: str, own: Set[str] = frozenset()) -> bool:
    """Whether a file's name speaks of what goes with an image: terrain, radar, angles, by-products.

    Args:
        own: words that do not count.
    """
    return any(word.lower() not in own for word in _COMPANION.findall(stem))


TERRAIN_WORDS = r"(?:[a-z]*(?:dem|dsm|dtm)|srtm|elevation)(?:\d+m?)?"
"""Words that say elevation in the name of a file: `dem`, `CopDEM`, `NASADEM`, `dtm10m`."""
_SENTINEL = ("s", "sentinel", "sentinel-", "sentinel_")
_RADAR = {"sar", *(f"{word}1{satellite}" for word in _SENTINEL for satellite in ("", *"abcd"))}
"""Words that say radar, but not of which polarisation."""
RADAR_WORDS = "|".join(sorted(_RADAR))

_COMPANION = re.compile(
    rf"(?<![a-z0-9])({TERRAIN_WORDS}|slope|aspect|hillshade|{RADAR_WORDS}|vv|vh|radsat|aerosol|emis|emsd|"
    r"atran|cdist|drad|trad|urad|tci|aot|wvp|atb|saa|sza|vaa|vza|szen|vzen|raz|day_of_(?:the_)?year|"
    r"qc_500m|pixel_reliability|clear_(?:day|night)_cov|(?:day|night)_view_(?:angl|time)|"
    r"(?:zenith|azimuth)_angle|(?:lai|fpar)stddev|"
    r"std|provenance|truth|ql(?!_quality_cloud))(?![a-z0-9])",
    re.IGNORECASE,
)
"""Terrain, radar, products' by-products and angles, this software's own extra outputs, what checks a fill;
quick looks and layers of quality of EnMAP and DESIS, but for the masks of clouds and their shadows."""


def _is_archive(name: str) -> bool:
    return name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz"))


def _is_product(entry: Path) -> bool:
    """A Sentinel-2, Landsat, HLS or MAJA product by its name or its metadata file."""
    if re.search(r"\.SAFE|^S2[ABCD]_|^L[COTEM]0\d", entry.name):
        return True
    if entry.is_dir() and re.search(r"^HLS\.[LS]30\.|^SENTINEL2[ABCD]_\d{8}", entry.name):
        return True
    return entry.is_dir() and any(
        re.search(r"^MTD_MSIL|_MTL\.(txt|json|xml)$|_MTD_ALL\.xml$", f.name) for f in _entries(entry)
    )


@lru_cache(maxsize=8192)
def _stem(name: str) -> str:
    """A file name without ending, band and mask words: the same for all files of one date."""
    stem = name
    while PurePosixPath(stem).suffix.lower() in ENDINGS | {".xml"}:
        stem = stem[: -len(PurePosixPath(stem).suffix)]
    words = re.split(r"[_.\-]", stem.lower())
    return "_".join(w for w in words if w and w not in _MASK_WORDS and not _BAND.fullmatch(w))


_MASK_WORDS = frozenset(
    {"qa", "pixel", "bqa", "scl", "fmask", "mask", "masks", "cloud", "clouds", "cloudmask", "cloudprob"}
    | {"prob", "probability", "shadow", "cldprb", "msk", "clm", "udm2", "udm", "radsat", "aerosol"}
    | {"image", "img", "optical", "stack", "fre", "sre", "r1", "r2", "dn"}
    | {"gaps", "gap", "qa60", "quality", "pixelqa", "sr", "toa", "st", "boa", "refl", "cld", "classi", "b00"}
    | {"clp", "sur", "state"}
)

_BAND = re.compile(r"b\d{1,2}|b8a|band\d{1,2}|\d{2,3}m|\dkm|analyticms|analytic")
