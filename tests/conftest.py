"""Fixtures for all tests: where the data pack and the samples lie."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Some tests import ONNX Runtime before Terramend (`models/__init__.py`), and it would report them.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The same examples on every machine and no clock on them: what a commit's tests say must not hang on luck or load.
# `pytest --hypothesis-profile=new` draws other examples. QGIS's environment has no hypothesis and needs none.
if find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    unhurried = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("suite", derandomize=True, **unhurried)
    settings.register_profile("new", **unhurried)
    settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """The mark for what Windows has not."""
    config.addinivalue_line("markers", "posix(what): needs what Windows has not")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip such tests there."""
    mark = item.get_closest_marker("posix")
    if mark is not None and sys.platform == "win32":
        pytest.skip(f"Windows has no {mark.args[0]}")


@pytest.fixture
def localhost(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of localhost that nobody vouches for, and what a server needs to show it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def sample() -> Path:
    """The committed real scenes."""
    return ROOT / "sample"


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """The data pack; tests that need it are skipped, with the reason, where it is absent."""
    place = Path(os.environ.get("TERRAMEND_DATA") or ROOT / ".." / "shared" / "data")
    if not place.is_absolute():
        place = ROOT / place
    if not (place / "val").is_dir():
        pytest.skip(f"the data pack is not at {place} (set TERRAMEND_DATA)")
    return place
