"""What a scene loses that is too large to be learnt whole, and what windows at full size give back.

Two-date scenes of the pack of 330 pixels a side and more are filled under real clouds and blobs three
times: learnt whole; learnt from an overview at a part of their size, as a scene of many thousand pixels
is; and from that overview with a few windows at full size, as `prepare` sees such a scene. PSNR against
the first, and what the 90 % intervals hold; means over places of means over cases.

    python benchmarks/bench_large.py --data ../shared/data/train --halvings 3
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from terramend.backend.evaluation import cases, make_cases
from terramend.backend.raster.grid import Grid
from terramend.backend.raster.scene import detail
from terramend.models.base import Floats, Tile
from terramend.models.guided.half import halved
from terramend.models.guided.model import of_quality

LARGE = 330 * 330
WAYS = ("whole", "overview", "windows")
WINDOWS = 4


def overviews(tile: Tile, halvings: int) -> Iterator[Tile]:
    """What each of `WAYS` learns from."""
    yield tile
    small = tile
    for _ in range(halvings):
        small = halved(small)
    yield small
    grid = Grid("", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), tile.image.shape[2], tile.image.shape[1])
    yield replace(small, detail=tuple(tile.cut(*w.slices) for w in detail.windows(small, grid, WINDOWS)))


def figures(tile: Tile, truth: Floats, quality: str, halvings: int) -> list[tuple[float, float]]:
    """PSNR (dB, range 1) and share inside the 90 % intervals, of each of `WAYS`."""
    model, out = of_quality(quality), []
    for overview in overviews(tile, halvings):
        made = model.predict(tile, model.prepare(overview))
        error, deviation = (made.mean - truth)[tile.gaps], made.std[tile.gaps]
        known = np.isfinite(error) & np.isfinite(deviation)
        inside = np.abs(error[known]) < 1.645 * deviation[known]
        out.append((-10 * np.log10(np.mean(error[known] ** 2)), inside.mean()))
    return out


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of scenes, as `terramend evaluate`")
    parser.add_argument("--halvings", type=int, default=3, help="how often the overview is halved")
    parser.add_argument("--qualities", nargs="+", default=["fast", "default"])
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    # Cases are small by themselves, and so are windows beside a scene of 448 pixels.
    make_cases.WINDOW, make_cases.MANY = 1024, 40
    make_cases.PER_PLACE = {"cloud": 1, "blob": 1, "stripes": 0, "random": 0}
    detail.SIDE, detail.SHARE = 96, 1
    recipe = make_cases.make_cases(options.data, "large", options.seed)
    found: dict[tuple[str, str, str], list[list[tuple[float, float]]]] = defaultdict(list)
    for case in recipe.cases:
        if "T1" in case.tracks and case.window[2] * case.window[3] >= LARGE and case.gap.kind != "random":
            sample = cases.sample(case, "T1", options.data)
            for quality in options.qualities:
                rows = figures(sample.tile, sample.truth, quality, options.halvings)
                found[case.gap.kind, quality, f"{case.dataset}/{case.place}"].append(rows)
    print(
        f"{'gaps':6} {'quality':8} {'places':>6} {'learnt from':12} {'PSNR':>6} {'against':>8} {'in 90 %':>8}"
    )
    for kind, quality in dict.fromkeys(key[:2] for key in found):
        places = [np.mean(rows, axis=0) for key, rows in found.items() if key[:2] == (kind, quality)]
        mean = np.mean(places, axis=0)
        for way, (psnr, inside) in zip(WAYS, mean, strict=True):
            shown = f"{kind:6} {quality:8} {len(places):6d} {way:12} {psnr:6.2f}"
            print(f"{shown} {psnr - mean[0][0]:+8.2f} {inside:8.1%}")


if __name__ == "__main__":
    main()
