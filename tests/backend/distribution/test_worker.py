"""A row on a worker of a cluster."""

from __future__ import annotations

import subprocess
import sys
import types

import distributed
import pytest
from terramend.backend.distribution import places
from terramend.backend.distribution import worker as module
from terramend.backend.request import FillRequest, to_json


@pytest.fixture
def row_on_a_worker(monkeypatch):
    """`row_on_a_worker(jobs, at_once)`: the outcome of a row on a worker of two threads, 8 cores, here."""
    here = types.SimpleNamespace(address="tcp://10.0.0.7:1234", state=types.SimpleNamespace(nthreads=2))
    monkeypatch.setattr(distributed, "get_worker", lambda: here)
    monkeypatch.setattr(module.device, "cores", lambda: 8)

    def work(jobs: int = 0, at_once: dict | None = None) -> dict:
        request = to_json(FillRequest(("absent.tif",), "o.tif", jobs=jobs))
        return module.work(request, "batch", [], module.identity(), places.Seen((), ()), at_once or {})

    return work


def test_a_row_on_a_worker_asks_first_for_freed_memory_to_be_kept(row_on_a_worker, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "keep_freed_memory", lambda: asked.append(len(asked)))
    assert row_on_a_worker()["error"]["code"] == "raster.missing"
    assert asked == [0]


def test_rows_that_run_at_once_on_a_machine_share_its_cores(row_on_a_worker, monkeypatch):
    monkeypatch.setattr(module, "do", lambda request, watch: request["jobs"])
    assert row_on_a_worker(at_once={"10.0.0.7": 4}) == 2
    assert row_on_a_worker(at_once={"10.0.0.7": 32}) == 1
    assert row_on_a_worker(at_once={"10.0.0.8": 1}) == 4  # one that joined later: by its own threads
    assert row_on_a_worker(jobs=3, at_once={"10.0.0.7": 4}) == 3


def test_a_row_of_a_cancelled_batch_is_told_whether_it_runs_or_begins(row_on_a_worker, monkeypatch):
    monkeypatch.setattr(module, "_cancelled", set())
    monkeypatch.setattr(module.atexit, "register", lambda _: None)  # this process is no worker
    monkeypatch.setattr(
        module, "do", lambda request, watch: (watch.cancelled, module.cancel("batch"), watch.cancelled)
    )
    assert row_on_a_worker() == (False, None, True)
    assert row_on_a_worker() == (True, None, True)


def test_a_worker_ends_quietly_though_a_cancelled_tile_is_deep_in_c_code():
    code = """
import contextlib, threading
import cv2, numpy as np
from terramend.backend.distribution.worker import cancel
from terramend.backend.flow import run_cancellable

begun, image = threading.Event(), np.zeros((500, 500), np.float32)

def task():
    begun.set()
    while True:
        cv2.blur(image, (9, 9))

def check():
    if begun.is_set():
        raise InterruptedError

with contextlib.suppress(InterruptedError):
    run_cancellable(task, check)
cancel("batch")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
