"""Builds the managed environment: base Python, venv, pip, proof, and only then into its place.

Runs in a thread of its own and knows no Qt. Every step is a subprocess whose output goes to
the log line by line; progress is counted in packages; a cancel kills the step and removes
what was built.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess  # nosec B404: installing is running venv, pip and the backend's doctor
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Dict, List, Mapping, Optional, Sequence, cast

from ...backend import launch
from ...backend.errors import TerramendError
from ..backend_process import kill_group, spawn
from . import base_python
from .environment import (
    Variant,
    building_place,
    environment_python,
    package_name,
    requirements,
    torch_index,
    write_marker,
)

_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name a file of certificates; what pip builds on reads all of them."""


@dataclass(frozen=True)
class Plan:
    """What to install where, and by which way.

    Attributes:
        folder: place of the environment. variant: what goes in.
        wheels: install from this folder alone, without any network.
        proxy: variables for pip's network access; they may hold a password and are not logged.
        certificates: certificates (PEM) to be trusted beside those that pip trusts.
        base: the Python to build on; None: search.
    """

    folder: Path
    variant: Variant
    wheels: Optional[Path] = None
    proxy: Mapping[str, str] = field(default_factory=dict)
    certificates: bytes = b""
    base: Optional[str] = None


class Installation:
    """One run of a plan.

    Args:
        plan: what to do.
        on_progress: gets (share from 0 to 1, what is being done: a package or a step).
        on_log: gets each line of the tools' output.
    """

    def __init__(
        self, plan: Plan, on_progress: Callable[[float, str], None], on_log: Callable[[str], None]
    ) -> None:
        self._plan, self._on_progress, self._on_log = plan, on_progress, on_log
        self._place = building_place(plan.folder)
        self._lock = threading.Lock()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._cancelled = False
        self._names = list(dict.fromkeys(package_name(line) for line in requirements(plan.variant)))

    def cancel(self) -> None:
        """Stop; `run` raises `run.cancelled` soon after. From any thread."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                kill_group(self._process)

    def run(self) -> None:
        """Build, prove, put in place. An environment that was there before stays until then.

        Raises:
            TerramendError: `backend.*` with the reason, or `run.cancelled`.
        """
        try:
            self._build()
            self._prove()
            write_marker(self._place, self._plan.variant)
            self._exchange()
        except OSError as error:
            path = str(error.filename or self._plan.folder)
            raise TerramendError("backend.folder", path=path, why=error.strerror or str(error)) from None
        finally:
            shutil.rmtree(self._place, ignore_errors=True)
        self._on_progress(1.0, "")

    def _build(self) -> None:
        plan = self._plan
        if plan.wheels is not None and not any(plan.wheels.glob("*.whl")):
            raise TerramendError("backend.wheels", path=str(plan.wheels))
        self._on_progress(0.0, "Python")
        base = plan.base or base_python.find().path
        self._check_room()
        self._step([base, "-I", "-X", "utf8", "-m", "venv", str(self._place)])
        self._on_progress(0.05, "pip")
        listed = self._place / "requirements.txt"
        listed.write_text("\n".join(requirements(plan.variant)) + "\n", "utf-8")
        index = torch_index(plan.variant)
        if index and plan.wheels is None:  # alone, so that the extra index serves torch and nothing else
            torch = next(line for line in requirements(plan.variant) if package_name(line) == "torch")
            self._pip(["--no-deps", "--extra-index-url", index, torch])
        self._pip(["--requirement", str(listed)])

    def _check_room(self) -> None:
        parent = self._plan.folder.parent
        parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._place, ignore_errors=True)  # left over from a killed installation
        free, needed = shutil.disk_usage(parent).free / 1e6, self._plan.variant.disk_mb * 1.3
        if free < needed:
            why = f"{free:.0f} MB are free and {needed:.0f} MB are needed"
            raise TerramendError("backend.folder", path=str(parent), why=why)

    def _pip(self, what: Sequence[str]) -> None:
        python = str(environment_python(self._place))
        argv = [python, "-I", "-X", "utf8", "-m", "pip", "install", "--no-input", "--only-binary", ":all:"]
        argv += ["--disable-pip-version-check", "--progress-bar", "off", "--no-warn-script-location"]
        if self._plan.wheels is not None:
            argv += ["--no-index", "--find-links", str(self._plan.wheels)]
        self._step([*argv, *what], {**self._plan.proxy, **self._trust()}, self._count)

    def _trust(self) -> Dict[str, str]:
        """Variables that make pip trust the plan's certificates beside its own and the user's."""
        if not self._plan.certificates:
            return {}
        bundles = [*self._place.glob("**/pip/_vendor/certifi/cacert.pem")]
        bundles += {Path(os.environ[name]) for name in _BUNDLES if os.environ.get(name)}
        parts = [self._plan.certificates, *(path.read_bytes() for path in bundles if path.is_file())]
        bundle = self._place / "certificates.pem"
        bundle.write_bytes(b"\n".join(parts))
        return dict.fromkeys(_BUNDLES, str(bundle))

    def _count(self, line: str) -> None:
        """Progress from one line of pip."""
        found = re.match(r"\s*(Collecting|Downloading|Using cached|Processing) (.+)", line)
        if found:
            what = found.group(2).partition(" (from ")[0]  # newer versions say who asks also of files
            what = what if found.group(1) == "Processing" else what.split()[0]
            name = package_name(re.split(r"-\d", Path(what).name, maxsplit=1)[0])
            if name in self._names:
                self._on_progress(0.05 + 0.65 * (self._names.index(name) + 1) / len(self._names), name)
        elif line.startswith("Installing collected packages"):
            self._on_progress(0.72, line.partition(":")[2].strip())

    def _prove(self) -> None:
        """Import everything and run a kernel, with the new interpreter, as the backend will."""
        self._on_progress(0.92, "doctor")
        argv = launch.command(str(environment_python(self._place)), "doctor", "--json")
        said = "\n".join(self._step(argv, fails=False))
        try:  # warnings of libraries may stand before and after
            found = json.loads(said[said.index("{") : said.rindex("}") + 1])
        except ValueError:
            raise TerramendError("backend.unproven", why="it does not start") from None
        if not found.get("healthy"):
            missing = ", ".join(found.get("missing", [])) or found.get("device", "")
            raise TerramendError("backend.unproven", why=missing)

    def _exchange(self) -> None:
        """Put the new environment in the place of the old one."""
        with self._lock:  # from here on it is too late to cancel
            if self._cancelled:
                raise TerramendError("run.cancelled")
            old = self._plan.folder.with_name(self._plan.folder.name + ".old")
            shutil.rmtree(old, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                self._plan.folder.rename(old)
            try:
                self._place.rename(self._plan.folder)
            except OSError:
                with contextlib.suppress(FileNotFoundError):  # there was none
                    old.rename(self._plan.folder)
                raise
            shutil.rmtree(old, ignore_errors=True)

    def _step(
        self,
        argv: Sequence[str],
        extra: Optional[Mapping[str, str]] = None,
        on_line: Callable[[str], None] = lambda line: None,
        fails: bool = True,
    ) -> List[str]:
        """Run one tool to its end; returns its lines."""
        self._on_log("$ " + " ".join(argv))
        environ: Dict[str, str] = {**os.environ, **(extra or {})}
        with self._lock:
            if self._cancelled:
                raise TerramendError("run.cancelled")
            self._process = process = spawn(
                argv,
                environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=str(self._plan.folder.parent),
            )
        lines = []
        with cast("IO[bytes]", process.stdout) as stdout:
            for raw in stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                lines.append(line)
                self._on_log(line)
                on_line(line)
        status = process.wait()
        with self._lock:
            self._process = None
            if self._cancelled:
                raise TerramendError("run.cancelled")
        if status != 0 and fails:
            raise TerramendError("backend.install", why=_reason(lines)[:300] or f"status {status}")
        return lines


def _reason(lines: Sequence[str]) -> str:
    """Why pip failed. Its last line names a package that it did not find, also where it had no network."""
    for line in lines:
        broken = re.search(r"connection broken by '\w+\((.+)\)': ", line)
        if broken:
            return re.sub(r"<[^>]*>: ", "", broken.group(1)).strip("'\"")
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return errors[-1] if errors else ""
