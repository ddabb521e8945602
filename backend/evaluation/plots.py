"""Figures of the report, drawn with matplotlib (extra `bench`), each returned as SVG text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .run import Results
from .tables import KIND_TITLES, TITLES, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, PEER, OTHER = "#1b6e53", "#8a8f98", "#c26a1b"
BINS = (0.0, 0.15, 0.25, 0.35, 0.45, 1.0)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()[text.getvalue().index("<svg") :]
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(figure.axes[0].get_title())}"', 1)


def _colour(group: str) -> str:
    return {"ours": OURS, "oracle": OTHER}.get(group, PEER)


def gains(results: Results, table: Table, method: str) -> str:
    """Gain of `method` over the table's best peer, case by case, sorted; bars below zero are losses."""
    rows = _rows(results, table)
    ours, peer = rows.get(method, {}), rows.get(table.best, {})
    found = sorted((ours[case]["psnr"] - peer[case]["psnr"], case) for case in ours if case in peer)
    figure, axes = _figure(7, 2.6)
    values = [gain for gain, _ in found]
    axes.bar(range(len(values)), values, color=[OURS if value > 0 else OTHER for value in values], width=0.9)
    axes.axhline(0, color="black", lw=0.8)
    axes.set_ylabel("dB")
    axes.set_xlabel("cases, sorted")
    axes.set_title(f"{method} over {table.best}: {table.track}, {KIND_TITLES[table.kind]}", fontsize=10)
    return _svg(figure)


def missing(results: Results, table: Table, methods: Sequence[str]) -> str:
    """PSNR against the share of the window that is missing, means of bins."""
    rows = _rows(results, table)
    figure, axes = _figure(5, 3.2)
    for name in methods:
        done = list(rows.get(name, {}).values())
        share = np.array([row["share"] for row in done])
        level = np.array([row["psnr"] for row in done])
        bins = np.digitize(share, BINS)
        groups = [bins == number for number in range(1, len(BINS)) if (bins == number).any()]
        axes.plot(
            [100 * share[group].mean() for group in groups],
            [level[group].mean() for group in groups],
            marker="o", ms=4, label=name,
        )  # fmt: skip
    axes.set_xlabel("missing, %")
    axes.set_ylabel("PSNR, dB")
    axes.set_title(_title(table), fontsize=10)
    axes.legend(fontsize=7)
    return _svg(figure)


def reliability(made: Sequence[Table], method: str) -> str:
    """Share of errors inside an interval against what it promises, one line a track and kind."""
    figure, axes = _figure(4.2, 4.2)
    axes.plot([0, 1], [0, 1], color="black", lw=0.8)
    for table in made:
        for line in table.lines:
            if line.method == method and line.coverage:
                levels = sorted(line.coverage)
                found = [line.coverage[level] for level in levels]
                axes.plot(levels, found, marker=".", lw=1, label=f"{table.track} {table.kind}")
    axes.set_xlabel("nominal")
    axes.set_ylabel("found")
    axes.set_title(f"Intervals of {method}", fontsize=10)
    axes.legend(fontsize=6, ncols=2)
    return _svg(figure)


def pareto(table: Table) -> str:
    """Speed against quality; the line joins methods that nobody beats in both."""
    lines = [
        line for line in table.lines
        if line.group != "oracle" and line.cases == line.of and np.isfinite(line.seconds)
    ]  # fmt: skip
    figure, axes = _figure(7, 4)
    for line in lines:
        axes.plot(max(line.seconds, 1e-3), line.numbers["psnr"], "o", color=_colour(line.group))
        axes.annotate(
            line.method, (max(line.seconds, 1e-3), line.numbers["psnr"]), fontsize=7,
            xytext=(4, 3), textcoords="offset points",
        )  # fmt: skip
    front = _front([(max(line.seconds, 1e-3), line.numbers["psnr"]) for line in lines])
    axes.plot([x for x, _ in front], [y for _, y in front], color="black", lw=0.8, drawstyle="steps-post")
    axes.set_xscale("log")
    axes.set_xlabel("processor seconds a megapixel")
    axes.set_ylabel("PSNR, dB")
    axes.set_title(_title(table), fontsize=10)
    return _svg(figure)


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for seconds, level in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or level > front[-1][1]:
            front.append((seconds, level))
    return front


def _title(table: Table) -> str:
    return f"{table.track} ({TITLES[table.track]}), {KIND_TITLES[table.kind]}"


def _rows(results: Results, table: Table) -> dict[str, dict[str, dict[str, Any]]]:
    """Method -> case -> row of a table."""
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for row in results.rows:
        if (row["track"], row["kind"]) == (table.track, table.kind) and "psnr" in row:
            made.setdefault(row["method"], {})[row["case"]] = row
    return made
