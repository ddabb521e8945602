"""The wire between a client and the backend: JSON-RPC 2.0, one message a line.

Standard library only, Python 3.9: the server and QGIS's client both use this module, so
that they cannot disagree. A line holds one JSON object in ASCII and is at most `LIMIT`
bytes; what is longer, or no message at all, costs an error and nothing else.

A client sends calls (`call`), `initialize {protocol}` first, and reads replies (`result`
or `error`, exactly one a call) and notifications: `progress {id, stage, done, total, eta}`
and `log {id, level, code, arguments, message}`, of what a library warns `{id: null, level, message}`.
Calls that work on a scene take `{"request": request.to_json(...)}`; `cancel` takes `{id}`.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Union

PROTOCOL = 1
"""Version of calls and replies; `initialize` refuses another one."""

LIMIT = 1 << 20
"""Most bytes of a line, its newline included."""

DEPTH = 50
"""Most lists and objects in each other: what is nested deeper could not be written into an error."""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
)
"""Codes of JSON-RPC 2.0. `INTERNAL_ERROR` is our fault (exit status 1)."""

CALLS = (
    "initialize", "inspect", "expect", "fill", "clear", "mask", "preview", "accuracy", "models", "install",
    "doctor", "cancel", "shutdown",
)  # fmt: skip
"""Methods that the server answers."""

Id = Union[str, int, None]


class ProtocolError(Exception):
    """A line that is no message. `code` is one of the JSON-RPC codes above."""

    def __init__(self, code: int, message: str, id: Id = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


class Lines:
    """Cuts a byte stream into lines, in bounded memory.

    A line longer than `LIMIT` is thrown away up to its newline and reported as None.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> List[Optional[bytes]]:
        """The lines that `chunk` completes, without newlines; None for one too long."""
        lines: List[Optional[bytes]] = []
        parts = chunk.split(b"\n")
        for number, part in enumerate(parts):
            complete = number < len(parts) - 1
            if not self._skipping and len(self._buffer) + len(part) + 1 > LIMIT:
                self._buffer.clear()
                self._skipping = True
            if not self._skipping:
                self._buffer += part
            if complete:
                lines.append(None if self._skipping else bytes(self._buffer))
                self._buffer.clear()
                self._skipping = False
        return lines


def encode(message: Mapping[str, Any]) -> bytes:
    """One line, newline included. NaN and infinity become null: JSON has no word for them.

    Raises:
        ProtocolError: the line would be longer than `LIMIT`.
    """
    try:
        text = json.dumps(message, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(finite(message), allow_nan=False, separators=(",", ":"))
    if len(text) + 1 > LIMIT:
        raise ProtocolError(INTERNAL_ERROR, f"a message of {len(text)} bytes is longer than a line may be")
    return text.encode("ascii") + b"\n"


def decode(line: Optional[bytes]) -> Dict[str, Any]:
    """The message of one line (None: a line too long).

    Whether it is a call, a notification or a reply is for the reader to see. The `id` of
    a call is a string or an integer; that of a reply is null where an error names no call.

    Raises:
        ProtocolError: it is no JSON-RPC 2.0 message; `id` is set where it could be read.
    """
    if line is None:
        raise ProtocolError(PARSE_ERROR, f"The line is longer than {LIMIT} bytes and was dropped.")
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"The line is no JSON: {error}.") from None
    if isinstance(message, list):
        raise ProtocolError(INVALID_REQUEST, "Send one call a line: arrays of calls are not served.")
    if not isinstance(message, dict):
        raise ProtocolError(INVALID_REQUEST, "A message is a JSON object.")
    id = message.get("id")
    known = id if is_id(id) else None
    if not _is_flat(message):
        raise ProtocolError(
            INVALID_REQUEST, f"Lists and objects in each other are at most {DEPTH} deep.", known
        )
    if message.get("jsonrpc") != "2.0":
        raise ProtocolError(INVALID_REQUEST, 'A message says "jsonrpc": "2.0".', known)
    if "method" not in message and ("result" in message or "error" in message):
        return message
    if "id" in message and known is None:
        raise ProtocolError(INVALID_REQUEST, "An id is a string of at most 200 characters or an integer.")
    if not isinstance(message.get("method"), str):
        raise ProtocolError(INVALID_REQUEST, "A call names its method.", known)
    return message


def is_id(value: Any) -> bool:
    """Whether `value` may name a call: a short string, or an integer of 64 bits."""
    if isinstance(value, str):
        return len(value) <= 200
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def call(id: Id, method: str, params: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """A call; it gets exactly one reply."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": dict(params or {})}


def notification(method: str, params: Mapping[str, Any]) -> Dict[str, Any]:
    """A message that gets no reply."""
    return {"jsonrpc": "2.0", "method": method, "params": dict(params)}


def result(id: Id, value: Any) -> Dict[str, Any]:
    """The reply of a call that succeeded."""
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: Id, code: int, message: str, data: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The reply of a call that failed.

    `data`, where the backend knows the fault, is `{code, arguments, exit_status}` of
    `errors.ERRORS`, so that a client can say the sentence in its own language.
    """
    body: Dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        body["data"] = dict(data)
    return {"jsonrpc": "2.0", "id": id, "error": body}


def code_of(exit_status: int) -> int:
    """The JSON-RPC code of the exit status that the command line would give.

    1, our fault, is `INTERNAL_ERROR`; the others have codes of our own, -32000 minus the status.
    """
    return INTERNAL_ERROR if exit_status == 1 else -32000 - exit_status


def finite(value: Any) -> Any:
    """The same JSON with null for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _is_flat(value: Any) -> bool:
    """Whether lists and objects lie at most `DEPTH` deep in each other."""
    level = [value]
    for _ in range(DEPTH):
        level = [item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer)]
        level = [item for item in level if isinstance(item, (dict, list))]
    return not level


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
