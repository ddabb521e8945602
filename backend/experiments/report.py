"""The page of an experiment's report: one HTML file that holds its tables and pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..raster.outputs import write_whole

STYLE = """
body { font: 16px sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
td, th { padding: .2rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
"""


def page(title: str, parts: Sequence[str], path: Path) -> None:
    """Write a self-contained page."""
    body = "\n".join(parts)
    name = html.escape(title)
    head = f"<!doctype html><meta charset=utf-8><title>{name}</title><style>{STYLE}</style>"
    write_whole(path, f"{head}<h1>{name}</h1>{body}")


def image(path: Path, caption: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    words = html.escape(caption)
    shown = f"<img src='data:image/png;base64,{data}' alt='{words}'>"
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of text."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(str(c))}</th>" for c in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
