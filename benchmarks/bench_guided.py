"""What `guided` costs by itself: preparing a scene and predicting it, without reading and writing files.

The scene is the one of `bench_fill.py --case four`: 6 bands, 4 clouded references, 32 % gap of real
cloud shapes. It is predicted as one tile in one thread, so that seconds are comparable between
machines with any number of cores. Interleaved runs, medians.

    python benchmarks/bench_guided.py --sizes 1024 2048 --repeats 3
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mosaics
from terramend.backend.filling.opening import Inputs, open_grid, open_inputs
from terramend.backend.filling.process import computing
from terramend.backend.raster.grid import Window
from terramend.backend.request import QUALITIES, FillRequest, Mask, Reference
from terramend.backend.watch import Watch
from terramend.models.base import Tile
from terramend.models.registry import find


def read(folder: Path, side: int, case: str) -> tuple[Tile, Tile]:
    """The overview of a case's scene, and the whole of it as one tile."""
    paths = {name: str(path) for name, path in mosaics.make(folder, side, mosaics.CASES[case]).items()}
    request = FillRequest(
        target=(paths["target"],),
        output=str(folder / "out.tif"),
        gaps=(Mask(paths["gaps"], "nonzero"),),
        references=tuple(Reference(p, (Mask("", "none"),)) for n, p in paths.items() if "reference" in n),
        radiometry="sentinel2",
    )
    watch = Watch()
    inputs: Inputs = open_inputs(request, watch)
    with open_grid(request, inputs, 0, folder, watch) as (scene, _):
        return scene.overview(), scene.tile(Window(0, 0, side, side))


def clocked(task: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """What a task returns, its seconds on the wall, and those of the processor."""
    wall, busy = time.perf_counter(), time.process_time()
    out = task(*arguments)
    return out, time.perf_counter() - wall, time.process_time() - busy


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", choices=mosaics.CASES, default="four")
    parser.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    arguments = parser.parse_args()
    models = {quality: find("guided").create(quality) for quality in arguments.qualities}
    print("side quality   prepare s  (CPU)   predict s/Mpx  (CPU)   gap")
    for side in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            overview, tile = read(Path(folder), side, arguments.case)
        runs: dict[str, list[tuple[float, ...]]] = {quality: [] for quality in models}
        with computing():
            for _ in range(arguments.repeats):
                for quality, model in models.items():
                    state, *prepared = clocked(model.prepare, overview)
                    _, *predicted = clocked(model.predict, tile, state)
                    runs[quality].append((*prepared, *predicted))
        for quality, found in runs.items():
            wall, busy, *said = (statistics.median(values) for values in zip(*found, strict=True))
            each, each_busy = (seconds / (side * side / 1e6) for seconds in said)
            print(
                f"{side:4} {quality:8} {wall:9.2f}  ({busy:.2f}) {each:12.2f}  ({each_busy:.2f})  "
                f"{tile.gaps.mean():6.1%}"
            )


if __name__ == "__main__":
    main()
