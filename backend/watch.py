"""Following a run: stages, progress with ETA, notices, cancel.

One `Watch` goes through the whole run. Doors (command line, server, batch) make one with
their own listeners; the work calls `check()` often, which is where a cancel takes effect.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import Notice, TerramendError


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of `stage`; `eta` in seconds for the whole stage, or None.

    `span`: begin and end (0 to 1) of the part of the run that goes through the stages; a product of
    several grids goes through them for each.
    """

    stage: str
    done: int
    total: int
    eta: float | None
    span: tuple[float, float] = (0.0, 1.0)


class Watch:
    """Listeners, a cancel flag and a stopwatch per stage; safe to use from threads."""

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_notice = on_notice
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._stage, self._done, self._total, self._at_once = "", 0, 0, 1
        self._span, self._grid = (0.0, 1.0), ""
        self._started = time.monotonic()
        self.notices: list[Notice] = []
        self.seconds: dict[str, float] = {}

    def cancel(self) -> None:
        """Ask the run to stop; callable from any thread or signal handler."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether a cancel was asked for."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise `run.cancelled` if a cancel was asked for."""
        if self.cancelled:
            raise TerramendError("run.cancelled")

    def stage(self, name: str, total: int = 0, at_once: int = 1) -> None:
        """Begin a stage of `total` units, `at_once` side by side; the time of the one before is booked."""
        self.check()
        with self._lock:
            self._book()
            self._stage, self._done, self._total, self._at_once = name, 0, total, at_once
        self._report()

    @contextmanager
    def part(self, begin: float, end: float, grid: str = "") -> Iterator[None]:
        """Stages inside are of this part of the run (see `Progress.span`), and notices of `grid`."""
        with self._lock:
            self._span, self._grid = (begin, end), grid
        try:
            yield
        finally:
            self._grid = ""

    def advance(self, units: int = 1) -> None:
        """Count finished units of the stage."""
        self.check()
        with self._lock:
            self._done += units
        self._report()

    def notice(self, code: str, **arguments: object) -> None:
        """Tell the user something once; the same notice is not repeated, nor for one grid after another."""
        notice = Notice(code, arguments)
        told = Notice("notice.grid", {"grid": self._grid, "told": notice}) if self._grid else notice
        with self._lock:
            if notice in self.notices or told in self.notices:
                return
            self.notices.append(told)
        if self._on_notice is not None:
            self._on_notice(told)

    def finish(self) -> None:
        """Book the last stage."""
        with self._lock:
            self._book()
            self._stage = ""

    def _book(self) -> None:
        now = time.monotonic()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._started
        self._started = now

    def _report(self) -> None:
        if self._on_progress is None:
            return
        with self._lock:
            done, total = self._done, self._total
            elapsed = time.monotonic() - self._started
            begun = max(min(self._at_once, total - done) - 1, 0) / 2  # half of each beside the last
            eta = elapsed / (done + begun) * (total - done - begun) if 0 < done <= total else None
            progress = Progress(self._stage, done, total, eta, self._span)
        self._on_progress(progress)


class Together(Watch):
    """Hears what is said of many alike files, such as other dates, and tells it in few words.

    At the end of the `with` block, of the notices of one code the first is passed on, and how
    many more there were. Stages, their progress and a cancel are those of the outer watch.
    """

    def __init__(self, outer: Watch) -> None:
        super().__init__()
        self._outer = outer
        self._cancelled = outer._cancelled

    def stage(self, name: str, total: int = 0, at_once: int = 1) -> None:
        """Begin a stage of the outer watch."""
        self._outer.stage(name, total, at_once)

    def advance(self, units: int = 1) -> None:
        """Count finished units of the outer watch's stage."""
        self._outer.advance(units)

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *error: object) -> None:
        for code in dict.fromkeys(notice.code for notice in self.notices):
            first, *others = (notice for notice in self.notices if notice.code == code)
            self._outer.notice(code, **first.arguments)
            if others:
                self._outer.notice("notice.alike", of=code, count=len(others))
