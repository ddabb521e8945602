"""Reading, working and taking results at once: bounded, in order, and quick to stop.

One thread reads, several work, the caller takes the results in the order of reading. At
most `in_flight` items exist at any moment, whatever the speeds, and the order of results
never depends on the number of workers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL = 0.05
"""Seconds between two looks at whether the run was cancelled."""

PATIENCE = 1.5
"""Seconds that a stopped flow waits for its workers."""


WORK = "terramend-work"
"""What the names of threads that work begin with."""


class _Slot(Generic[Item, Result]):
    """One item on its way: done when `ready` is set, with a result or an error."""

    def __init__(self, item: Item) -> None:
        self.item: Item | None = item
        self.ready = threading.Event()
        self.result: Result | None = None
        self.error: BaseException | None = None


def in_order(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    workers: int,
    in_flight: int,
    check: Callable[[], None],
) -> Generator[Result]:
    """`work(item)` for each item, in the items' order.

    Args:
        items: is iterated in one thread of its own, and closed there.
        work: called in worker threads; must not share what is not safe to share.
        workers: threads that work. in_flight: items between reading and taking, at least 1.
        check: called often in the caller's thread; may raise to stop everything.

    Raises:
        Whatever `items`, `work` or `check` raise. All threads are told to stop then, as
        also when the caller stops taking. The reading thread has ended on return, so files can
        be closed; a worker deep in one item is left to end by itself after `PATIENCE`.
    """
    stop = threading.Event()
    room = threading.Semaphore(max(in_flight, 1))
    ordered: queue.SimpleQueue[_Slot[Item, Result] | None] = queue.SimpleQueue()
    todo: queue.SimpleQueue[_Slot[Item, Result] | None] = queue.SimpleQueue()

    def read() -> None:
        iterator = iter(items)
        try:
            while not stop.is_set():
                if not room.acquire(timeout=POLL):
                    continue
                try:
                    slot: _Slot[Item, Result] = _Slot(next(iterator))
                except StopIteration:
                    break
                ordered.put(slot)
                todo.put(slot)
        except BaseException as error:
            failed: _Slot[Item, Result] = _Slot(None)  # type: ignore[arg-type]
            failed.error = error
            failed.ready.set()
            ordered.put(failed)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            ordered.put(None)
            for _ in range(workers):
                todo.put(None)

    def run() -> None:
        while (slot := todo.get()) is not None:
            if not stop.is_set():
                try:
                    slot.result = work(slot.item)  # type: ignore[arg-type]
                except BaseException as error:
                    slot.error = error
            slot.item = None  # frees the tile while its result waits
            slot.ready.set()
            del slot

    reader = threading.Thread(target=read, name="terramend-read", daemon=True)
    crew = [threading.Thread(target=run, name=f"{WORK}-{i}", daemon=True) for i in range(workers)]
    try:
        for thread in (reader, *crew):
            thread.start()  # an error where the system allows no more of them
        while (slot := _next(ordered, check)) is not None:
            while not slot.ready.wait(POLL):
                check()
            check()
            if slot.error is not None:
                raise slot.error
            result = slot.result
            del slot
            yield result  # type: ignore[misc]
            del result
            room.release()
    finally:
        stop.set()
        if reader.ident is not None:
            reader.join()  # its files are closed next
        deadline = time.monotonic() + PATIENCE
        for thread in crew:
            if thread.ident is not None:
                thread.join(max(deadline - time.monotonic(), 0))


def run_cancellable(task: Callable[[], Result], check: Callable[[], None]) -> Result:
    """`task()` in a thread of its own, so that `check` can stop waiting for it.

    A task that is no longer waited for ends by itself; its result is dropped.
    """
    (result,) = in_order([None], lambda _: task(), 1, 1, check)
    return result


def _next(ordered: queue.SimpleQueue[Item], check: Callable[[], None]) -> Item:
    while True:
        try:
            return ordered.get(timeout=POLL)
        except queue.Empty:
            check()


def is_left_working() -> bool:
    """Whether a worker that was left is deep in C code still: the interpreter's end would crash it."""
    return any(thread.name.startswith(WORK) for thread in threading.enumerate())
