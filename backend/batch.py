"""`terramend batch`: many fills, resumable; what fails is reported and the rest goes on."""

from __future__ import annotations

import argparse
import contextlib
import csv
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from . import settings
from .commands import batch_row, batch_table, request_options
from .commands.batch_row import Outcome
from .commands.batch_table import Row
from .errors import PARTIAL, TerramendError
from .failure import cancelled_as
from .request import FillRequest, request_hash, to_json
from .watch import Watch

COLUMNS = (
    "row", "target", "output", "status", "model", "gap_fraction", "unfilled_samples", "expected_error",
    "seconds", "request_hash", "code", "message", "notices",
)  # fmt: skip
"""Of the results table."""
FIGURES = ("model", "gap_fraction", "unfilled_samples", "expected_error", "seconds")
"""What a row that is skipped keeps of the table before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the table or folder, and the options that hold for all rows."""
    parser.add_argument(
        "table",
        nargs="?",
        metavar="TABLE.csv",
        help="table with one row for each fill; its columns are named as the options",
    )
    parser.add_argument("--folder", metavar="DIR", help="fill the rasters of this folder instead of a table")
    parser.add_argument(
        "--pattern",
        default="*.tif",
        metavar="GLOB",
        help="name pattern of the rasters in --folder (default: *.tif)",
    )
    parser.add_argument(
        "--results",
        metavar="CSV",
        help="table of results to write (default: TABLE_results.csv, DIR/results.csv)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="S",
        help="distribute rows by Dask: local:N worker processes, or the scheduler tcp://HOST:PORT",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    batch_table.add_arguments(parser)


def main(arguments: argparse.Namespace, watch: Watch) -> int:
    """Run the rows; the exit status, `PARTIAL` if some failed."""
    if (arguments.table is None) == (arguments.folder is None):
        raise TerramendError("command.usage", why="Give a TABLE.csv or --folder", command="terramend batch")
    given = {name: value for name, value in vars(arguments).items() if name in request_options.FIELDS}
    common = {**settings.for_request(), **given}
    batch_table.check_placeholders(common)
    if arguments.folder is not None:
        rows = batch_table.from_folder(Path(arguments.folder), arguments.pattern, common, watch)
        results = Path(arguments.results or Path(arguments.folder) / "results.csv")
    else:
        table = Path(arguments.table)
        rows = batch_table.from_table(table, common)
        results = Path(arguments.results or table.with_name(f"{table.stem}_results.csv"))
    summary = run(rows, results, arguments.scheduler, watch)
    from .cli import print_json, print_text
    from .terminal import counted

    if arguments.json:
        print_json(summary)
    else:
        counts = ", ".join(f"{summary[name]} {name}" for name in ("done", "skipped", "failed"))
        print_text(f"{counted(summary['rows'], 'row')}: {counts}. Results: {summary['results']}")
    return PARTIAL if summary["failed"] else 0


def run(rows: list[Row], results: Path, scheduler: str | None, watch: Watch) -> dict[str, Any]:
    """Do the rows that are not done, one after the other or on a cluster.

    Returns:
        `{rows, done, skipped, failed, results, failures}`.

    Raises:
        TerramendError: `batch.cancelled`, or what is wrong with table or scheduler. Rows that
            were done stay done, and the next run goes on after them.
    """
    outcomes: dict[int, Outcome] = {}
    with _Report(results, rows) as report:

        def finish(row: Row, outcome: Outcome) -> None:
            outcomes[row.number] = outcome
            report.add(row, outcome)
            if outcome["status"] == "failed":
                why = outcome["error"]["message"]
                watch.notice("batch.row", row=row.number, target=row.target, why=why)

        def count(status: str) -> int:
            return sum(outcome["status"] == status for outcome in outcomes.values())

        try:
            watch.stage("look", len(rows))
            todo = []
            anew: set[str] = set()  # what rows to do will write: others may read it
            for row in rows:
                if row.request is None:
                    finish(row, batch_row.failed(row.error or TerramendError("batch.output")))
                elif anew.isdisjoint(batch_row.named(row.request)) and batch_row.is_done(row.request):
                    finish(row, {"status": "skipped"})
                else:
                    todo.append(row)
                    _make_folders(row.request)
                    anew.update(batch_row.written(row.request))
                watch.advance()
            for row, outcome in _outcomes(todo, scheduler, watch):
                finish(row, outcome)
                watch.advance()
        except BaseException:
            with cancelled_as("batch.cancelled", done=count("done"), rows=len(rows)):
                raise
    watch.finish()
    counts = {status: count(status) for status in ("done", "skipped", "failed")}
    failures = [
        {"row": row.number, "target": row.target, **outcomes[row.number]["error"]}
        for row in rows
        if outcomes[row.number]["status"] == "failed"
    ]
    return {"rows": len(rows), **counts, "results": str(results), "failures": failures}


def _make_folders(request: FillRequest) -> None:
    """Those of a row's outputs where only the last part is missing, as of `filled/{stem}.tif`; no others."""
    for name in batch_row.written(request):
        with contextlib.suppress(OSError):  # the row will say it
            Path(name).parent.mkdir(exist_ok=True)


def _outcomes(rows: list[Row], scheduler: str | None, watch: Watch) -> Iterator[tuple[Row, Outcome]]:
    """Each row with its outcome, as they come; raises `run.cancelled`."""
    requests = [to_json(row.request) for row in rows if row.request is not None]
    if scheduler is None:
        watch.stage("rows", len(rows))  # of its own: rows that are skipped tell nothing of the time left
        for row, request in zip(rows, requests, strict=True):
            outcome = batch_row.do(request, _RowWatch(watch))
            if outcome["status"] == "cancelled":
                raise TerramendError("run.cancelled")
            yield row, outcome
    elif rows:
        from .distribution.cluster import run_requests

        for position, outcome in run_requests(requests, scheduler, watch):
            yield rows[position], outcome


class _RowWatch(Watch):
    """A row's own stages and notices, with the batch's cancel."""

    def __init__(self, batch: Watch) -> None:
        super().__init__()
        self._cancelled = batch._cancelled


class _Report:
    """The results table: a line as soon as a row is finished, sorted at the end."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self._path, self._rows = path, rows
        self._lines: dict[int, dict[str, Any]] = {}
        self._before: dict[tuple[str, str], dict[str, Any]] = {}

    def __enter__(self) -> _Report:
        if self._path.exists():
            with _placed(self._path), self._path.open(encoding="utf-8", errors="replace") as file:
                lines = csv.DictReader(file)
                if tuple(lines.fieldnames or ()) != tuple(COLUMNS):
                    raise TerramendError("batch.results", path=str(self._path))
                self._before = {(line["request_hash"], line["output"]): line for line in lines}
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        for row in self._rows:  # of those that were not reached, what was known before
            before = self._known(row)
            if before and row.number not in self._lines:
                self._lines[row.number] = before | {"row": row.number}
        self._write()

    def add(self, row: Row, outcome: Outcome) -> None:
        result, error = outcome.get("result", {}), outcome.get("error", {})
        line = {
            "row": row.number,
            "target": row.target,
            "status": outcome["status"],
            "code": error.get("code"),
            "message": error.get("message"),
            "notices": " ".join(notice["message"] for notice in result.get("notices", ())),
            **{name: result.get(name) for name in FIGURES},
            "seconds": round(sum(result["seconds"].values()), 3) if result else None,
        }
        if row.request is not None:
            line |= {"output": row.request.output, "request_hash": request_hash(row.request)}
        if outcome["status"] == "skipped":  # what is known of it since it was done
            before = self._known(row)
            line |= {name: before[name] for name in FIGURES if before.get(name)}
        self._lines[row.number] = line
        with contextlib.suppress(OSError), _to_write(self._path, "a") as file:
            csv.DictWriter(file, COLUMNS).writerow(line)  # else at the end, as while a spreadsheet holds it

    def _known(self, row: Row) -> dict[str, Any]:
        """The line of the table before that is of the same request and output."""
        if row.request is None:
            return {}
        return self._before.get((request_hash(row.request), row.request.output), {})

    def _write(self) -> None:
        from .raster.outputs import written  # loads rasterio

        with _placed(self._path), written(self._path) as draft, _to_write(draft, "w") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self._lines[number] for number in sorted(self._lines))


def _to_write(path: Path, mode: str) -> IO[str]:
    """The table, to which a row's path may be no text in UTF-8."""
    return path.open(mode, newline="", encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Says of the results table what the system says of its draft, or of no file at all."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TerramendError("environment.disk", path=str(path)) from error
        raise TerramendError("batch.place", path=str(path), why=error.strerror or str(error)) from error
