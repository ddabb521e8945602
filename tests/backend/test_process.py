"""Runs at the same time share one limit of threads."""

from __future__ import annotations

import cv2
from terramend.backend.process import computing
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
