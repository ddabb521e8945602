"""What a target's other bands tell of one with gaps of its own: `guided`, the same without them, and peers.

Where the ground is known, near infrared is hidden under real clouds' shapes, or short-wave infrared (near
infrared without any) in every second ten lines; the other bands are observed there. PSNR in dB at the hidden
samples, means over places; in brackets what 90 % intervals hold. Least squares reads the other bands and the
date, with a membrane through what it leaves over.

    python benchmarks/bench_bands.py --data ../shared/data/val
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import scores
from terramend.backend.evaluation import cases, methods, peers_space, peers_time
from terramend.models.base import Flags, Reference, Tile
from terramend.models.guided import across

NIR, SWIR = 850.0, 1600.0  # nanometres
FAR = 100.0  # from which a band is another one
LINES = 10


def broken(sample: cases.Sample, band: int, hidden: Flags) -> Tile:
    """The sample's tile with one band hidden, its others observed wherever they are known."""
    tile, unknown = sample.tile, np.any(sample.tile.gaps, axis=0) & ~sample.scored
    gaps = np.broadcast_to(unknown, tile.gaps.shape).copy()
    gaps[band] |= hidden
    return replace(tile, image=np.where(gaps, np.float32(np.nan), sample.truth), gaps=gaps)


def alone(tile: Tile, band: int) -> Tile:
    """One band of a tile, with the others as a date."""
    others = Reference(np.delete(tile.image, band, axis=0), 0)
    image, gaps = tile.image[band : band + 1], tile.gaps[band : band + 1]
    return replace(tile, image=image, gaps=gaps, references=(*tile.references, others))


def guided(tile: Tile, band: int) -> methods.Filled:
    """What `guided` says of a band."""
    mean, std = scores.guided(tile)
    return mean[band], None if std is None else std[band]


def without(tile: Tile, band: int) -> methods.Filled:
    """The same if it did not read other bands."""
    with patch.object(across, "learn", lambda overview: ()):
        return guided(tile, band)


WAYS: dict[str, Callable[[Tile, int], methods.Filled]] = {
    "guided": guided,
    "without the other bands": without,
    "least squares and membrane": lambda t, b: (peers_time.lsq_all_residual(alone(t, b))[0], None),
    "GDAL's fillnodata": lambda t, b: (peers_space.gdal(alone(t, b))[0], None),
}


def main() -> None:
    """Measure and print a table a track and kind of gap."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split, `train` or `val`")
    root = parser.parse_args().data
    recipe = cases.load(methods.HERE / "recipes" / f"{root.name}.json")
    found: dict[str, dict[str, list[list[tuple[float, float]]]]] = defaultdict(lambda: defaultdict(list))
    for case in recipe.cases:
        if "T1" not in case.tracks or not case.name.endswith("cloud0"):
            continue
        sample = cases.sample(case, "T1", root)
        clear = np.isfinite(sample.truth).all(0) & (sample.scored | sample.tile.valid.all(0))
        stripes = clear & (np.arange(len(clear)) // LINES % 2 == 1)[:, None]
        centres = np.nan_to_num(sample.tile.wavelengths)
        near, short = (int(np.abs(centres - wanted).argmin()) for wanted in (NIR, SWIR))
        short = short if abs(centres[short] - SWIR) < FAR else near
        for kind, band, hidden in (("clouds", near, sample.scored), ("stripes", short, stripes)):
            if not hidden.any() or abs(centres[near] - NIR) > FAR:
                continue
            dated = broken(sample, band, hidden)
            for title, tile in (("no date", replace(dated, references=())), ("one date", dated)):
                made = [way(tile, band) for way in WAYS.values()]
                rows = [scores.figures(one, sample.truth[band], hidden) for one in made]
                found[f"{kind}, {title}"][f"{case.dataset}/{case.place}"].append(rows)
    for kind, places in sorted(found.items()):
        print(f"\n{kind}: {len(places)} places")
        averages = np.mean([np.mean(rows, axis=0) for rows in places.values()], axis=0)
        for name, average in zip(WAYS, averages, strict=True):
            print(scores.line(name, *average))


if __name__ == "__main__":
    main()
