"""Which reader serves which folder, and the way to a place by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..messages.notices import Notice
from . import (
    belgium,
    clear_patches,
    earthnet,
    folder,
    landsat_pairs,
    landsat_series,
    lazio,
    masks,
    oscd,
    planet,
    relief,
    rice,
    sen12ms,
    sen12mscr,
    slovenia,
    worldcereal,
    xlandsat,
)  # fmt: skip
from .files import geotiffs, grid, is_geotiff
from .place import Place


class Reader(Protocol):
    """What a module or an object that reads one folder offers."""

    def names(self, folder: Path) -> list[str]:
        """The places in the folder."""

    def files(self, folder: Path, name: str) -> list[Path]:
        """The files that make a place."""

    def read(self, folder: Path, name: str) -> Place:
        """The place as arrays."""


READERS: dict[str, Reader] = {
    **{
        module.FOLDER: module
        for module in (belgium, lazio, oscd, planet, rice, slovenia, worldcereal, xlandsat)
    },
    **{
        made.folder: made
        for module in (clear_patches, landsat_pairs, landsat_series, masks, relief, sen12mscr)
        for made in module.SETS
    },
}  # modules are readers too
"""Reader of each folder of the pack; other folders are read by `folder`."""

PUBLISHED = (earthnet, sen12ms)
"""Readers of published data sets, which are known by what a folder holds."""


def reader(path: Path) -> Reader:
    """The reader for a folder: by its name, or by what it holds."""
    if path.name in READERS:
        return READERS[path.name]
    found = next((module for module in PUBLISHED if module.holds(path)), folder)
    return found


def places(root: Path) -> list[tuple[str, str]]:
    """(dataset, place) of everything under `root`, in order.

    `root` holds data set folders (one of the pack's splits), folders of GeoTIFFs, splits of
    EarthNet2021 or seasons of SEN12MS; or is such a folder of GeoTIFFs, such a split or season.
    """
    if sen12ms.holds(root):  # its scenes are no data sets
        return [(".", name) for name in sen12ms.names(root)]
    found = []
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        if path.name in READERS or earthnet.holds(path) or any(map(is_geotiff, path.rglob("*"))):
            found += [(path.name, name) for name in reader(path).names(path)]
    if not found and (earthnet.holds(root) or geotiffs(root)):
        path = root.resolve()  # a place may be called like its folder, and "." is no name
        found = [(".", name) for name in reader(path).names(path)]
    return found


def ground(dataset: str, name: str) -> str:
    """The piece of ground that a place shows: two views of one are no independent evidence."""
    cube = earthnet.CUBE.fullmatch(name)
    if cube is not None:  # cubes of one Sentinel-2 tile overlap, over all splits
        return f"earthnet/{cube['tile']}"
    patch = sen12ms.PATCH.fullmatch(name)
    if patch is not None:  # patches of one scene overlap, too
        return f"sen12ms/{patch['scene']}"
    return dataset if dataset == slovenia.FOLDER else f"{dataset}/{name}"


def read_place(root: Path, dataset: str, name: str) -> Place:
    """The place as arrays, and where it lies if a file says so."""
    path = (root / dataset).resolve()
    place = reader(path).read(path, name)
    if place.centre is not None:
        return place
    paths = (path for path in source_files(root, dataset, name) if is_geotiff(path))
    first = next(paths, None)
    return place if first is None else replace(place, centre=grid(first).centre)


def source_files(root: Path, dataset: str, name: str) -> list[Path]:
    """The files that a place is made of."""
    path = (root / dataset).resolve()
    return reader(path).files(path, name)


def is_own(root: Path, dataset: str) -> bool:
    """Whether it is a user's own folder of scenes, none of the pack or of a published data set."""
    return reader((root / dataset).resolve()) is folder


def left_out(root: Path, dataset: str, name: str) -> tuple[Notice, ...]:
    """Files that a user's own folder holds and the place does not, with the reason."""
    return folder.layout((root / dataset).resolve(), name).left if is_own(root, dataset) else ()
