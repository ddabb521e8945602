"""How `guided` fills amounts that spread over orders of magnitude, without its scale for them, and peers.

Scenes of near infrared under clouds are made such amounts: `10 ** (z / 2)` of robust z-scores, at most 5 away
from the median. Other dates are made alike, and what the band shows is forgotten. A row is a method: its MAE,
RMSE, and RMSE of decimal logarithms over those of `guided` (geometric means over places of those over cases),
the share of its pixels that lie below zero, and what its 90 % intervals hold. Before that: how many of the
split's dates, of reflectance, would be taken for amounts if nobody had named their bands.

    python benchmarks/bench_amounts.py --data ../shared/data/val
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
from terramend.backend.datasets import catalog
from terramend.backend.evaluation import cases, methods
from terramend.backend.evaluation.membrane import membrane
from terramend.models.base import Floats, Tile
from terramend.models.guided import amounts

PEERS = ("gdal", "pixel-linear", "lsq-one-residual", "lsq-all-residual", "nspi")
TRACKS = ("S", "T1", "T2", "T4")
NIR = 850.0  # nanometres
FARTHEST = 5.0  # robust deviations


def amount(sample: cases.Sample) -> cases.Sample:
    """The sample's band nearest to `NIR`, made an amount."""
    tile = sample.tile
    centres = np.nan_to_num(np.array(tile.wavelengths or [0.0] * len(tile.image)))
    band = int(np.abs(centres - NIR).argmin())
    known = tile.image[band][np.isfinite(tile.image[band])]
    middle = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - middle)) + 1e-6

    def made(image: Floats) -> Floats:
        score = np.clip((image[band : band + 1] - middle) / spread, -FARTHEST, FARTHEST)
        return np.asarray(10 ** (score / 2), np.float32)

    dates = tuple(replace(date, image=made(date.image)) for date in tile.references)
    one = replace(tile, image=made(tile.image), gaps=tile.gaps[:1], references=dates, wavelengths=())
    return cases.Sample(one, made(sample.truth), sample.scored, made(sample.original), sample.bands[:1])


def mistaken(root: Path) -> tuple[int, int]:
    """How many dates of a split are taken for amounts without their bands' names, and of how many."""
    found = []
    for dataset, name in catalog.places(root):
        for date in catalog.read_place(root, dataset, name).dates:
            if len(date.image):
                gaps = np.broadcast_to(date.gaps, date.image.shape)
                image = np.where(gaps, np.float32(np.nan), date.image)
                found.append(amounts.learn(Tile(image, gaps.copy())) is not None)
    return sum(found), len(found)


def guided(sample: cases.Sample) -> methods.Filled:
    """What `guided` says."""
    return scores.guided(sample.tile)


def plain(sample: cases.Sample) -> methods.Filled:
    """The same as if it knew no logarithmic scale."""
    with patch.object(amounts, "learn", lambda overview: None):
        return guided(sample)


def figures(run: Callable[[cases.Sample], methods.Filled], sample: cases.Sample) -> list[float]:
    """MAE, RMSE, RMSE of logarithms, share below zero, share in 90 % intervals (NaN without)."""
    mean, std = run(sample)
    picture = np.where(sample.tile.gaps, mean, sample.tile.image)
    filled = membrane(picture, ~np.isfinite(picture).all(0))[:, sample.scored].astype(np.float64)
    truth = sample.truth[:, sample.scored]
    error, least = filled - truth, np.nanmin(sample.tile.image)
    apart = np.log10(np.maximum(filled, least)) - np.log10(np.maximum(truth, least))
    held = np.nan if std is None else (np.abs(error) < 1.645 * std[:, sample.scored]).mean()
    squares = (np.sqrt((error**2).mean()), np.sqrt((apart**2).mean()))
    return [np.abs(error).mean(), *squares, (filled < 0).mean(), float(held)]


def main() -> None:
    """Measure and print a table a track."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split, `train` or `val`")
    root = parser.parse_args().data
    print("taken for amounts: {} of {} dates of reflectance".format(*mistaken(root)))
    recipe = cases.load(methods.HERE / "recipes" / f"{root.name}.json")
    ways = {"guided": guided, "without the scale": plain}
    ways |= {(peer := methods.find(name)).title: peer.make(peer.settings) for name in PEERS}
    for track in TRACKS:
        found: dict[str, list[list[list[float]]]] = defaultdict(list)
        for case in recipe.cases:
            if case.gap.kind != "cloud" or track not in case.tracks or not case.name.endswith("cloud0"):
                continue
            sample = amount(cases.sample(case, track, root))
            if not sample.scored.any() or amounts.learn(sample.tile) is None:
                continue
            usable = {t: run for t, run in ways.items() if sample.tile.references or t in [*ways][:3]}
            found[case.place].append([figures(run, sample) for run in usable.values()])
        places = [np.array(rows) for rows in found.values()]
        print(f"\n{track}: {len(places)} places\n{'':34}    MAE   RMSE  logs   < 0  in 90 %")
        ratios = np.exp(np.mean([np.log(p[:, :, :3] / p[:, :1, :3]).mean(0) for p in places], axis=0))
        shares = np.mean([p[:, :, 3:].mean(0) for p in places], axis=0)
        for title, ratio, share in zip(ways, ratios, shares, strict=False):
            held = "" if np.isnan(share[1]) else f"{share[1]:8.0%}"
            print(f"{title:34} " + " ".join(f"{x:6.2f}" for x in ratio) + f" {share[0]:5.1%} {held}")


if __name__ == "__main__":
    main()
