"""What the process is set to while something is computed: threads of the libraries, and memory."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
from threadpoolctl import threadpool_limits


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
