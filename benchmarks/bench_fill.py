"""Speed and memory of a fill beside GDAL's fillnodata, OpenCV's inpainting and a plain copy.

Every run is a process of its own, so that its peak memory is its own; runs of all methods are
interleaved, so that a busy machine is unfair to nobody; medians are reported.

    python benchmarks/bench_fill.py --sizes 2048 4096 8192 --repeats 3 --output out/bench.json
    python benchmarks/bench_fill.py --case four --sizes 1024 2048 --methods "plain copy" "guided fast"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mosaics
import numpy as np
import rasterio

PLAIN = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "predictor": 2}


def copy(paths: dict[str, str], output: str) -> None:
    """Read and write the target, block row by block row, with the compression of a fill."""
    with rasterio.open(paths["target"]) as source:
        profile = {**source.profile, **PLAIN, "zlevel": 1, "interleave": "pixel"}
        with rasterio.open(output, "w", **profile) as file:
            for row in range(0, source.height, 512):
                window = ((row, min(row + 512, source.height)), (0, source.width))
                file.write(source.read(window=window), window=window)


def gdal(paths: dict[str, str], output: str) -> None:
    """GDAL's fillnodata, band by band."""
    from rasterio.fill import fillnodata

    def fill(band: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        return fillnodata(band, mask=~gaps, max_search_distance=200.0)

    _whole(paths, output, fill)


def opencv(paths: dict[str, str], output: str) -> None:
    """OpenCV's inpainting (Telea, radius 3), band by band, on the uint16 values."""
    import cv2

    _whole(paths, output, lambda band, gaps: cv2.inpaint(band, gaps.astype(np.uint8), 3, cv2.INPAINT_TELEA))


def _whole(paths: dict[str, str], output: str, fill: Callable[[Any, Any], Any]) -> None:
    with rasterio.open(paths["gaps"]) as file:
        gaps = file.read(1) > 0
    with rasterio.open(paths["target"]) as source:
        profile = {**source.profile, **PLAIN, "interleave": "band"}
        with rasterio.open(output, "w", **profile) as file:
            for band in source.indexes:
                file.write(fill(source.read(band), gaps), band)


def terramend(model: str, quality: str, references: bool) -> Callable[[dict[str, str], str], None]:
    """A fill through the one function behind every door."""

    def run(paths: dict[str, str], output: str) -> None:
        from terramend.backend.fill import fill
        from terramend.backend.request import FillRequest, Mask, Reference
        from terramend.backend.watch import Watch

        # A reference's nodata is all that it lacks.
        other = (Reference(path, (Mask("", "none"),)) for name, path in paths.items() if "reference" in name)
        result = fill(
            FillRequest(
                target=(paths["target"],),
                output=output,
                gaps=(Mask(paths["gaps"], "nonzero"),),
                references=tuple(other) if references else (),
                radiometry="sentinel2",
                model=model,
                quality=quality,
            ),
            Watch(),
        )
        print(json.dumps(dict(result.seconds)), file=sys.stderr)

    return run


METHODS: dict[str, Callable[[dict[str, str], str], None]] = {
    "plain copy": copy,
    "guided fast": terramend("guided", "fast", True),
    "guided default": terramend("guided", "default", True),
    "guided best": terramend("guided", "best", True),
    "harmonic": terramend("harmonic", "default", False),
    "GDAL fillnodata": gdal,
    "OpenCV Telea": opencv,
}
DEFAULT = [name for name in METHODS if name != "guided best"]


def _peak_mb() -> float:
    """Peak memory of this program; Linux's `ru_maxrss` would count what the parent held before `exec`."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(method: str, folder: Path) -> None:
    """One run in this process; prints seconds, CPU seconds and peak memory as JSON."""
    paths = {path.stem: str(path) for path in sorted(folder.glob("*.tif"))}
    output = folder / "out.tif"
    output.unlink(missing_ok=True)
    if method not in ("plain copy", "GDAL fillnodata", "OpenCV Telea"):
        import terramend.backend.fill  # the clock starts after the imports
        import terramend.models.guided.model  # noqa: F401
    wall, busy = time.perf_counter(), time.process_time()
    METHODS[method](paths, str(output))
    found = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - busy,
        "peak_mb": _peak_mb(),
        "file_mb": output.stat().st_size / 1e6,
    }
    output.unlink()
    print(json.dumps(found))


def measure(
    case: str, sizes: list[int], repeats: int, names: list[str], folder: Path
) -> list[dict[str, Any]]:
    """Interleaved runs of all methods on all sizes of a case; one row of medians for each pair."""
    rows = []
    for side in sizes:
        place = folder / str(side)
        paths = mosaics.make(place, side, mosaics.CASES[case])
        with rasterio.open(paths["gaps"]) as file:
            gap_pixels = int(file.read(1).sum())
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(repeats):
            for name in names:
                command = [sys.executable, __file__, "--child", name, "--folder", str(place)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
                runs[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{side} {name}: {runs[name][-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
        for name in names:
            rows.append({"case": case, **_row(side, name, gap_pixels, runs[name], runs.get("plain copy"))})
        for path in paths.values():
            path.unlink()
    return rows


def _row(
    side: int,
    name: str,
    gap_pixels: int,
    runs: list[dict[str, float]],
    copies: list[dict[str, float]] | None,
) -> dict[str, Any]:
    def median(of: list[dict[str, float]], key: str) -> float:
        return statistics.median(run[key] for run in of)

    seconds = median(runs, "seconds")
    row = {
        "side": side,
        "method": name,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(median(runs, "cpu_seconds"), 2),
        "seconds_per_mpx": round(seconds / (side * side / 1e6), 3),
        "cpu_per_mpx": round(median(runs, "cpu_seconds") / (side * side / 1e6), 3),
        "seconds_per_gap_mpx": round(seconds / (gap_pixels / 1e6), 3),
        "peak_mb": round(median(runs, "peak_mb")),
        "gap_share": round(gap_pixels / side**2, 4),
        "runs": len(runs),
    }
    if copies:
        row["times_plain_copy"] = round(seconds / median(copies, "seconds"), 2)
    return row


def hardware() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    packages = ("numpy", "scipy", "rasterio", "opencv-python-headless")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
        **{name: version(name) for name in packages},
    }


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=mosaics.CASES, default="two", help="what the scene holds")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=DEFAULT)
    parser.add_argument("--output", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--folder", type=Path, help="where the mosaics are made (default: temporary)")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder)
        return
    before = hardware()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as folder:
        rows = measure(arguments.case, arguments.sizes, arguments.repeats, arguments.methods, Path(folder))
    report = {
        "hardware": before,
        **asdict(mosaics.CASES[arguments.case]),
        "dtype": "uint16",
        "mosaic": "mirrored real tiles",
        "data": "TERRAMEND_DATA" if mosaics.DATA.is_dir() else "sample",
        "rows": rows,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{'side':>5} {'method':17} {'s/Mpx':>7} {'CPU':>7} {'s/gap Mpx':>10} {'x copy':>7} {'peak MB':>8}")
    for row in rows:
        times = f"{row.get('times_plain_copy', float('nan')):.1f}"
        print(
            f"{row['side']:5} {row['method']:17} {row['seconds_per_mpx']:7.3f} {row['cpu_per_mpx']:7.3f} "
            f"{row['seconds_per_gap_mpx']:10.3f} {times:>7} {row['peak_mb']:8}"
        )
    print(f"Written: {arguments.output}")


if __name__ == "__main__":
    main()
