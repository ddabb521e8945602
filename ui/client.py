"""The session's one backend, as dock and Processing see it.

`call` is for the GUI: it returns at once, and its callbacks arrive in the GUI thread.
`call_blocking` is for Processing's worker threads: it waits, and heeds the feedback's cancel.
"""

from __future__ import annotations

import atexit
import queue
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from qgis.core import Qgis, QgsApplication, QgsProcessingFeedback, QgsProcessingMultiStepFeedback
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QObject, QThread, pyqtSignal, pyqtSlot

from .installation.interpreter import chosen_interpreter
from .listed import lent_thread
from .supervisor import Call, Supervisor
from .tr import tr
from .words.messages import (
    ClientError,
    notice_sentence,
    overall_percent,
    progress_sentence,
    tenths_of_long,
    with_layers,
)

__all__ = ["BackendClient", "Call", "ClientError", "client", "close"]

Progress = Mapping[str, Any]
"""`{stage, done, total, eta, span}`: units of the stage, seconds to its end or None, its part of the run."""

NAMELESS: Mapping[str, str] = {}


class BackendClient(QObject):
    """One per QGIS session; usable from any thread."""

    status_changed = pyqtSignal(str)
    """A sentence for the user: what the backend is doing, or on which device it computes."""
    started = pyqtSignal()
    """A backend has started (again): what it can do may have changed."""
    run_begins = pyqtSignal()
    """Processing is about to ask for work: what is only asked for a look must not stand in its way."""
    _posted = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.status = tr("The backend has not been needed yet.")
        self._closed = False
        self._supervisor = Supervisor(chosen_interpreter, self._started, self._failed, _log)
        application = QCoreApplication.instance()
        if application is not None:
            self.moveToThread(application.thread())
        self._posted.connect(self._run)

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        names: Mapping[str, str] = NAMELESS,
        on_progress: Optional[Callable[[Progress], None]] = None,
        on_log: Optional[Callable[[str], None]] = None,
        on_result: Optional[Callable[[Dict[str, Any]], None]] = None,
        on_error: Optional[Callable[[ClientError], None]] = None,
    ) -> Call:
        """Start a call and return at once. All callbacks arrive in the GUI thread.

        Args:
            method: of the server; params: its parameters (JSON).
            names: of the layers that temporary files stand for, by path: what is told names these.
            on_progress: gets the newest progress (several may be melted into one).
            on_log: gets the sentence of each notice.
            on_result, on_error: exactly one of them is called, once and last.
        """
        listeners: Dict[str, Optional[Callable[[Any], None]]]
        listeners = {"log": on_log, "result": on_result, "error": on_error}
        latest: Dict[str, Progress] = {}
        lock = threading.Lock()

        def report() -> None:
            with lock:
                progress = latest.pop("progress")
            if on_progress is not None:
                on_progress(progress)

        def sink(kind: str, value: Any) -> None:
            if kind == "progress":
                with lock:  # one in the queue is enough, however fast they come
                    posted, latest["progress"] = "progress" in latest, value
                if not posted:
                    self._posted.emit(report)
                return
            listener = listeners[kind]
            if listener is not None:
                argument = notice_sentence(value) if kind == "log" else value
                self._posted.emit(lambda: listener(argument))

        return self._submit(method, params, names, sink)

    def call_blocking(
        self,
        method: str,
        params: Mapping[str, Any],
        feedback: Optional[QgsProcessingFeedback] = None,
        names: Mapping[str, str] = NAMELESS,
    ) -> Dict[str, Any]:
        """Make a call and wait for its result, in any thread that may wait.

        Args:
            method, params, names: as of `call`.
            feedback: gets progress, stages and notices; its cancel stops the call.

        Raises:
            ClientError: with the sentence for the user; `cancelled` tells the user's own cancel.
        """
        self.run_begins.emit()
        news: queue.SimpleQueue[Tuple[str, Any]] = queue.SimpleQueue()
        call = self._submit(method, params, names, lambda kind, value: news.put((kind, value)))
        if QThread.currentThread() == self.thread():
            return self._wait(call, news, feedback)
        with lent_thread():
            return self._wait(call, news, feedback)

    def _submit(
        self,
        method: str,
        params: Mapping[str, Any],
        names: Mapping[str, str],
        sink: Callable[[str, Any], None],
    ) -> Call:
        def named(kind: str, value: Any) -> None:
            if kind in ("log", "error"):
                value = with_layers(value, names)
            elif kind == "result" and "notices" in value:
                value = {**value, "notices": with_layers(value["notices"], names)}
            sink(kind, value)

        return self._supervisor.submit(method, params, named)

    def _wait(
        self, call: Call, news: queue.SimpleQueue[Tuple[str, Any]], feedback: Optional[QgsProcessingFeedback]
    ) -> Dict[str, Any]:
        """Pass a call's news on until it has its result; for errors see `call_blocking`."""
        stage, tenths = "", 0
        # The batch dialog of QGIS 3.22 runs us in its own thread: between two reports it would neither draw
        # nor hear Cancel. Scripts wait there too, but nobody may change a project under their feet.
        frozen = QThread.currentThread() == self.thread()
        frozen = frozen and isinstance(feedback, QgsProcessingMultiStepFeedback)
        while True:
            if frozen:
                QCoreApplication.processEvents()
            if feedback is not None and feedback.isCanceled():
                call.cancel()
            try:
                kind, value = news.get(timeout=0.1)
            except queue.Empty:
                continue
            if kind == "result":
                return dict(value)
            if kind == "error":
                raise value
            if feedback is None:
                continue
            if kind == "log":
                feedback.pushWarning(notice_sentence(value))
            else:
                # Processing writes every such text into its log: not each tile is worth a line.
                if value.get("stage") != stage:
                    stage, tenths = value.get("stage"), 0
                    feedback.setProgressText(progress_sentence({"stage": stage}))
                elif tenths_of_long(value) > tenths:
                    tenths = tenths_of_long(value)
                    feedback.setProgressText(progress_sentence(value))
                feedback.setProgress(overall_percent(value))

    @property
    def pid(self) -> Optional[int]:
        """Process id of the backend, None while none runs."""
        return self._supervisor.pid

    def stop(self) -> None:
        """End the backend; the next call starts it again (with another interpreter, say)."""
        self._supervisor.stop()
        self._say(tr("The backend is stopped."))

    def close(self) -> None:
        """End the backend for good: callbacks that are still under way are dropped."""
        self._closed = True
        self._supervisor.stop(for_good=True)

    def _started(self) -> None:
        self._say(tr("The backend has started."))
        self._supervisor.submit("doctor", {}, self._examined, revive=False)
        self.started.emit()

    def _examined(self, kind: str, value: Any) -> None:
        if kind == "result":  # the device that was seen to compute
            self._say(str(value["device"]))

    def _failed(self, error: ClientError) -> None:
        if error.log:
            _log(error.log)
        self._say(error.sentence)

    def _say(self, sentence: str) -> None:
        if not self._closed:
            self.status = sentence
            self.status_changed.emit(sentence)

    @pyqtSlot(object)
    def _run(self, callback: Callable[[], None]) -> None:
        if not self._closed:
            callback()


_client: Optional[BackendClient] = None
_making = threading.Lock()


def client() -> BackendClient:
    """The session's client, made at first use; the backend starts with its first call."""
    global _client
    with _making:
        if _client is None:
            _client = BackendClient()
            atexit.register(_client.close)
        return _client


def close() -> None:
    """End the backend and forget the client (the plugin is unloaded)."""
    global _client
    with _making:
        gone, _client = _client, None
    if gone is not None:
        atexit.unregister(gone.close)
        gone.close()
        sip.delete(gone)  # here and now: left to the garbage collector, it might go in any thread


def _log(line: str) -> None:
    QgsApplication.messageLog().logMessage(line, "Terramend", Qgis.MessageLevel.Info)
