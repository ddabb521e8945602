"""Cloudy and clear images in the folders that published data sets come as.

| layout | files |
|---|---|
| RICE1, RICE2, CUHK-CR | `SET/cloud/NAME.png` and `SET/label/NAME.png` (`train/` and `test/` may lie between); CUHK-CR's fourth band in `SET/nir/cloud`, `SET/nir/label` |
| SEN12MS-CR | `..._s2/s2_7/..._s2_7_p30.tif` and `..._s2_cloudy/s2_cloudy_7/..._s2_cloudy_7_p30.tif`, 13 bands |
| any | `NAME_cloudy.tif` and `NAME_clear.tif`, or `cloudy/NAME.tif` and `clear/NAME.tif` (PNG too) |
"""  # noqa: E501 (a table)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.base import Floats
from .files import COLOURS, SENTINEL2, opened, reflectance

THIRTEEN = (443.0, 490.0, 560.0, 665.0, 705.0, 740.0, 783.0, 842.0, 865.0, 945.0, 1375.0, 1610.0, 2190.0)
"""Centres of all Sentinel-2 bands in nanometres, in the order of SEN12MS-CR."""
SUFFIXES = (".tif", ".tiff", ".png")
FOLDERS = (("cloud", "label"), ("cloudy", "clear"))
"""Names of the folders of cloudy and of clear images."""


@dataclass(frozen=True)
class Found:
    """A pair on disk: files whose bands follow each other."""

    name: str
    cloudy: tuple[Path, ...]
    clear: tuple[Path, ...]

    def read(self) -> tuple[Floats, Floats]:
        """(B, H, W) cloudy and clear in 0..1, NaN at no data."""
        return _stack(self.cloudy), _stack(self.clear)

    def display(self) -> bool:
        """Whether the values are those of a picture (8 bit), not reflectance."""
        with opened(self.clear[0]) as source:
            return bool(source.dtypes[0] == "uint8")

    def wavelengths(self) -> tuple[float, ...]:
        """Centres of the bands in nanometres, by names or by what the layout is known to hold."""
        known: list[float] = []
        for path in self.clear:
            with opened(path) as source:
                names, count = source.descriptions, source.count
            if all(name in SENTINEL2 for name in names):
                known += [SENTINEL2[name] for name in names]
            elif count == len(THIRTEEN):
                known += THIRTEEN
            elif count in (3, 4):  # a picture: red, green, blue; then near infrared (CUHK-CR) or alpha
                colours = [COLOURS["red"], COLOURS["green"], COLOURS["blue"]]
                known += [*colours, *([COLOURS["nir"]] if count == 4 and path.suffix != ".png" else [])]
            else:
                known += [COLOURS["nir"]] if count == 1 and known else [float("nan")] * count
        return tuple(known)


def find(root: Path) -> list[Found]:
    """Every pair below `root`, in order of their names."""
    found = {pair.name: pair for search in (_folders, _sentinel, _suffixes) for pair in search(root)}
    return [found[name] for name in sorted(found)]


def is_cloudy_half(path: Path) -> bool:
    """Whether a file is the cloudy image of a pair: so called, or its folder, and the clear one beside it."""
    if path.stem.endswith("_cloudy"):
        return _twin(path.parent, path.stem.removesuffix("_cloudy") + "_clear") is not None
    clear = dict(FOLDERS).get(path.parent.name)
    return clear is not None and _twin(path.parent.parent / clear, path.stem) is not None


def _stack(paths: tuple[Path, ...]) -> Floats:
    images = []
    for path in paths:
        with opened(path) as source:
            gain = 1 / 255 if source.dtypes[0] == "uint8" else 1.0 if "float" in source.dtypes[0] else 1e-4
            bands = min(source.count, 3) if path.suffix == ".png" else source.count
        images.append(reflectance(path, gain, bands=bands))
    return np.concatenate(images)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _twin(folder: Path, stem: str) -> Path | None:
    return next((folder / (stem + s) for s in SUFFIXES if (folder / (stem + s)).exists()), None)


def _folders(root: Path) -> Iterator[Found]:
    """`cloud` beside `label`, `cloudy` beside `clear`."""
    for first, second in FOLDERS:
        for folder in sorted(path for path in root.rglob(first) if path.is_dir()):
            other, infrared = folder.parent / second, folder.parent / "nir"
            if folder.parent.name == "nir" or not other.is_dir():
                continue
            for path in _images(folder):
                clear = _twin(other, path.stem)
                more = [_twin(infrared / side, path.stem) for side in (first, second)]
                if clear is None:
                    continue
                cloudy: tuple[Path, ...] = (path,)
                truth: tuple[Path, ...] = (clear,)
                if more[0] is not None and more[1] is not None:
                    cloudy, truth = (path, more[0]), (clear, more[1])
                yield Found(path.relative_to(root).with_suffix("").as_posix(), cloudy, truth)


def _sentinel(root: Path) -> Iterator[Found]:
    """SEN12MS-CR: the folders and names differ by the word `cloudy`."""
    for path in sorted(root.rglob("*_s2_cloudy_*_p*.tif")):
        scene = path.parent.parent
        clear = scene.with_name(scene.name.replace("_s2_cloudy", "_s2"))
        clear = clear / path.parent.name.replace("s2_cloudy", "s2") / path.name.replace("_s2_cloudy_", "_s2_")
        if clear.exists():
            yield Found(path.relative_to(root).with_suffix("").as_posix(), (path,), (clear,))


def _suffixes(root: Path) -> Iterator[Found]:
    """`NAME_cloudy` beside `NAME_clear`."""
    for path in sorted(p for suffix in SUFFIXES for p in root.rglob(f"*_cloudy{suffix}")):
        clear = _twin(path.parent, path.stem.removesuffix("_cloudy") + "_clear")
        if clear is not None:
            yield Found(path.relative_to(root).with_suffix("").as_posix(), (path,), (clear,))
