"""What the Align-CR experiment measures on: scenes that no network was trained on, under real and made cloud.

Scenes are those of `val`, and those of `train` that training leaves out: the patch of a region that
SEN12MS-CR keeps for its test, and the one of Planet-CR. Real cloud covers what it covers; so that
every level of cover is met, real cloud shapes are also laid over the clear images as opaque cloud.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...models.align_cr import inputs
from ...models.base import Flags, Floats
from ..datasets import catalog, landcover, planet, radar_layouts
from ..datasets.files import raw
from ..datasets.place import Place
from ..errors import TerramendError

SIDE = 160
"""Pixels: the centre of each scene that is measured, as the paper's code does."""
LEVELS = ("0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %")
SEEN = 0.05
"""Opacity from which made cloud counts as cloud."""
DRAWS = 2
"""Made clouds of each level over each scene."""


@dataclass(frozen=True)
class Case:
    """A clouded image, and what was under the cloud.

    Attributes:
        name, place: of the case, and of its ground. made: whether the cloud is.
        cloudy, clear: (6, H, W) reflectance by slot, NaN where there is none. cloud: (H, W).
        sar: (2, H, W) dB, or None. classes: (H, W) of `landcover.NAMES` where there is a map.
        fine: whether pixels are those of PlanetScope, finer than the radar's.
    """

    name: str
    place: str
    made: bool
    cloudy: Floats
    clear: Floats
    cloud: Flags
    sar: Floats | None
    classes: landcover.Classes | None = None
    fine: bool = False

    @property
    def known(self) -> Flags:
        """(6, H, W) samples whose truth is known."""
        return np.asarray(np.isfinite(self.clear) & np.isfinite(self.cloudy))

    @property
    def bands(self) -> list[int]:
        """Slots that the sensor has."""
        return [int(slot) for slot in np.flatnonzero(np.isfinite(self.clear).any((1, 2)))]

    @property
    def level(self) -> int:
        """Index into `LEVELS`."""
        return min(int(5 * self.cloud.mean()), 4)

    @property
    def key(self) -> str:
        """The name, and a sum over what there is to see."""
        return f"{self.name} {zlib.crc32(self.cloudy.tobytes()):08x}"


def cases(data: Path, most: int = 0) -> list[Case]:
    """Real and made cases of every scene with radar that is not trained on.

    Args:
        data: folder with the splits. most: scenes at most (0: all).

    Raises:
        TerramendError: `training.pairs` where there is none.
    """
    found: list[Case] = []
    shapes: list[Flags] = []
    scenes: list[Case] = []
    for split in ("val", "train"):
        root = data / split
        for dataset, name in catalog.places(root) if root.is_dir() else []:
            held = dataset == planet.FOLDER or radar_layouts.held_out(name)
            if dataset not in catalog.READERS or (split == "train" and not held):
                continue
            place = catalog.read_place(root, dataset, name)
            if split == "val":
                shapes += [
                    d.gaps for d in place.dates if 0.05 < d.gaps.mean() <= 1 and min(d.gaps.shape) >= SIDE
                ]
            if all(date.sar is None for date in place.dates) or min(place.shape) < SIDE:
                continue
            scenes += _of_place(place, root / dataset)
    for scene in scenes[: most or None]:
        if not scene.made:
            found.append(scene)
        if shapes:
            found += [
                covered(scene, shapes, level, draw) for level in range(len(LEVELS)) for draw in range(DRAWS)
            ]
    if not found:
        raise TerramendError("training.pairs", path=str(data))
    return found


def _of_place(place: Place, folder: Path) -> list[Case]:
    """One case: the real pair, or the clear image with `made` set, no cloud yet; none below three slots."""
    known = inputs.slots(place.wavelengths, len(place.bands))
    if sum(band is not None for band in known) < 3:
        return []
    pair = place.pairs[0] if place.pairs else None
    truth = place.date(pair[1] if pair else place.dates[0].name)
    given = place.date(pair[0]) if pair else truth
    rows, columns = (slice((n - SIDE) // 2, (n - SIDE) // 2 + SIDE) for n in place.shape)
    classes = None
    mapped = folder / f"{place.name}_landcover.tif"
    if mapped.exists():
        classes = landcover.from_worldcover(radar_layouts.repeated(raw(mapped)[0], place.shape))[
            rows, columns
        ]
    sar = truth.sar[:, rows, columns] if truth.sar is not None else None
    clear, cloudy = (inputs.by_slot(date.image, known)[:, rows, columns] for date in (truth, given))
    cloud = given.gaps[rows, columns] if pair else np.zeros((SIDE, SIDE), bool)
    label = f"{folder.name}/{place.name}"
    fine = place.pixel_size[0] < 10
    return [Case(label, label, pair is None, cloudy, clear, cloud, sar, classes, fine)]


def covered(scene: Case, shapes: Sequence[Flags], level: int, draw: int) -> Case:
    """The clear image under opaque cloud of a real shape that covers about the level's middle."""
    random = np.random.default_rng([level, draw, zlib.crc32(scene.name.encode())])
    thick, miss = np.zeros((SIDE, SIDE), np.float32), 2.0
    for _ in range(1500):
        shape = shapes[int(random.integers(len(shapes)))]
        row, column = (int(random.integers(0, n - SIDE + 1)) for n in shape.shape)
        cut = np.rot90(shape[row : row + SIDE, column : column + SIDE], int(random.integers(4)))
        veil = np.clip(1.5 * cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 3), 0, 0.97)
        apart = abs((veil > SEEN).mean() - (level + 0.5) / 5)
        if apart < miss:
            thick, miss = veil, apart
        if miss < 0.05:
            break
    soft = cv2.GaussianBlur(random.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 8)
    white = (0.6 + 0.1 * soft / max(float(soft.std()), 1e-6))[None]
    cloudy = scene.clear * (1 - thick) + white * thick
    name = f"{scene.name}/{LEVELS[level]}/{draw}"
    return Case(
        name, scene.place, True, np.asarray(cloudy, np.float32), scene.clear, np.asarray(thick > SEEN),
        scene.sar, scene.classes, scene.fine,
    )  # fmt: skip
