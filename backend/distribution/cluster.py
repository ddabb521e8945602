"""Rows of a batch on Dask distributed: real worker processes, here or elsewhere.

A worker does whole rows with the same function as a serial run, so the bytes are the
same. A row whose worker dies is done again by another one; temporary files of the dead
are swept by the writer.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import distributed

from .. import device
from ..batch_row import Outcome, do, failed, named, written
from ..errors import TerramendError
from ..failure import as_error, reason
from ..flow import run_cancellable
from ..process import deaf_children, keep_freed_memory
from ..request import from_json
from ..version import VERSION
from ..watch import Watch
from . import places

POLL = 0.5
"""Seconds between two looks at the cancel flag."""
CONNECT = 15.0
"""Seconds that a scheduler may take to answer."""
LONELY = 60.0
"""Seconds that a cluster may have no worker at all, as while one is replaced."""
CODE = (
    "backend/*.py",
    "backend/raster/*.py",
    "backend/distribution/*.py",
    "models/**/*.py",
    "models/weights/*.json",
)
"""What a row's values may rest on; the plugin and a wheel hold the same."""
GRACE = 5.0
"""Seconds that running rows get to stop and clean up after a cancel."""


def run_requests(
    requests: Sequence[dict[str, Any]], scheduler: str, watch: Watch
) -> Iterator[tuple[int, Outcome]]:
    """Do requests on a cluster; yields positions and outcomes as they come.

    Args:
        requests: JSON of `FillRequest`s, paths absolute.
        scheduler: `local:N` starts N worker processes, `tcp://HOST:PORT` names a cluster
            whose workers have the same Terramend and see the same files.

    Raises:
        TerramendError: `batch.scheduler`, `batch.worker`, `batch.unseen`, `batch.read-only`, or
            `run.cancelled`.
    """
    with _client(scheduler, len(requests), watch) as (client, workers):
        if workers is None:
            _check_workers(client, scheduler)
        batch = f"terramend-{uuid.uuid4()}"
        cores = max(1, device.cores() // workers) if workers else 0
        rows = [_shared(request, cores) for request in requests]
        with places.marks([from_json(row) for row in rows] if workers is None else []) as marks:
            waiting = _submitted(client, rows, marks, batch)
            seen = time.monotonic()
            try:
                while waiting:
                    watch.check()
                    for future in _finished(list(waiting)):
                        yield waiting.pop(future), _outcome(future)
                    if client.scheduler_info()["workers"]:
                        seen = time.monotonic()
                    elif time.monotonic() - seen > LONELY:
                        why = "it has no workers any more"
                        raise TerramendError("batch.scheduler", scheduler=scheduler, why=why)
            except CancelledError:  # by Dask, which has lost the connection
                raise TerramendError("batch.scheduler", scheduler=scheduler, why="it is gone") from None
            finally:
                if waiting:
                    _stop(client, batch, list(waiting))


_running: dict[str, list[Watch]] = {}
_cancelled: set[str] = set()
"""On a worker: the watches of each batch's running rows, and the batches that were cancelled."""


def _submitted(
    client: distributed.Client, requests: Sequence[dict[str, Any]], marks: Mapping[str, str], batch: str
) -> dict[distributed.Future, int]:
    """The rows' futures and positions; a row that reads what earlier ones write comes after them."""
    futures: list[distributed.Future] = []
    makers: dict[str, distributed.Future] = {}
    for position, request in enumerate(requests):
        asked = from_json(request)
        before = [makers[name] for name in named(asked) if name in makers]
        need = (identity(), places.seen(asked, marks))
        futures.append(client.submit(work, request, batch, before, *need, key=f"{batch}-{position}"))
        makers.update(dict.fromkeys(written(asked), futures[-1]))
    return {future: position for position, future in enumerate(futures)}


def work(
    request: dict[str, Any], batch: str, before: Sequence[Outcome], need: str, seen: places.Seen
) -> Outcome:
    """One row, on a worker; `before` makes Dask wait for the rows that it builds on.

    Raises:
        TerramendError: `batch.worker`, `batch.unseen`, `batch.read-only`, where it has not the client's
            Terramend or files: a worker may join at any time.
    """
    if identity() != need:
        raise TerramendError("batch.worker", have=identity(), need=need)
    places.check(seen, distributed.get_worker().address)
    keep_freed_memory()
    watch = Watch()
    _running.setdefault(batch, []).append(watch)
    if batch in _cancelled:
        watch.cancel()
    try:
        return do(request, watch)
    finally:
        _running[batch].remove(watch)


def cancel(batch: str) -> None:
    """Ask the batch's rows on this worker to stop; runs beside them."""
    _cancelled.add(batch)
    for watch in list(_running.get(batch, ())):
        watch.cancel()


class _Deaf(distributed.WorkerPlugin):
    """What `deaf_children` does, where masks of signals are not inherited (Windows)."""

    def setup(self, worker: distributed.Worker) -> None:
        """Called in the main thread of every worker, also of one that replaces a dead one."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def identity() -> str:
    """Which Terramend this is: its version, and a hash of what fills rest on."""
    root, sha = Path(__file__).parents[2], hashlib.sha256()
    for pattern in CODE:
        for path in sorted(root.glob(pattern)):
            sha.update(path.relative_to(root).as_posix().encode())
            sha.update(path.read_bytes())
    return f"{VERSION}, code {sha.hexdigest()[:8]}"


@contextlib.contextmanager
def _client(scheduler: str, rows: int, watch: Watch) -> Iterator[tuple[distributed.Client, int | None]]:
    """A client, and the number of workers where they are our own."""
    local = re.fullmatch(r"local:([1-9]\d{0,3})", scheduler)
    if local is None:
        if not re.fullmatch(r"(tcp|tls)://\S+", scheduler):
            raise TerramendError("batch.address", scheduler=scheduler)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # we say it when it is gone
        with _connected(scheduler, watch) as client:
            yield client, None
        return
    workers = min(int(local[1]), max(rows, 1))
    try:
        with deaf_children():
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs=50,
            )  # fmt: skip
    except (OSError, RuntimeError) as error:  # as where there is no shared memory, or too few processes
        why = f"no worker of it starts: {reason(error)}"
        raise TerramendError("batch.scheduler", scheduler=scheduler, why=why) from error
    with cluster, distributed.Client(cluster) as client:
        if not hasattr(signal, "pthread_sigmask"):
            client.register_plugin(_Deaf())
        yield client, workers


def _connected(scheduler: str, watch: Watch) -> distributed.Client:
    """A client of a cluster; Dask itself waits without end for a server that is no scheduler."""
    deadline = time.monotonic() + 2 * CONNECT

    def check() -> None:
        watch.check()
        if time.monotonic() > deadline:
            raise TimeoutError("it does not answer as a scheduler")

    try:
        return run_cancellable(lambda: distributed.Client(scheduler, timeout=CONNECT), check)
    except (OSError, ValueError, TypeError) as error:  # the last: tls:// without certificates
        raise TerramendError("batch.scheduler", scheduler=scheduler, why=reason(error)) from None


def _check_workers(client: distributed.Client, scheduler: str) -> None:
    """Every worker of a foreign cluster must have this Terramend."""
    try:
        found = client.run(identity)
    except Exception as error:  # whatever the worker's import raised
        raise TerramendError("batch.worker", have=reason(error), need=identity()) from None
    if not found:
        raise TerramendError("batch.scheduler", scheduler=scheduler, why="it has no workers")
    for have in found.values():
        if have != identity():
            raise TerramendError("batch.worker", have=have, need=identity())


def _shared(request: dict[str, Any], cores: int) -> dict[str, Any]:
    """The request with its share of the cores, where it leaves them open (the bytes stay)."""
    return {**request, "jobs": request["jobs"] or cores}


def _finished(futures: list[distributed.Future]) -> list[distributed.Future]:
    try:
        return list(distributed.wait(futures, timeout=POLL, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _outcome(future: distributed.Future) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except distributed.KilledWorker:
        return failed(TerramendError("batch.lost"))
    except (
        TerramendError
    ) as error:  # of a worker that must not do any row: it would soon have failed them all
        path = str(error.arguments.get("path"))
        if error.code == "batch.unseen" and not os.path.exists(path):  # noqa: PTH110 - gone here too by now
            return failed(TerramendError("raster.missing", path=path))
        raise
    except Exception as error:
        return failed(as_error(error))


def _stop(client: distributed.Client, batch: str, futures: list[distributed.Future]) -> None:
    """Ask the batch's rows to stop, and give those that run a moment to clean up."""
    with contextlib.suppress(Exception):  # the cluster may be the reason why we stop
        client.run(cancel, batch)
        distributed.wait(futures, timeout=GRACE)
        client.cancel(futures)
