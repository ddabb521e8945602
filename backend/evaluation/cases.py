"""Cases as data: which place, date, window, gap and references; read, written, hashed, made into tiles.

A recipe holds no pixels, only names and the SHA-256 of what they name, so it can lie in the
repository and give everybody the same test.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.base import About, Flags, Floats, Reference, Tile
from ..datasets.catalog import read_place, source_files
from ..datasets.gaps import KINDS, Gap, grown, make
from ..datasets.place import Date, Place
from ..errors import TerramendError
from .terrain import channels

TRACKS = ("S", "S-DEM", "T1", "T2", "T4", "T4past", "series", "R", "P")
"""What a method may use: nothing but the scene; a DEM; 1, 2, 4 references on both sides; four
past ones; up to 20 to choose from; radar; P: real cloud, truth is another date. Never mixed."""
WITH_DATES = ("T1", "T2", "T4", "T4past", "series")
"""Tracks in which other dates are given."""


@dataclass(frozen=True)
class Other:
    """A reference: its date, and a cloud laid over it beside its own gaps, or none."""

    date: str
    extra: Gap | None = None


@dataclass(frozen=True)
class View:
    """What one track gives to the method."""

    references: tuple[Other, ...] = ()
    terrain: bool = False
    sar: bool = False


@dataclass(frozen=True)
class Case:
    """One gap to fill and its truth.

    Attributes:
        name: unique in its recipe. dataset, place: as `datasets.catalog` knows them.
        target, truth: dates; they differ in track P alone.
        window: row, column, height, width in the place.
        gap: what is hidden. sha256: of the gap's bits (first 16 hex digits).
        tracks: track -> what it gives.
    """

    name: str
    dataset: str
    place: str
    target: str
    truth: str
    window: tuple[int, int, int, int]
    gap: Gap
    sha256: str = ""
    tracks: Mapping[str, View] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """Cases of one split, and the SHA-256 of the files of every `dataset/place` they use."""

    split: str
    seed: int
    sources: Mapping[str, str]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Sample:
    """A case of one track, ready to be filled.

    Attributes:
        tile: what the method sees. truth: (B, H, W), NaN where not known.
        scored: (H, W) bool, the hidden pixels whose truth is known.
        original: (B, H, W) the target with its clouds, for the do-nothing row of track P.
        bands: names of the bands.
        change: (B,) how far apart truth and target are where both are clear (root mean square); None
            where they are one date, or nothing is clear in both.
    """

    tile: Tile
    truth: Floats
    scored: Flags
    original: Floats
    bands: tuple[str, ...]
    change: Floats | None = None


# --- JSON -------------------------------------------------------------------------------


def _lean(value: Any) -> Any:
    """Without what equals the default: zeros, empty tuples, None, False."""
    if isinstance(value, dict):
        return {k: _lean(v) for k, v in value.items() if v not in (None, 0, 0.0, "", (), False)}
    if isinstance(value, (tuple, list)):
        return [_lean(item) for item in value]
    return value


def save(recipe: Recipe, path: Path) -> None:
    """Write the recipe, one case a line."""
    head = {"schema": 1, "split": recipe.split, "seed": recipe.seed, "sources": dict(recipe.sources)}
    lines = ",\n".join(json.dumps(_row(case), separators=(",", ":")) for case in recipe.cases)
    path.write_text(json.dumps(head, indent=1)[:-2] + f',\n "cases": [\n{lines}\n]\n}}\n')


def _row(case: Case) -> dict[str, Any]:
    row = _lean({**asdict(case), "tracks": None, "window": None})
    row["window"] = list(case.window)
    row["tracks"] = {track: _lean(asdict(view)) for track, view in case.tracks.items()}
    return row


def load(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        TerramendError: `evaluate.recipe`, the file is not one.
    """
    try:
        stored = json.loads(path.read_text())
        cases = tuple(_case(row) for row in stored["cases"])
        recipe = Recipe(stored["split"], int(stored["seed"]), stored["sources"], cases)
        for case in cases:
            if not _is_sound(case, recipe):
                raise ValueError(f"an entry of {case.name!r} is not what it should be")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TerramendError("evaluate.recipe", path=str(path), why=str(error)) from error
    return recipe


def _is_sound(case: Case, recipe: Recipe) -> bool:
    """Whether every entry is of its kind and in its range, and the data that it names are listed."""
    views = tuple(case.tracks.values())
    others = [other for view in views for other in view.references]
    gaps = [case.gap, *(other.extra for other in others if other.extra)]
    texts = [recipe.split, case.name, case.dataset, case.place, case.target, case.truth, case.sha256]
    texts += [other.date for other in others] + [text for gap in gaps for text in gap.source or ()]
    counts = [*case.window, *(n for gap in gaps for n in (gap.seed, gap.row, gap.column, gap.turn, gap.zoom))]
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(count) is int and count >= 0 for count in counts)
        and all(isinstance(switch, bool) for view in views for switch in (view.terrain, view.sar))
        and len(case.window) == 4
        and min(case.window[2:]) > 0
        and all(gap.kind in (*KINDS, "own", "whole") and gap.zoom > 0 for gap in gaps)
        and all(len(gap.source or ()) == 3 * (gap.kind == "cloud") for gap in gaps)
        and all(type(gap.fraction) in (int, float) and 0 <= gap.fraction <= 1 for gap in gaps)
        and set(case.tracks) <= set(TRACKS)
        and all(isinstance(recipe.sources[name], str) for view in views for name in used(case, view))
    )


def _gap(stored: Mapping[str, Any]) -> Gap:
    source = stored.get("source")
    return Gap(**{**stored, "source": tuple(source) if source else None})


def _case(row: Mapping[str, Any]) -> Case:
    tracks = {
        track: View(
            tuple(
                Other(other["date"], _gap(other["extra"]) if "extra" in other else None)
                for other in view.get("references", ())
            ),
            view.get("terrain", False),
            view.get("sar", False),
        )
        for track, view in row["tracks"].items()
    }
    fixed = {"window": tuple(row["window"]), "gap": _gap(row["gap"]), "tracks": tracks}
    return Case(**{**row, **fixed})


def key(case: Case, view: View, sources: Mapping[str, str]) -> str:
    """SHA-256 of everything that a row's numbers depend on beside the method."""
    hashes = [sources[name] for name in used(case, view)]
    what = [_row(replace(case, name="", tracks={})), _lean(asdict(view)), hashes]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def used(case: Case, view: View) -> tuple[str, ...]:
    """`dataset/place` of the case itself, then of the places whose clouds are laid over it."""
    clouds = {f"{gap.source[0]}/{gap.source[1]}" for gap in _gaps(case, view) if gap.source}
    return f"{case.dataset}/{case.place}", *sorted(clouds)


def _gaps(case: Case, view: View) -> list[Gap]:
    return [case.gap, *(other.extra for other in view.references if other.extra)]


def fingerprint(paths: list[Path]) -> str:
    """SHA-256 over the contents of files, in the given order."""
    sha = hashlib.sha256()
    for path in paths:
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


def verify(recipe: Recipe, root: Path) -> None:
    """Check that the files under `root` are those that the recipe was made from.

    Raises:
        TerramendError: `evaluate.data`, one is missing or differs.
    """
    for name, expected in recipe.sources.items():
        dataset, _, place = name.partition("/")
        try:
            found = fingerprint(source_files(root, dataset, place))
        except (OSError, KeyError):
            found = "missing"
        if found != expected:
            raise TerramendError("evaluate.data", name=name, root=str(root))


# --- pixels -----------------------------------------------------------------------------


@functools.lru_cache(maxsize=6)
def place_at(root: Path, dataset: str, name: str) -> Place:
    """`read_place`, kept for the next cases of the same place."""
    return read_place(root, dataset, name)


@functools.lru_cache(maxsize=2048)
def mask_at(root: Path, dataset: str, name: str, date: str) -> Flags:
    """(H, W) bool: a date's own mask, kept: shapes are drawn from many places."""
    return place_at(root, dataset, name).date(date).gaps


def bits(gap: Gap, shape: tuple[int, int], root: Path, own: Flags | None = None) -> Flags:
    """(H, W) bool of a gap in a window of `shape`; `own`: the date's mask in that window."""
    mask = own
    if gap.source is not None:
        mask = mask_at(root, *gap.source)
    return make(gap, shape, mask)


def digest(flags: Flags) -> str:
    """First 16 hex digits of the SHA-256 of a mask's shape and bits."""
    return hashlib.sha256(repr(flags.shape).encode() + np.packbits(flags).tobytes()).hexdigest()[:16]


def sample(case: Case, track: str, root: Path) -> Sample:
    """The case as one track gives it.

    Raises:
        TerramendError: `evaluate.data` where the data have not what the case names, `evaluate.gap` where the
            gap's bits are not those of the recipe.
    """
    try:
        return _sampled(case, case.tracks[track], root)
    except KeyError as error:  # a date
        raise TerramendError("evaluate.data", name=case.name, root=str(root)) from error


def _sampled(case: Case, view: View, root: Path) -> Sample:
    place = place_at(root, case.dataset, case.place)
    row, column, height, width = case.window
    cut = (slice(row, row + height), slice(column, column + width))
    target, truth = place.date(case.target), place.date(case.truth)
    own = target.gaps[cut]
    if own.shape != (height, width):
        raise TerramendError("evaluate.data", name=case.name, root=str(root))
    hidden = bits(case.gap, (height, width), root, own)
    if case.sha256 and digest(hidden) != case.sha256:
        raise TerramendError("evaluate.gap", case=case.name)
    original = target.image[(slice(None), *cut)]
    known = truth.image[(slice(None), *cut)]
    scored = hidden & np.isfinite(known).all(0)
    if case.truth == case.target:
        scored &= ~own
    gone = hidden | own
    image = np.where(gone, np.float32(np.nan), original)
    references = tuple(_reference(place, target, other, cut, root) for other in view.references)
    terrain = channels(place.elevation, place.pixel_size, place.sun) if view.terrain else None
    tile = Tile(
        image=image,
        gaps=np.broadcast_to(gone, image.shape).copy(),
        references=references,
        terrain=None if terrain is None else np.ascontiguousarray(terrain[(slice(None), *cut)]),
        sar=_radar(target, cut) if view.sar else None,
        pixel_size=place.pixel_size,
        wavelengths=place.wavelengths,
        about=About(place.centre, target.day, place.bands),
    )
    change = None if case.truth == case.target else _change(known - image)
    return Sample(tile, known, scored, original, place.bands, change)


def _change(difference: Floats) -> Floats | None:
    """(B,) root mean square of a (B, H, W) where all bands are known."""
    known = np.isfinite(difference).all(0)
    return np.sqrt(np.mean(np.square(difference[:, known]), axis=1)) if known.any() else None


def _radar(date: Date, cut: tuple[slice, slice]) -> Floats | None:
    return None if date.sar is None else np.ascontiguousarray(date.sar[(slice(None), *cut)])


def _reference(place: Place, target: Date, other: Other, cut: tuple[slice, slice], root: Path) -> Reference:
    date = place.date(other.date)
    gaps = grown(date.gaps)[cut]
    if other.extra is not None:
        shape = (gaps.shape[0], gaps.shape[1])
        gaps = gaps | bits(other.extra, shape, root, date.gaps[cut])
    image = np.where(gaps, np.float32(np.nan), date.image[(slice(None), *cut)])
    days = (date.day - target.day).days if date.day and target.day else None
    return Reference(image, days, other.date)
