"""Any folder of scenes and a DEM, brought into the layout that training reads.

A scene is a raster or a product (Landsat, Sentinel-2; folder or archive); a subfolder of rasters is a place
with several dates. Clouds that the scene's own masks mark, and what lies outside, become nodata; the DEM and
the later dates of a place are brought onto the grid of its first one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.warp

from ..datasets import tiling
from ..datasets.catalog import READERS
from ..datasets.folder import key, kind, mask_of, owners
from ..errors import TerramendError
from ..filling.process import computing
from ..raster.grid import Grid
from ..raster.masks.names import mask_kind_of
from ..raster.products.landsat import open_landsat
from ..raster.products.products import open_by_itself
from ..raster.products.sentinel2 import open_sentinel2
from ..raster.raster import Raster
from ..raster.reader import RasterReader
from ..raster.scene.fill_bands import fill_bands
from ..raster.scene.guides import open_guide, paired
from ..raster.scene.reference_gaps import ReferenceGaps
from ..raster.scene.terrain import TerrainReader
from ..raster.warp import overlaps
from ..request import DEFAULT_CLASSES, Mask
from ..watch import Watch
from .earth_engine import SCALE, VOID
from .place_raster import place_raster

RASTERS, ARCHIVES = (".tif", ".tiff", ".jp2", ".vrt"), (".zip", ".tar", ".gz", ".tgz")
ROWS = 512
"""Rows of a scene that are read at once."""


@dataclass(frozen=True)
class Found:
    """A scene on disk: its place's name, its files, its DEM or None, and masks beside it.

    Of files of one date with several resolutions the finest is kept.
    """

    place: str
    paths: tuple[Path, ...]
    dem: Path | None
    masks: tuple[Mask, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The files as requests name them."""
        return tuple(str(path) for path in self.paths)


def find(root: Path, dem: Path | None, watch: Watch) -> list[Found]:
    """The scenes below a folder, at most one level down.

    Args:
        dem: for all of them; None: a raster called dem, srtm or elevation beside each, or in `root`.

    Raises:
        TerramendError: `fetch.scenes` where there is none.
    """
    found = []
    if root.is_dir():
        common = dem or _dem(root)
        for path in sorted(root.iterdir()):
            if _product(path, watch):
                found.append(Found(_name(_stem(path)), (path,), common))
            elif path.is_dir():
                own = dem or _dem(path) or common
                dates: dict[str, list[Path]] = {}
                for file in _optical(path):
                    dates.setdefault(key(file), []).append(file)
                found += [Found(_name(path.name), tuple(f), own, _masks(f[0])) for f in dates.values()]
            elif path in _optical(root):
                found.append(Found(_name(path.stem), (path,), common, _masks(path)))
    if not found:
        raise TerramendError("fetch.scenes", path=str(root))
    return found


def _name(place: str) -> str:
    """A place's name that is not that of a folder which has a reader of its own."""
    return f"{place}-scenes" if place in READERS else place


def _product(path: Path, watch: Watch) -> bool:
    if not (path.is_dir() or (path.suffix.lower() in ARCHIVES and path.is_file())):
        return False
    return bool(open_sentinel2(str(path)) or open_landsat(str(path), watch))


def _optical(folder: Path) -> list[Path]:
    return [path for path in _rasters(folder) if kind(path) == "optical"]


def _dem(folder: Path) -> Path | None:
    return next((path for path in _rasters(folder) if kind(path) == "terrain"), None)


def _rasters(folder: Path) -> list[Path]:
    """Files called like rasters; a pipe, say, would be read for ever."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in RASTERS and p.is_file())


def _masks(scene: Path) -> tuple[Mask, ...]:
    """What hides the ground in a scene, by the words that `datasets.folder` knows."""
    found = []
    keys = [key(path) for path in _optical(scene.parent)]
    for word, read in (("mask", "nonzero"), ("probability", "cloudprob"), ("classes", "")):
        files = [path for path in _rasters(scene.parent) if kind(path) == word]
        mask = mask_of(owners(files, keys), key(scene))
        found += [Mask(str(mask), read or mask_kind_of(mask.stem) or "auto")] if mask else []
    return tuple(found)


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def sides(found: list[Found], watch: Watch) -> dict[str, str]:
    """`train` or `val` of each place; places that share ground are on one side."""
    where: dict[str, tiling.Bounds | None] = {}
    for scene in found:
        grid = open_by_itself(scene.names, watch=watch)[0].grid
        before, here = where.get(scene.place), _bounds(grid)
        if before and here:
            here = (*map(min, before[:2], here[:2]), *map(max, before[2:], here[2:]))  # type: ignore[assignment]
        where[scene.place] = here or before
    return tiling.split(where)


def _bounds(grid: Grid) -> tiling.Bounds | None:
    """The grid's in degrees; east of west, also where longitudes begin anew between them."""
    if grid.centre is None or grid.crs is None:
        return None
    corners = [
        grid.affine @ place
        for place in ((0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height))
    ]
    xs, ys = zip(*corners, strict=True)
    box = (min(xs), min(ys), max(xs), max(ys))
    west, south, east, north = rasterio.warp.transform_bounds(grid.crs, "EPSG:4326", *box)
    return west, south, east if west <= east else east + 360, north


def prepare(found: Found, folder: Path, watch: Watch) -> Path | None:
    """Write a scene, and its place's `dem.tif` where there is a DEM, into `folder`; what is there stays.

    The date that comes first gives the grid of the place.

    Returns:
        The scene's file; None, with a notice, where it does not overlap the first date.

    Raises:
        TerramendError: as opening the scene, its masks and DEM; `fetch.scenes` where it has no optical band.
    """
    scene = open_by_itself(found.names, watch=watch)[0]
    path, dem = folder / f"{scene.date or _stem(found.paths[0])}.tif", folder / "dem.tif"
    if path.exists() and (found.dem is None or dem.exists()):
        return path
    if not fill_bands(scene, (), 0, watch):
        raise TerramendError("fetch.scenes", path=found.names[0])
    first = next(iter(_optical(folder)), None) if folder.is_dir() else None
    grid = scene.grid if first is None else open_by_itself((str(first),), watch=Watch())[0].grid
    scene = paired(scene, grid, watch)
    if not overlaps(scene.grid, grid):
        watch.notice("fetch.skipped", name=scene.name, why="it lies beside the first date of its place.")
        return None
    with computing():
        _write(scene, found.masks or scene.masks, grid, path, watch)
        if found.dem is not None and not dem.exists():
            _write_elevation(found.dem, grid, dem, watch)
    return path


def _write(scene: Raster, masks: tuple[Mask, ...], grid: Grid, path: Path, watch: Watch) -> None:
    chosen = fill_bands(scene, (), 0, watch)
    bands = [scene.bands[i] for i in chosen]
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(scene, grid))
        gaps = stack.enter_context(
            ReferenceGaps(
                masks, scene.grid, grid, grow=None, classes=DEFAULT_CLASSES, cloud_threshold=None,
                watch=watch, bands=len(scene.bands),
            )
        )  # fmt: skip
        target = stack.enter_context(place_raster(path, grid, count=len(bands), dtype="uint16", nodata=0))
        target.descriptions = [band.description for band in bands]
        target.scales = (1 / SCALE,) * len(bands)
        for number, band in enumerate(bands, 1):
            if np.isfinite(band.wavelength):
                target.update_tags(number, wavelength=f"{band.wavelength:g}")
        tags = {"date": str(scene.date)} if scene.date else {}
        if scene.sun:
            tags["sun"] = "{:.2f},{:.2f}".format(*scene.sun)
        target.update_tags(SOURCE=scene.name, **tags)
        watch.stage("prepare", -(-grid.height // ROWS))
        for window in grid.strips(ROWS):
            image = reader.reflectance(window, chosen)
            image[:, gaps(window)] = np.nan
            stored = np.clip(np.round(image * SCALE), 1, 65535)
            target.write(np.where(np.isfinite(image), stored, 0).astype(np.uint16), window=window.ranges)
            watch.advance()


def _write_elevation(source: Path, grid: Grid, path: Path, watch: Watch) -> None:
    guide = open_guide(str(source), grid, "--dem", watch)
    made = place_raster(path, grid, count=1, dtype="float32", nodata=float(VOID))
    with TerrainReader(guide, grid, None) as reader, made as target:
        for window in grid.strips(ROWS):
            watch.check()
            heights = np.nan_to_num(reader.read(window)[:1], nan=VOID)
            target.write(heights, window=window.ranges)
