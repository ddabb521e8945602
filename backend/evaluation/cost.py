"""What a method costs on a scene of a megapixel: processor seconds and memory, in a process of its own.

Cases are small, and on 0.04 megapixels the fixed costs of a method weigh more than its work; a process
that has run other methods hides what the next one takes. So one case is mirrored to a megapixel, and
each method fills it once, alone, after a first run on the small case.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..filling.process import deaf_children
from ..raster.outputs import write_whole
from ..watch import Watch
from .cases import Case, Recipe, Sample, key, sample
from .measure import watched
from .methods import Method, find
from .run import calm, single_threaded

SIDE, HIDDEN = 1024, 0.32
"""Pixels a side of the scene, and the share of it that should be hidden."""

LIMIT, MEMORY = 120, 6 * 2**30
"""Processor seconds that a method may take, and bytes; what needs more is told as more."""

PATIENCE = 10
"""Times `LIMIT` that is waited on the clock: a busy machine is slow, and some systems limit nothing else."""

TRACKS = ("T4", "T2", "T1", "S")
"""Where the scene is taken from: the first of these that has a case."""

FILE = "costs.json"


@dataclass(frozen=True)
class Cost:
    """Processor seconds and MB of memory a megapixel; `over`: stopped at the limit of either."""

    seconds: float
    megabytes: float
    over: bool = False


Costs = dict[tuple[str, bool], Cost]
"""By name of the method, and whether it had other dates to read."""


def measure(
    recipe: Recipe,
    root: Path,
    methods: Sequence[Method],
    out: Path,
    jobs: int,
    watch: Watch,
    side: int = SIDE,
) -> Costs:
    """The cost of each method, with other dates where it reads them and without.

    Results are kept in `out/costs.json` under the hash of code, settings and scene.
    """
    chosen = _case(recipe, root)
    if chosen is None:
        return {}
    case, track = chosen
    known = _read(out / FILE)
    wanted: dict[tuple[str, bool], str] = {}
    for method in methods:
        for dates in (False, True):
            possible = "references" in method.uses if dates else "references" not in method.needs
            if possible and (not dates or case.tracks[track].references) and method.group != "nothing":
                parts = [side, key(case, case.tracks[track], recipe.sources), method.version(), dates]
                parts += [method.name, dict(method.settings)]
                text = json.dumps(parts, sort_keys=True)
                wanted[method.name, dates] = hashlib.sha256(text.encode()).hexdigest()[:32]
    todo = [pair for pair, name in wanted.items() if name not in known]
    watch.stage("cost", len(todo))
    with single_threaded(), ThreadPoolExecutor(max(jobs, 1)) as pool:
        stop = threading.Event()
        try:
            asked = {pool.submit(_alone, case, track, root, *pair, side, stop.is_set): pair for pair in todo}
            for future in as_completed(asked):
                cost = future.result()
                if cost is not None:
                    known[wanted[asked[future]]] = cost
                    write_whole(
                        out / FILE, json.dumps({name: asdict(c) for name, c in known.items()}, indent=1)
                    )
                watch.advance()
        finally:
            stop.set()
    watch.finish()
    return {pair: known[name] for pair, name in wanted.items() if name in known}


def _read(path: Path) -> dict[str, Cost]:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {name: Cost(**stored) for name, stored in json.loads(path.read_text()).items()}
    return {}


def _case(recipe: Recipe, root: Path) -> tuple[Case, str] | None:
    """Of the first of `TRACKS` that has a case: a real cloud if any, of most bands, hiding about `HIDDEN`."""

    def apart(case: Case) -> tuple[int, float, str]:
        given = sample(case, track, root)
        return -len(given.bands), abs(float(given.scored.mean()) - HIDDEN), case.name

    for track in TRACKS:
        cases = [case for case in recipe.cases if track in case.tracks]
        clouds = [case for case in cases if case.gap.kind == "cloud"]
        if cases:
            return min(clouds or cases, key=apart), track
    return None


def _alone(
    case: Case, track: str, root: Path, name: str, dates: bool, side: int, stopped: Callable[[], bool]
) -> Cost | None:
    """The cost of one method in a process of its own; None where it failed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_fill, args=(there, case, track, root, name, dates, side, LIMIT), daemon=True
    )
    with deaf_children():
        child.start()
    there.close()
    try:
        for _ in range(2 * LIMIT * PATIENCE):  # looks twice a second
            if here.poll(0.5):
                told: Cost | None = here.recv()
                return told
            if stopped():
                return None
    except EOFError:  # ended by the system, for its time or else its memory
        child.join()
        if child.exitcode != -getattr(signal, "SIGXCPU", 0):
            return Cost(float("nan"), MEMORY / 2**20, over=True)
    finally:
        child.kill()
        child.join()
        here.close()
    return Cost(LIMIT / (side**2 / 1e6), float("nan"), over=True)


def _fill(
    pipe: Connection, case: Case, track: str, root: Path, name: str, dates: bool, side: int, limit: int
) -> None:
    calm()
    given = sample(case, track, root)
    if not dates:
        given = replace(given, tile=replace(given.tile, references=()))
    method = find(name)
    run = method.make(method.settings)
    large = mirrored(given, side)
    try:
        run(given)  # imports and tables are not the scene's
        with _bounded(limit):
            _, seconds, memory = watched(lambda: run(large))
        megapixels = side**2 / 1e6
        pipe.send(Cost(seconds / megapixels, memory / megapixels))
    except MemoryError:
        pipe.send(Cost(float("nan"), MEMORY / 2**20, over=True))
    except Exception:  # a method that cannot do this case has no cost
        pipe.send(None)


@contextlib.contextmanager
def _bounded(limit: int) -> Any:
    """At most `limit` more processor seconds and `MEMORY` more bytes of addresses, where the system can."""
    try:
        import resource
    except ImportError:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    used, before_time = time.process_time(), resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + limit), before_time[1]))
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        resource.setrlimit(resource.RLIMIT_CPU, before_time)


def mirrored(given: Sample, side: int) -> Sample:
    """The case continued by its mirror images to `side` squared pixels, gaps too."""

    def grown(pixels: NDArray[Any]) -> NDArray[Any]:
        height, width = pixels.shape[-2:]
        around = [(0, 0)] * (pixels.ndim - 2)
        wider = np.pad(pixels, [*around, (0, max(side - height, 0)), (0, max(side - width, 0))], "symmetric")
        return np.ascontiguousarray(wider[..., :side, :side])

    return Sample(
        given.tile.mapped(grown),
        grown(given.truth),
        grown(given.scored),
        grown(given.original),
        given.bands,
    )
