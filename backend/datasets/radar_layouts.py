"""Cloudy, clear and radar images in the folders that published data sets come as, and their splits.

| layout | files |
|---|---|
| SEN12MS-CR | `ROIs1158_spring_s2/s2_1/..._s2_1_p30.tif`, the same with `s2_cloudy` and with `s1` |
| SEN12MS-CR-TS | `ROIs1158/106/S2/0/s2_ROIs1158_106_ImgNo_0_DATE_patch_5.tif`, the same with `S1` and `s1` |
| Planet-CR, M3R-CR | `planet_cloudfree_fall/planet_cloudfree_fall_1/planet_cloudfree_fall_1_p_4.tif`, the same with `planet_cloudy`, `S1`, `cloudmask` (npy) and `landcover` |

Splits are by whole regions. A region is the pair of season and number, compared as a whole: part of
a name would let region 139 pass because 13 is in it.
"""  # noqa: E501 (a table)

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.base import Flags, Floats
from .files import enlarged, raw, reflectance
from .paired import THIRTEEN

PLANET = (485.0, 545.0, 630.0, 820.0)
"""Centres of PlanetScope's blue, green, red, near infrared, nanometres."""
Region = tuple[str, int]
"""Campaign (`ROIs1158`, or the season of Planet-CR) and number."""

TEST: frozenset[Region] = frozenset(
    {
        ("ROIs1158", 31), ("ROIs1158", 44), ("ROIs1158", 106), ("ROIs1158", 123), ("ROIs1158", 140),
        ("ROIs1868", 73), ("ROIs1868", 119), ("ROIs1970", 139), ("ROIs2017", 63), ("ROIs2017", 108),
    }
)  # fmt: skip
"""Test regions of SEN12MS-CR as its authors split it (Ebel et al. 2022)."""
TEST_SERIES: frozenset[Region] = frozenset(
    {
        ("ROIs1158", 106), ("ROIs1868", 73), ("ROIs1868", 100), ("ROIs1868", 119), ("ROIs1868", 142),
        ("ROIs1970", 20), ("ROIs1970", 132), ("ROIs1970", 139), ("ROIs2017", 32), ("ROIs2017", 63),
        ("ROIs2017", 103), ("ROIs2017", 108), ("ROIs2017", 140),
    }
)  # fmt: skip
"""Test regions of SEN12MS-CR-TS."""
VALIDATION: frozenset[Region] = frozenset(
    {
        ("ROIs1158", 17), ("ROIs1868", 17), ("ROIs1868", 19), ("ROIs1868", 80), ("ROIs1868", 127),
        ("ROIs1970", 65), ("ROIs2017", 22), ("ROIs2017", 84), ("ROIs2017", 107), ("ROIs2017", 130),
        ("ROIs2017", 117),
    }
)  # fmt: skip
"""Validation regions of both."""

_SINGLE = re.compile(r"(ROIs\d+)_[a-z]+(?:_s[12](?:_cloudy)?)?_(\d+)_p\d+")
_SERIES = re.compile(r"s[12]_(ROIs\d+)_(\d+)_ImgNo_(\d+)_.*?patch_(\d+)$")
_PLANET = re.compile(r"planet_cloudfree_([a-z]+)_(\d+)_p_\d+")


@dataclass(frozen=True)
class Triplet:
    """Files of one sample.

    Attributes:
        name, region: its name below the folder, and whose ground it shows (None: not known).
        cloud, landcover: masks, where the set has them.
        wavelengths: of the optical bands in nanometres.
    """

    name: str
    region: Region | None
    cloudy: Path
    clear: Path
    sar: Path
    wavelengths: tuple[float, ...]
    cloud: Path | None = None
    landcover: Path | None = None

    def read(self, bilinear: bool = False) -> tuple[Floats, Floats, Floats, Flags | None]:
        """Cloudy and clear (B, H, W) reflectance, radar (2, H, W) dB on their grid, cloud or None.

        Radar of coarser pixels is enlarged by repeating them, or bilinearly.
        """
        cloudy, clear = reflectance(self.cloudy), reflectance(self.clear)
        shape = (clear.shape[1], clear.shape[2])
        radar = raw(self.sar)[:2].astype(np.float32)
        if radar.shape[1:] != shape:
            radar = enlarged(radar, shape) if bilinear else repeated(radar, shape)
        cloud = None
        if self.cloud is not None:
            mask = np.load(self.cloud, allow_pickle=False) if self.cloud.suffix == ".npy" else raw(self.cloud)
            cloud = np.asarray(mask.reshape(mask.shape[-2:]) == 1)
        return cloudy, clear, radar, cloud


def repeated(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(..., h, w) enlarged to `shape` by the nearest pixel."""
    rows, columns = (
        (2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(shape, image.shape[-2:], strict=True)
    )
    return image[..., rows[:, None], columns]


def region(name: str) -> Region | None:
    """The region of a file or sample by its exact identifiers; None for other names."""
    for pattern in (_SINGLE, _SERIES):
        found = pattern.search(Path(name).stem)
        if found:
            return found[1], int(found[2])
    return None


def held_out(name: str) -> bool:
    """Whether a sample shows a region that SEN12MS-CR keeps for its test."""
    return region(name) in TEST


def split_of(where: Region, series: bool = False) -> str:
    """`train`, `val` or `test`."""
    if where in (TEST_SERIES if series else TEST):
        return "test"
    return "val" if where in VALIDATION else "train"


def trained_on(found: Triplet) -> bool:
    """Whether training may see a sample: none whose region or folder is kept for validation or test."""
    if {"test", "val"} & set(Path(found.name).parts):
        return False
    return found.region is None or split_of(found.region, "_ImgNo_" in found.name) == "train"


def find(root: Path) -> list[Triplet]:
    """Every triplet below `root`, in order of their names."""
    found = {t.name: t for search in (_single, _series, _planet) for t in search(root)}
    return [found[name] for name in sorted(found)]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _single(root: Path) -> Iterator[Triplet]:
    for clear in sorted(root.rglob("*_s2_*_p*.tif")):
        scene = clear.parent.parent
        if "_cloudy_" in clear.name or not scene.name.endswith("_s2"):
            continue
        paths = [
            scene.with_name(scene.name.removesuffix("s2") + word)
            / clear.parent.name.replace("s2", word)
            / clear.name.replace("_s2_", f"_{word}_")
            for word in ("s2_cloudy", "s1")
        ]
        if all(path.exists() for path in paths):
            yield Triplet(_name(clear, root), region(clear.name), paths[0], clear, paths[1], THIRTEEN)


def _series(root: Path) -> Iterator[Triplet]:
    """Of each patch the date of the darkest blue band is the clear one, all others are cloudy."""
    patches: dict[tuple[str, str, str], list[Path]] = {}
    for path in sorted(root.rglob("s2_ROIs*_patch_*.tif")):
        found = _SERIES.search(path.stem)
        if found:
            patches.setdefault((found[1], found[2], found[4]), []).append(path)
    for paths in patches.values():
        clear = min(paths, key=lambda path: float(np.nanmean(reflectance(path, bands=2)[1])))
        for path in paths:
            radar = path.parent.parent.parent / "S1" / path.parent.name
            twin = next(iter(sorted(radar.glob(_radar_of(path)))), None)
            if path != clear and twin is not None:
                yield Triplet(_name(path, root), region(path.name), path, clear, twin, THIRTEEN)


def _radar_of(path: Path) -> str:
    """Pattern of the radar image of the same number and patch; its day may be another."""
    found = _SERIES.search(path.stem)
    first, number, image, patch = found.groups() if found else ("", "", "", "")
    return f"s1_{first}_{number}_ImgNo_{image}_*_patch_{patch}.tif"


def _planet(root: Path) -> Iterator[Triplet]:
    for clear in sorted(root.rglob("planet_cloudfree_*_p_*.tif")):
        found = _PLANET.search(clear.stem)
        if not found:
            continue

        def twin(word: str, ending: str = ".tif", clear: Path = clear) -> Path:
            name = clear.stem.replace("planet_cloudfree", word) + ending
            folder = clear.parent.name.replace("planet_cloudfree", word)
            season = clear.parent.parent.name.replace("planet_cloudfree", word)
            return clear.parent.parent.parent / season / folder / name

        cloudy, radar = twin("planet_cloudy"), twin("S1")
        cloud, cover = twin("cloudmask", ".npy"), twin("landcover")
        if cloudy.exists() and radar.exists():
            where = (found[1], int(found[2]))
            more = tuple(path if path.exists() else None for path in (cloud, cover))
            yield Triplet(_name(clear, root), where, cloudy, clear, radar, PLANET, *more)
