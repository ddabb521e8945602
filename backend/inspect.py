"""What a request would fill, and with what: looked at before filling; nothing is written."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import rasterio.crs

from ..models.aligndiff import prompt
from ..models.aligndiff.prompt_regions import region
from ..models.registry import Row
from .errors import TerramendError, together
from .filling.choose import choose, facts_of, named, say_unused, untried_reason, used
from .filling.opening import Inputs, open_grid, open_inputs
from .filling.process import computing
from .filling.trial import shown
from .raster.outputs import working_folder
from .raster.products.radiometry import in_words
from .raster.raster import Raster
from .raster.scene.copies import say_copies
from .raster.scene.empty_inputs import say_blank
from .raster.scene.fill_bands import class_bands, fill_bands, say_left
from .raster.scene.missed_cloud import say_missed
from .raster.scene.references import Reference
from .raster.scene.scene import ReferenceInfo, Scene
from .request import FillRequest, validate
from .watch import Watch

SIDE = 256
"""Side of the overview from which covers are measured."""


def inspect(request: FillRequest, watch: Watch) -> dict[str, Any]:
    """Look at a request's inputs. Gaps, covers and the method are those of the finest grid.

    Returns:
        JSON: `product`, `sensor`, `grid`, `date`, `sun` (azimuth, elevation), `surface`, `radiometry` in
        words, `place` (latitude, longitude, region) or None, `bands` (number, description, role,
        wavelength, pixel size, whether filled, gap fraction), `masks` (path, kind, growth in pixels, share
        marked), `gap_fraction`, `gap_samples`, `references` (path, name, date, days, bands, masks with
        path and kind, cover), `left_out` (a notice of each date of a folder or list that is not used),
        `dem` and `sar` (path, cover) or None, `model`, `model_reason`, `reasons`, `prompts` (of each band
        that is filled, where the model reads them), `notices`. Covers and fractions are 0 to 1.

    Raises:
        TerramendError: as a fill of the request would.
    """
    validate(request)
    named(request)
    with computing(), ExitStack() as stack:
        watch.stage("open")
        inputs = open_inputs(request, watch)
        folder = stack.enter_context(working_folder(request.tmp))
        known = replace(request, missed=False)  # looking for that takes as long as reading all dates
        scene, gap_map = stack.enter_context(open_grid(known, inputs, 0, folder, watch))
        say_left(request, scene.target, 0, gap_map, watch)
        facts = facts_of(scene)
        row, why = choose(request, facts)
        say_unused(row, request, facts, watch)
        covers = _covers(scene, used(row, facts), watch)
        wanted = _filled(request, inputs, scene, watch)
        gaps, footprint = gap_map.count(wanted[0])
        reasons = untried_reason(why, request, facts)
        watch.finish()
        return {
            **_about(inputs.targets[0]),
            "place": _place(scene),
            "bands": _bands(inputs, wanted, gap_map.fractions),
            "masks": [asdict(mask) for mask in gap_map.masks],
            "gap_fraction": gaps / max(footprint, 1),
            "gap_samples": gaps,
            "references": [
                _reference(reference, info, cover)
                for reference, info, cover in zip(
                    scene.sources, scene.references, covers["references"], strict=True
                )
            ],
            "left_out": [notice.to_json() for notice in (*inputs.left_out, *scene.left_out)],
            "dem": {"path": request.dem, "cover": covers["terrain"]} if request.dem else None,
            "sar": {"path": request.sar, "cover": covers["sar"]} if request.sar else None,
            "model": row.name,
            "model_reason": together(reasons),
            "reasons": [one.to_json() for one in reasons],
            "prompts": _prompts(request, row, scene),
            "notices": [notice.to_json() for notice in watch.notices],
        }


def _about(target: Raster) -> dict[str, Any]:
    grid = target.grid
    crs = rasterio.crs.CRS.from_wkt(grid.crs) if grid.crs else None
    return {
        "product": target.name,
        "sensor": target.sensor,
        "grid": {
            "width": grid.width,
            "height": grid.height,
            "crs": crs.to_string() if crs else None,
            "transform": list(grid.transform),
            "pixel_size": list(grid.pixel_size),
        },
        "date": target.date.isoformat() if target.date else None,
        "sun": list(target.sun) if target.sun else None,
        "surface": target.surface,
        "radiometry": in_words(target),
    }


def _place(scene: Scene) -> dict[str, Any] | None:
    """Where the scene's middle lies, and in which country."""
    if scene.about.centre is None:
        return None
    latitude, longitude = scene.about.centre
    name = region(latitude, longitude)
    return {"latitude": round(latitude, 5), "longitude": round(longitude, 5), "region": name}


def _prompts(request: FillRequest, row: Row, scene: Scene) -> list[str]:
    """What a model that reads prompts is told of each band; none for other models.

    Raises:
        TerramendError: `model.value` for a prompt that is no template.
    """
    if "prompt" not in row.options:
        return []
    settings = dict(request.settings)
    template = settings.get("prompt") or (prompt.TIME if scene.references else prompt.SPACE)
    bands = prompt.named_bands(scene.about.bands, scene.wavelengths, len(scene.fill_bands))
    try:
        return list(prompt.of_scene(scene.about, bands, template, settings.get("region", "")))
    except ValueError as error:
        said = f"prompt={template}"
        raise TerramendError("model.value", model=row.name, settings=said, why=str(error)) from None


def _filled(request: FillRequest, inputs: Inputs, scene: Scene, watch: Watch) -> list[tuple[int, ...]]:
    """Of each target the 0-based bands that a fill changes; the scene is the finest one's."""
    found = []
    for number, target in enumerate(inputs.targets):
        first = inputs.first_band(number)
        predicted = fill_bands(target, request.bands, first, watch) if number else scene.fill_bands
        found.append((*predicted, *class_bands(target, request.bands, first)))
    return found


def _bands(
    inputs: Inputs, wanted: list[tuple[int, ...]], fractions: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Every band of the product, numbered as `--bands` counts; gaps are known on the finest grid."""
    found: list[dict[str, Any]] = []
    for place, target in enumerate(inputs.targets):
        for i, band in enumerate(target.bands):
            found.append(
                {
                    "number": len(found) + 1,
                    "description": band.description,
                    "role": band.role,
                    "wavelength": None if np.isnan(band.wavelength) else band.wavelength,
                    "dtype": band.dtype,
                    "pixel_size": target.grid.pixel_size[0],
                    "filled": i in wanted[place],
                    "gap_fraction": fractions[i] if place == 0 else None,
                }
            )
    return found


def _covers(scene: Scene, leans: frozenset[str], watch: Watch) -> dict[str, Any]:
    """Which part of the scene references, terrain and radar cover with observations."""
    if not (scene.references or scene.has_terrain or scene.has_sar):
        return {"references": [], "terrain": 0.0, "sar": 0.0}
    overview = scene.overview(SIDE)
    say_blank(shown(overview, leans), watch)
    say_copies(shown(overview, leans), watch)
    say_missed(overview, watch)
    return {
        "references": [_observed(reference.image) for reference in overview.references],
        "terrain": 0.0 if overview.terrain is None else _observed(overview.terrain[:1]),
        "sar": 0.0 if overview.sar is None else _observed(overview.sar),
    }


def _observed(image: np.ndarray) -> float:
    """Share of pixels that any band observed."""
    return round(float(np.isfinite(image).any(axis=0).mean()), 4)


def _reference(reference: Reference, info: ReferenceInfo, cover: float) -> dict[str, Any]:
    return {
        "path": reference.path,
        "name": reference.name,
        "date": reference.date.isoformat() if reference.date else None,
        "days": info.days,
        "bands": [band.description for band in reference.bands],
        "masks": [asdict(mask) for mask in info.masks],
        "cover": cover,
    }
