"""The command line: `terramend COMMAND ...`."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["serve"]:
        from .server import main as serve

        return serve()
    raise SystemExit(2)
