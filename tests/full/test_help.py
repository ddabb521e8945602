"""The commands that need torch explain every option, as the others do (tests/backend/test_cli.py)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="the full environment is not installed (make env-full)")

from terramend.backend import cli


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)
        else:
            yield action


@pytest.mark.parametrize("command", ["train", "export", "experiment"])
def test_every_option_is_explained(command):
    for action in options(cli.parser_of(command)):
        assert action.help and not action.help.startswith(("of ", "in ", "how ")), action.option_strings
