"""One backend process: started in a clean environment, spoken to in lines, watched by threads.

No Qt here: Processing's worker threads use it as much as the dock, and the pipe that this
process holds is what ends the backend when QGIS ends, even when QGIS is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # nosec B404: starting the backend is what this module is for
import sys
import threading
from collections import deque
from typing import IO, Any, Callable, Dict, Mapping, Optional, Sequence, cast

from ..backend import launch, protocol

GRACE = 5.0
"""Seconds that a backend gets to end and clean up after its standard input was closed."""


def spawn(
    argv: Sequence[str], environ: Optional[Mapping[str, str]] = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a child of another Python: no shell, no console window, a process group of its own.

    `environ` defaults to this process's; either is cleaned of what QGIS leaks into it.
    """
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        options["start_new_session"] = True
    # The program is the user's own interpreter, the arguments are a list, no shell reads them.
    return subprocess.Popen(list(argv), env=launch.environment(environ), **options)  # noqa: S603 # nosec B603


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child of `spawn` with all that it started (on Windows the child alone)."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


class BackendProcess:
    """A backend: it runs from the start, and is listened to from `watch()` on.

    Args:
        python: the interpreter.
        on_message: gets each message (a JSON object), in the reader thread.
        on_log: gets each line of the backend's standard error, in a thread of its own.
        on_exit: called once after the process has ended, in the reader thread.

    Raises:
        OSError: the interpreter cannot be started.
    """

    def __init__(
        self,
        python: str,
        on_message: Callable[[Dict[str, Any]], None],
        on_log: Callable[[str], None],
        on_exit: Callable[[BackendProcess], None],
    ) -> None:
        self._on_message, self._on_log, self._on_exit = on_message, on_log, on_exit
        self._writing = threading.Lock()
        self._tail: deque[str] = deque(maxlen=40)
        self.ready = False
        """Whether it has answered: before, it has nothing to clean up."""
        self.ended = False
        """Whether its end has been told to those whose calls it had."""
        self.dismissed = False
        """Whether its end is our own wish."""
        self.fault = ""
        """Why we ended it, when it was not a wish."""
        pipe = subprocess.PIPE
        self._process = spawn(launch.command(python, "serve"), stdin=pipe, stdout=pipe, stderr=pipe)
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._logger = threading.Thread(target=self._read_log, name="terramend-log", daemon=True)
        self._reader = threading.Thread(target=self._read_messages, name="terramend-read", daemon=True)

    def watch(self) -> None:
        """Begin to listen."""
        self._logger.start()
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as the system knows now."""
        return self._process.poll() is None

    @property
    def reason(self) -> str:
        """Why it ended, in the few words that fit into a sentence."""
        status = self._process.returncode
        if self.fault or status is None:
            return self.fault
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"exit status {status}"

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        return "\n".join(self._tail)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message.

        Raises:
            OSError: the process is gone.
            protocol.ProtocolError: the message is longer than a line may be.
        """
        line = protocol.encode(message)
        with self._writing:
            try:
                self._stdin.write(line)
                self._stdin.flush()
            except ValueError as error:  # closed by us
                raise BrokenPipeError(str(error)) from None

    def close(self) -> None:
        """Close its standard input, which ends it; kill it when it outlives `GRACE` seconds."""
        self.dismissed = True
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(GRACE if self.ready else 0.2)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait(GRACE)
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(GRACE)  # it tells those who still wait

    def kill(self) -> None:
        """End it at once, with its workers."""
        kill_group(self._process)

    def _read_messages(self) -> None:
        stdout = cast("IO[bytes]", self._process.stdout)
        lines = protocol.Lines()
        try:
            for chunk in iter(lambda: os.read(stdout.fileno(), 1 << 16), b""):
                for line in lines.feed(chunk):
                    self._on_message(protocol.decode(line))
        except Exception as error:  # whatever it sent, those who wait must hear of it
            self.fault = f"it sent what is no message ({error})"
        try:  # the end of its output is the end of the backend, whatever it thinks
            self._process.wait(1.0 if not self.fault else 0)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._logger.join(GRACE)  # its last words come before the news of its end
        with contextlib.suppress(OSError):
            self._stdin.close()
        stdout.close()
        self._on_exit(self)

    def _read_log(self) -> None:
        stderr = cast("IO[bytes]", self._process.stderr)
        with stderr:
            for raw in iter(lambda: stderr.readline(4096), b""):
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    self._tail.append(line)
                    self._on_log(line)
