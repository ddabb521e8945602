"""One process at a time in a folder: a second one would take away what the first is writing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import TerramendError

NAME = ".running"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder, made where it is missing; the system lets it go when the process ends, however it ends.

    Raises:
        TerramendError: `training.busy`, another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a", encoding="utf-8") as file:
        if not _locked(file):
            raise TerramendError("training.busy", path=str(folder))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows keeps it, as it is open
                (folder / NAME).unlink()


def _locked(file: IO[str]) -> bool:
    """False where another process has the lock; True also on a disk that knows no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
