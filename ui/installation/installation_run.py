"""An installation in a thread of its own, its news as signals in the GUI thread."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Iterator, Optional

from qgis.PyQt.QtCore import QLockFile, QObject, pyqtSignal

from ...backend.errors import TerramendError
from ..tr import tr
from ..words.messages import ClientError
from .installer import Installation, Plan


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other windows of QGIS off an environment's place.

    Raises:
        TerramendError: `backend.folder` where one of them is at it.
    """
    lock = QLockFile(f"{folder}.lock")
    lock.setStaleLockTime(0)  # that of a dead process is none; one that runs may take an hour
    if not lock.tryLock(0) and lock.error() == QLockFile.LockError.LockFailedError:
        raise TerramendError("backend.folder", path=str(folder), why=tr("another QGIS is installing it"))
    try:
        yield
    finally:
        lock.unlock()


class InstallationRun(QObject):
    """See the module."""

    progress = pyqtSignal(float, str)
    line = pyqtSignal(str)
    ended = pyqtSignal(object)
    """None, or the ClientError that ended it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._installation = Installation(plan, self.progress.emit, self.line.emit)
        self._thread = threading.Thread(target=self._run, name="terramend-install", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self, wait: float = 0.0) -> None:
        """Stop it, and wait at most `wait` seconds until it has cleaned up."""
        self._installation.cancel()
        if wait:
            self._thread.join(wait)

    def _run(self) -> None:
        error: Optional[ClientError] = None
        try:
            with contextlib.suppress(OSError):  # the installation will say what is wrong
                self._plan.folder.parent.mkdir(parents=True, exist_ok=True)
            with alone(self._plan.folder):
                self._installation.run()
        except TerramendError as failure:
            error = ClientError(failure.code, failure.arguments)
        except Exception as failure:  # a thread's exception would otherwise be lost
            error = ClientError("run.internal", {"detail": f"{type(failure).__name__}: {failure}"})
        self.ended.emit(error)
