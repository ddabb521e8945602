"""Work side by side, where the caller allows it: results and their order never depend on how many.

Tiles are predicted side by side already; seeing the whole scene (`prepare`) is one task, which may
use the cores that would wait for it. Without `allowed` everything runs in the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")

_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("pool", default=None)
_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def allowed(count: int, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let `each` use `count` threads, the calling one among them; not for what other threads do.

    `check` is called before each part, and by `proceed`; it raises where the work is wanted no more.
    """
    others: AbstractContextManager[ThreadPoolExecutor | None] = nullcontext(_pool.get())
    if count > 1:
        others = ThreadPoolExecutor(count - 1, "terramend-part", initializer=_check.set, initargs=(check,))
    with others as pool:
        before, outer = _check.set(check), _pool.set(pool)
        try:
            yield
        finally:
            _pool.reset(outer)
            _check.reset(before)


def proceed() -> None:
    """For work in steps, to be called between them: raises where it is wanted no more."""
    _check.get()()


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work(item)` of all items, in their order; the parts must not write to the same place.

    Where one of them fails, none runs any more when this raises: files that they read can be closed.
    """
    pool = _pool.get()

    def part(item: Item) -> Result:
        proceed()
        return work(item)

    if pool is None:
        return list(map(part, items))
    todo = list(items)
    parts: list[Future[Result]] = []
    try:
        parts.extend(pool.submit(part, item) for item in todo)
        for place in reversed(range(len(todo))):  # this thread works too: handing a part on takes time
            if parts[place].cancel():
                parts[place] = _done(part, todo[place])
        return [one.result() for one in parts]
    finally:
        wait([one for one in parts if not one.cancel()])


def both(first: Callable[[], Result], second: Callable[[], Other]) -> tuple[Result, Other]:
    """What two pieces of work come to, side by side; this thread does the `second`, and it may use `each`."""
    pool = _pool.get()
    if pool is None:
        return first(), second()
    begun = pool.submit(first)
    try:
        other = second()
        return first() if begun.cancel() else begun.result(), other
    finally:
        if not begun.cancel():
            wait([begun])


def _done(work: Callable[[Item], Result], item: Item) -> Future[Result]:
    """What `work(item)` comes to, or fails with."""
    made: Future[Result] = Future()
    try:
        made.set_result(work(item))
    except Exception as error:
        made.set_exception(error)
    return made
