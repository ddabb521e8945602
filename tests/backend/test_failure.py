"""Whose fault is it?"""

from __future__ import annotations

import errno
from concurrent.futures.process import BrokenProcessPool

import pytest
import rasterio
from rasterio._err import CPLE_AppDefinedError
from terramend.backend.errors import ERRORS, TerramendError
from terramend.backend.failure import as_error


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (TerramendError("run.cancelled"), "run.cancelled", ["Cancelled"]),
        (KeyboardInterrupt(), "run.cancelled", ["Cancelled"]),
        (MemoryError(), "environment.memory", ["--memory-limit"]),
        (BrokenProcessPool("a child process terminated abruptly"), "environment.worker", ["lower --jobs"]),
        (RuntimeError("can't start new thread"), "environment.threads", ["ulimit -u"]),
        (OSError(errno.ENOSPC, "No space left on device"), "environment.disk", ["no space"]),
        (OSError(errno.ENOSPC, "No space left on device", "r.csv"), "environment.disk", ["for r.csv: free"]),
        (OSError("1000000 requested and 76768 written"), "environment.disk", ["no space"]),  # numpy.save
        (
            ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "environment.disk",
            ["no space"],
        ),
        (
            UnicodeEncodeError("utf-8", "a\udcff.tif", 1, 2, "surrogates not allowed"),
            "file.access",
            ["a\udcff.tif", "none in UTF-8"],
        ),
        (PermissionError(errno.EACCES, "Permission denied", "a.tif"), "file.access", ["a.tif", "Permission"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "b.csv"), "file.access", ["b.csv", "No such file"]),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "file.access", ["The current folder"]),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/']"),
            "tmp.folder",
            ["--tmp"],
        ),
        (ModuleNotFoundError("No module named 'dask'", name="dask"), "environment.package", ["dask"]),
        (rasterio.errors.RasterioIOError("Read failed."), "file.read", ["Read failed", "damaged", "again"]),
        (CPLE_AppDefinedError(3, 1, "x.tif: a directory is damaged"), "file.read", ["x.tif", "damaged"]),
        (ZeroDivisionError("one\n  two"), "run.internal", ["ZeroDivisionError: one two", "report"]),
        (ModuleNotFoundError("x", name="terramend.backend.x"), "run.internal", ["report"]),
    ],
)
def test_every_failure_has_a_code_and_a_sentence(failure, code, words):
    error = as_error(failure)
    assert error.code == code
    assert error.exit_status == ERRORS[code][0]
    assert all(word in str(error) for word in words)
    assert "\n" not in str(error)
