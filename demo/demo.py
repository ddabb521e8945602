"""The main job, from end to end, on real scenes: `make demo`.

QGIS's own Processing (`qgis_process`) runs the plugin's "Fill gaps" in an isolated profile,
the plugin starts its backend, and this script looks at the files from outside: are valid
pixels untouched, how far is the fill from the truth, what does it look like.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "demo"
SAMPLE = ROOT / "sample"
SCALE = 10_000  # Sentinel-2: stored value per reflectance


def prepare() -> dict[str, str]:
    """An isolated profile with the plugin enabled; the environment for qgis_process."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "plugins").mkdir(parents=True)
    (OUT / "plugins" / "terramend").symlink_to(ROOT)
    settings = OUT / "profile" / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[PythonPlugins]\nterramend=true\nprocessing=true\n")
    shutil.copytree(SAMPLE, OUT / "scenes", ignore=shutil.ignore_patterns("*.py", "*.md"))
    return {
        **os.environ,
        "QGIS_CUSTOM_CONFIG_PATH": str(OUT / "profile"),
        "QGIS_PLUGINPATH": str(OUT / "plugins"),
    }


def fill(environment: dict[str, str], name: str, **parameters: str) -> dict[str, object]:
    """Run terramend:fillgaps through qgis_process and return what the backend says it did."""
    # Debian's wrapper of QGIS 3.22 is broken; the program behind it works.
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process") or "qgis_process"
    outputs = {"OUTPUT": f"{name}.tif", "STD": f"{name}_std.tif", "PROVENANCE": f"{name}_provenance.tif"}
    given = {**parameters, **{key: str(OUT / file) for key, file in outputs.items()}}
    command = [program, "--json", "run", "terramend:fillgaps", "--"]
    command += [f"{key}={value}" for key, value in given.items()]
    start = time.monotonic()
    done = subprocess.run(  # noqa: S603 (our own command, no shell)
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode or not (OUT / outputs["OUTPUT"]).exists():
        sys.exit(f"qgis_process failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
    results = json.loads(done.stdout[done.stdout.index("{") :])["results"]
    said: dict[str, object] = json.loads(results["RESULT_JSON"])
    print(f"\n{name}: {said['model_reason']}")
    share, seconds = 100 * float(str(said["gap_fraction"])), time.monotonic() - start
    how = f"{said['model']} ({said['quality']})"
    print(f"  {share:.1f} % of the samples were gaps; {how} took {seconds:.1f} s, QGIS's start included")
    return said


def read(path: Path) -> np.ndarray:
    """All bands."""
    with rasterio.open(path) as source:
        return source.read()


def check_valid(before: Path, after: Path, hidden: np.ndarray) -> None:
    """Every sample outside the gaps must be what it was, bit for bit."""
    old, new = read(before), read(after)
    changed = (old != new) & ~hidden
    if changed.any():
        sys.exit(f"{int(changed.sum())} valid samples changed")
    print(f"  valid samples changed: 0 of {int((~hidden).sum()) * len(old)}")


def accuracy(scenes: Path) -> None:
    """Compare the two-date fill with the pixels that were hidden."""
    truth, filled = read(scenes / "boadella_2020-01-13_truth_in_hole.tif"), read(OUT / "two_dates.tif")
    std = read(OUT / "two_dates_std.tif")
    other = read(scenes / "boadella_2020-01-28.tif")
    hole = truth[0] > 0
    print("  accuracy in the hole, whose truth is known (reflectance):")
    print("    band      RMSE   RMSE of copying the other date   truth inside the 90 % interval")
    for band, name in enumerate(("B02", "B03", "B04", "B08")):
        error = (filled[band][hole].astype(float) - truth[band][hole]) / SCALE
        copied = (other[band][hole].astype(float) - truth[band][hole]) / SCALE
        inside = np.abs(error) <= 1.645 * std[band][hole] / SCALE
        rmse, plain = np.sqrt(np.mean(error**2)), np.sqrt(np.mean(copied**2))
        print(f"    {name}    {rmse:.4f}   {plain:.4f}                           {100 * inside.mean():.0f} %")


def picture(pairs: list[tuple[Path, Path, np.ndarray]], path: Path) -> None:
    """Before and after, side by side, one row a scene, in the colours of the valid pixels."""
    rows = []
    for before, after, hidden in pairs:
        old, new = (read(p)[[2, 1, 0]].astype(np.float32) for p in (before, after))
        low, high = (np.percentile(old[:, ~hidden], q, axis=1)[:, None, None] for q in (2, 98))
        shown = [np.clip((image - low) / (high - low), 0, 1) for image in (old, new)]
        row = np.concatenate(
            [cv2.resize(s.transpose(1, 2, 0), (512, 512 * s.shape[1] // s.shape[2])) for s in shown], axis=1
        )
        rows.append((row[:, :, ::-1] * 255).astype(np.uint8))
    cv2.imwrite(str(path), np.concatenate(rows))


def main() -> None:
    """Fill the scenes, check them, draw them."""
    environment = prepare()
    two, cloudy = OUT / "scenes" / "two_dates", OUT / "scenes" / "cloudy"
    target = two / "boadella_2020-01-13.tif"
    fill(
        environment,
        "two_dates",
        TARGET=str(target),
        GAPS=str(two / "boadella_2020-01-13_cloudmask.tif"),
        REFERENCES=str(two / "boadella_2020-01-28.tif"),
        REFERENCE_GAPS=str(two / "boadella_2020-01-28_cloudmask.tif"),
    )
    hole = read(two / "boadella_2020-01-13_cloudmask.tif")[0] > 0
    check_valid(target, OUT / "two_dates.tif", hole)
    accuracy(two)
    landsat = cloudy / "landsat8_cloudy.tif"
    fill(
        environment,
        "cloudy",
        TARGET=str(landsat),
        GAPS=str(cloudy / "landsat8_cloudy_BQA.tif"),
        GAPS_KIND="bqa",
    )
    clouded = read(OUT / "cloudy_provenance.tif")[0] > 0
    check_valid(landsat, OUT / "cloudy.tif", clouded)
    image = OUT / "before_after.jpg"
    picture([(target, OUT / "two_dates.tif", hole), (landsat, OUT / "cloudy.tif", clouded)], image)
    print("\nFiles:")
    for path in [*sorted(OUT.glob("*.tif")), image]:
        print(f"  {path.relative_to(ROOT)}")
    print("\nA filled pixel is an estimate, and no evidence that nothing changed.")


if __name__ == "__main__":
    main()
