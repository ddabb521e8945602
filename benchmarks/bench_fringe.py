"""What cloud or shadow costs that a mask missed: `guided`, the same without its look at fringes, and a peer.

Scenes of which the ground is known lie under real cloud shapes. Where the mask calls the ground clear, the
sky alone lights it (a share of 0.25 + 0.35 (450 nm / wavelength)^2) in their shape 7 rows and 5 columns off
(shadow), or 40 and -25 (far shadow, in scenes of more than 80 pixels), or it is on its way to white by
`0.4 exp(-distance / 3 pixels)` (rim). PSNR in dB at hidden pixels, means over places of those over cases; in
brackets what 90 % intervals hold. Track P is real cloud as it is; its truth is another date.

What is found is filled where `--missed` asks for it: last lines say how much of what was made is found, how
much of what is found was made, and the PSNR at these pixels as observed and as filled. At the very end, the
same shares of real shadow that other masks mark, of clouds whose mask is grown by two pixels.

    python benchmarks/bench_fringe.py --data ../shared/data/val
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import rasterio
import scores
from terramend.backend.datasets.masks import Ukis
from terramend.backend.evaluation import cases, methods
from terramend.models.base import Flags, Tile
from terramend.models.guided.dates import fringe

PEERS = {
    "S": "gdal",
    "T1": "lsq-one-residual",
    "T4": "lsq-all-residual",
    "P": "gdal",
}  # the best of each track
NEAR, FAR = (7, 5), (40, -25)  # rows and columns that shadow lies off
WHITE, VEIL, LENGTH = 0.7, 0.4, 3.0  # reflectance; share of it at the gap; pixels within which it fades
CLEAR = 0.05  # share of white below which nobody would call it cloud

Made = tuple[Tile, Flags]


def shadow(tile: Tile, off: tuple[int, int]) -> Made:
    """The tile with shadow so far from its gaps, and where that is."""
    gap = np.any(tile.gaps, axis=0)
    move = np.float32([[1, 0, off[1]], [0, 1, off[0]]])
    dark = cv2.warpAffine(gap.astype(np.uint8), move, gap.shape[::-1], flags=cv2.INTER_NEAREST) > 0
    dark &= ~gap
    share = cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 1.0)
    sky = np.nan_to_num(0.25 + 0.35 * (450 / np.array(tile.wavelengths)) ** 2, nan=0.5).astype(np.float32)
    return replace(tile, image=tile.image * (1 - np.multiply.outer(1 - sky, share))), dark


def rim(tile: Tile) -> Made:
    """The tile with thin cloud around its gaps, and where that is."""
    gap = np.any(tile.gaps, axis=0)
    away = cv2.distanceTransform((~gap).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.float32(VEIL) * np.exp(-away / np.float32(LENGTH))
    return replace(tile, image=tile.image + share * (np.float32(WHITE) - tile.image)), (share > CLEAR) & ~gap


def blind(tile: Tile) -> methods.Filled:
    """The same if it took all for ground that the mask does not mark."""
    with patch.object(fringe, "learn", lambda overview: None):
        return scores.guided(tile)


FAULTS: dict[str, Callable[[Tile], Made]] = {
    "shadow": lambda tile: shadow(tile, NEAR),
    "far shadow": lambda tile: shadow(tile, FAR),
    "rim": rim,
}


def looked_for(sample: cases.Sample, fault: str) -> tuple[float, float, float, float] | None:
    """Of a fault the share that is found, of what is found the share that it is, and the PSNR where both are:
    as observed, and as filled. None where nothing is found.
    """
    tile, where = FAULTS[fault](sample.tile)
    taken = np.any(fringe.hidden(tile, fringe.learn(tile)).gaps & ~tile.gaps, axis=0)
    there = where & tile.valid.all(axis=0)
    both = there & taken
    if not both.any():
        return None
    filled, truth = scores.guided(tile.hiding(taken)), sample.tile.image
    seen, made = (scores.figures((image, None), truth, both)[0] for image in (tile.image, filled[0]))
    return both.sum() / there.sum(), both.sum() / taken.sum(), seen, made


def measured(sample: cases.Sample, track: str, fault: str) -> dict[str, tuple[float, float]]:
    """The figures of each row of a table."""
    peer = methods.find(PEERS[track])
    own, tile, rows = peer.make(peer.settings), sample.tile, {}
    if fault in FAULTS:
        tile, where = FAULTS[fault](sample.tile)
        rows["guided, nothing missed"] = scores.guided(sample.tile)
        rows["guided, the mask marks it"] = scores.guided(tile.hiding(where))
    rows["guided"] = scores.guided(tile)
    rows["without its look at the fringe"] = blind(tile)
    rows[peer.title] = own(replace(sample, tile=tile))
    return {title: scores.figures(made, sample.truth, sample.scored) for title, made in rows.items()}


def real_shadow(folder: Path) -> None:
    """Print what is found of the shadows that a tile's mask marks (0), where its clouds (4) are the gaps."""
    tiles = Ukis()
    for name in tiles.names(folder):
        place = tiles.read(folder, name)
        classes = rasterio.open(tiles.files(folder, name)[1]).read(1)
        cloud = cv2.dilate((classes == 4).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        image = place.dates[0].image
        tile = Tile(image, np.zeros(image.shape, bool), wavelengths=place.wavelengths).hiding(cloud)
        shade, taken = (classes == 0) & ~cloud, fringe.hidden(tile, fringe.learn(tile)).gaps[0] & ~cloud
        both = (shade & taken).sum()
        print(f"  {name}: {shade.mean():.0%} is shadow, {taken.mean():.0%} is taken", end="; ")
        print(f"{both / shade.sum():.0%} of it, {both / max(taken.sum(), 1):.0%} of what is taken")


def main() -> None:
    """Measure and print a table a track and fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split, `train` or `val`")
    root = parser.parse_args().data
    recipe = cases.load(methods.HERE / "recipes" / f"{root.name}.json")
    chosen = [case for case in recipe.cases if case.name.endswith(("cloud0", "real"))]
    for track in PEERS:
        for fault in ["as it is"] if track == "P" else FAULTS:
            rows: dict[str, list[dict[str, tuple[float, float]]]] = defaultdict(list)
            looked: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
            for case in chosen:
                if track in case.tracks:
                    sample, place = cases.sample(case, track, root), f"{case.dataset}/{case.place}"
                    too_small = fault == "far shadow" and min(sample.scored.shape) <= 2 * max(map(abs, FAR))
                    if sample.scored.any() and sample.tile.valid.any() and not too_small:
                        rows[place].append(measured(sample, track, fault))
                        if fault in FAULTS and (one := looked_for(sample, fault)):
                            looked[place].append(one)
            print(f"\n{track}, {fault}: {len(rows)} places")
            for title in next(iter(rows.values()))[0]:
                pairs = np.array([np.mean([row[title] for row in some], axis=0) for some in rows.values()])
                print(scores.line(title, *pairs.mean(0)))
            if looked:
                it, of, seen, made = np.mean([np.mean(some, axis=0) for some in looked.values()], axis=0)
                print(f"  found at {len(looked)} places: {it:.0%} of it, {of:.0%} of what is found;", end=" ")
                print(f"PSNR there {seen:.2f} as observed, {made:.2f} as filled")
    print("\nReal shadow:")
    real_shadow(root / Ukis.folder)


if __name__ == "__main__":
    main()
