"""Runs methods over cases: in processes, resumable, each row cached under the hash of all it rests on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datasets.catalog import ground, is_own
from ..errors import TerramendError
from ..filling.process import deaf_children
from ..watch import Watch
from .cases import TRACKS, Case, Recipe, View, fingerprint, key, sample, verify
from .methods import HERE, Method, find, standard

ROWS = "rows.jsonl"
HARNESS = (
    "backend/datasets/*", "backend/raster/grid", "backend/raster/masks/tables",
    "backend/raster/products/dates", "backend/raster/scene/slopes", "backend/evaluation/cases",
    "backend/evaluation/measure", "backend/evaluation/membrane", "backend/evaluation/metrics",
    "backend/evaluation/terrain", "models/bands",
)  # fmt: skip
"""Modules that every row rests on, whatever the method."""
OWN = ("backend/raster/**/*",)
"""Modules by which a user's own folder of scenes is read, too."""
LOOKED = ("backend/evaluation/perceptual", "backend/evaluation/pictures")
"""Modules that LPIPS rests on, too."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """Methods that see the same of a case."""

    case: Case
    track: str
    methods: tuple[tuple[str, str], ...]  # name, key of the row
    lpips: Path | None


@dataclass(frozen=True)
class Results:
    """What was asked for and what came out.

    Attributes:
        recipe, root, methods: as they ran. rows: one a case, track and method, with `case`,
            `track`, `kind`, `dataset`, `place`, `method`, `group` and the numbers, or a `note`.
    """

    recipe: Recipe
    root: Path
    methods: tuple[Method, ...]
    rows: tuple[dict[str, Any], ...]


def run_evaluate(
    recipe: Recipe,
    root: Path,
    out: Path,
    *,
    tracks: Sequence[str] = (),
    methods: Sequence[str] = (),
    jobs: int = 2,
    quick: bool = False,
    lpips: Path | None = None,
    watch: Watch | None = None,
) -> Results:
    """Run `methods` (default: `methods.standard()`) on the cases of `tracks` (default: all).

    Rows land in `out/rows.jsonl` as they are done; a second run does only what is missing or
    whose code, settings, weights or data changed. `quick` keeps one cloud case a place.
    `lpips`: file of VGG-16 weights (see `perceptual`), for LPIPS beside the other numbers on those
    cases that `quick` keeps.

    Raises:
        TerramendError: `evaluate.track`, `.method`, `.package`, `.data`, `.nothing`; `run.cancelled`;
            `model.*` for a setting or weights that a method cannot use.
    """
    watch = watch or Watch()
    for track in tracks:
        if track not in TRACKS:
            raise TerramendError("evaluate.track", name=track, known=", ".join(TRACKS))
    chosen = tuple(_found(methods, watch))
    verify(recipe, root)
    out.mkdir(parents=True, exist_ok=True)
    cases = _quick(recipe.cases) if quick else list(recipe.cases)
    harness = {
        name: fingerprint(_files(*HARNESS, *(OWN if is_own(root, name) else ())))
        for name in {case.dataset for case in cases}
    }
    code = _files(*LOOKED)
    looked = {case.name: fingerprint([lpips, *code]) for case in _quick(recipe.cases)} if lpips else {}
    wanted = _wanted(cases, tuple(tracks) or TRACKS, chosen, recipe, harness, looked)
    if not wanted:
        raise TerramendError(
            "evaluate.nothing",
            asked=", ".join(tracks) or "any track",
            known=", ".join(t for t in TRACKS if any(t in case.tracks for case in cases)) or "none",
            methods=", ".join(method.name for method in chosen),
        )
    cache = _read(out / ROWS)
    todo = _tasks(wanted, cache, lpips, looked)
    watch.stage("evaluate", len(todo))
    with (out / ROWS).open("a") as file, contextlib.ExitStack() as stack:
        if file.tell() and not (out / ROWS).read_bytes().endswith(b"\n"):
            file.write("\n")  # a crash cut the last line
        for rows in stack.enter_context(contextlib.closing(_run(todo, root, jobs))):
            for row in rows:
                cache[row["key"]] = row
                file.write(json.dumps(row) + "\n")
            file.flush()
            watch.advance()
    watch.finish()
    told = tuple(
        {**cache[row_key], "case": case.name, "track": track, "kind": case.gap.kind,
         "dataset": case.dataset, "place": ground(case.dataset, case.place), "group": method.group}
        for case, track, method, row_key in wanted
    )  # fmt: skip
    return Results(recipe, root, chosen, told)


def _files(*modules: str) -> list[Path]:
    """The files of modules, `*` for all of a folder."""
    return sorted({path for name in modules for path in HERE.parents[1].glob(f"{name}.py")})


def _found(names: Sequence[str], watch: Watch) -> Iterator[Method]:
    for name in names or standard():
        try:
            yield find(name)
        except TerramendError as error:
            if names or error.code != "evaluate.package":
                raise
            watch.notice("evaluate.skipped", **error.arguments)


def _quick(cases: Sequence[Case]) -> list[Case]:
    """The first cloud (or real) case of each place; the first of each kind where no place has one."""
    first: dict[tuple[str, str, str], Case] = {}
    for case in [case for case in cases if case.gap.kind in ("cloud", "own", "whole")] or cases:
        first.setdefault((case.dataset, case.place, case.gap.kind), case)
    return list(first.values())


def _wanted(
    cases: Sequence[Case],
    tracks: Sequence[str],
    methods: Sequence[Method],
    recipe: Recipe,
    harness: Mapping[str, str],
    looked: Mapping[str, str],
) -> list[tuple[Case, str, Method, str]]:
    versions = {method.name: method.version() for method in methods}
    wanted = []
    for case in cases:
        keys: dict[View, str] = {}
        for track in (track for track in tracks if track in case.tracks):
            view, whole = case.tracks[track], case.gap.kind == "whole"
            for method in methods:
                if not method.applies(view, whole, case.truth != case.target):
                    continue
                seen = method.seen(view)
                if seen not in keys:
                    keys[seen] = key(case, seen, recipe.sources)
                code = harness[case.dataset], versions[method.name]
                parts = [*code, keys[seen], method.name, dict(method.settings)]
                if case.name in looked:
                    parts.append(looked[case.name])
                row_key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
                wanted.append((case, track, method, row_key))
    return wanted


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Rows by key; what a crash cut off or spoiled is ignored."""
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                rows[row["key"]] = row
    return rows


def _tasks(
    wanted: list[tuple[Case, str, Method, str]],
    cache: dict[str, dict[str, Any]],
    lpips: Path | None,
    looked: Mapping[str, str],
) -> list[Task]:
    grouped: dict[tuple[str, str], tuple[Case, str, dict[str, str]]] = {}
    planned = set(cache)
    for case, track, method, row_key in wanted:
        if row_key not in planned:
            planned.add(row_key)
            grouped.setdefault((case.name, track), (case, track, {}))[2][method.name] = row_key
    return [
        Task(case, track, tuple(names.items()), lpips if case.name in looked else None)
        for case, track, names in grouped.values()
    ]


def _run(tasks: list[Task], root: Path, jobs: int) -> Generator[list[dict[str, Any]], None, None]:
    if jobs <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield _do(task, root)
        return
    with single_threaded():
        with deaf_children():  # its locks begin a process, too
            pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=calm)
        try:
            with deaf_children():
                futures = [pool.submit(_do, task, root) for task in tasks]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Children inherit one thread a process, so that `jobs` processes share the cores fairly."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def calm() -> None:
    """Begin a worker: one thread for OpenCV too, and gone when the run is gone, also when it was killed."""
    import cv2

    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def leave() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=leave, daemon=True).start()


_MADE: dict[str, Any] = {}


@functools.lru_cache(maxsize=1)
def _perceptual(path: Path) -> Any:
    from .perceptual import Perceptual

    return Perceptual.load(path)


def _do(task: Task, root: Path) -> list[dict[str, Any]]:
    from .measure import appearance, row

    given, rows = sample(task.case, task.track, root), []
    lpips = appearance(_perceptual(task.lpips), given) if task.lpips else None
    for name, row_key in task.methods:
        if name not in _MADE:  # imports are not part of a method's time
            method = find(name)
            _MADE[name] = method.make(method.settings)
        rows.append({"key": row_key, "method": name, **row(_MADE[name], given, lpips)})
    return rows
