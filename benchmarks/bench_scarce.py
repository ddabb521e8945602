"""How dates are filled of which little or nothing was observed, as most dates of a series are.

Of places with three dates or more, clear dates (four a place, spread over time) lose all but a blob of their
pixels and are filled from the dates nearest in time, with their own gaps. Errors are RMSE over the standard
deviation of the dates' own pixels, band by band, so that places and bands count alike: geometric means over
places of those over dates. Beside them what the 90 % intervals of `guided` hold.

    python benchmarks/bench_scarce.py --data ../shared/data/val
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from terramend.backend.datasets import catalog, gaps
from terramend.backend.datasets.place import Date, Place
from terramend.models.base import Flags, Floats, Reference, Tile
from terramend.models.planes import everywhere
from terramend.models.registry import find

METHODS = {"guided": "guided", "line": "time-linear", "copy": "copy"}
CLEAR, MOST = 0.02, 0.6  # shares of gaps: of a date whose truth is known, and of one to fill from
DATES = 4


def targets(place: Place) -> list[Date]:
    """At most `DATES` clear dates, spread over time."""
    known = [
        d for d in place.dates if d.day and d.gaps.mean() < CLEAR and everywhere(d.image).mean() > 1 - CLEAR
    ]
    step = max(1, len(known) // DATES)
    return known[step // 2 :: step][:DATES]


def references(place: Place, target: Date, count: int) -> tuple[Reference, ...]:
    """The dates nearest in time, NaN where their own masks say so."""
    found = []
    for date in place.dates:
        if date.day and target.day and date.day != target.day and date.gaps.mean() < MOST:
            image = np.where(date.gaps, np.float32(np.nan), date.image)
            found.append(Reference(image, (date.day - target.day).days, date.name))
    return tuple(sorted(found, key=lambda r: abs(r.days or 0))[:count])


def figures(place: Place, target: Date, dates: tuple[Reference, ...], observed: Flags) -> list[float]:
    """Relative RMSE of each of `METHODS` where the first fills, and the share in its 90 % intervals."""
    known = everywhere(target.image) & ~target.gaps
    gap = np.broadcast_to(~(observed & known), target.image.shape)
    tile = Tile(
        np.where(gap, np.float32(np.nan), target.image), gap.copy(), dates,
        pixel_size=place.pixel_size, wavelengths=place.wavelengths,
    )  # fmt: skip
    spread = np.array([np.nanstd([r.image[band] for r in dates]) for band in range(len(target.image))])
    scored, out, inside = gap[0] & known, [], 0.0
    for name in METHODS.values():
        model = find(name).create()
        made = model.predict(tile, model.prepare(tile))
        if not out:
            scored = scored & everywhere(made.mean)
            error: Floats = (made.mean - target.image)[:, scored]
            inside = float((np.abs(error) < 1.645 * made.std[:, scored]).mean())
        error = (made.mean - target.image)[:, scored] / spread[:, None]
        out.append(float(np.sqrt(np.nanmean(error**2))))
    return [*out, inside]


def measured(
    root: Path, shares: list[float], count: int, seed: int
) -> Iterator[tuple[float, str, list[float]]]:
    """Share observed, place and figures, of each target and share."""
    for dataset, name in catalog.places(root):
        place = catalog.read_place(root, dataset, name)
        if len(place.dates) < 3 or not len(place.dates[0].image):
            continue
        for number, target in enumerate(targets(place)):
            dates = references(place, target, count)
            for share in shares if dates else []:
                shape = target.gaps.shape
                observed = gaps.blob(shape, share, seed + number) if share else np.zeros(shape, bool)
                yield share, f"{dataset}/{name}", figures(place, target, dates, observed)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of scenes, as `terramend evaluate`")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0, 0.003, 0.01, 0.03, 0.1], help="observed"
    )
    parser.add_argument("--dates", type=int, default=12, help="other dates to fill from, at most")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    found: dict[float, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for share, place, row in measured(options.data, options.shares, options.dates, options.seed):
        found[share][place].append(row)
    print(
        f"{'observed':>8} {'places':>6} {'dates':>5} "
        + " ".join(f"{n:>7}" for n in METHODS)
        + f" {'in 90 %':>8}"
    )
    for share, places in found.items():
        rows = [np.array(one) for one in places.values()]
        errors = np.exp(np.mean([np.log(one[:, :-1]).mean(0) for one in rows], axis=0))
        held = np.mean([one[:, -1].mean() for one in rows])
        told = " ".join(f"{error:7.2f}" for error in errors)
        print(f"{share:8.1%} {len(rows):6} {sum(map(len, rows)):5} {told} {held:8.0%}")


if __name__ == "__main__":
    main()
