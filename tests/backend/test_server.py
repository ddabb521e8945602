"""The server as a client meets it: a real process, its pipes and nothing else."""

from __future__ import annotations

import dataclasses
import functools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from terramend.backend import launch, protocol
from terramend.backend.request import FillRequest

from .conftest import NORTH_UP, UTM, blobs, landscape

INPUT_ERROR, CANCELLED = -32002, -32004
"""As clients know them: -32000 minus the exit status."""

LONG = 120
"""Seconds that only a failure takes, however busy the machine is."""

PATIENT = f"""
import runpy
runpy.run_path({launch.__file__!r})["register"]()
from terramend.backend import server
server.PATIENCE = {LONG}
server.main(None, server.Watch())
"""
"""A server that is not killed, as the real one is after some seconds, while a busy machine tidies up."""


class Client:
    """Talks to one server; every line it says is read by a thread."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command or launch.command(sys.executable, "serve"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=launch.environment(),
        )  # fmt: skip
        self.messages: queue.Queue[dict] = queue.Queue()
        self.seen: list[dict] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            assert len(line) <= protocol.LIMIT
            self.messages.put(protocol.decode(line[:-1]))

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def call(self, id, method, params=None) -> None:
        self.write(protocol.encode(protocol.call(id, method, params)))

    def next(self) -> dict:
        message = self.messages.get(timeout=LONG)
        self.seen.append(message)
        return message

    def reply(self, id) -> dict:
        """The reply of a call; what else comes is kept in `seen`."""
        while True:
            message = self.next()
            if message.get("id") == id and "method" not in message:
                return message

    def ask(self, id, method, params=None) -> dict:
        self.call(id, method, params)
        return self.reply(id)

    def progress(self, id, stage: str) -> dict:
        """The next progress of a stage."""
        while True:
            message = self.next()
            params = message.get("params", {})
            if message.get("method") == "progress" and (params["id"], params["stage"]) == (id, stage):
                return params

    def end(self) -> int:
        self.process.stdin.close()
        status = self.process.wait(LONG)
        self._reader.join(LONG)
        while not self.messages.empty():
            self.seen.append(self.messages.get())
        return status


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client(sys.executable, "-I", "-X", "utf8", "-c", PATIENT)
    made.ask("hello", "initialize", {"protocol": protocol.PROTOCOL})
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], tuple[str, str]]:
    """Target and mask of a size, made once."""
    folder = tmp_path_factory.mktemp("rasters")

    def save(name: str, samples: np.ndarray) -> str:
        count, height, width = samples.shape
        profile = {"count": count, "height": height, "width": width, "dtype": samples.dtype}
        with rasterio.open(
            folder / name, "w", driver="GTiff", crs=UTM, transform=NORTH_UP, **profile
        ) as file:
            file.write(samples)
        return str(folder / name)

    @functools.cache
    def make(size: int, bands: int) -> tuple[str, str]:
        target = save(f"target{size}.tif", landscape(bands, size, size).astype("uint16"))
        return target, save(f"mask{size}.tif", blobs(size, size, 0.2)[None].astype("uint8"))

    return make


@pytest.fixture
def scene(rasters, tmp_path) -> Callable[..., dict]:
    """A request; all that it writes goes into the test's own folder."""

    def make(size: int = 96, bands: int = 2, **more: object) -> dict:
        target, mask = rasters(size, bands)
        asked = {
            "target": [target], "gaps": [{"path": mask, "kind": "nonzero"}], "model": "harmonic",
            "radiometry": "dn", "output": str(tmp_path / "out.tif"), "tmp": str(tmp_path),
        }  # fmt: skip
        return {**asked, **more}

    return make


@pytest.fixture
def long(scene) -> dict:
    """A request that takes minutes, in steps that are quick: a cancel is soon heeded, and no test lets it end."""
    return scene(150, 12, model="aligndiff", settings=[["prior", "harmonic"], ["steps", "1000"]])


def test_the_first_call_is_initialize_and_versions_must_match():
    client = Client()
    early = client.ask(1, "doctor")
    assert early["error"]["data"]["code"] == "protocol.order"
    other = client.ask(2, "initialize", {"protocol": 99})
    assert other["error"]["data"]["code"] == "protocol.version"
    assert "99" in other["error"]["message"]
    hello = client.ask(3, "initialize", {"protocol": protocol.PROTOCOL})["result"]
    assert (hello["name"], hello["protocol"], hello["pid"]) == ("terramend", 1, client.process.pid)
    assert client.end() == 0


def test_fill_reports_progress_and_a_result_and_nothing_after_it(client, scene):
    request = scene(radiometry="auto")
    result = client.ask(1, "fill", {"request": request})["result"]
    assert result["outputs"] == [request["output"]]
    assert result["model"] == "harmonic"
    with rasterio.open(request["output"]) as file:
        assert file.count == 2
    stages = [m["params"]["stage"] for m in client.seen if m.get("method") == "progress"]
    assert {"open", "fill"} <= set(stages)
    logs = [m["params"] for m in client.seen if m.get("method") == "log"]
    assert logs and all(log["id"] == 1 and log["message"] and log["code"] for log in logs)
    client.end()
    assert client.seen[-1]["id"] == 1 and "result" in client.seen[-1]


def test_errors_carry_code_arguments_and_sentence(client, scene):
    wrong = scene(target=["/nowhere/x.tif"])
    error = client.ask(1, "fill", {"request": wrong})["error"]
    assert error["code"] == INPUT_ERROR
    assert error["data"]["exit_status"] == 2
    assert "/nowhere/x.tif" in error["message"]
    assert client.ask(2, "fill", {})["error"]["data"]["code"] == "protocol.params"
    assert (
        client.ask(3, "fill", {"request": {**wrong, "mode": "clear"}})["error"]["data"]["code"]
        == "request.field"
    )
    assert client.ask(4, "nothing")["error"]["code"] == protocol.METHOD_NOT_FOUND
    assert client.ask(5, "install", {"name": "x"})["error"]["data"]["code"] == "weights.unknown"
    for number, wrong in enumerate(({"proxies": "http://a"}, {"proxies": {"no": 1}}, {"certificates": 1}), 6):
        refused = client.ask(number, "install", {"name": "x", **wrong})
        assert refused["error"]["data"]["code"] == "protocol.params"


@pytest.mark.parametrize("stage", ["prepare", "fill"])
def test_small_questions_are_answered_meanwhile_and_cancel_is_quick(client, long, tmp_path, stage):
    client.call(1, "fill", {"request": long})
    client.progress(1, stage)
    assert client.ask(2, "models")["result"]["models"]
    assert client.ask(3, "doctor")["result"]["device"]
    assert client.ask(4, "cancel", {"id": 1})["result"] == {"cancelled": True}
    error = client.reply(1)["error"]
    assert error["code"] == CANCELLED
    assert list(tmp_path.iterdir()) == []
    assert client.ask(5, "cancel", {"id": 1})["result"] == {"cancelled": False}


def test_a_fill_that_waits_for_another_says_so(client, long, scene):
    client.call(1, "fill", {"request": long})
    client.progress(1, "fill")
    assert "wait" not in [m["params"]["stage"] for m in client.seen if m.get("method") == "progress"]
    client.call(2, "fill", {"request": scene(output=long["output"] + "2.tif")})
    client.progress(2, "wait")
    client.call(3, "cancel", {"id": 1})
    assert "wait" not in client.reply(2)["result"]["seconds"]


def test_one_fill_at_a_time_and_a_waiting_one_is_cancelled_at_once(client, long, scene):
    client.call(1, "fill", {"request": long})
    client.progress(1, "prepare")
    client.call(2, "fill", {"request": scene(output=long["output"] + "2.tif")})
    client.call(3, "fill", {"request": scene(output=long["output"] + "3.tif")})
    client.write(protocol.encode(protocol.notification("cancel", {"id": 2})))
    assert client.reply(2)["error"]["code"] == CANCELLED
    told = [m["params"] for m in client.seen if m.get("params", {}).get("id") == 3]
    assert {params["stage"] for params in told} <= {"wait"}
    client.write(protocol.encode(protocol.notification("cancel", {"id": 1})))
    assert client.reply(1)["error"]["code"] == CANCELLED
    assert client.reply(3)["result"]["outputs"] == [long["output"] + "3.tif"]


def test_an_id_in_use_is_refused_without_a_second_reply(client, long):
    client.call("a", "fill", {"request": long})
    client.progress("a", "gaps")
    client.call("a", "doctor")
    assert client.reply(None)["error"]["code"] == protocol.INVALID_REQUEST
    client.ask("b", "cancel", {"id": "a"})
    client.end()
    assert sum(message.get("id") == "a" and "method" not in message for message in client.seen) == 1


@pytest.mark.parametrize(
    "how", ["eof", pytest.param("terminate", marks=pytest.mark.posix("such signals")), "shutdown"]
)
def test_the_end_cancels_cleans_up_and_exits(client, long, tmp_path, how):
    client.call(1, "fill", {"request": long})
    client.progress(1, "fill" if how == "eof" else "prepare")
    if how == "terminate":
        client.process.send_signal(signal.SIGTERM)
    if how == "shutdown":
        assert client.ask(2, "shutdown")["result"] == {}
    assert client.end() == 0
    assert list(tmp_path.iterdir()) == []
    replies = [message for message in client.seen if message.get("id") == 1 and "error" in message]
    assert [reply["error"]["code"] for reply in replies] == [CANCELLED]


@pytest.mark.posix("way to ask whether a pipe is read")
def test_a_client_that_reads_nothing_any_more_cannot_keep_the_server(long, tmp_path):
    """Its pipe is full, so that whoever writes a reply waits, while a fill is under way."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", PATIENT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=launch.environment(),
    )  # fmt: skip
    calls = [
        protocol.call(1, "initialize", {"protocol": protocol.PROTOCOL}),
        protocol.call(2, "fill", {"request": long}),
    ]
    process.stdin.write(b"".join(map(protocol.encode, calls)))
    process.stdin.flush()
    while b'"prepare"' not in process.stdout.readline():
        pass
    process.stdin.write(b"?\n" * 3000)  # each is answered with more than a hundred bytes
    process.stdin.close()
    try:
        assert process.wait(LONG) == 0
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []
    process.stdout.close()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("watch = server.Watch(); watch.cancel(); server.main(None, watch)", 0),
        ("server.Server.serve = lambda self: 1 / 0; server.main(None, server.Watch())", 1),
    ],
)
def test_a_signal_before_there_is_a_server_ends_it_and_a_fault_of_its_own_is_said(script, status):
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", PATIENT.replace("server.main(None, server.Watch())", script)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=launch.environment(),
    )  # fmt: skip
    try:
        assert process.wait(LONG) == status  # with its input still open
    finally:
        process.kill()
    said = process.communicate()[1]
    assert (b"ZeroDivisionError" in said) == (status == 1)


@pytest.mark.parametrize("depth", [40, 60, 900, *range(950, 1000, 5), 100_000])
def test_what_is_nested_deeply_harms_nothing(client, depth):
    nested = b"[" * depth + b"]" * depth
    client.write(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":' + nested + b"}}\n")
    assert client.ask(2, "models")["result"]["models"]
    assert sum("error" in message for message in client.seen) == 1


def test_prints_and_a_silent_standard_error_do_no_harm(scene):
    """Who closes our standard error (a crashed client) does not stop a run from being answered."""
    process = subprocess.Popen(
        launch.command(sys.executable, "serve"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=launch.environment(),
    )  # fmt: skip
    process.stderr.close()
    calls = [
        protocol.call(1, "initialize", {"protocol": protocol.PROTOCOL}),
        protocol.call(2, "install", {"name": 5}),
        protocol.call(3, "fill", {"request": scene()}),
    ]
    process.stdin.write(b"".join(map(protocol.encode, calls)))
    process.stdin.flush()
    replies = []
    while len(replies) < 3:
        message = protocol.decode(process.stdout.readline()[:-1])
        replies += [message] if "id" in message and "method" not in message else []
    assert {reply["id"]: "result" in reply for reply in replies} == {1: True, 2: False, 3: True}
    process.stdin.close()
    assert process.wait(LONG) == 0
    process.stdout.close()


def test_nothing_but_the_protocol_reaches_standard_output():
    """Prints, child processes and C code land on standard error; children cannot eat the input."""
    code = """
import os, subprocess, sys
sys.path.pop(0)
import terramend.backend.calls as calls
def noisy(params, watch):
    print("a print"); sys.stdout.flush(); os.write(1, b"C code\\n")
    subprocess.run([sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"])
    return {}
calls.CALLS["doctor"] = noisy
from terramend.backend.server import Watch, main
main(None, Watch())
"""
    calls = [
        protocol.call(1, "initialize", {"protocol": 1}),
        protocol.call(2, "doctor"),
        protocol.call(3, "models"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"".join(map(protocol.encode, calls[:2])),
        capture_output=True, timeout=LONG,
    )  # fmt: skip
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["id"] for message in messages] == [1, 2]


def test_what_a_library_warns_of_is_told_of_no_call():
    script = """
import logging
from terramend.backend import calls
calls.CALLS["doctor"] = lambda params, watch: logging.getLogger("odd.package").warning("odd") or {}
server.main(None, server.Watch())"""
    client = Client(sys.executable, "-I", "-c", PATIENT.replace("server.main(None, server.Watch())", script))
    client.ask(1, "initialize", {"protocol": protocol.PROTOCOL})
    client.ask(2, "doctor")
    assert client.end() == 0
    logs = [message["params"] for message in client.seen if message.get("method") == "log"]
    assert logs == [{"id": None, "level": "warning", "message": "odd"}]


METHODS = st.sampled_from([*protocol.CALLS, "initialised", "", "rpc.discover", "__class__"])
IDS = st.integers(-3, 50) | st.text(max_size=4) | st.sampled_from([None, True, 1.5, [], {}, "x" * 300, 2**70])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([field.name for field in dataclasses.fields(FillRequest)])
VALUES = JSON | st.sampled_from(
    [["none.tif"], "none.tif", {"path": "none.tif"}, [{"path": "none.tif", "kind": "scl"}]]
)
REQUESTS = JSON | st.dictionaries(FIELDS, VALUES, max_size=6).map(
    lambda r: {"target": ["none.tif"], "output": "o.tif"} | r
)
PARAMS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "request": REQUESTS,
        "html": JSON,
        "source": JSON,
        "id": IDS,
        "name": JSON,
        "protocol": st.sampled_from([1, 2]),
    },
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0", 2])},
    optional={"id": IDS, "method": METHODS, "params": PARAMS, "result": JSON},
).filter(lambda message: message.get("method") != "shutdown")
TOO_LONG = b"(a line too long)"
LINES = st.one_of(
    MESSAGES.map(lambda message: json.dumps(message).encode()),
    MESSAGES.map(lambda message: json.dumps([message]).encode()),
    st.tuples(MESSAGES, st.integers(0, 60)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
    st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")),
    st.just(TOO_LONG),
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Client]:
    made = Client()
    made.ask("hello", "initialize", {"protocol": protocol.PROTOCOL})
    yield made
    made.process.kill()
    made.process.wait()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(LINES, max_size=8), data=st.data())
def test_fuzz(fuzzed, lines, data):
    """Whatever is said, every call gets one reply, every fault an error, and the server lives on."""
    unique = f"{len(fuzzed.seen)}-{time.monotonic_ns()}"
    sent = [f"fuzz-{unique}-{n}" for n in range(len(lines))]
    calls = [protocol.encode(protocol.call(id, data.draw(METHODS.filter("shutdown".__ne__)))) for id in sent]
    already = len(fuzzed.seen)
    for line, call in zip(lines, calls, strict=True):
        fuzzed.write((line if line != TOO_LONG else b"z" * (protocol.LIMIT + 5)) + b"\n" + call)
    fuzzed.call(f"last-{unique}", "cancel", {"id": "nobody"})
    waiting = {*sent, f"last-{unique}"}
    while waiting:
        message = fuzzed.next()
        if "method" not in message:
            waiting.discard(message["id"])
    assert fuzzed.process.poll() is None
    replies = Counter(str(m["id"]) for m in fuzzed.seen[already:] if "method" not in m)
    assert all(replies[id] == 1 for id in sent)
    for message in fuzzed.seen[already:]:
        assert ("error" in message) != ("result" in message) or "method" in message
        if "error" in message:
            assert isinstance(message["error"]["code"], int) and message["error"]["message"]
            assert message["error"]["code"] != protocol.INTERNAL_ERROR, message
