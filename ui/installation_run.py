"""An installation in a thread of its own, its news as signals in the GUI thread."""

from __future__ import annotations

import contextlib
import threading
from typing import Optional

from qgis.PyQt.QtCore import QLockFile, QObject, pyqtSignal

from ..backend.errors import TerramendError
from .installer import Installation, Plan
from .messages import ClientError
from .tr import tr


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
        lock = QLockFile(f"{self._plan.folder}.lock")
        lock.setStaleLockTime(0)  # that of a dead process is none; one that runs may take an hour
        try:
            with contextlib.suppress(OSError):  # the installation will say what is wrong
                self._plan.folder.parent.mkdir(parents=True, exist_ok=True)
            if not lock.tryLock(0) and lock.error() == QLockFile.LockError.LockFailedError:
                why = tr("another QGIS is installing it")
                raise TerramendError("backend.folder", path=str(self._plan.folder), why=why)
            self._installation.run()
        except TerramendError as failure:
            error = ClientError(failure.code, failure.arguments)
        except Exception as failure:  # a thread's exception would otherwise be lost
            error = ClientError("run.internal", {"detail": f"{type(failure).__name__}: {failure}"})
        finally:
            lock.unlock()
        self.ended.emit(error)
