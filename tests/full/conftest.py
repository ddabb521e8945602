"""Torch draws the same numbers for every fixture and test, in whatever order and process they run.

Makes `hills` and `aligndiff_makers` importable too (test files may repeat names, so no package is made of the tests).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def _seed() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_fixture_setup() -> None:
    _seed()


def pytest_runtest_call() -> None:
    _seed()
