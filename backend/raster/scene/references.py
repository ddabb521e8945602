"""Other dates of the target's place, each with its own masks."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import TerramendError
from ...failure import as_error
from ...request import FillRequest, Mask
from ...request import Reference as AskedReference
from ...watch import Watch
from ..gdal import has_stored_mask, open_dataset, read_ends
from ..products.fill_tag import is_filled
from ..products.products import open_by_itself
from ..products.siblings import Folders, files_of, holds, masks_beside, split_paths
from ..raster import Band, Raster, is_reflectance, telling
from ..warp import overlaps
from .guides import paired

LEFT_OUT = ("reference.broken", "reference.apart", "reference.unmasked")
"""Notices of dates that are not used, which name them by their `path`."""

OWN = ("raster.", "product.", "pair.", "radiometry.", "reference.", "mask.", "polygons.", "file.read")
"""Codes of what is wrong with a date or its mask; one of a folder or list is left out for it."""


@dataclass(frozen=True)
class Reference:
    """An opened reference.

    Attributes:
        path: as it was asked for. name: for messages. date: its acquisition date, or None.
        parts: its rasters, each with the 0-based bands that are used.
        masks: of its gaps; empty: said to be clear (its nodata still counts).
        surface: as `Raster.surface`.
        named: whether it was asked for by itself: then what is wrong with it ends the run.
    """

    path: str
    name: str
    date: datetime.date | None
    parts: tuple[tuple[Raster, tuple[int, ...]], ...]
    masks: tuple[Mask, ...]
    surface: bool | None
    named: bool = True

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands in use, in the order of a tile's reference image."""
        return tuple(raster.bands[i] for raster, wanted in self.parts for i in wanted)

    @property
    def names(self) -> tuple[str, ...]:
        """GDAL names of what is read of it, its masks last."""
        bands = [band.path for raster, _ in self.parts for band in raster.bands]
        masks = [mask for raster, _ in self.parts for mask in raster.masks]
        return tuple(dict.fromkeys([*bands, *(mask.path for mask in (*masks, *self.masks))]))

    @property
    def partner(self) -> Raster:
        """The finest raster: what its masks belong to."""
        return self.parts[0][0]


def open_references(
    request: FillRequest,
    target: Raster,
    watch: Watch,
    found: tuple[AskedReference, ...] = (),
    folders: Folders | None = None,
) -> tuple[Reference, ...]:
    """All references of a request, opened, with masks and in the given order.

    The target itself is left out: it would show in its gaps what lies there. A date that stands there
    twice counts as it stands first: those that were named by themselves go before those that were found.

    Args:
        watch: hears of each date by itself; `Together` makes few words of it. Its stage is `dates`.
        found: further ones, as `siblings.find_references` gives them; those that lie elsewhere, cannot be
            read or have no mask are left out, where one that was named by itself is an error.
        folders: what is known of the folders already, as for `siblings.masks_beside`.

    Raises:
        TerramendError: `reference.apart`, `reference.mask`, `references.clouds` (where no date that was
            found is left, for want of masks), `pair.crs`, and what opening raises.
    """
    opened: list[Reference] = []
    folders, own, unmasked = folders or Folders(), files_of(target), None
    listed = not (request.references_from and Path(request.references_from).is_dir())
    seen: set[frozenset[Path]] = set()
    dates = [*((r, True) for r in request.references), *((r, False) for r in found)]
    if dates:
        watch.stage("dates", len(dates))
    for asked, named in dates:
        watch.advance()
        if asked.path in request.target or (named and holds(asked, own)):  # `found` is without it
            if Path(asked.path).is_dir():  # of the product, or of all dates: an error
                open_by_itself((asked.path,), watch=Watch(), folders=folders)
            watch.notice("reference.itself", path=asked.path)
            continue
        files = frozenset(Path(path).resolve() for path in split_paths(asked.path))
        if files in seen:
            watch.notice("reference.twice", path=asked.path)
            continue
        seen.add(files)
        clear = request.references_clear and not named
        try:
            reference = open_reference(asked, target, watch, folders, clear=clear)
            if reference is not None and not named:
                for path in dict.fromkeys(band.path for band in reference.bands):
                    read_ends(path)
        except Exception as failure:
            error = as_error(failure)
            if named or not error.code.startswith(OWN):
                raise
            if error.code == "reference.mask":
                unmasked = unmasked or asked.path
                watch.notice("reference.unmasked", path=asked.path)
            else:
                watch.notice("reference.broken", path=asked.path, why=str(error))
            continue
        if reference is not None:
            opened.append(replace(reference, named=named))
            if (named or listed) and is_filled(reference.partner.bands[0].path):  # a folder's never are
                watch.notice("reference.filled", name=reference.name)
        elif named:
            raise TerramendError("reference.apart", path=asked.path)
        else:
            watch.notice("reference.apart", path=asked.path)
    if unmasked is not None and all(reference.named for reference in opened):
        raise TerramendError("references.clouds", path=request.references_from, name=Path(unmasked).name)
    for reference in opened:
        if None not in (reference.surface, target.surface) and reference.surface != target.surface:
            watch.notice("reference.level", name=reference.name)
    return tuple(opened)


def open_reference(
    asked: AskedReference, target: Raster, watch: Watch, folders: Folders, *, clear: bool = False
) -> Reference | None:
    """One reference, or None where it does not overlap the target; `clear`: it needs no mask."""
    paths = split_paths(asked.path)
    heard = Watch()
    rasters = open_by_itself(paths, date=asked.date, watch=heard, folders=folders)
    _pass_on(heard, rasters, target, watch)
    rasters = tuple(paired(_without_zeros(raster), target.grid, watch) for raster in rasters)
    used = [(raster, wanted) for raster in rasters if (wanted := telling(raster.bands))]
    parts = tuple([part for part in used if is_reflectance(part[0].bands)] or used)
    if not parts:
        raise TerramendError("reference.bands", path=asked.path)
    if not any(overlaps(raster.grid, target.grid) for raster, _ in parts):
        return None
    masks = asked.masks or rasters[0].masks or masks_beside(paths, rasters[0], folders)
    if not masks and not clear:
        raise TerramendError("reference.mask", path=asked.path)
    first = parts[0][0]
    if first.date is None:
        watch.notice("reference.date", name=first.name)
    return Reference(
        asked.path,
        first.name,
        first.date,
        parts,
        tuple(m for m in masks if m.kind != "none"),
        first.surface,
    )


def _without_zeros(raster: Raster) -> Raster:
    """The raster, with zero in all bands as no observation where it declares none: holes are so written.

    Of a target that holds along the edge only (`files.zero_filled`): its gaps are what a user names. A date
    would have its zeros copied into them. Two bands alone may both be cut off at zero, as over water.
    """
    optical = [band for band in raster.bands if band.role == "optical"]
    alpha = any(band.role == "alpha" for band in raster.bands)
    declared = alpha or any(band.nodata is not None for band in optical)
    if raster.zero_fill or declared or len(optical) < 3:
        return raster
    with open_dataset(optical[0].path) as file:
        return raster if has_stored_mask(file) else replace(raster, zero_fill=True)


def _pass_on(heard: Watch, rasters: tuple[Raster, ...], target: Raster, watch: Watch) -> None:
    """Notices of a reference, less those that its target has had: many dates are of one kind."""
    same = {_scaling(raster) for raster in rasters} == {_scaling(target)}
    for notice in heard.notices:
        if notice.code != "raster.zero-fill" and not (same and notice.code == "product.guess"):
            watch.notice(notice.code, **notice.arguments)


def _scaling(raster: Raster) -> tuple[float, float] | None:
    return next(((band.gain, band.bias) for band in raster.bands if band.role == "optical"), None)
