"""The long-lived door: JSON-RPC calls on standard input, replies on standard output.

One thread reads; every lane has a thread that does its calls one after the other, so
that one fill runs at a time while small questions are answered meanwhile. A call gets
exactly one reply: whoever takes it out of `_open` writes it. The end of standard input
ends the process, its runs and their temporary files, so that it never outlives a client.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import protocol
from .calls import CALLS
from .cli import SIGNALS
from .errors import INTERNAL, Notice, TerramendError
from .failure import logged
from .request import SCHEMA_VERSION
from .version import VERSION
from .watch import Progress, Watch

LANES = {
    "fill": "work", "clear": "work", "mask": "work", "preview": "work", "accuracy": "work",
    "expect": "work",
    "inspect": "look", "doctor": "answer", "models": "answer", "install": "fetch",
}  # fmt: skip
"""Calls of one lane wait for each other."""

PROGRESS_INTERVAL = 0.1
"""Least seconds between two progress messages of a stage."""

PATIENCE = 4.0
"""Seconds that runs get to stop and clean up when the process ends."""

READING = 2.0
"""Seconds that a client which has ended its calls may let pass without reading anything."""

PIECE = 4096
"""Bytes that are written at once: a pipe that takes any takes these without waiting."""

POLL = 100
"""Milliseconds between two looks at whether a client that reads nothing is still there."""


@dataclass
class Call:
    """A call that has no reply yet."""

    id: protocol.Id
    method: str
    params: Mapping[str, Any]
    watch: Watch = field(default_factory=Watch)
    started: bool = False


class Server:
    """Serves one client. `source` and `sink` are file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._open: dict[protocol.Id, Call] = {}
        self._lanes: dict[str, queue.SimpleQueue[Call]] = {}
        self._greeted = False
        self._ended = False
        self._stopping = False
        self._unread = False
        for name in dict.fromkeys(LANES.values()):
            self._lanes[name] = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._lanes[name],), name=name, daemon=True).start()

    def serve(self) -> None:
        """Read until the input ends or `shutdown` is called; then stop what runs."""
        lines = protocol.Lines()
        try:
            while not self._ended:
                chunk = os.read(self._source, 1 << 16)
                if not chunk:
                    break
                for line in lines.feed(chunk):
                    if not self._ended and line != b"" and line != b"\r":
                        self._receive(line)
        finally:
            self._stop()

    # --- one message in ---

    def _receive(self, line: bytes | None) -> None:
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError as error:
            self._send(protocol.error(error.id, error.code, str(error)))
            return
        if "method" not in message:
            return  # a reply: we never call, so nobody waits for it
        method, params = message["method"], message.get("params", {})
        if "id" not in message:
            if method == "cancel" and isinstance(params, dict):
                self._cancel(params.get("id"))
            elif method == "shutdown":
                self._ended = True
            return
        call = Call(message["id"], method, params)
        with self._changing:
            taken = call.id in self._open
            if not taken:
                self._open[call.id] = call
        if taken:  # an error with this id would be a second reply to the call that has it
            why = f"The id {call.id!r} is that of a call still running."
            self._send(protocol.error(None, protocol.INVALID_REQUEST, why))
            return
        try:
            self._begin(call)
        except TerramendError as error:
            self._fail(call, error)

    def _begin(self, call: Call) -> None:
        if call.method not in protocol.CALLS:
            why = f"There is no method {call.method[:100]!r}."
            self._reply(call, protocol.error(call.id, protocol.METHOD_NOT_FOUND, why))
            return
        if not isinstance(call.params, dict):
            why = "The parameters are an object."
            self._reply(call, protocol.error(call.id, protocol.INVALID_PARAMS, why))
            return
        if call.method == "initialize":
            self._reply(call, protocol.result(call.id, self._greet(call.params)))
        elif call.method == "shutdown":
            self._stop(last=call)
            self._reply(call, protocol.result(call.id, {}))
            self._ended = True
        elif not self._greeted:
            raise TerramendError("protocol.order", method=call.method)
        elif call.method == "cancel":
            self._reply(call, protocol.result(call.id, {"cancelled": self._cancel(call.params.get("id"))}))
        else:
            call.watch = Watch(
                on_progress=Throttle(lambda progress: self._progress(call, progress)),
                on_notice=lambda notice: self._notice(call, notice),
            )
            if self._is_taken(LANES[call.method], call):
                self._progress(call, Progress("wait", 0, 0, None))
            self._lanes[LANES[call.method]].put(call)

    def _is_taken(self, lane: str, call: Call) -> bool:
        """Whether other calls go through a lane first."""
        with self._changing:
            return any(LANES.get(other.method) == lane for other in self._open.values() if other is not call)

    def _greet(self, params: Mapping[str, Any]) -> dict[str, Any]:
        spoken = params.get("protocol")
        if spoken != protocol.PROTOCOL:
            raise TerramendError("protocol.version", found=spoken, expected=protocol.PROTOCOL)
        self._greeted = True
        return {
            "name": "terramend",
            "version": VERSION,
            "protocol": protocol.PROTOCOL,
            "schema_version": SCHEMA_VERSION,
            "pid": os.getpid(),
            "python": sys.version.split()[0],
        }

    def _cancel(self, id: Any) -> bool:
        """Ask a call to stop; one that waits is answered at once. False: no such call."""
        with self._changing:
            call = self._open.get(id) if protocol.is_id(id) else None
            waiting = call is not None and not call.started
        if call is None:
            return False
        call.watch.cancel()
        if waiting:
            self._fail(call, TerramendError("run.cancelled"))
        return True

    # --- the lanes ---

    def _work(self, lane: queue.SimpleQueue[Call]) -> None:
        while True:
            call = lane.get()
            with self._changing:
                call.started = self._open.get(call.id) is call
            if not call.started:
                continue  # cancelled while it waited
            try:
                value = CALLS[call.method](call.params, call.watch)
                self._reply(call, protocol.result(call.id, value))
            except BaseException as failure:  # the lane must live on
                self._fail(call, logged(failure))

    # --- messages out ---

    def _progress(self, call: Call, progress: Progress) -> None:
        eta = None if progress.eta is None else round(progress.eta, 1)
        counted = {"stage": progress.stage, "done": progress.done, "total": progress.total, "eta": eta}
        self._tell(call, "progress", {**counted, "span": progress.span})

    def _notice(self, call: Call, notice: Notice) -> None:
        self._tell(call, "log", {"level": "warning", **notice.to_json()})

    def _tell(self, call: Call, method: str, params: Mapping[str, Any]) -> None:
        """A notification about a call, unless that has been answered."""
        line = protocol.encode(protocol.notification(method, {"id": call.id, **params}))
        with self._writing:  # no reply can slip in between
            if self._open.get(call.id) is call:
                self._write(line)

    def _fail(self, call: Call, error: TerramendError) -> None:
        data = {"code": error.code, "arguments": error.arguments, "exit_status": error.exit_status}
        code = protocol.code_of(error.exit_status)
        self._reply(call, protocol.error(call.id, code, str(error), data))

    def _reply(self, call: Call, message: Mapping[str, Any]) -> None:
        line = _line(message)
        with self._writing:
            with self._changing:
                if self._open.get(call.id) is not call:
                    return
                del self._open[call.id]
            self._write(line)

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._writing:
            self._write(_line(message))

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view and not self._unread and self._takes():
                view = view[os.write(self._sink, view[:PIECE]) :]
        except OSError:
            pass  # the client is gone: the input will end, too
        finally:
            self._unread = self._unread or len(view) > 0  # no line can follow a part of one

    def _takes(self) -> bool:
        """Wait until the client takes more; False where it has ended its calls and reads no more.

        A thread that is held up by such a client could neither see the end nor clean up.
        """
        if not hasattr(select, "poll"):  # Windows has no way to ask a pipe
            return True
        sink, source = select.poll(), select.poll()
        sink.register(self._sink, select.POLLOUT)
        source.register(self._source, 0)  # asks only whether the other side has left
        deadline = None
        while not sink.poll(POLL):
            if deadline is None and (self._stopping or source.poll(0)):
                deadline = time.monotonic() + READING
            if deadline is not None and time.monotonic() > deadline:
                return False
        return True

    def _stop(self, last: Call | None = None) -> None:
        """Cancel what runs and wait for it; what does not stop in time is answered all the same."""
        self._stopping = True
        with self._changing:
            calls = [call for call in self._open.values() if call is not last]
        for call in calls:
            self._cancel(call.id)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and any(self._open.get(call.id) is call for call in calls):
            time.sleep(0.02)
        for call in calls:
            self._fail(call, TerramendError("run.cancelled"))


def _line(message: Mapping[str, Any]) -> bytes:
    """The message's line; for a reply that makes none, that of an error."""
    try:
        return protocol.encode(message)
    except protocol.ProtocolError as error:
        return protocol.encode(protocol.error(message.get("id"), error.code, str(error)))
    except (TypeError, ValueError) as error:
        why = f"the reply is no JSON: {error}"
        return protocol.encode(protocol.error(message.get("id"), protocol.INTERNAL_ERROR, why))


class Throttle:
    """Passes on progress when the stage changes, when it ends, and now and then between."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell
        self._stage = ""
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Pass `progress` on, or swallow it."""
        now = time.monotonic()
        with self._lock:
            final = progress.total > 0 and progress.done >= progress.total
            if progress.stage == self._stage and now < self._next and not final:
                return
            self._stage, self._next = progress.stage, now + PROGRESS_INTERVAL
        self._tell(progress)


class _LogHandler(logging.Handler):
    """Warnings of libraries, as `log` notifications."""

    def __init__(self, server: Server) -> None:
        super().__init__(logging.WARNING)
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        params = {"id": None, "level": record.levelname.lower(), "message": record.getMessage()[:2000]}
        self._server._send(protocol.notification("log", params))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`terramend serve` takes none."""


def main(arguments: argparse.Namespace, watch: Watch) -> int:
    """Serve standard input and output until the input ends."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # nobody else reads the protocol,
    os.close(null)
    os.dup2(2, 1)  # and nobody else writes it: prints and C libraries go to standard error
    server = Server(source, sink)
    logging.getLogger().addHandler(_LogHandler(server))

    def end(*_: Any) -> None:
        raise SystemExit(0)

    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    status = 0
    try:
        watch.check()  # a signal that came before has told the command only
        server.serve()
    except TerramendError:
        pass
    except Exception:
        status = INTERNAL
        traceback.print_exc()
    finally:  # threads in C code cannot be joined: leave without the interpreter's tidying up
        os._exit(status)
