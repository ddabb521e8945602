"""Keeps one backend alive and pairs its replies with calls. No Qt, usable from any thread.

One thread, the dispatcher, starts the process when there is something to send, shakes hands
and writes; nobody else ever waits for the backend. A backend that died is started again by
the next call.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ..backend import protocol
from ..backend.version import VERSION
from .backend_process import BackendProcess
from .words.messages import ClientError

HANDSHAKE = 60.0
"""Seconds that a backend gets to answer `initialize`; cold disks and virus scanners are slow."""
PATIENCE = 5.0
"""Seconds between a cancel and the end of a backend that does not heed it."""

Sink = Callable[[str, Any], None]
"""Gets ("progress", mapping), ("log", mapping) and, last and once, ("result", object) or
("error", ClientError), in whatever thread they arise."""


class Call:
    """One call to the backend: it can be cancelled and waited for, and is done exactly once."""

    def __init__(self, supervisor: Supervisor, method: str, params: Mapping[str, Any], sink: Sink) -> None:
        self.method, self.params = method, params
        self.id = 0  # from the moment it is sent
        self.process: Optional[BackendProcess] = None  # likewise
        self.sent = False
        """Whether the process has all of it: before, its end is no end of the call."""
        self.cancelled = False
        self._supervisor, self._sink = supervisor, sink
        self._lock, self._finished = threading.Lock(), threading.Event()

    @property
    def done(self) -> bool:
        """Whether it has its result or its error."""
        return self._finished.is_set()

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Wait until it is done (not in the GUI thread). False when `timeout` seconds went by."""
        return self._finished.wait(timeout)

    def cancel(self) -> None:
        """Ask the backend to stop; one that has not stopped after `PATIENCE` is killed."""
        if not self.done and not self.cancelled:
            self.cancelled = True
            self._supervisor.cancel(self)

    def tell(self, kind: str, value: Any) -> None:
        """Pass progress or a log line on, unless it is done."""
        if not self.done:
            self._sink(kind, value)

    def finish(self, kind: str, value: Any) -> None:
        """Deliver the result or the error; the first one counts."""
        with self._lock:
            if self.done:
                return
            self._finished.set()
        self._sink(kind, value)


class Supervisor:
    """At most one backend process, started on demand.

    Args:
        interpreter: gives the path of the backend's Python, or raises ClientError.
        on_start: called after each handshake.
        on_trouble: called with the error when a backend does not start, or ended untold.
        on_log: gets each line of the backend's standard error.
    """

    def __init__(
        self,
        interpreter: Callable[[], str],
        on_start: Callable[[], None],
        on_trouble: Callable[[ClientError], None],
        on_log: Callable[[str], None],
    ) -> None:
        self._interpreter, self._on_start = interpreter, on_start
        self._on_trouble, self._on_log = on_trouble, on_log
        self._lock = threading.Lock()  # held for moments only
        self._ids = itertools.count(1)
        self._pending: Dict[Any, Call] = {}
        self._process: Optional[BackendProcess] = None
        self._stopping = self._closed = False
        self._outbox: queue.SimpleQueue[Optional[Tuple[str, Call]]] = queue.SimpleQueue()
        self._dispatcher: Optional[threading.Thread] = None

    @property
    def pid(self) -> Optional[int]:
        """Process id of the backend, None while none runs."""
        process = self._process
        return process.pid if process else None

    def submit(self, method: str, params: Mapping[str, Any], sink: Sink, revive: bool = True) -> Call:
        """Queue a call; returns at once.

        `revive` tells whether a call after `stop` starts everything again, or is cancelled.
        """
        call = Call(self, method, params, sink)
        with self._lock:
            accepted = not self._closed and (revive or self._dispatcher is not None)
            if accepted:
                self._stopping = False
                self._outbox.put(("send", call))
                if self._dispatcher is None:
                    self._dispatcher = threading.Thread(
                        target=self._dispatch, name="terramend-send", daemon=True
                    )
                    self._dispatcher.start()
        if not accepted:
            call.finish("error", ClientError("run.cancelled"))
        return call

    def cancel(self, call: Call) -> None:
        """Pass a cancel on (`Call.cancel` calls this)."""
        with self._lock:  # either it is on its way, or `_send` sees that it is cancelled
            waiting = not call.id
        if waiting:
            call.finish("error", ClientError("run.cancelled"))
            return
        self._outbox.put(("cancel", call))
        threading.Thread(
            target=self._lose_patience, args=(call,), name="terramend-cancel", daemon=True
        ).start()

    def stop(self, for_good: bool = False) -> None:
        """End the backend and all threads; calls under way count as cancelled.

        A later call starts everything again, unless it was stopped `for_good`.
        """
        with self._lock:
            self._stopping = True
            self._closed = self._closed or for_good
            dispatcher, self._dispatcher = self._dispatcher, None
            if dispatcher is not None:
                self._outbox.put(None)
        self._close()
        if dispatcher is not None and dispatcher is not threading.current_thread():
            dispatcher.join(PATIENCE)

    def _close(self) -> None:
        process = self._process
        if process is not None:
            process.close()
            self._forget(process)

    def _dispatch(self) -> None:
        for action, call in iter(self._outbox.get, None):
            try:
                if self._stopping:
                    raise ClientError("run.cancelled")
                if action == "cancel":
                    self._write_cancel(call)
                else:
                    self._send(call)
            except ClientError as error:
                call.finish("error", error)
            except Exception as error:  # whatever it is, the caller must hear of it
                detail = f"{type(error).__name__}: {error}"
                call.finish("error", ClientError("run.internal", {"detail": detail}))

    def _send(self, call: Call) -> None:
        for attempt in (1, 2):
            process = self._process
            if process is None or not process.alive:
                try:
                    process = self._start()
                except ClientError as error:
                    if not error.cancelled:
                        self._on_trouble(error)
                    raise
            if not self._book(call, process):
                call.finish("error", ClientError("run.cancelled"))
                return
            try:
                process.send(protocol.call(call.id, call.method, call.params))
            except protocol.ProtocolError as error:
                self._pending.pop(call.id, None)
                raise ClientError("request.field", {"field": call.method, "why": str(error)}) from None
            except OSError:  # it died while idle, unheard: once more, with a new one
                self._pending.pop(call.id, None)
                self._forget(process)
                if attempt == 2:
                    raise _crashed(process) from None
            else:
                with self._lock:
                    call.sent = True
                    missed = process.ended and self._pending.pop(call.id, None) is not None
                if missed:
                    self._lose(call, process)
                return

    def _book(self, call: Call, process: BackendProcess) -> bool:
        """Enter a call among those that wait for a reply; False when it was cancelled before."""
        with self._lock:
            if call.cancelled:
                return False
            call.id, call.process = next(self._ids), process
            self._pending[call.id] = call
            return True

    def _write_cancel(self, call: Call) -> None:
        if call.process is not None and not call.done:
            with contextlib.suppress(OSError):  # of its end the reader tells
                call.process.send(protocol.notification("cancel", {"id": call.id}))

    def _start(self) -> BackendProcess:
        """Start a backend and shake hands."""
        python = self._interpreter()
        try:
            process = BackendProcess(python, self._receive, self._on_log, self._ended)
        except OSError as error:
            why = error.strerror or str(error)
            raise ClientError("backend.interpreter", {"path": python, "why": why}) from None
        replies: queue.SimpleQueue[Tuple[str, Any]] = queue.SimpleQueue()
        greeting = Call(self, "initialize", {}, lambda kind, value: replies.put((kind, value)))
        greeting.sent = True  # of a failure the reader tells
        self._book(greeting, process)
        self._process = process
        process.watch()
        hello = {"protocol": protocol.PROTOCOL, "client": f"terramend-qgis {VERSION}"}
        try:
            if self._stopping:  # `stop` came too early to see the process
                raise ClientError("run.cancelled")
            with contextlib.suppress(OSError):  # of its end the reader tells
                process.send(protocol.call(greeting.id, "initialize", hello))
            kind, value = replies.get(timeout=HANDSHAKE)
            if kind == "error":
                raise value
            if value.get("version") != VERSION:
                versions = {"found": value.get("version"), "expected": VERSION}
                raise ClientError("backend.version", versions)
        except queue.Empty:
            process.fault = "no answer"
            process.kill()
            process.close()
            self._forget(process)
            raise _not_started(process) from None
        except ClientError as error:
            process.close()
            self._forget(process)
            raise (_not_started(process) if error.code == "backend.crashed" else error) from None
        process.ready = True
        self._on_start()
        return process

    def _receive(self, message: Dict[str, Any]) -> None:
        """One message of the backend, in its reader thread."""
        method, params = message.get("method"), message.get("params")
        if isinstance(method, str):
            call = self._pending.get(params.get("id")) if isinstance(params, dict) else None
            if call is not None and method in ("progress", "log"):
                call.tell(method, params)
            return
        with self._lock:
            call = self._pending.pop(message.get("id"), None)
        if call is not None:
            if "error" in message:
                call.finish("error", _from_wire(message["error"]))
            else:
                call.finish("result", message.get("result"))

    def _forget(self, process: BackendProcess) -> None:
        with self._lock:
            if self._process is process:
                self._process = None

    def _ended(self, process: BackendProcess) -> None:
        """A backend has ended, as its reader thread tells."""
        self._forget(process)
        with self._lock:
            process.ended = True
            lost = [call for call in self._pending.values() if call.process is process and call.sent]
            for call in lost:
                del self._pending[call.id]
        if process.ready and not process.dismissed:
            self._on_trouble(_crashed(process))
        for call in lost:
            self._lose(call, process)

    @staticmethod
    def _lose(call: Call, process: BackendProcess) -> None:
        """Tell a call that its backend has ended."""
        wished = call.cancelled or process.dismissed
        call.finish("error", ClientError("run.cancelled") if wished else _crashed(process))

    def _lose_patience(self, call: Call) -> None:
        if not call.wait(PATIENCE) and call.process is not None:
            call.process.fault = "it did not heed a cancel"
            call.process.kill()


def _crashed(process: BackendProcess) -> ClientError:
    return ClientError("backend.crashed", {"reason": process.reason}, log=process.last_words)


def _not_started(process: BackendProcess) -> ClientError:
    words = process.last_words.splitlines()
    return ClientError(
        "backend.start", {"why": words[-1] if words else process.reason}, log=process.last_words
    )


def _from_wire(body: Any) -> ClientError:
    """The error object of a reply."""
    data = body.get("data") if isinstance(body, dict) else None
    message = str(body.get("message", "")) if isinstance(body, dict) else str(body)
    if isinstance(data, dict) and isinstance(data.get("code"), str):
        arguments = data.get("arguments")
        return ClientError(data["code"], arguments if isinstance(arguments, dict) else {}, message)
    return ClientError("run.internal", {"detail": message})
