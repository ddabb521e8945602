"""What a process is set to while it computes: threads of libraries, memory, and what its children hear."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

import cv2
from threadpoolctl import threadpool_limits

LARGE = 32 << 20
"""Bytes of an array that always comes fresh from the system: what glibc itself comes to."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


class _Limit:
    """How many runs are under the limit, and what they found before it."""

    lock = threading.Lock()
    runs = 0
    opencv = 0
    blas: threadpool_limits


@contextmanager
def computing() -> Iterator[None]:
    """BLAS and OpenCV compute in the calling thread only: tiles are the parallel work.

    So the bytes do not depend on the number of cores, and cores are not fought over. The
    limit is the process's: of runs that go on at the same time (a fill, and a look at the
    next target) the last one lifts it. Memory that was freed goes back to the system at the end.
    """
    with _Limit.lock:
        if _Limit.runs == 0:
            _Limit.opencv, _Limit.blas = cv2.getNumThreads(), threadpool_limits(1)
            cv2.setNumThreads(1)
        _Limit.runs += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.runs -= 1
            if _Limit.runs == 0:
                _Limit.blas.restore_original_limits()
                cv2.setNumThreads(_Limit.opencv)
        give_memory_back()


def give_memory_back() -> None:
    """Let glibc return freed pages to the system; it would keep what a large array once took."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other systems have other ways
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Let glibc keep what arrays leave for the next ones, as it does by itself unless asked otherwise.

    Dask starts workers with `MALLOC_TRIM_THRESHOLD_`: then every larger array comes fresh from the system and
    goes back there, which made a row cost 2.5 times the processor time (measured). A run gives back what is
    left at its end.
    """
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other systems have other ways
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGE)
        mallopt(_TRIM_THRESHOLD, 2 * LARGE)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are begun here do not hear what ends a whole group of processes.

    A terminal, a service manager or a batch system sends it to our workers too; they leave it to
    us to stop them cleanly. Their threads, and those that replace dead ones, inherit this.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    group = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, group)
    try:
        resource_tracker.ensure_running()  # which the first worker would begin, and lift the mask
        signal.pthread_sigmask(signal.SIG_BLOCK, group)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
