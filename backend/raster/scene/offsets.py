"""Dates that lie off the target by whole pixels: said where a method found and moved them."""

from __future__ import annotations

from collections.abc import Sequence

from ...watch import Together, Watch


def say_moved(names: Sequence[str], offsets: Sequence[tuple[int, int]], watch: Watch) -> None:
    """A notice of the first date that was moved by (rows, columns), and how many more there were."""
    with Together(watch) as heard:
        for name, offset in zip(names, offsets, strict=True):
            if any(offset):
                heard.notice("reference.moved", name=name, by=words(*offset))


def words(rows: int, columns: int) -> str:
    """An offset in words: 2 pixels down, 1 pixel to the left."""
    parts = []
    for count, forwards, backwards in ((rows, "down", "up"), (columns, "to the right", "to the left")):
        if count:
            pixels = "pixel" if abs(count) == 1 else "pixels"
            parts.append(f"{abs(count)} {pixels} {forwards if count > 0 else backwards}")
    return " and ".join(parts)
