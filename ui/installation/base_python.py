"""Which Python of this machine a managed environment can be built on.

`sys.executable` inside QGIS is no Python that can be used, and QGIS's own Python is often
older than the backend needs. So the usual places are searched, and every candidate is asked
what it is by running it. No Qt here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess  # nosec B404: candidates are asked by running them
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ...backend.errors import TerramendError
from ..backend_process import kill_group, spawn

OLDEST = (3, 11)
"""The backend's least Python version."""

_QUESTION = """
import importlib.util, json, os, platform, sys, sysconfig
print(json.dumps({
    "system": sys.platform,
    "machine": platform.machine(),
    "path": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "version": list(sys.version_info[:3]),
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "free": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class BasePython:
    """A Python that answered. `why_not` is empty when an environment can be built on it."""

    path: str
    version: Tuple[int, ...]
    why_not: str = ""


def candidates(platform: str, environ: Mapping[str, str], home: str, prefix: str) -> Iterator[str]:
    """Paths where a Python may be, the best first; patterns are already resolved.

    Args:
        platform: as `sys.platform`. environ: variables. home: the user's home folder.
        prefix: `sys.prefix` of QGIS's Python, of use on Windows only.
    """
    if platform == "win32":
        yield from _newest(environ.get("APPDATA", ""), "uv/python/cpython-3*/python.exe")
        local = environ.get("LOCALAPPDATA", "")
        yield from _newest(local, "Python/pythoncore-3*/python.exe")  # python.org's install manager
        yield from _newest(local, "Programs/Python/Python3*/python.exe")
        yield from _newest(environ.get("PROGRAMFILES", ""), "Python3*/python.exe")
        yield str(Path(prefix) / "python.exe")
        return
    versions = "python3.[0-9][0-9]"
    if platform == "darwin":  # /usr/bin/python3 would ask to install developer tools
        yield from _newest(home, ".local/share/uv/python/cpython-3*/bin/python3")
        yield from _newest("/Library/Frameworks", "Python.framework/Versions/3*/bin/python3")
        yield from _newest("/opt/homebrew/bin", versions)
        yield from _newest("/usr/local/bin", versions)
        return
    yield "/usr/bin/python3"
    yield from _newest("/usr/bin", versions)
    yield from _newest("/usr/local/bin", versions)
    yield from _newest(home, ".local/share/uv/python/cpython-3*/bin/python3")
    for folder in environ.get("PATH", "").split(os.pathsep):
        yield from _newest(folder, "python3")
        yield from _newest(folder, versions)


def ask(path: str, timeout: float = 20.0) -> Optional[BasePython]:
    """Run a candidate and let it say what it is; None when it does not run."""
    try:
        process = spawn(
            [path, "-I", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        answer = json.loads(process.communicate(timeout=timeout)[0])
        newest = newest_for(answer["system"], answer["machine"])
        version, bits, free = tuple(answer["version"]), answer["bits"], answer["free"]
        return judge(answer["path"], version, bits, free, answer["venv"], newest)
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        kill_group(process)
        process.communicate()
        return None


def newest_for(system: str, machine: str) -> Optional[Tuple[int, int]]:
    """The newest Python for which all pinned packages are built, None where they are for none.

    `requirements/wheels.py` holds it against the package index.

    Args:
        system: as `sys.platform`. machine: as `platform.machine`, of the Python that is asked.
    """
    if system == "win32" and machine.lower() == "arm64":
        return None
    return (3, 13) if (system, machine) == ("darwin", "x86_64") else (3, 14)


def judge(
    path: str, version: Tuple[int, ...], bits: int, free: bool, venv: bool, newest: Optional[Tuple[int, int]]
) -> BasePython:
    """Whether an environment can be built on this Python, with the reason if not (`free`: free-threaded)."""
    why_not = ""
    if version < OLDEST:
        why_not = "it is older than {}.{}".format(*OLDEST)
    elif bits != 64:
        why_not = "it is a 32-bit program"
    elif free:
        why_not = "it is a free-threaded build, for which not all packages are built (the usual one works)"
    elif newest is None:
        why_not = "it is made for Windows on ARM, for which not all packages are built (one for x64 works)"
    elif version[:2] > newest:
        why_not = "it is newer than {}.{}, the last that all packages are built for".format(*newest)
    elif ".app/" in path.replace("\\", "/"):
        why_not = "it belongs to an application"
    elif not venv:
        why_not = "its venv module is missing (Debian and Ubuntu: install python3-venv)"
    return BasePython(path, version, why_not)


def find(
    paths: Optional[Iterable[str]] = None, question: Callable[[str], Optional[BasePython]] = ask
) -> BasePython:
    """The first Python that an environment can be built on.

    Raises:
        TerramendError: `backend.base`, with what was found and why it would not do.
    """
    if paths is None:
        paths = candidates(sys.platform, os.environ, str(Path.home()), sys.prefix)
    refused: Dict[str, str] = {}
    seen = set()
    for path in paths:
        if path in seen or not Path(path).is_file():
            continue
        seen.add(path)
        found = question(path)
        if found is not None and not found.why_not:
            return found
        if found is not None:
            seen.add(found.path)
            refused[found.path] = found.why_not
    said = "; ".join(f"{path}: {why_not}" for path, why_not in refused.items())
    raise TerramendError("backend.base", found=said or "none")


def _newest(folder: str, pattern: str) -> List[str]:
    """Files of `folder` that match, the highest version first."""

    def version(path: Path) -> List[int]:
        return [int(digits) for digits in re.findall(r"\d+", str(path))]

    found = Path(folder).glob(pattern) if folder else ()
    return [str(path) for path in sorted(found, key=version, reverse=True)]
