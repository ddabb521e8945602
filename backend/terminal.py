"""Progress and notices for people: a bar where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import TextIO

from .errors import Notice
from .watch import Progress

REDRAW, REPEAT = 0.1, 5.0
"""Least seconds between two drawings of the bar, and between two plain lines of a stage."""


class Terminal:
    """Writes to one stream; its methods are the listeners of a `Watch`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar = stream.isatty()
        self._stage = ""
        self._next = 0.0
        self._drawn = False
        self._lock = threading.Lock()

    def progress(self, progress: Progress) -> None:
        """Draw the bar, or write a line when a stage begins and every few seconds."""
        now = time.monotonic()
        with self._lock:
            begins = progress.stage != self._stage
            ends = progress.total > 0 and progress.done >= progress.total
            if not begins and now < self._next and not (ends and self._bar):
                return
            self._stage, self._next = progress.stage, now + (REDRAW if self._bar else REPEAT)
            if self._bar:
                width = shutil.get_terminal_size().columns - 1
                self._write("\r" + describe(progress, bar=True)[:width].ljust(width))
                self._drawn = True
            else:
                self._write(describe(progress) + "\n")

    def notice(self, notice: Notice) -> None:
        """Write a notice on a line of its own."""
        self.say(f"Note: {notice.sentence}")

    def say(self, text: str) -> None:
        """Write a line, where the bar was; signs of a path that break it or steer a terminal are spelt."""
        line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
        with self._lock:
            self._clear()
            self._write(line + "\n")

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._drawn:
            width = shutil.get_terminal_size().columns - 1
            self._write("\r" + " " * width + "\r")
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # nobody reads any more, or the log's disk is full: the work goes on in silence
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def describe(progress: Progress, bar: bool = False) -> str:
    """`predicting  [######    ]  60 %, 12 s left`."""
    if not progress.total or not (bar or progress.done):
        return progress.stage
    share = min(max(progress.done / progress.total, 0.0), 1.0)
    drawn = f" [{'#' * round(share * 30):30}]" if bar else ""
    left = "" if progress.eta is None or share == 1 else f", {duration(progress.eta)} left"
    return f"{progress.stage:12}{drawn} {share:4.0%}{left}"


def counted(count: float, thing: str, form: str = "") -> str:
    """`1 band`, `2 bands`; `form` writes the number."""
    return f"{count:{form}} {thing}{'' if abs(count) == 1 else 's'}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
