"""`terramend fetch landsat`: training data with terrain, split by region, cut into tiles, masks stored.

OUT/train/PLACE/*.tif, dem or srtm     what `terramend train --data OUT/train` reads
OUT/val/PLACE/...                      regions that share no ground with those of train
OUT/tiles.csv                          every tile: side, place, date, row, column, height, width
OUT/masks/PLACE.npz                    hidden pixels of the tiles of val (`datasets.holdout_masks`)
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from ..datasets import folder, holdout_masks, tiling
from ..errors import TerramendError
from ..failure import cancelled_as
from ..raster.outputs import written
from ..terminal import counted
from ..watch import Watch
from . import earth_engine, scenes
from .regions import chosen, paper, sides

LEAST = 0.5
"""Share of a tile that must be observed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `terramend fetch`."""
    parser.add_argument(
        "what",
        choices=["landsat"],
        help="data set: Landsat-8 and SRTM from Earth Engine, or scenes of your own (--from)",
    )
    parser.add_argument("--out", type=Path, help="folder to write; files that are there already are kept")
    parser.add_argument(
        "--region",
        default="land",
        help="regions to fetch: land (default), all, numbers such as 3,10-12, a name such as kenya, "
        "or bounds W,S,E,N "
        "such as 10.0,46.5,10.5,47.0",
    )
    parser.add_argument("--list", action="store_true", help="list the regions of the AlignDiff paper")
    parser.add_argument("--project", help="Google Cloud project for Earth Engine")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FOLDER",
        help="folder of your own scenes, instead of Earth Engine",
    )
    parser.add_argument(
        "--dem", type=Path, help="elevation model of all scenes of --from (default: found beside them)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(options: argparse.Namespace, watch: Watch) -> dict[str, Any] | None:
    """List, or fetch and prepare.

    Raises:
        TerramendError: `fetch.*`, `command.usage`.
    """
    if options.list:
        return _list(options)
    if options.out is None:
        raise TerramendError("command.usage", why="Fetching needs --out", command="terramend fetch")
    prepare = _regions if options.source is None else _scenes
    with cancelled_as("research.cancelled", out=str(options.out)):
        places = prepare(options, watch)
        tiles = finish(options.out, watch)
    watch.finish()
    if not options.json:
        held = sum(side == "val" for side in places.values())
        found = f"{counted(len(places), 'place')}, {held} of them in val; {counted(tiles, 'tile')}"
        print(f"{found} in {options.out / 'tiles.csv'}")
    return {"out": str(options.out), "places": places, "tiles": tiles}


def _list(options: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": r.name, "side": sides()[r.name], "land": r.land, "srtm": r.has_srtm, "note": r.note,
         "bounds": list(r.bounds)}
        for r in paper()
    ]  # fmt: skip
    if not options.json:
        for row in rows:
            west, south, east, north = row["bounds"]
            box = f"{west:.2f},{south:.2f},{east:.2f},{north:.2f}"
            print(f"{row['name']:18} {row['side']:5} {box:30} {row['note']}".rstrip())
    return {"regions": rows}


def _regions(options: argparse.Namespace, watch: Watch) -> dict[str, str]:
    regions = chosen(options.region)
    ee = earth_engine.connect(options.project, watch)
    done: dict[str, str] = {}
    for region in regions:
        if region.note:
            watch.notice("fetch.note", region=region.name, note=region.note)
        side = sides().get(region.name, "train")
        try:
            earth_engine.fetch(ee, region, options.out / side / region.name, watch)
        except TerramendError as error:
            if error.code != "fetch.empty" or len(regions) == 1:
                raise
            watch.notice("fetch.skipped", name=region.name, why=str(error))
            continue
        done[region.name] = side
    return done


def _scenes(options: argparse.Namespace, watch: Watch) -> dict[str, str]:
    found = scenes.find(options.source, options.dem, watch)
    split = scenes.sides(found, watch)
    for scene in found:
        scenes.prepare(scene, options.out / split[scene.place] / scene.place, watch)
    return split


def finish(out: Path, watch: Watch, size: int = tiling.SIZE, overlap: float = tiling.OVERLAP) -> int:
    """Write `tiles.csv` and the masks of val's tiles; returns how many tiles there are."""
    rows: list[list[Any]] = []
    folders = (path for side in ("train", "val") for path in (out / side).glob("*") if path.is_dir())
    places = sorted(path for path in folders if folder.names(path))  # others a broken run left empty
    watch.stage("tiles", len(places))
    for path in places:
        watch.check()
        masks: dict[holdout_masks.HoldoutMask, Any] = {}
        place = folder.read(path, path.name)
        for notice in folder.layout(path, path.name).left:
            watch.notice(notice.code, **notice.arguments)
        for date in place.dates:
            valid = ~date.gaps
            windows = [
                window
                for window in tiling.tiles(*place.shape, size, overlap)
                if valid[window.slices].mean() >= LEAST
            ]
            rows += [
                [path.parent.name, path.name, date.name, w.row, w.column, w.height, w.width] for w in windows
            ]
            if path.parent.name == "val":
                masks |= holdout_masks.of_windows(path.name, date.name, valid, windows, 0)
        if masks:
            (out / "masks").mkdir(exist_ok=True)
            holdout_masks.save(out / "masks" / f"{path.name}.npz", masks)
        watch.advance()
    out.mkdir(parents=True, exist_ok=True)
    with written(out / "tiles.csv") as part, part.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(["side", "place", "date", "row", "column", "height", "width"])
        writer.writerows(rows)
    return len(rows)
