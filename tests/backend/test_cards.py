"""Commands in cards and guide are those of the command line: a figure's command can be given as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from terramend.backend import cli
from terramend.models.registry import ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("models/*/CARD.md"), *ROOT.glob("docs/*.md"), ROOT / "README.md"])
MEASURE = ("evaluate", "experiment", "sample")
"""Commands whose options stand in running text, too."""


def commands(page: Path) -> list[str]:
    """Those of code blocks, and within text those that print figures; without `...`, which stands for options."""
    text = re.sub(r"\s*\\\n\s*", " ", page.read_text("utf-8"))
    blocks = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.S) for line in block.splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.S)
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", rest)]
    found = [re.match(r"(?:\.venv/bin/)?terramend (.+)", line.strip()) for line in blocks]
    told = [re.match(rf"terramend ((?:{'|'.join(MEASURE)}) .* --.+)", code) for code in inline]
    return [match[1] for match in [*found, *told] if match and "..." not in match[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_are_taken(page) -> None:
    for line in commands(page):
        plain = re.split(r"\s{2,}|\s#\s", line)[0]  # what follows explains it
        if "='[" not in plain:
            plain = re.sub(r"[\[\]]", "", plain)  # options that may be left out
        name, *words = shlex.split(re.sub(r"(\w)\|[\w|-]+", r"\1", plain))  # the first of several words
        if words:
            cli.parser_of(name).parse_args(words)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_guide_tells_of_every_method(row) -> None:
    pages = [(ROOT / "docs" / name).read_text("utf-8") for name in ("methods.md", "networks.md")]
    assert re.search(
        rf"(?<![\w-]){row.name}(?![\w-])", "".join(pages[: 2 if row.group == "experimental" else 1])
    )


def test_there_are_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 60
