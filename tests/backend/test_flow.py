"""The flow keeps order and bounds, and stops quickly on errors and cancels, wherever they happen."""

from __future__ import annotations

import threading
import time

import pytest
from terramend.backend.flow import in_order, run_cancellable


def nothing() -> None:
    return None


earlier: set[threading.Thread] = set()
"""What other tests of this process have left to end by itself."""


@pytest.fixture(autouse=True)
def _threads_of_others() -> None:
    earlier.clear()
    earlier.update(threading.enumerate())


def threads() -> int:
    return sum(t.name.startswith("terramend-") for t in set(threading.enumerate()) - earlier)


def no_threads_stay() -> None:
    end = time.monotonic() + 60
    while threads():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("in_flight", [1, 3, 8])
def test_results_come_in_the_order_of_reading(workers, in_flight):
    def work(n: int) -> int:
        time.sleep(0.01 * (n % 3 == 0))
        return n * n

    assert list(in_order(range(30), work, workers, in_flight, nothing)) == [n * n for n in range(30)]
    no_threads_stay()


def test_no_more_items_exist_than_allowed():
    lock, alive, most = threading.Lock(), 0, 0

    def read():
        nonlocal alive, most
        for n in range(40):
            with lock:
                alive += 1
                most = max(most, alive)
            yield n

    for _ in in_order(read(), lambda n: n, 4, 3, nothing):
        time.sleep(0.002)
        with lock:
            alive -= 1
    assert most <= 3 + 1  # one more is read only after the caller has come back for the next


@pytest.mark.parametrize("where", ["read", "work", "check", "caller"])
def test_an_error_anywhere_ends_everything(where):
    def read():
        for n in range(1000):
            if where == "read" and n == 5:
                raise ValueError(where)
            yield n

    def work(n):
        if where == "work" and n == 5:
            raise ValueError(where)
        return n

    calls = iter(range(10**9))

    def check():
        if where == "check" and next(calls) == 5:
            raise ValueError(where)

    with pytest.raises(ValueError, match=where):
        for result in in_order(read(), work, 3, 4, check):
            if where == "caller" and result == 5:
                raise ValueError(where)
    no_threads_stay()


def test_a_cancel_does_not_wait_for_a_worker_deep_in_a_tile():
    release, started, finished = threading.Event(), threading.Event(), threading.Event()

    def work(_):
        started.set()
        release.wait(60)
        finished.set()

    def check():
        if started.is_set():
            raise KeyError("cancelled")

    with pytest.raises(KeyError):
        list(in_order(range(9), work, 2, 4, check))
    assert not finished.is_set()
    release.set()
    no_threads_stay()


def test_a_stopped_flow_waits_a_moment_for_a_worker_that_is_nearly_done():
    closed, finished = threading.Event(), threading.Event()

    def read():
        try:
            yield from range(9)
        finally:
            closed.set()

    def work(n):
        if n:
            closed.wait(60)
            time.sleep(0.1)
            finished.set()

    flow = in_order(read(), work, 1, 2, nothing)
    next(flow)
    flow.close()
    assert finished.is_set()


def test_the_reader_is_closed_in_its_own_thread():
    seen = []

    def read():
        try:
            yield from range(100)
        finally:
            seen.append(threading.current_thread().name)

    flow = in_order(read(), lambda n: n, 2, 2, nothing)
    next(flow)
    flow.close()
    assert seen == ["terramend-read"]


def test_run_cancellable_returns_raises_and_gives_up():
    assert run_cancellable(lambda: 3, nothing) == 3
    with pytest.raises(ZeroDivisionError):
        run_cancellable(lambda: 1 // 0, nothing)

    def check():
        raise KeyError("cancelled")

    release, finished = threading.Event(), threading.Event()
    with pytest.raises(KeyError):
        run_cancellable(lambda: release.wait(60) and finished.set(), check)
    assert not finished.is_set()
    release.set()
    no_threads_stay()


def test_nothing_is_read_any_more_where_a_thread_cannot_start(monkeypatch):
    class Files:
        closed = False

        def __iter__(self):
            return self

        def __next__(self):
            return 1

        def close(self):
            self.closed = True

    def start(thread):
        if thread.name == "terramend-work-1":
            raise RuntimeError("can't start new thread")
        begin(thread)

    begin, files = threading.Thread.start, Files()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        list(in_order(files, lambda n: n, 2, 2, nothing))
    assert files.closed
    no_threads_stay()
