"""Rows of a batch on Dask distributed: real worker processes, here or elsewhere.

A worker does whole rows with the same function as a serial run, so the bytes are the
same. A row whose worker dies is done again by another one; temporary files of the dead
are swept by the writer.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import signal
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

import distributed
from distributed.versions import VersionMismatchWarning

from ..commands.batch_row import Outcome, failed, named, written
from ..errors import TerramendError
from ..failure import as_error, reason
from ..filling.process import deaf_children
from ..flow import run_cancellable
from ..request import FillRequest, from_json
from ..watch import Watch
from . import places
from .worker import Deaf, cancel, identity, packages, work

POLL = 0.5
"""Seconds between two looks at the cancel flag."""
CONNECT = 15.0
"""Seconds that a scheduler may take to answer."""
LONELY = 60.0
"""Seconds that a cluster may have no worker at all, as while one is replaced."""
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
        TerramendError: `batch.scheduler`, or `batch.worker`, `batch.unseen`, `batch.read-only` where no
            worker may do a row; `run.cancelled`.
    """
    watch.stage("cluster")  # which takes seconds to be up, and these tell nothing of the rows
    with _client(scheduler, len(requests), watch) as (client, foreign):
        if foreign:
            _check_workers(client, scheduler, watch)
        asked = [from_json(request) for request in requests]
        with places.marks(asked if foreign else []) as marks:
            at_once = _at_once(client, len(requests))
            watch.stage("rows", len(requests), sum(at_once.values()))
            rows = _Rows(client, requests, asked, marks, at_once)
            waiting = {rows.submit(position): position for position in range(len(requests))}
            seen = time.monotonic()
            try:
                while waiting:
                    watch.check()
                    for future in sorted(_finished(list(waiting)), key=waiting.__getitem__):
                        position = waiting.pop(future)
                        try:
                            outcome = _outcome(future)
                        except TerramendError as unfit:
                            waiting[rows.elsewhere(position, unfit, watch)] = position
                        else:
                            yield position, outcome
                    if client.scheduler_info()["workers"]:
                        seen = time.monotonic()
                    elif time.monotonic() - seen > LONELY:
                        why = "it has no workers any more"
                        raise TerramendError("batch.scheduler", scheduler=scheduler, why=why)
            except CancelledError:  # by Dask, which has lost the connection
                raise TerramendError("batch.scheduler", scheduler=scheduler, why="it is gone") from None
            finally:
                if waiting:
                    _stop(client, rows.batch, list(waiting))


class _Rows:
    """Puts the rows of a batch on a cluster, each again where a worker may not do it.

    A row that reads what earlier ones write comes after them.
    """

    def __init__(
        self,
        client: distributed.Client,
        requests: Sequence[dict[str, Any]],
        asked: Sequence[FillRequest],
        marks: Mapping[str, str],
        at_once: Mapping[str, int],
    ) -> None:
        self.batch = f"terramend-{uuid.uuid4()}"
        self._client, self._requests, self._at_once = client, requests, at_once
        self._seen = [places.seen(one, marks) for one in asked]
        self._before = _makers(asked)
        self._futures: dict[int, distributed.Future] = {}
        self._unfit: set[str] = set()
        self._numbers = itertools.count()

    def submit(self, position: int, **where: Any) -> distributed.Future:
        """A row's future; `where`: on which workers, as Dask takes it."""
        before = [self._futures[maker] for maker in self._before[position]]
        there = (identity(), self._seen[position], self._at_once)
        key = f"{self.batch}-{next(self._numbers)}"
        future = self._client.submit(
            work, self._requests[position], self.batch, before, *there, key=key, **where
        )
        self._futures[position] = future
        return future

    def elsewhere(self, position: int, unfit: TerramendError, watch: Watch) -> distributed.Future:
        """The same on other workers than those that may not do rows, as the error says of one.

        Raises:
            TerramendError: that error, where there are no others.
        """
        worker = str(unfit.arguments["worker"])
        fit = set(self._client.scheduler_info(n_workers=-1)["workers"]) - self._unfit - {worker}
        if not fit:
            raise unfit
        if worker not in self._unfit:
            watch.notice("batch.elsewhere", why=str(unfit))
        self._unfit.add(worker)
        return self.submit(position, workers=sorted(fit), allow_other_workers=True)  # once these are gone


def _makers(asked: Sequence[FillRequest]) -> list[list[int]]:
    """Of each row the earlier ones that write what it reads."""
    writers: dict[str, int] = {}
    found = []
    for position, request in enumerate(asked):
        found.append([writers[name] for name in named(request) if name in writers])
        writers.update(dict.fromkeys(written(request), position))
    return found


@contextlib.contextmanager
def _client(scheduler: str, rows: int, watch: Watch) -> Iterator[tuple[distributed.Client, bool]]:
    """A client, and whether the cluster is not our own."""
    local = re.fullmatch(r"local:([1-9]\d{0,3})", scheduler)
    if local is None:
        if not re.fullmatch(r"(tcp|tls)://\S+", scheduler):
            raise TerramendError("batch.address", scheduler=scheduler)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # we say it when it is gone,
        warnings.simplefilter("ignore", VersionMismatchWarning)  # and which packages differ
        with _connected(scheduler, watch) as client:
            yield client, True
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
            client.register_plugin(Deaf())
        yield client, False


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


def _check_workers(client: distributed.Client, scheduler: str, watch: Watch) -> None:
    """Every worker of a foreign cluster must have this Terramend; other packages are told."""
    found = client.run(identity, on_error="return")
    if not found:
        raise TerramendError("batch.scheduler", scheduler=scheduler, why="it has no workers")
    for worker, have in found.items():
        if isinstance(have, Exception):  # whatever the worker's import raised, as Dask wraps it
            have = re.sub(r"""^\w+\((["'])(.*)\1\)$""", r"\2", reason(have))
        if have != identity():
            raise TerramendError("batch.worker", worker=worker, have=have, need=identity())
    here = packages()
    others = {there: worker for worker, there in reversed(client.run(packages).items())}
    for there, worker in others.items():
        if differ := [pair for pair in zip(there, here, strict=True) if pair[0] != pair[1]]:
            theirs, ours = map(", ".join, zip(*differ, strict=True))
            watch.notice("batch.packages", worker=worker, theirs=theirs, ours=ours)


def _at_once(client: distributed.Client, rows: int) -> dict[str, int]:
    """How many rows each machine will do at the same time, by its address: one a thread at most."""
    threads: dict[str, int] = {}
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        threads[worker["host"]] = threads.get(worker["host"], 0) + worker["nthreads"]
    all_threads = max(sum(threads.values()), 1)
    return {host: min(own, -(-rows * own // all_threads)) for host, own in threads.items()}


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
    except TerramendError as error:  # of a worker that must not do any row: it would soon fail them all
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
