"""Torch draws the same numbers for every fixture and test, in whatever order and process they run."""

import sys


def _seed() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_fixture_setup() -> None:
    _seed()


def pytest_runtest_call() -> None:
    _seed()
