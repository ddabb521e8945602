"""Any exception as a `TerramendError`, or its reason: the one place where we learn what to say of it.

What the work raises on purpose passes through. The rest is sorted by whose fault it is:
a missing package or a full disk is the environment's, an unreadable file the input's,
and what nobody foresaw is ours.
"""

from __future__ import annotations

import contextlib
import errno
import re
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from typing import Any

from .errors import INTERNAL, TerramendError


def logged(failure: BaseException) -> TerramendError:
    """The same as `as_error`; of our own faults the log gets what a report needs, unless nobody reads it."""
    error = as_error(failure)
    if error.exit_status == INTERNAL:
        with contextlib.suppress(OSError):
            traceback.print_exception(failure, file=sys.stderr)
    return error


def as_error(failure: BaseException) -> TerramendError:
    """The error with code, sentence and exit status that `failure` amounts to."""
    if isinstance(failure, TerramendError):
        return failure
    if isinstance(failure, KeyboardInterrupt):
        return TerramendError("run.cancelled")
    if isinstance(failure, MemoryError):
        return TerramendError("environment.memory")
    if isinstance(failure, ImportError) and failure.name and not failure.name.startswith("terramend"):
        return TerramendError("environment.package", package=failure.name, why=str(failure))
    if _of_full_disk(failure):
        return TerramendError(
            "environment.disk", path=getattr(failure, "filename", None) or "what is written"
        )
    if isinstance(failure, OSError):
        if "temporary directory" in str(failure.strerror):  # Python's words where it finds none
            why = "none of the usual ones can be written to"
            return TerramendError("tmp.folder", path="the system's folders for such files", why=why)
        if isinstance(failure, FileNotFoundError) and failure.filename is None and failure.errno:
            return TerramendError("file.access", path="The current folder", why=str(failure.strerror))
        if failure.filename is not None and failure.strerror:
            return TerramendError("file.access", path=str(failure.filename), why=failure.strerror)
        if type(failure).__name__ == "RasterioIOError":  # known by name: rasterio may be missing
            # its own words refer to the exception before, whose words name the file
            return TerramendError("file.read", why=reason(failure.__cause__ or failure))
    if (
        isinstance(failure, UnicodeEncodeError) and "surrogates" in failure.reason
    ):  # how Python shows such names
        return TerramendError("file.access", path=failure.object, why="a sign of its name is none in UTF-8")
    if isinstance(failure, RuntimeError) and "can't start new thread" in str(failure):
        return TerramendError("environment.threads")
    if isinstance(failure, BrokenExecutor):
        return TerramendError("environment.worker")
    if type(failure).__name__ == "NetworkError":
        return TerramendError("model.network", why=reason(failure))
    if of_gdal(failure):
        return TerramendError("file.read", why=reason(failure))
    detail = " ".join(f"{type(failure).__name__}: {failure}".split())
    return TerramendError("run.internal", detail=detail)


def _of_full_disk(failure: BaseException) -> bool:
    """Whether a disk has no room left; NumPy tells it by counts, safetensors in the words of Rust."""
    if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if isinstance(failure, OSError) and failure.errno is None:
        return re.fullmatch(r"\d+ requested and \d+ written", str(failure)) is not None
    return re.search(r"\(os error (28|112|122)\)", str(failure)) is not None


def of_gdal(failure: BaseException) -> bool:
    """Whether it is an error of GDAL's own, which rasterio wrapped in none of its exceptions."""
    return any(kind.__name__ == "CPLE_BaseError" for kind in type(failure).__mro__)


@contextlib.contextmanager
def cancelled_as(code: str, **arguments: Any) -> Iterator[None]:
    """A cancel inside, also one that was asked for twice, is an error that says what of the work stays."""
    try:
        yield
    except (TerramendError, KeyboardInterrupt) as error:
        if isinstance(error, TerramendError) and error.code != "run.cancelled":
            raise
        raise TerramendError(code, **arguments) from error


def reason(failure: BaseException) -> str:
    """Another library's words for a sentence's `why`: one line without a full stop, or the type's name."""
    return " ".join(str(failure).split()).rstrip(".") or type(failure).__name__
