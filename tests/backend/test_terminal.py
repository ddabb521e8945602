"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from terramend.backend import terminal
from terramend.backend.errors import Notice
from terramend.backend.terminal import Terminal, counted, describe, duration
from terramend.backend.watch import Progress


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "form", "text"),
    [(1, "", "1 day"), (0, "", "0 days"), (-1, "+d", "-1 day"), (2.5, "g", "2.5 days")],
)
def test_counted(count, form, text):
    assert counted(count, "day", form) == text


def test_describe():
    assert describe(Progress("open", 0, 0, None)) == "open"
    assert describe(Progress("fill", 0, 4, None)) == "fill"
    assert describe(Progress("fill", 3, 4, 12.0)).split() == ["fill", "75%,", "12", "s", "left"]
    assert "[###############               ]" in describe(Progress("fill", 1, 2, None), bar=True)
    assert "100%" in describe(Progress("fill", 5, 4, 0.0))


def test_plain_lines_are_few(monkeypatch):
    monkeypatch.setattr(terminal, "REPEAT", float("inf"))
    stream = io.StringIO()
    shown = Terminal(stream)
    for done in range(1001):
        shown.progress(Progress("fill", done, 1000, 1.0))
    shown.progress(Progress("save", 0, 0, None))
    shown.notice(Notice("fill.nothing"))
    shown.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["fill", "save", "Note:"]
    assert "\r" not in stream.getvalue()


def test_a_sentence_is_one_line_whatever_a_file_is_called():
    stream = io.StringIO()
    Terminal(stream).say("a\nb\x1b[2J.tif is no café.")
    assert stream.getvalue() == "a\\nb\\x1b[2J.tif is no café.\n"


def test_the_bar_gives_way_to_notices_and_leaves_nothing():
    stream = Tty()
    bar = Terminal(stream)
    bar.progress(Progress("fill", 0, 10, None))
    bar.progress(Progress("fill", 10, 10, 0.0))
    bar.say("done")
    shown = stream.getvalue()
    assert "100%" in shown
    last = shown.splitlines()[-1]
    assert last.split("\r")[-1] == "done"
