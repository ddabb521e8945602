"""Making a recipe from any folder of scenes: targets, windows, gaps and references are drawn by seed.

Real cloud shapes are the masks found in the same folder, so what `val` is tested with was never
seen in `train`.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..datasets.catalog import left_out, places, source_files
from ..datasets.gaps import Gap
from ..datasets.place import Date, Place
from ..errors import TerramendError
from ..watch import Watch
from .cases import Case, Other, Recipe, View, bits, digest, fingerprint, mask_at, place_at, used

WINDOW = 192
"""Pixels a case is high and wide, at most."""
PER_PLACE = {"cloud": 6, "blob": 3, "stripes": 2, "random": 5}
PER_SERIES = {"cloud": 12, "blob": 5, "stripes": 3, "random": 5}
MANY = 12
"""Data sets of more places than this are thinned to it, with one cloud and one other gap each."""
CLEAR, USABLE = 0.02, 0.6
"""A target hides at most this share of itself; a reference less than that share."""
STRATA = ((0.1, 0.2), (0.2, 0.35), (0.35, 0.5))
"""Shares of the window that cloud gaps cycle through."""
FRACTIONS = (0.1, 0.3, 0.5, 0.2, 0.4)
LONG = 8
"""Usable dates from which a place counts as a series."""
MAX_SERIES = 20

MAX_ZOOM = 3
"""Pixels that one pixel of a small mask may become; more would be no real cloud any more."""

Shape = tuple[str, str, str, int, int]


def make_cases(root: Path, split: str, seed: int = 2026, watch: Watch | None = None) -> Recipe:
    """A recipe for everything under `root` (see `datasets.catalog.places`).

    Files of a user's own folders that are left out, and that no case has a real cloud, are told to `watch`.

    Raises:
        TerramendError: `evaluate.empty`, nothing there can be a case.
    """
    watch = watch or Watch()
    shapes: list[Shape] = []
    found: list[tuple[str, str]] = []
    for dataset, name in places(root):
        watch.check()
        place = place_at(root, dataset, name)
        for notice in left_out(root, dataset, name):
            watch.notice(notice.code, **notice.arguments)
        for date in place.dates:
            if 0.05 <= date.gaps.mean() <= 0.9:  # more than a target hides, so none is cut from itself
                shapes.append((dataset, name, date.name, *mask_at(root, dataset, name, date.name).shape))
        if place.bands and (place.pairs or _targets(place)):
            found.append((dataset, name))
    cases: list[Case] = []
    for dataset, name in _thinned(found, seed):
        watch.check()
        many = sum(d == dataset for d, _ in found) > MANY
        cases += _of_place(root, dataset, name, shapes, seed, many)
    if not cases:
        raise TerramendError("evaluate.empty", root=str(root))
    if all(case.gap.kind in ("blob", "stripes", "random") for case in cases):
        watch.notice("evaluate.no-clouds", root=str(root))
    named = {name for case in cases for view in case.tracks.values() for name in used(case, view)}
    sources = {name: fingerprint(source_files(root, *name.split("/", 1))) for name in sorted(named)}
    return Recipe(split, seed, sources, tuple(cases))


def _thinned(found: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    kept = []
    for dataset in dict.fromkeys(dataset for dataset, _ in found):
        names = [name for d, name in found if d == dataset]
        if len(names) > MANY:
            rng = np.random.default_rng([seed, zlib.crc32(dataset.encode())])
            names = sorted(rng.choice(names, MANY, replace=False).tolist())
        kept += [(dataset, name) for name in names]
    return kept


def _targets(place: Place) -> list[Date]:
    """Dates that are clear by their mask and, in a series, not brighter than clear ones are.

    Masks miss thin cloud: in a series, a date whose first band is half again as bright as the
    median of the clear dates is no truth.
    """
    paired = {cloudy for cloudy, _ in place.pairs}
    clear = [d for d in place.dates if len(d.image) and d.gaps.mean() <= CLEAR and d.name not in paired]
    if len(clear) >= LONG:
        level = [float(np.nanmean(date.image[0])) for date in clear]
        limit = 1.5 * float(np.median(level))
        clear = [date for date, value in zip(clear, level, strict=True) if value <= limit]
    return clear


def _windows(place: Place) -> list[tuple[int, int, int, int]]:
    sides = []
    for length in place.shape:
        size = min(length, WINDOW)
        count = max(length // WINDOW, 1)
        starts = np.linspace(0, length - size, count).astype(int) if count > 1 else [(length - size) // 2]
        sides.append([(int(start), size) for start in starts])
    return [(row, column, height, width) for row, height in sides[0] for column, width in sides[1]]


def _of_place(root: Path, dataset: str, name: str, shapes: list[Shape], seed: int, many: bool) -> list[Case]:
    rng = np.random.default_rng([seed, zlib.crc32(f"{dataset}/{name}".encode())])
    place = place_at(root, dataset, name)
    pairs = (_real_pair(root, place, cloudy, clear) for cloudy, clear in place.pairs)
    cases = [case for case in pairs if case is not None]
    targets = _targets(place) if not place.scale.startswith("display") else []
    if not targets:
        return cases
    every = [(target, window) for window in _windows(place) for target in targets]
    shown = [(target, window) for target, window in every if _observed(target, window)] or every
    counts = dict(PER_SERIES if len(targets) >= LONG else PER_PLACE)
    if many:
        counts = {"cloud": 1, ("blob", "stripes", "random")[zlib.crc32(name.encode()) % 3]: 1}
    order = rng.permutation(len(shown))
    number = int(rng.integers(1000))
    for kind, count in counts.items():
        for index in range(count):
            target, window = shown[int(order[(index + (0 if kind == "cloud" else 3)) % len(order)])]
            gap = _gap(kind, number + index, window[2:], shapes, root, rng)
            if gap is None:
                continue
            hidden = digest(bits(gap, window[2:], root))
            tracks = _tracks(place, target, shapes, window[2:], root, rng)
            label = f"{dataset}/{name}/{kind}{index}"
            cases.append(Case(label, dataset, name, target.name, target.name, window, gap, hidden, tracks))
    return cases


def _observed(date: Date, window: tuple[int, int, int, int]) -> bool:
    row, column, height, width = window
    return bool(date.gaps[row : row + height, column : column + width].mean() <= 0.3)


def _real_pair(root: Path, place: Place, cloudy: str, clear: str) -> Case | None:
    """The real cloud of a published pair; without a mask the whole picture may be changed."""
    gaps, window = place.date(cloudy).gaps, _windows(place)[0]
    row, column, height, width = window
    inside = gaps[row : row + height, column : column + width]
    whole = bool(gaps.all()) and place.scale.startswith("display")
    if not whole and not 0.01 <= inside.mean() <= 0.8:
        return None
    gap = Gap("whole" if whole else "own")
    view = View(sar=place.date(cloudy).sar is not None)
    hidden = digest(bits(gap, (height, width), root, inside))
    label = f"{place.dataset}/{place.name}/real"
    return Case(label, place.dataset, place.name, cloudy, clear, window, gap, hidden, {"P": view})


def _gap(
    kind: str, number: int, shape: tuple[int, int], shapes: list[Shape], root: Path, rng: np.random.Generator
) -> Gap | None:
    seed = int(rng.integers(2**31))
    if kind == "cloud":
        return cloud_gap(shapes, shape, STRATA[number % len(STRATA)], root, rng)
    if kind == "blob":
        return Gap(kind, seed, round(float(rng.uniform(0.2, 0.5)), 3))
    return Gap(kind, seed, FRACTIONS[number % len(FRACTIONS)] if kind == "random" else 0.0)


def cloud_gap(
    shapes: list[Shape],
    shape: tuple[int, int],
    share: tuple[float, float],
    root: Path,
    rng: np.random.Generator,
) -> Gap | None:
    """A real cloud shape that hides about `share` of the window; None if the folder has none."""
    usable = [e for e in shapes if min(e[3:]) * MAX_ZOOM >= max(shape)]
    best: tuple[float, Gap | None] = (np.inf, None)
    for _ in range(60 if usable else 0):
        dataset, name, date, height, width = usable[int(rng.integers(len(usable)))]
        turn = int(rng.integers(8))
        if turn % 2:
            height, width = width, height
        zoom = max(-(-shape[0] // height), -(-shape[1] // width))
        gap = Gap("cloud", source=(dataset, name, date), turn=turn, zoom=zoom)
        gap = replace(
            gap,
            row=int(rng.integers(height * zoom - shape[0] + 1)),
            column=int(rng.integers(width * zoom - shape[1] + 1)),
        )
        found = float(bits(gap, shape, root).mean())
        miss = max(share[0] - found, found - share[1], 0.0)
        if miss < best[0]:
            best = (miss, gap)
        if not miss:
            break
    return best[1] if best[0] < 0.1 else None


def _tracks(
    place: Place,
    target: Date,
    shapes: list[Shape],
    shape: tuple[int, int],
    root: Path,
    rng: np.random.Generator,
) -> dict[str, View]:
    """Every track that the place can serve for this target."""
    tracks = {"S": View()}
    if place.elevation is not None:
        tracks["S-DEM"] = View(terrain=True)
    if target.sar is not None:
        tracks["R"] = View(sar=True)
    others = [d for d in place.dates if d.name != target.name and len(d.image) and d.gaps.mean() < USABLE]
    for track, chosen in _chosen(target, others).items():
        clouded = track in ("T4", "T4past", "series")
        entries = []
        for date in chosen:
            extra = None
            if clouded and date.gaps.mean() < 0.05 and rng.random() < 0.5:
                share = STRATA[int(rng.integers(len(STRATA)))]
                extra = cloud_gap(shapes, shape, share, root, rng)
            entries.append(Other(date.name, extra))
        tracks[track] = View(tuple(entries))
    return tracks


def _chosen(target: Date, others: list[Date]) -> dict[str, list[Date]]:
    """References of each track: nearest in time, on both sides where there are days."""
    if target.day is None or any(date.day is None for date in others):
        return {f"T{count}": others[:count] for count in (1, 2, 4) if len(others) >= count}
    gaps = {date.name: (date.day - target.day).days for date in others if date.day}
    near = sorted(others, key=lambda date: (abs(gaps[date.name]), date.name))
    past = [date for date in near if gaps[date.name] < 0]
    future = [date for date in near if gaps[date.name] > 0]
    chosen = {}
    for count in (1, 2, 4):
        if len(near) >= count:
            both = [*past[: count // 2], *future[: count // 2]] if count > 1 else near[:1]
            more = [date for date in near if date not in both]
            chosen[f"T{count}"] = sorted(
                [*both, *more[: count - len(both)]], key=lambda date: gaps[date.name]
            )
    if len(past) >= 4:
        chosen["T4past"] = past[:4][::-1]
    if len(near) >= LONG:
        chosen["series"] = sorted(near[:MAX_SERIES], key=lambda date: gaps[date.name])
    return chosen
