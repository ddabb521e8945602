"""`terramend mask`: the gaps of a target as a raster that can be looked at, mended and used again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from .filling.inputs import named_inputs
from .filling.opening import files_read, open_grid, open_inputs, say_own_masks
from .raster.grid import Window
from .raster.masks.detect import OWN_TAG
from .raster.masks.gapmap import GAP, GapMap, build_gap_map, in_force
from .raster.masks.kinds import ANY_CLASS, CLASS_BITS, Bits
from .raster.masks.layers import MaskStack, open_masks
from .raster.masks.names import mask_kind_of
from .raster.metadata import BandMetadata, Metadata
from .raster.outputs import Outputs, working_folder
from .raster.products.products import open_product
from .raster.products.siblings import Folders
from .raster.raster import Raster, telling
from .raster.scene.unchanged import States, states, unchanged
from .raster.writer import GeoTiffWriter
from .request import FillRequest, Mask, request_hash, validate
from .version import VERSION
from .watch import Watch

BLOCK = 512
"""Pixels: side of what is written at once, a multiple of `tiles.BLOCK`."""


def make_mask(request: FillRequest, watch: Watch, *, class_band: bool = False) -> dict[str, Any]:
    """Write the gaps of a target as a GeoTIFF on its (finest) grid.

    Args:
        request: its target, gaps, own_mask, grow, classes, cloud_threshold, fill_swath_edges,
            extent, output, overwrite and tmp are used; where what masks missed is wanted, its
            references too, and radiometry.
        class_band: add a second band with what the masks say of each pixel, before growth and
            whatever classes are ticked: the sum of 1 cloud, 2 shadow, 4 cirrus, 8 snow,
            16 water, 32 saturated, 64 unclassified (all for a mask without classes).

    Returns:
        JSON: `output`; `gap_fraction` of the samples that can be filled, and per band
        (`fractions`); `gap_pixels` that are 1 in the output, of `pixels`; `masks` as read
        (`raster.masks.gapmap.MaskUse`); `notices`; `seconds`.

    Raises:
        TerramendError: what is wrong with the request or its files; `run.cancelled`.
    """
    validate(request)
    watch.stage("open")
    with ExitStack() as stack:
        request, target, names, before = _opened(request, watch)
        inputs = None
        if request.missed and telling(target.bands):  # what that takes is opened as a fill opens it
            inputs = open_inputs(request, watch)
            names, before = inputs.names, {**inputs.files, **before}
        elif request.missed:
            watch.notice("mask.missed-none")
        outputs = Outputs([request.output], names, request.overwrite)
        stack.callback(outputs.discard)
        folder = stack.enter_context(working_folder(request.tmp))
        with unchanged(before):
            if inputs:
                _, gap_map = stack.enter_context(open_grid(request, inputs, 0, folder, watch))
            else:
                gap_map = stack.enter_context(_gap_map(request, target, folder, watch))
            classes = stack.enter_context(_all_masks(request, target)) if class_band else None
            gap_pixels = _write(outputs.temporary(request.output), request, gap_map, classes, watch)
        outputs.commit()
        watch.finish()
    return {
        "output": request.output,
        "gap_fraction": gap_map.fraction,
        "fractions": list(gap_map.fractions),
        "gap_pixels": gap_pixels,
        "pixels": target.grid.width * target.grid.height,
        "masks": [asdict(mask) for mask in gap_map.masks],
        "notices": [notice.to_json() for notice in watch.notices],
        "seconds": {name: round(seconds, 3) for name, seconds in watch.seconds.items()},
    }


def _opened(request: FillRequest, watch: Watch) -> tuple[FillRequest, Raster, tuple[str, ...], States]:
    """The request as it is meant, its target, and the files that are read, as they were before."""
    before = states(named_inputs(request))
    folders = Folders()
    target = open_product(
        request.target, radiometry="dn", crs=request.target_crs,
        nodata=request.target_nodata, watch=watch, folders=folders,
    )[0]  # fmt: skip
    quality = not telling(target.bands) and all(mask_kind_of(Path(name).stem) for name in request.target)
    if quality and not request.gaps:  # its gaps are what it marks
        request = replace(request, gaps=tuple(map(Mask, request.target)))
    say_own_masks(request, (target,), folders, watch)
    names = files_read(request, (target,))
    return request, target, names, {**states(names), **before}


def _gap_map(request: FillRequest, target: Raster, folder: Path, watch: Watch) -> GapMap:
    return build_gap_map(
        target, request.gaps, grow=request.grow, classes=request.classes,
        cloud_threshold=request.cloud_threshold, fill_swath_edges=request.fill_swath_edges,
        extent=request.extent, directory=folder, watch=watch, own=request.own_mask,
    )  # fmt: skip


def _all_masks(request: FillRequest, target: Raster) -> MaskStack:
    """The masks once more, for their classes; what they have to say was said already."""
    return open_masks(
        in_force(target, request.gaps, own=request.own_mask), target.grid, target.grid,
        bands=len(target.bands), grow=request.grow, classes=request.classes,
        cloud_threshold=request.cloud_threshold, watch=Watch(),
    )  # fmt: skip


def _write(path: Path, request: FillRequest, gap_map: GapMap, masks: MaskStack | None, watch: Watch) -> int:
    """Write the bands block by block; returns the number of gap pixels."""
    blocks = list(gap_map.grid.blocks(BLOCK))
    watch.stage("write", len(blocks))
    gap_pixels = 0
    kept, options = _metadata(request, classes=masks is not None), {"PREDICTOR": "1"}  # flags have no slopes
    writer = GeoTiffWriter(path, gap_map.grid, kept, {}, options)
    try:
        for block in blocks:
            gaps = (gap_map.read(block) == GAP).any(axis=0)
            gap_pixels += int(np.count_nonzero(gaps))
            planes = [gaps.view(np.uint8), *([] if masks is None else [_class_bits(masks, block)])]
            writer.write(block, np.stack(planes))
            watch.advance()
        writer.close()
    finally:
        writer.abandon()
    return gap_pixels


def _metadata(request: FillRequest, classes: bool) -> Metadata:
    """What the file says of itself."""
    bits = {"": {name: str(bit) for name, bit in CLASS_BITS.items()}}
    bands = [BandMetadata("gaps", None, 1.0, 0.0, ColorInterp.gray, None, {})]
    if classes:
        bands.append(BandMetadata("classes", None, 1.0, 0.0, ColorInterp.undefined, None, bits))
    tags = {
        OWN_TAG: "band 1 is 1 at gaps",
        "TERRAMEND_VERSION": VERSION,
        "TERRAMEND_REQUEST_HASH": request_hash(request),
    }
    return Metadata(tuple(bands), {"": tags}, "uint8", None, False, (), "band")


def _class_bits(masks: MaskStack, window: Window) -> Bits:
    bits: NDArray[np.uint8] = np.zeros((window.height, window.width), np.uint8)
    for layer in masks.layers:
        bits |= np.bitwise_or.reduce(layer.bits(window), axis=0)
    return bits & np.uint8(ANY_CLASS)
