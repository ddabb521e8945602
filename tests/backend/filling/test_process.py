"""Runs at the same time share one limit of threads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import cv2
import pytest
from terramend.backend.filling.process import computing
from threadpoolctl import threadpool_info


def blas() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_last_run_lifts_the_limit():
    before = cv2.getNumThreads(), blas()
    first, second = computing(), computing()
    first.__enter__()
    second.__enter__()
    assert (cv2.getNumThreads(), blas()) == (1, {1})
    first.__exit__(None, None, None)
    assert (cv2.getNumThreads(), blas()) == (1, {1})
    second.__exit__(None, None, None)
    assert (cv2.getNumThreads(), blas()) == before


COUNT = """
import ctypes
import numpy as np
from terramend.backend.filling.process import keep_freed_memory

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_int) for name in names.split()]

mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Info
for wanted in (lambda: None, keep_freed_memory):
    wanted()
    before = mallinfo().hblks
    held = [np.empty(1 << 20, np.uint8) for _ in range(8)]
    print(mallinfo().hblks - before)
    del held
"""
"""Prints how many of 8 arrays come fresh from the system, as it is started and after our word."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other ways")
def test_a_worker_keeps_what_it_freed_although_dask_starts_it_otherwise():
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    run = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True)
    assert run.stdout.split() == ["8", "0"], run.stderr
