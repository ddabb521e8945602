#!/usr/bin/python3 -I
"""Stands for the backend's Python: takes the same arguments, and misbehaves as FAKE_BACKEND says.

It speaks the protocol by itself, so that tests of the client depend on no backend code.
"""

import json
import os
import sys
import threading
import time
from configparser import ConfigParser
from pathlib import Path

metadata = ConfigParser(interpolation=None)
metadata.read_string((Path(__file__).resolve().parents[2] / "metadata.txt").read_text("utf-8"))
version = metadata["general"]["version"]
mode = os.environ.get("FAKE_BACKEND", "")
lock = threading.Lock()
cancelled = set()


def say(**message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def work(id, params):
    for step in range(params.get("steps", 5)):
        if id in cancelled:
            data = {"code": "run.cancelled", "arguments": {}, "exit_status": 4}
            say(id=id, error={"code": -32004, "message": "Cancelled.", "data": data})
            return
        progress = {"stage": "predict", "done": step + 1, "total": params.get("steps", 5), "eta": 1.5}
        say(method="progress", params={"id": id, **progress})
        if step == 2:
            notice = {"code": "fill.nothing", "arguments": {}, "message": "english"}
            say(method="log", params={"id": id, "level": "warning", **notice})
        time.sleep(params.get("pause", 0.01))
    say(id=id, result={"pid": os.getpid(), "echo": params})


if mode == "dies at start":
    sys.exit("ImportError: no numpy here")
for line in sys.stdin:
    call = json.loads(line)
    method, id, params = call["method"], call.get("id"), call.get("params", {})
    if method == "initialize":
        if mode == "silent":
            time.sleep(600)
        assert params["protocol"] == 1
        say(id=id, result={"version": "9.9" if mode == "other version" else version, "protocol": 1})
    elif method == "doctor":
        say(id=id, result={"device": "a fake device", "healthy": True})
    elif method == "cancel":
        if mode != "deaf":
            cancelled.add(params["id"])
    elif method == "refuse":
        data = {"code": "file.access", "arguments": {"path": "x.tif", "why": "gone"}, "exit_status": 2}
        say(id=id, error={"code": -32002, "message": "english", "data": data})
    elif method == "unknown-code":
        data = {"code": "of.tomorrow", "arguments": {}, "exit_status": 2}
        say(id=id, error={"code": -32002, "message": "The backend's own words.", "data": data})
    elif method == "garbage":
        sys.stdout.write("this is no JSON\n")
        sys.stdout.flush()
    elif method == "odd id":
        say(method="progress", params={"id": ["no", "id"]})
    elif method == "long line":
        sys.stdout.write("x" * (1 << 21) + "\n")
        sys.stdout.flush()
    elif method == "crash":
        sys.stderr.write("segmentation fault, say\n")
        sys.stderr.flush()
        os._exit(11)
    elif method == "close stdout":
        os.close(1)
    else:
        threading.Thread(target=work, args=(id, params), daemon=True).start()
if mode == "clings":
    time.sleep(600)
