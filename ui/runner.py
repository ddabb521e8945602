"""One run at a time for the dock: convert what must be, call the backend, tidy up."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from qgis.core import QgsApplication, QgsFeedback, QgsTask

from .client import Call, ClientError, client
from .listed import ListedTask
from .request_builder import Built
from .tr import tr
from .words.messages import overall_percent


class ConversionTask(QgsTask):
    """Makes the copies of a request outside the GUI thread."""

    def __init__(self, built: Built, done: Callable[[Optional[Exception]], None]) -> None:
        super().__init__(tr("Converting layers for Terramend"), QgsTask.Flag.CanCancel)
        self._built, self._done = built, done
        self._error: Optional[Exception] = None
        self._feedback = QgsFeedback()

    def cancel(self) -> None:
        """Called by the dock's Cancel and by QGIS's list of tasks."""
        self._feedback.cancel()
        super().cancel()

    def run(self) -> bool:
        """Called by QGIS in a thread of its own."""
        try:
            self._built.convert(self._feedback)
        except Exception as error:  # told in `finished`, in the GUI thread
            self._error = error
        return self._error is None

    def finished(self, ok: bool) -> None:
        """Called by QGIS in the GUI thread, also for a task that never ran."""
        stopped = ClientError("run.cancelled") if self._feedback.isCanceled() else None
        self._done(stopped or self._error)


class Run:
    """A call with a built request; its temporary files are removed when it is over.

    Args:
        method: of the backend. built: the request.
        title: for QGIS's list of tasks; without one it stands in none.
        on_result, on_error: exactly one of them is called, in the GUI thread. An error is
            an exception whose text is a sentence; `ClientError.cancelled` tells a cancel.
    """

    def __init__(
        self,
        method: str,
        built: Built,
        *,
        on_result: Callable[[Dict[str, Any]], None],
        on_error: Callable[[Exception], None],
        on_progress: Optional[Callable[[Mapping[str, Any]], None]] = None,
        on_log: Optional[Callable[[str], None]] = None,
        title: str = "",
    ) -> None:
        self.built = built
        self._title = title
        self._listed: Optional[ListedTask] = None
        self._method = method
        self._on_result, self._on_error = on_result, on_error
        self._on_progress, self._on_log = on_progress, on_log
        self._call: Optional[Call] = None
        self._cancelled = self._abandoned = False
        self._task: Optional[ConversionTask] = None
        if built.conversions:
            self._task = ConversionTask(built, self._converted)
            QgsApplication.taskManager().addTask(self._task)
        else:
            self._converted(None)

    def cancel(self) -> None:
        """Stop; `on_error` is told as soon as the backend has stopped."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()
        if self._call is not None:
            self._call.cancel()

    def abandon(self) -> None:
        """Stop, and tell nobody: whoever asked is going."""
        self._abandoned = True
        self.cancel()
        if self._task is None:  # a client that is closed next tells of no end
            self._end(False)

    def _converted(self, error: Optional[Exception]) -> None:
        self._task = None
        if error is None and self._cancelled:
            error = ClientError("run.cancelled")
        if error is not None:
            self._failed(error)
            return
        if self._title:
            self._listed = ListedTask(self._title, self._cancelled_in_list)
        self._call = client().call(
            self._method,
            {"request": self.built.request},
            names=self.built.names,
            on_progress=self._progressed,
            on_log=lambda sentence: self._tell(self._on_log, sentence),
            on_result=self._finished,
            on_error=self._failed,
        )

    def _cancelled_in_list(self) -> None:
        self._listed = None  # QGIS deletes it, while the backend may still have news
        self.cancel()

    def _progressed(self, progress: Mapping[str, Any]) -> None:
        if self._listed is not None:
            self._listed.setProgress(overall_percent(progress))
        self._tell(self._on_progress, progress)

    def _finished(self, result: Dict[str, Any]) -> None:
        self._end(True)
        self._tell(self._on_result, result)

    def _failed(self, error: Exception) -> None:
        self._end(False)
        self._tell(self._on_error, error)

    def _end(self, well: bool) -> None:
        self.built.remove()
        listed, self._listed = self._listed, None
        if listed is not None:
            listed.end(well)

    def _tell(self, listener: Optional[Callable[[Any], None]], news: Any) -> None:
        if listener is not None and not self._abandoned:
            listener(news)
