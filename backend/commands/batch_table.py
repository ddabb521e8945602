"""The rows of a batch: from a CSV table, or one for each raster of a folder.

A column is named like an option (`gaps-kind`) or like a field of the request
(`gaps_kind`). Where an option may be given several times a cell holds several values,
separated by `|`; `gaps` and `gaps-kind`, `reference` and what qualifies it go by position,
and one qualifier serves all. Paths in a table are relative to the table. What the batch's
own options say holds for all rows that do not say otherwise; `{stem}` and `{folder}` in
names stand for name and folder of the row's target.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TerramendError
from ..filling.inputs import named_inputs
from ..request import PICTURES, FillRequest, from_json
from ..watch import Watch
from . import request_options
from .batch_row import written
from .fill import of_options

SEPARATOR = re.compile(r"\|(?!layername=)")
"""Between the values of a cell; `areas.gpkg|layername=clouds` is one."""
YES, NO = ("1", "true", "yes", "on", "x"), ("0", "false", "no", "off")
GAPS = ("gaps", "gaps-kind")
REFERENCE = ("reference", "reference-gaps", "reference-gaps-kind", "reference-date")
REPEATED = ("set", "co")
PLACEHOLDERS: Mapping[str, Callable[[Path], str]] = {
    "{stem}": lambda target: target.stem,
    "{folder}": lambda target: str(target.parent),
}
"""What stands for a part of the row's target in options and cells."""


@dataclass(frozen=True)
class Row:
    """A row of the batch: its number from 1, what to fill, and the request or what is wrong with it."""

    number: int
    target: str
    request: FillRequest | None
    error: TerramendError | None = None


def from_table(path: Path, common: Mapping[str, Any]) -> list[Row]:
    """The rows of a CSV table with a header; comma, semicolon or tab between cells.

    Args:
        common: fields of a request that hold where a row says nothing.

    Raises:
        TerramendError: `batch.table`, when the table itself cannot be used; `batch.no-table` of a folder,
            `batch.raster` of a raster.
    """
    if path.is_dir():
        raise TerramendError("batch.no-table", path=str(path))
    from ..raster.products.files import ENDINGS

    if path.suffix.lower() in ENDINGS:
        raise TerramendError("batch.raster", path=str(path))
    try:
        text = path.read_text("utf-8-sig").lstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = str(error.strerror) if isinstance(error, OSError) else "it is not in UTF-8 (Excel: CSV UTF-8)"
        raise TerramendError("batch.table", path=str(path), why=why) from None
    header = text.partition("\n")[0]
    try:
        lines = list(csv.reader(text.splitlines(), delimiter=max(",;\t", key=header.count)))
    except csv.Error as error:  # such as a quote that is never closed
        raise TerramendError("batch.table", path=str(path), why=str(error)) from None
    columns = [_column(name) for name in (lines[0] if lines else [])]
    while columns and not columns[-1]:  # spreadsheets save empty columns behind the last one
        columns.pop()
    for name in columns:
        if name not in KNOWN or columns.count(name) > 1:
            why = f"{name!r} is no column that it may have once; they are {', '.join(sorted(KNOWN))}"
            raise TerramendError("batch.table", path=str(path), why=why)
    if "target" not in columns:
        raise TerramendError("batch.table", path=str(path), why="it has no column target")
    cells = [line for line in lines[1:] if any(cell.strip() for cell in line)]
    if not cells:
        raise TerramendError("batch.table", path=str(path), why="it has no rows")
    folder = path.resolve().parent
    return _unique([_line(n, columns, c, folder, common) for n, c in enumerate(cells, 1)])


def from_folder(folder: Path, pattern: str, common: Mapping[str, Any], watch: Watch) -> list[Row]:
    """One row for each entry of a folder that matches, except those that other rows use or write.

    Hidden ones are left out, too (a run in the making writes beside its target), and tables; so are, with a
    notice, quality bands and masks of others by their names, and what Terramend wrote before: its other
    outputs are no scenes, and a fill needs none.

    Raises:
        TerramendError: `batch.folder` when nothing matches, `batch.written` when nothing else does.
    """
    from ..raster.products.files import ENDINGS
    from ..raster.products.fill_tag import is_filled
    from ..raster.products.siblings import masks_of_others

    place = Path(os.path.realpath(folder))
    # An entry that is a link keeps its name: {folder} is where it was found.
    entries = []
    if place.is_dir():
        os.scandir(place).close()  # says what a pattern does not: that it may not be read
    with contextlib.suppress(ValueError, NotImplementedError):  # no pattern, or one from the root on
        entries = [entry for entry in sorted(place.glob(pattern)) if not _is_other(entry.name)]
    if not entries:
        raise TerramendError("batch.folder", folder=str(folder), pattern=pattern)
    cells = [{"target": str(entry)} for entry in entries]
    drafts = [_row(1, cell, folder, common) for cell in cells]
    used = {_found(name) for draft in drafts if draft.request for name in _files(draft.request)}
    kept = [cell["target"] for cell in cells if os.path.normcase(cell["target"]) not in used]
    masks = masks_of_others(kept) | {name for name in kept if _is_quality(Path(name).stem)}
    if masks and len(masks) < len(kept):
        kept = [name for name in kept if name not in masks]
        watch.notice("batch.masks", count=len(masks), folder=str(folder), first=Path(min(masks)).name)
    ours = {name for name in kept if Path(name).suffix.lower() in ENDINGS and is_filled(name)}
    if ours and len(ours) == len(kept):
        raise TerramendError("batch.written", folder=str(folder), pattern=pattern)
    if ours:
        watch.notice("batch.written", count=len(ours), folder=str(folder), first=Path(min(ours)).name)
    rows = [{"target": name} for name in kept if name not in ours]
    return _unique([_row(number, cell, folder, common) for number, cell in enumerate(rows, 1)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that hold for all rows."""
    request_options.add_options(parser)
    request_options.add_output(
        parser, "OUTPUT.tif", "GeoTIFF to write for each row, such as out/{stem}_filled.tif", required=False
    )


def check_placeholders(common: Mapping[str, Any]) -> None:
    """Refuse names of outputs with a word in braces that stands for nothing: it would be the files' name.

    Raises:
        TerramendError: `command.option`.
    """
    for name in ("output", "std", "provenance", *PICTURES):
        for word in set(re.findall(r"{\w*}", str(common.get(name)))) - PLACEHOLDERS.keys():
            why = f"{word} stands for nothing, only {' and '.join(PLACEHOLDERS)} do"
            raise TerramendError("command.option", option=request_options.option_of(name), why=why)


def absolute(value: Any, folder: Path) -> Any:
    """Every path of a request's fields made absolute: rows may run in other processes and places."""
    made = dict(value)
    for name in ("output", "std", "provenance", *PICTURES, "references_from", "dem", "sar", "tmp", "extent"):
        if isinstance(made.get(name), str):
            made[name] = _absolute(made[name], folder)
    if "target" in made:
        made["target"] = [_absolute(name, folder) for name in made["target"]]
    for name in ("gaps", "masks", "references"):
        if name in made:
            place = _each_absolute if name == "references" else _absolute
            parts = [absolute(part, folder) for part in made[name]]
            made[name] = [
                {**part, "path": place(part["path"], folder)} if part.get("path") else part for part in parts
            ]
    return made


def _line(
    number: int, columns: Sequence[str], cells: Sequence[str], folder: Path, common: Mapping[str, Any]
) -> Row:
    """A line of the table; one with more cells than the table has columns was not meant so."""
    named = dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))
    if any(cell.strip() for cell in cells[len(columns) :]):
        error = TerramendError("batch.cells", count=len(cells), columns=len(columns))
        return Row(number, named["target"].strip(), None, error)
    return _row(number, named, folder, common)


def _row(number: int, cells: Mapping[str, str], folder: Path, common: Mapping[str, Any]) -> Row:
    cells = {name: text.strip() for name, text in cells.items()}
    target = cells["target"]
    try:
        own, shared = _fields(cells), {}
        check_placeholders(own)
        targets = [_absolute(name, folder) for name in _several(target)]
        if targets:
            own, shared = (_placed(said, Path(targets[0])) for said in (own, common))
        fields = {**absolute(shared, Path.cwd()), **absolute(own, folder), "target": targets}
        fields = request_options.name_extras(fields)
        if "output" not in fields:
            raise TerramendError("batch.output")
        with of_options():
            return Row(number, target, from_json(fields))
    except TerramendError as error:
        return Row(number, target, None, error)


def _fields(cells: Mapping[str, str]) -> dict[str, Any]:
    """The request's fields of a row, read by the command line's own parser."""
    words: list[str] = []
    refused: dict[str, Any] = {}
    words += _bound(cells, *GAPS)
    words += _bound(cells, *REFERENCE)
    for name, text in cells.items():
        if name in ("target", *GAPS, *REFERENCE) or text == "":
            continue
        option = OPTIONS[name]
        switch = option.nargs == 0
        if switch or (option.nargs == "?" and text.lower() in YES + NO):
            if text.lower() not in YES + NO:
                raise TerramendError("command.option", option=name, why=f"{text!r} is neither yes nor no")
            if text.lower() in YES:
                words.append(f"--{name}")
            else:  # also where the command says yes for all rows
                refused[option.dest] = False if switch else None
        else:
            words += [f"--{name}={value}" for value in (_several(text) if name in REPEATED else [text])]
    return request_options.fields(_parser().parse_args(words)) | refused


def _bound(cells: Mapping[str, str], owner: str, *qualifiers: str) -> list[str]:
    """Options of several owners, each followed by what qualifies it."""
    owners = _several(cells.get(owner, ""))
    columns = {}
    for name in qualifiers:
        values = [value.strip() for value in SEPARATOR.split(cells.get(name, ""))]
        if any(values) and not owners:
            raise TerramendError("batch.owner", column=name, owner=owner)
        if len(values) not in (1, len(owners)):
            raise TerramendError(
                "batch.count", column=name, count=len(values), owner=owner, owners=len(owners)
            )
        columns[name] = values * len(owners) if len(values) == 1 else values
    words = []
    for position, path in enumerate(owners):
        words.append(f"--{owner}={path}")
        words += [f"--{name}={values[position]}" for name, values in columns.items() if values[position]]
    return words


def _several(text: str) -> list[str]:
    return [part.strip() for part in SEPARATOR.split(text) if part.strip()]


def _placed(value: Any, target: Path) -> Any:
    """The same with what `PLACEHOLDERS` stand for in every text."""
    if isinstance(value, str):
        for word, what in PLACEHOLDERS.items():
            value = value.replace(word, what(target))
        return value
    if isinstance(value, Mapping):
        return {name: _placed(item, target) for name, item in value.items()}
    return [_placed(item, target) for item in value] if isinstance(value, list) else value


def _absolute(name: str, folder: Path) -> str:
    """A path seen from `folder`; GDAL's names (`/vsizip/...`, `NETCDF:...`, URLs) and bounds stay."""
    if name.startswith("/vsi") or re.match(r"[A-Za-z0-9_+]{2,}:|-?[\d.]+,", name):
        return name
    return os.path.normpath(folder.resolve() / os.path.expanduser(name))  # noqa: PTH111


def _each_absolute(names: str, folder: Path) -> str:
    """The same for the files of one date, which a reference names with `;` between them."""
    return ";".join(_absolute(name.strip(), folder) for name in names.split(";") if name.strip())


def _files(request: FillRequest) -> set[str]:
    """Files that a row reads beside its target, or writes."""
    return {*named_inputs(request), *written(request)} - set(request.target)


def _is_other(name: str) -> bool:
    """Whether an entry of a folder can be no target."""
    return name.startswith(".") or name.lower().endswith(".csv")


def _is_quality(stem: str) -> bool:
    """Whether a file's name says that it holds a quality band, of which masks are made or not."""
    from ..raster.masks.names import kind_of_file
    from ..raster.products.roles import role_of_file

    return kind_of_file(stem) is not None or role_of_file(stem) == "qa"


def _found(name: str) -> str:
    """A path as an entry of its folder, that one named without links."""
    return os.path.normcase(Path(name).parent.resolve() / Path(name).name)


def _unique(rows: Sequence[Row]) -> list[Row]:
    """The rows, those that would write a file of an earlier one as errors."""
    taken: dict[str, int] = {}
    checked = []
    for row in rows:
        names = written(row.request) if row.request is not None else []
        twice = [name for name in names if _found(name) in taken]
        if twice:
            first = taken[_found(twice[0])]
            row = Row(row.number, row.target, None, TerramendError("batch.twice", path=twice[0], row=first))
        else:
            taken.update((_found(name), row.number) for name in names)
        checked.append(row)
    return checked


def _column(name: str) -> str:
    plain = name.strip().lower().lstrip("-").replace("_", "-").replace(" ", "-")
    return plain if plain in KNOWN else OF_FIELDS.get(plain, plain)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    from ..cli import Parser

    parser = Parser(prog="terramend batch", add_help=False)
    add_arguments(parser)
    return parser


OPTIONS = {
    name.removeprefix("--"): action
    for action in _parser()._actions
    for name in action.option_strings
    if name.startswith("--")
}
"""What the command line knows of a column's option."""
OF_FIELDS = {
    field.replace("_", "-"): option.removeprefix("--") for field, option in request_options.OPTION_OF.items()
}
"""Columns by the fields of a request that are named otherwise."""
KNOWN = frozenset({"target", *OPTIONS})
"""Columns that a table may have."""
