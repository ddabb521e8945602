"""Tables from rows: one a track and gap kind, gains over the best single peer, intervals by place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.aligndiff.prompt import band_name
from ..terminal import counted
from .bootstrap import by_place, interval
from .cases import TRACKS, WITH_DATES
from .cost import Cost, Costs
from .metrics import LEVELS, rank_correlation
from .run import Results

KIND_ORDER = ("cloud", "blob", "stripes", "random", "own", "whole")
MEANS = (
    "psnr", "rmse", "mae", "bias", "sam", "ssim", "lpips", "seam", "sharp", "ndvi", "width90", "crps", "rank",
)  # fmt: skip
TITLES = {
    "S": "space only", "S-DEM": "space with a DEM", "T1": "one reference", "T2": "two references",
    "T4": "four references, both sides", "T4past": "four past references",
    "series": "up to twenty references to choose from", "R": "radar, no other date",
    "P": "real cloudy to clear pairs; truth is another date",
}  # fmt: skip
KIND_TITLES = {
    "cloud": "real cloud shapes", "blob": "one large blob", "stripes": "SLC-off stripes",
    "random": "random pixels", "own": "the scene's own cloud", "whole": "whole picture may change",
}  # fmt: skip

REMARKS = {
    "P": "The truth is another date: what changed in between counts as error, and no interval knows of it. "
    "With change: of intervals widened by how far the dates are apart where both are clear."
}
"""What the numbers of a track do not say by themselves."""

NO_COST = Cost(math.nan, math.nan)


@dataclass(frozen=True)
class Gain:
    """Mean gain in dB over a peer (by place), its 95 % interval, and the share of cases won."""

    peer: str
    mean: float
    low: float
    high: float
    won: float


@dataclass(frozen=True)
class Line:
    """One method in one table; `cases` of `of` it could do, `notes` on the others.

    `numbers`: see `MEANS`, by place. `bands`: RMSE of each by its common name, by place.
    `ranked`: rank correlation of std and error over all cases together.
    `seconds`, `megabytes`: a megapixel, NaN where not measured; `over`: more than that (see `cost`).
    """

    method: str
    title: str
    group: str
    cases: int
    of: int
    places: int
    numbers: dict[str, float]
    bands: dict[str, float]
    coverage: dict[float, float]
    ranked: float
    seconds: float
    megabytes: float
    over: bool
    gain: Gain | None
    against: tuple[Gain, ...]
    notes: tuple[str, ...]

    @property
    def least(self) -> float:
        """Lowest end of the intervals of the gain over every peer."""
        return min((gain.low for gain in self.against), default=math.nan)


@dataclass(frozen=True)
class Table:
    """One track and gap kind; `best`: the peer with the highest mean PSNR that did all cases.

    `lines`: the highest PSNR first, but after those that did every case those that did a part, oracles last.
    """

    track: str
    kind: str
    cases: int
    places: int
    best: str
    lines: tuple[Line, ...]


def tables(results: Results, costs: Costs | None = None) -> list[Table]:
    """Every track and kind that has rows, in the order of the design."""
    made = []
    for track in TRACKS:
        for kind in KIND_ORDER:
            rows = [row for row in results.rows if row["track"] == track and row["kind"] == kind]
            if any("psnr" in row for row in rows):
                made.append(_table(track, kind, rows, results, costs or {}))
    return made


def _table(track: str, kind: str, rows: Sequence[dict[str, Any]], results: Results, costs: Costs) -> Table:
    cases = {row["case"]: row["place"] for row in rows}
    by_method = {
        method.name: {row["case"]: row for row in rows if row["method"] == method.name and "psnr" in row}
        for method in results.methods
    }
    whole = {name: _mean(done, "psnr") for name, done in by_method.items() if len(done) == len(cases)}
    peers = [method.name for method in results.methods if method.peer and method.name in whole]
    best = max(peers, key=lambda name: whole[name], default="")
    lines = []
    for method in results.methods:
        done = by_method[method.name]
        if not done:
            continue
        rivals = [peer for peer in peers if peer != method.name]
        cost = costs.get((method.name, track in WITH_DATES and "references" in method.uses), NO_COST)
        against = tuple(_gain(done, by_method[peer], peer) for peer in rivals)
        lines.append(
            Line(
                method=method.name,
                title=method.title,
                group=method.group,
                cases=len(done),
                of=len(cases),
                places=len({row["place"] for row in done.values()}),
                numbers={name: _mean(done, name) for name in MEANS},
                bands=_bands(done),
                coverage=_coverage(done.values()),
                ranked=_ranked(done),
                seconds=cost.seconds,
                megabytes=cost.megabytes,
                over=cost.over,
                gain=next((gain for gain in against if gain.peer == best), None),
                against=against,
                notes=_notes(rows, method.name),
            )
        )
    lines.sort(key=lambda line: (line.group == "oracle", line.cases < line.of, -line.numbers["psnr"]))
    return Table(track, kind, len(cases), len(set(cases.values())), best, tuple(lines))


def rivals(table: Table) -> list[tuple[str, str]]:
    """Pairs of one of ours and a peer that is both quicker and better than it, on all cases."""
    whole = [line for line in table.lines if line.cases == line.of and math.isfinite(line.seconds)]
    return [
        (one.method, peer.method)
        for one in whole
        if one.group == "ours"
        for peer in whole
        if peer.group in ("space", "time")
        and peer.seconds < one.seconds
        and peer.numbers["psnr"] > one.numbers["psnr"]
    ]


def _is_timed(table: Table) -> bool:
    """Whether methods of ours and peers have costs in it."""
    groups = {line.group for line in table.lines if math.isfinite(line.seconds)}
    return "ours" in groups and not groups.isdisjoint({"space", "time"})


def verdict(made: Sequence[Table]) -> str:
    """Whether a peer is both quicker and better than one of ours, in one paragraph.

    Empty where no table has both, with their costs.
    """
    timed = [table for table in made if _is_timed(table)]
    if not timed:
        return ""
    found = {f"{table.track} {table.kind}": rivals(table) for table in timed}
    beaten = {name: pairs for name, pairs in found.items() if pairs}
    good = f"In {len(found) - len(beaten)} of {len(found)} tables"
    told = f"{good} no peer is both quicker and better than one of ours."
    parts = [f"{name}: {', '.join(f'{p} beats {o}' for o, p in pairs)}" for name, pairs in beaten.items()]
    return " ".join([told, *([f"In the others: {'; '.join(parts)}."] if parts else [])])


@dataclass(frozen=True)
class Pooled:
    """One of ours over all tables.

    Attributes:
        method, title: its names. won, cases: of clouds with other dates or a DEM.
        within90: track -> share of errors inside 90 % intervals, over all kinds of gap.
        with_change: the same where the truth is another date, of intervals that are widened by what the
            dates differ by where both are clear.
    """

    method: str
    title: str
    won: int
    cases: int
    within90: dict[str, float]
    with_change: dict[str, float]


def pooled(made: Sequence[Table], results: Results) -> list[Pooled]:
    """What tables say together, of each of ours that is in one."""
    told = []
    for method in (method for method in results.methods if method.group == "ours"):
        lines = [(table, line) for table in made for line in table.lines if line.method == method.name]
        clouds = [
            (line.gain.won, line.cases)
            for table, line in lines
            if table.kind == "cloud" and table.track in (*WITH_DATES, "S-DEM") and line.gain
        ]
        rows = [row for row in results.rows if row["method"] == method.name]
        won, cases = round(sum(share * count for share, count in clouds)), sum(count for _, count in clouds)
        tracks = dict.fromkeys(table.track for table, _ in lines)
        within, changed = (_within90(rows, tracks, hits) for hits in ("hits", "hits_with_change"))
        if cases or within:
            told.append(Pooled(method.name, method.title, won, cases, within, changed))
    return told


def _within90(rows: Sequence[dict[str, Any]], tracks: Iterable[str], hits: str) -> dict[str, float]:
    held = {track: _coverage([row for row in rows if row["track"] == track], hits) for track in tracks}
    return {track: cover[0.9] for track, cover in held.items() if cover}


def sentences(told: Sequence[Pooled]) -> list[str]:
    """Of each of ours one, and a remark where a track needs one."""
    made = []
    for one in told:
        parts = []
        if one.cases:
            share = f"{one.won / one.cases:.1%}"
            parts.append(f"{one.won} of {one.cases} cloud cases with other dates or a DEM won ({share})")
        if one.within90:
            changed = {track: f" (with change {share:.0%})" for track, share in one.with_change.items()}
            covered = ", ".join(f"{t} {share:.0%}{changed.get(t, '')}" for t, share in one.within90.items())
            parts.append(f"90 % intervals hold, over all kinds of gap of a track: {covered}")
        made.append(f"{one.title}: {'; '.join(parts)}.")
    tracks = dict.fromkeys(track for one in told for track in one.within90)
    return made + [f"{track}: {REMARKS[track]}" for track in tracks if track in REMARKS]


def missed(table: Table) -> list[str]:
    """Why one of ours did not do every case of a table."""
    return [f"{line.method}: {note}" for line in table.lines if line.group == "ours" for note in line.notes]


def idle(results: Results) -> list[str]:
    """Methods that did no case at all, and why; no table shows them."""
    done = {row["method"] for row in results.rows if "psnr" in row}
    names = [method.name for method in results.methods if method.name not in done]
    told = {name: _notes(results.rows, name) or ("no case of these tracks is for it",) for name in names}
    return [f"{name} is in no table: {'; '.join(notes)}" for name, notes in told.items()]


def _notes(rows: Sequence[dict[str, Any]], method: str) -> tuple[str, ...]:
    found = [" ".join(row["note"].split()) for row in rows if row["method"] == method and "note" in row]
    return tuple(f"{found.count(note)} x {note}" for note in dict.fromkeys(found))


def _mean(done: dict[str, dict[str, Any]], name: str) -> float:
    pairs = [(row[name], row["place"]) for row in done.values() if _number(row.get(name))]
    return by_place(*zip(*pairs, strict=True)) if pairs else math.nan


def _bands(done: dict[str, dict[str, Any]]) -> dict[str, float]:
    """RMSE by the common name of a band: sensors number theirs differently."""
    found: dict[str, list[tuple[float, str]]] = {}
    for row in done.values():
        for band, value in zip(row["bands"], row["band_rmse"], strict=True):
            found.setdefault(band_name(*band), []).append((value, row["place"]))
    return {name: by_place(*zip(*pairs, strict=True)) for name, pairs in found.items()}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _gain(done: dict[str, dict[str, Any]], peer: dict[str, dict[str, Any]], name: str) -> Gain:
    common = [case for case in done if case in peer]
    differences = [done[case]["psnr"] - peer[case]["psnr"] for case in common]
    places = [done[case]["place"] for case in common]
    low, high = interval(differences, places)
    return Gain(name, by_place(differences, places), low, high, float(np.mean(np.array(differences) > 0)))


def _coverage(done: Iterable[dict[str, Any]], hits: str = "hits") -> dict[float, float]:
    """Share of all scored samples inside each nominal interval, pooled over cases."""
    rows = [row for row in done if hits in row]
    if not rows:
        return {}
    weights = [row["samples"] * row["std_share"] for row in rows]
    pooled = np.average([row[hits] for row in rows], axis=0, weights=weights)
    return dict(zip(LEVELS, pooled.tolist(), strict=True))


def _ranked(done: dict[str, dict[str, Any]]) -> float:
    """Rank correlation of std with the error over all cases together, as many samples of each."""
    rows = [row for row in done.values() if "stated" in row]
    if not rows:
        return math.nan
    stated, missed = (np.concatenate([row[name] for row in rows]) for name in ("stated", "missed"))
    return rank_correlation(stated, missed)


HEADS = (
    ("PSNR", 6), ("gain [95 %]", 22), ("won", 5), ("least", 6), ("RMSE", 6), ("MAE", 6), ("SAM", 5),
    ("SSIM", 5), ("LPIPS", 5), ("seam", 5), ("sharp", 5), ("NDVI", 5), ("c50", 3), ("c80", 3), ("c90", 3),
    ("c95", 3), ("width", 6), ("CRPS", 6), ("rank", 5), ("all", 5), ("s/Mpx", 6), ("MB/Mpx", 6), ("n", 4),
)  # fmt: skip
"""Columns of the tables and how wide they print."""
_DIGITS = {"rmse": 4, "mae": 4, "sam": 2, "ssim": 3, "lpips": 3, "seam": 2, "sharp": 2, "ndvi": 3}


def cell(value: float, digits: int) -> str:
    """A number as text, a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _more(over: bool, text: str) -> str:
    return f">{text}" if over and text != "-" else text


def cells(line: Line) -> list[str]:
    """A line's numbers as text, in the order of `HEADS`."""
    numbers, gain = line.numbers, line.gain
    told = f"{gain.mean:+.2f} [{cell(gain.low, 2)}, {cell(gain.high, 2)}]" if gain else "-"
    covered = [f"{100 * line.coverage[c]:.0f}" if line.coverage else "-" for c in (0.5, 0.8, 0.9, 0.95)]
    return [
        cell(numbers["psnr"], 2), told, f"{gain.won:.0%}" if gain else "-", cell(line.least, 2),
        *(cell(numbers[name], digits) for name, digits in _DIGITS.items()), *covered,
        cell(numbers["width90"], 4), cell(numbers["crps"], 4), cell(numbers["rank"], 2),
        cell(line.ranked, 2),
        _more(line.over, cell(line.seconds, 2)), _more(line.over, cell(line.megabytes, 0)), str(line.cases),
    ]  # fmt: skip


def _text(line: Line) -> str:
    parts = [text.rjust(width) for text, (_, width) in zip(cells(line), HEADS, strict=True)]
    return " ".join([f"{line.title[:36]:36s}", *parts])


def text(made: Sequence[Table], results: Results) -> str:
    """The tables as they are printed, and what they say together."""
    parts = []
    names = " ".join([f"{'method':36s}", *(name.rjust(width) for name, width in HEADS)])
    for table in made:
        head = f"{table.track} ({TITLES[table.track]}), {KIND_TITLES[table.kind]}: "
        head += f"{counted(table.cases, 'case')}, {counted(table.places, 'place')}"
        below = [
            *([REMARKS[table.track]] if table.track in REMARKS else []),
            *(f"! {m}" for m in missed(table)),
        ]
        parts.append("\n".join([head, names, *(_text(line) for line in table.lines), *below]))
    absent = "\n".join(f"! {told}" for told in idle(results))
    together = "\n".join(sentences(pooled(made, results)))
    return "\n\n".join(filter(None, [*parts, absent, together, verdict(made), NOTE]))


NOTE = """Numbers are of hidden pixels alone: means over places of means over a place's cases. PSNR in dB,
range 1. n: cases done; a method that did fewer than the table has stands below those that did all, and its
means are of other cases than theirs. gain: over the best single peer of the table (highest PSNR of those
that did every case), with the 95 % interval from drawing places; won: share of cases better than it; least:
lowest end of the intervals of the gain over every such peer. seam, sharp: 1 is ideal. c50..c95: per cent of
errors inside those intervals, pooled; width: of the 90 % interval; rank: correlation of the ranks of std
and error within a case, all: over all cases of the table together. s/Mpx, MB/Mpx: processor seconds on one
thread and highest growth of memory, each method alone in a process that fills one case mirrored to a
megapixel, with its other dates in tracks that have any; >: stopped there. LPIPS: on one cloud case a place.
Oracles saw the truth. With two or three places an interval is little more than their range. Peers run with
the settings that were best on train."""
