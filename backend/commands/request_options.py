"""The options that make a request: shared by fill, clear, inspect, accuracy and batch.

An option that qualifies (`--gaps-kind`, `--reference-gaps`, `--reference-date`) belongs
to the mask or reference before it. Only what was given goes into the request: settings
and defaults fill the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import settings
from ..errors import TerramendError
from ..request import CLASSES, MASK_WORDS, RADIOMETRIES, UNFILLED, FillRequest

OPTION_OF = {
    "target": "TARGET",
    "gaps": "--gaps or --reference-gaps",
    "gaps.kind": "--gaps-kind or --reference-gaps-kind",
    "references": "--reference",
    "references_from": "--references",
    "settings": "--set",
    "weights_map": "--save-weights-map",
    "trajectory": "--save-trajectory",
    "creation_options": "--co",
}
"""Options whose name is not that of the request's field."""

KINDS = f"encoding of the mask before it (default: auto): {MASK_WORDS}"

TILES = "of several tiles make one raster (gdalbuildvrt)"

SEED = (
    "seed of the random numbers of diffusion methods (de, ddpm, aligndiff, ...) and of the clouds that "
    "accuracy draws where the scene's own gaps do not fit (default: 0); all other methods, guided among "
    "them, give the same pixels for every seed"
)


def option_of(field: str) -> str:
    """The option that sets a field of the request (`references.date` counts as `references`)."""
    name = field.split(".")[0]
    return OPTION_OF.get(field) or OPTION_OF.get(name, "--" + name.replace("_", "-"))


def add_arguments(parser: argparse.ArgumentParser, *, output: bool = True) -> None:
    """Add TARGET and all options of a request; `output`: whether the command writes a raster."""
    add_target(parser)
    add_options(parser)
    if output:
        add_output(parser, "OUTPUT.tif", "GeoTIFF to write, on the grid of the target")
    else:
        parser.set_defaults(
            output="unwritten.tif"
        )  # which names a request and its further outputs all the same


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options but the main output's."""
    add_gaps(parser)
    add = _adder(parser.add_argument_group("auxiliary data"))
    _add_dates(add)
    add(
        "--dem",
        several=TILES,
        metavar="DEM",
        help="digital elevation model, heights in metres, or in feet if its unit says so, on any grid",
    )
    add("--sar", several=TILES, metavar="SAR", help="Sentinel-1 VV and VH (dB or linear power), on any grid")
    add(
        "--sun",
        type=_numbers,
        metavar="AZIMUTH,ELEVATION",
        help="solar azimuth and elevation over the target in degrees (default: from its metadata)",
    )
    add("--date", metavar="DATE", help="acquisition date of the target (default: from its metadata or name)")
    add(
        "--radiometry",
        metavar="NAME",
        help="conversion of stored values to reflectance (default: auto): " + ", ".join(RADIOMETRIES),
    )

    add = _adder(parser.add_argument_group("reconstruction"))
    add(
        "--bands",
        type=_bands,
        metavar="LIST",
        help="numbers of the bands to fill, such as 1,3-5 (default: all that can be filled)",
    )
    add(
        "--set",
        bind=_set,
        metavar="KEY=VALUE",
        help="option of the method, as terramend models NAME lists them; repeatable",
    )
    add("--seed", type=_read(settings.whole), metavar="N", help=SEED)
    add_settings(parser)

    add = _adder(parser.add_argument_group("output"))
    add(
        "--std",
        nargs="?",
        const=True,
        metavar="STD.tif",
        help="write the standard deviation of every filled value (default name: OUTPUT_std.tif)",
    )
    add(
        "--provenance",
        nargs="?",
        const=True,
        metavar="PROV.tif",
        help="write the main source of every filled pixel (default name: OUTPUT_provenance.tif)",
    )
    add(
        "--save-weights-map",
        dest="weights_map",
        metavar="PNG",
        help="method de only: write a picture of the fusion weights at each sampling step",
    )
    add(
        "--save-trajectory",
        dest="trajectory",
        metavar="PNG",
        help="method de only: write a picture of the estimated image at each sampling step",
    )
    add(
        "--unfilled",
        metavar="HOW",
        help="values of gaps that could not be filled (default: keep, the original values): "
        + ", ".join(UNFILLED),
    )
    add(
        "--hash-inputs",
        action="store_true",
        help="record the SHA-256 of every input file in the output's tags",
    )
    add(
        "--co",
        dest="creation_options",
        action="append",
        metavar="KEY=VALUE",
        help="GeoTIFF creation option, also COG=YES (Cloud Optimized GeoTIFF) and OVERVIEWS=YES; repeatable",
    )


def _add_dates(add: Callable[..., None]) -> None:
    """Add the options that name other dates."""
    add(
        "--reference",
        bind=_add_reference,
        metavar="RASTER",
        help="image of the same place on another date; repeatable",
    )
    add(
        "--reference-gaps",
        bind=_reference_gaps,
        metavar="MASK",
        help="gap mask of the reference before it (default: the mask found beside the reference)",
    )
    add(
        "--reference-gaps-kind",
        bind=_reference_kind,
        metavar="KIND",
        help="encoding of that mask (default: auto); none: the reference is clear everywhere",
    )
    add(
        "--reference-date",
        bind=_reference_date,
        metavar="DATE",
        help="acquisition date of that reference, such as 2024-06-30 (default: from its tags or name)",
    )
    add(
        "--references",
        dest="references_from",
        several="name the dates of all folders by --reference, or in a JSON list",
        metavar="FOLDER|JSON",
        help="folder of reference images, or JSON list of them",
    )
    add(
        "--references-clear",
        action="store_true",
        help="treat images of --references that have no mask as clear wherever they hold values",
    )


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a gap mask needs of a request."""
    add_target(parser)
    add_gaps(parser)
    _add_dates(_adder(parser.add_argument_group("other dates, which show what the masks missed (--missed)")))
    _adder(parser)("--tmp", metavar="DIR", help="folder for temporary files (default: the system's)")
    add_output(parser, "MASK.tif", "gap mask to write: 1 gap, 0 no gap")


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add TARGET."""
    help = "raster, Sentinel-2 or Landsat product as delivered, or the single-band files of one scene"
    parser.add_argument("target", nargs="+", metavar="TARGET", help=help)


def add_gaps(parser: argparse.ArgumentParser) -> None:
    """Add the options that define the gaps."""
    add = _adder(parser.add_argument_group("gap definition"))
    add(
        "--gaps",
        bind=_add_gaps,
        metavar="MASK",
        help="mask raster or polygon file; repeatable, the union is used",
    )
    add("--gaps-kind", bind=_gaps_kind, metavar="KIND", help=KINDS)
    add(
        "--own-mask",
        action="store_true",
        help="fill what the target's own quality band marks, too (without --gaps it is taken by itself)",
    )
    add(
        "--missed",
        action="store_true",
        help="fill cloud and shadow that the masks missed, too, where the scene shows them",
    )
    add(
        "--grow",
        metavar="N[px|m]",
        help="buffer around the masks, such as 3px or 60m (default: set by the kind of mask)",
    )
    add(
        "--classes",
        type=_list,
        metavar="A,B",
        help="mask classes that count as gaps: " + ", ".join(CLASSES),
    )
    add(
        "--cloud-threshold",
        type=_number,
        metavar="P",
        help="cloud probability in percent from which a pixel is a gap (default: 40)",
    )
    add(
        "--fill-swath-edges",
        action="store_true",
        help="treat nodata inside the convex hull of the valid pixels as gaps (Landsat 7 SLC-off stripes)",
    )
    add(
        "--extent",
        metavar="W,S,E,N|AREA",
        help="restrict gaps to a bounding box in the target's CRS, or to the polygons of a file",
    )
    add(
        "--target-crs", metavar="CRS", help="coordinate reference system of the target, overriding the file's"
    )
    add(
        "--target-nodata", type=_number, metavar="V", help="nodata value of the target, overriding the file's"
    )


def add_output(parser: argparse.ArgumentParser, metavar: str, help: str, required: bool = True) -> None:
    """Add the main output and `--overwrite`."""
    _adder(parser)("-o", "--output", required=required, metavar=metavar, help=help)
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`."""
    _adder(parser)("--overwrite", action="store_true", help="replace output files that exist")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings of this machine that a request has: a flag goes over variable and file."""
    add = _adder(
        parser.add_argument_group(
            "settings (precedence: option, TERRAMEND_NAME variable, configuration file, default)"
        )
    )
    for setting in settings.SETTINGS:
        if setting.in_request:
            flag = "--" + setting.name.replace("_", "-")
            add(flag, type=_read(setting.read), metavar=setting.metavar, help=setting.help)


def fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The request's JSON with only what was given; names of extra outputs derived."""
    return name_extras({name: value for name, value in vars(arguments).items() if name in FIELDS})


def name_extras(given: dict[str, Any]) -> dict[str, Any]:
    """Extra outputs that were asked for without a name get one from the main output's."""
    named = dict(given)
    for name in ("std", "provenance"):
        if named.get(name) is True and named.get("output"):
            path = Path(named["output"])
            named[name] = str(path.with_name(f"{path.stem}_{name}.tif"))
    return named


FIELDS = frozenset(field.name for field in dataclasses.fields(FillRequest))


def _adder(group: argparse._ActionsContainer) -> Callable[..., None]:
    """`add_argument` that leaves nothing behind for what was not given."""

    def add(*names: str, bind: Callable[..., None] | None = None, **options: Any) -> None:
        if bind is not None:
            options["action"] = _bound(bind)
        group.add_argument(*names, default=argparse.SUPPRESS, **options)

    return add


def _bound(bind: Callable[..., None]) -> type[argparse.Action]:
    """An action that hands the value, the namespace's dictionary and the option to `bind`."""

    class Bound(argparse.Action):
        def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
            bind(vars(namespace), values, option_string)

    return Bound


def _add_gaps(given: dict[str, Any], path: str, option: str) -> None:
    given.setdefault("gaps", []).append({"path": path})


def _gaps_kind(given: dict[str, Any], kind: str, option: str) -> None:
    _qualify(_last(given, "gaps", option, "--gaps"), "kind", kind, option)


def _add_reference(given: dict[str, Any], path: str, option: str) -> None:
    given.setdefault("references", []).append({"path": path})


def _reference_gaps(given: dict[str, Any], path: str, option: str) -> None:
    _last(given, "references", option, "--reference").setdefault("masks", []).append({"path": path})


def _reference_kind(given: dict[str, Any], kind: str, option: str) -> None:
    reference = _last(given, "references", option, "--reference")
    if kind in ("none", "nodata") and not reference.get("masks"):  # what needs no mask: nodata always counts
        reference["masks"], kind = [{"path": ""}], "none"
    _qualify(_last(reference, "masks", option, "--reference-gaps"), "kind", kind, option)


def _reference_date(given: dict[str, Any], date: str, option: str) -> None:
    _qualify(_last(given, "references", option, "--reference"), "date", date, option)


def _qualify(owner: dict[str, Any], name: str, value: str, option: str) -> None:
    if name in owner:
        why = f"what stands before it has {owner[name]} already; give it once"
        raise TerramendError("command.option", option=option, why=why)
    owner[name] = value


def _set(given: dict[str, Any], text: str, option: str) -> None:
    key, sign, value = text.partition("=")
    if not (key and sign):
        raise TerramendError("command.option", option=option, why=f"{text!r} is not KEY=VALUE")
    given.setdefault("settings", []).append([key, value])


def _last(given: dict[str, Any], name: str, option: str, owner: str) -> dict[str, Any]:
    if not given.get(name):
        raise TerramendError("command.order", option=option, owner=owner)
    return given[name][-1]


def _read(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader of settings as argparse wants it: its reason is the message."""

    def read(text: str) -> Any:
        try:
            return reader(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return read


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _numbers(text: str) -> list[float]:
    return [_number(part) for part in text.split(",")]


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _bands(text: str) -> list[int]:
    """`1,3-5` as [1, 3, 4, 5]."""
    found: list[int] = []
    for part in _list(text):
        first, sign, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not sign) and len(first + last) < 10):
            raise argparse.ArgumentTypeError(f"{part!r} is neither a band nor a range such as 3-5")
        if sign and not 0 <= int(last) - int(first) < 10_000:
            raise argparse.ArgumentTypeError(f"{part!r} is no range such as 3-5")
        found += range(int(first), int(last or first) + 1)
    return found
