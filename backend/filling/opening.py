"""From a request to open inputs: target, references, the scene of each grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import Notice, TerramendError
from ..flow import run_cancellable
from ..raster.grid import Grid
from ..raster.masks.gapmap import GapMap, build_gap_map
from ..raster.masks.polygons import is_vector
from ..raster.products.classes import say_classes
from ..raster.products.products import open_product
from ..raster.products.radiometry import as_dates
from ..raster.products.siblings import Folders, find_references, masks_beside
from ..raster.raster import Raster, telling
from ..raster.scene.fill_bands import class_bands
from ..raster.scene.missed_gaps import missed_gaps
from ..raster.scene.references import LEFT_OUT, Reference, open_references
from ..raster.scene.scene import Scene, open_scene
from ..raster.scene.unchanged import States, states
from ..request import FillRequest, Mask, metres
from ..watch import Together, Watch
from .inputs import named_inputs


@dataclass(frozen=True)
class Inputs:
    """What a request's paths turned out to be.

    Attributes:
        targets: one raster per resolution, the finest first. references: opened, in order.
        names: every file that is read, once, in a fixed order.
        files: what they were before anything was read of them.
        partners: grids that masks without a CRS pair with, where these are not the targets' own.
        left_out: why dates of a folder or list are not among the references, each by itself.
    """

    targets: tuple[Raster, ...]
    references: tuple[Reference, ...]
    names: tuple[str, ...]
    files: States
    partners: tuple[Grid, ...] = ()
    left_out: tuple[Notice, ...] = ()

    def first_band(self, number: int) -> int:
        """Bands before the `number`-th target, as `request.bands` counts them."""
        return sum(len(target.bands) for target in self.targets[:number])

    def unused(self, request: FillRequest, used: Sequence[Reference]) -> set[str]:
        """Those of `names` that stand for references which are not among the `used` ones alone."""
        left = {name for reference in self.references if reference not in used for name in reference.names}
        return left.difference(files_read(request, self.targets, used))

    def part(self, number: int, watch: Watch) -> AbstractContextManager[None]:
        """The `number`-th target's share, of the samples, of a run; notices inside say all but the finest."""
        samples = [len(target.bands) * target.grid.width * target.grid.height for target in self.targets]
        begin, end = sum(samples[:number]), sum(samples[: number + 1])
        size = metres(self.targets[number].grid.pixel_size[0])  # as the names of outputs
        return watch.part(begin / sum(samples), end / sum(samples), size if number else "")


def open_inputs(request: FillRequest, watch: Watch) -> Inputs:
    """Open target and references; a cancel does not wait for a server that is silent.

    Raises:
        TerramendError: what is wrong with a file, a band number or a pairing; `run.cancelled`.
    """
    return run_cancellable(lambda: _opened(request, watch), watch.check)


def _opened(request: FillRequest, watch: Watch) -> Inputs:
    asked, folders = states(named_inputs(request)), Folders()
    targets = open_product(
        request.target,
        radiometry=request.radiometry,
        crs=request.target_crs,
        nodata=request.target_nodata,
        date=request.date,
        sun=request.sun,
        watch=watch,
        folders=folders,
    )
    _check_bands(request, targets)
    say_classes(targets, watch)
    say_own_masks(request, targets, folders, watch)
    found = find_references(request.references_from, targets[0], watch) if request.references_from else ()
    with Together(watch) as told:
        references = open_references(request, targets[0], told, found, folders)
    if request.radiometry == "auto":
        shown = [band for reference in references for band in reference.bands]
        targets = tuple(as_dates(target, shown, watch) for target in targets)
    left_out = tuple(notice for notice in told.notices if notice.code in LEFT_OUT)
    names = files_read(request, targets, references)
    return Inputs(targets, references, names, {**states(names), **asked}, left_out=left_out)


def say_own_masks(request: FillRequest, targets: Sequence[Raster], folders: Folders, watch: Watch) -> None:
    """Tell of a mask of the target's own that is not used, or that was asked for and is not there."""
    sought = request.own_mask or (request.mode == "fill" and not request.gaps)
    if sought and not any(target.masks for target in targets):
        beside = masks_beside(request.target, targets[0], folders)[:1]
        for mask in beside:
            watch.notice("mask.beside", path=mask.path, name=targets[0].name)
        if request.own_mask and not beside:
            watch.notice("mask.no-own", name=targets[0].name)
    drawn = bool(request.gaps) and all(map(_drawn, request.gaps))
    if request.mode == "fill" and drawn and not request.own_mask:
        for mask in targets[0].masks[:1]:
            watch.notice("mask.own", path=mask.path, name=targets[0].name)


def _drawn(mask: Mask) -> bool:
    """Whether a mask is polygons: of some clouds, more often than of all."""
    return mask.kind == "polygons" or (mask.kind == "auto" and is_vector(mask.path))


@contextmanager
def open_grid(
    request: FillRequest, inputs: Inputs, number: int, folder: Path, watch: Watch
) -> Iterator[tuple[Scene, GapMap]]:
    """Find the gaps of one of the targets and open its scene; `folder` takes temporary files."""
    target = inputs.targets[number]
    gaps = build_gap_map(
        target,
        request.gaps,
        grow=request.grow,
        classes=request.classes,
        cloud_threshold=request.cloud_threshold,
        fill_swath_edges=request.fill_swath_edges,
        extent=request.extent,
        directory=folder,
        watch=watch,
        partner=inputs.partners[number] if inputs.partners else None,
        whole=request.mode == "clear",
        own=request.own_mask,
    )
    first = inputs.first_band(number)
    with gaps as gap_map, open_scene(request, target, inputs.references, gap_map, watch, first) as scene:
        filled = scene.fill_bands or class_bands(target, request.bands, first)  # of a product's grids not all
        missed = missed_gaps(scene, folder, watch) if request.missed and filled else None
        if missed is None:
            yield scene, gap_map
            return
        with missed:
            scene.take(missed)
            yield scene, missed


def _check_bands(request: FillRequest, targets: Sequence[Raster]) -> None:
    count = sum(len(target.bands) for target in targets)
    beyond = [band for band in request.bands if band > count]
    if beyond:
        raise TerramendError("model.no-band", band=beyond[0], count=count, name=targets[0].name)
    if not request.bands and not any(telling(target.bands) for target in targets):
        raise TerramendError("model.no-bands", name=targets[0].name)


def files_read(
    request: FillRequest, targets: Sequence[Raster], references: Sequence[Reference] = ()
) -> tuple[str, ...]:
    """Paths and GDAL names of what is read, once and in a fixed order; each may stand for several files."""
    names = list(request.target)
    for target in targets:
        names += [band.path for band in target.bands]
        names += [mask.path for mask in target.masks]
    names += [name for reference in references for name in reference.names]
    return tuple(dict.fromkeys(name for name in [*names, *named_inputs(request)] if name))
