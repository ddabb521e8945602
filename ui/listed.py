"""Work that goes on elsewhere, in QGIS's list of tasks: to be seen, to be cancelled, to be asked about.

Before QGIS quits it asks whether tasks may be cancelled, and what runs in another process is none by itself.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Callable, Iterator

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QThreadPool


@contextlib.contextmanager
def lent_thread() -> Iterator[None]:
    """While a task's thread does nothing but wait, another may run in its place.

    There are as many as cores. Older QGIS draws its maps with the same; newer ones have a pool for tasks.
    """
    manager = QgsApplication.taskManager()
    pool = manager.threadPool() if hasattr(manager, "threadPool") else QThreadPool.globalInstance()
    pool.releaseThread()
    try:
        yield
    finally:
        pool.reserveThread()


class ListedTask(QgsTask):
    """An entry of the list, from now until `end`. No layer is bound to it: all may go meanwhile.

    Args:
        title: what the list shows.
        cancel: called when the user cancels it there, or agrees to when QGIS quits.
    """

    def __init__(self, title: str, cancel: Callable[[], None]) -> None:
        super().__init__(title, QgsTask.Flag.CanCancel)
        self._cancel = cancel
        self._over = threading.Event()
        self._well = False
        QgsApplication.taskManager().addTask(self)

    def end(self, well: bool) -> None:
        """The work is over, well or not. Whoever made the entry forgets it now: QGIS deletes it."""
        self._well = well
        self._over.set()

    def cancel(self) -> None:
        """Called by QGIS. The entry goes at once: a QGIS that quits waits for it, and hears no news."""
        super().cancel()
        self._over.set()
        self._cancel()

    def run(self) -> bool:
        """Called by QGIS in a thread of its own."""
        with lent_thread():
            self._over.wait()
        return self._well
