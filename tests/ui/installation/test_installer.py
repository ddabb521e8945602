"""Building the environment for real, from tiny wheels: offline, cancelled, behind a proxy, with an own CA."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.server
import json
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from terramend.backend.errors import TerramendError
from terramend.ui.installation import base_python, environment, installer
from terramend.ui.installation.environment import State, Variant
from terramend.ui.installation.installer import Installation, Plan

PROOF = "import tiny_one, tiny_two, json; print('warning'); print(json.dumps({'healthy': tiny_two.WELL}))"


def wheel(folder: Path, name: str, source: str) -> None:
    """A valid wheel of one module."""
    files = {
        f"{name}.py": source,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for path, text in files.items()
    }
    record = "".join(f"{path},sha256={digest[path]},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", record + f"{name}-1.0.dist-info/RECORD,,\n")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder of the two wheels that the lock file of these tests names."""
    folder = tmp_path / "Räder für unterwegs"
    folder.mkdir()
    wheel(folder, "tiny_one", "")
    wheel(folder, "tiny_two", "WELL = True\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to install, with lock file and proof made small, and variables that QGIS would leak."""
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "light.lock").write_text("# two\ntiny-one==1.0\ntiny-two==1.0\n")
    monkeypatch.setattr(environment, "LOCKS", locks)
    monkeypatch.setattr(installer.launch, "command", lambda python, *arguments: [python, "-I", "-c", PROOF])
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/usr/share/qgis/python")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "leaked"))
    return tmp_path / "Profil von Zoë Ångström" / "terramend" / "environment"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base Python that copies one real environment in place of making it, which takes seconds."""
    place = tmp_path_factory.mktemp("base")
    python = base_python.find().path
    subprocess.run([python, "-I", "-m", "venv", place / "environment"], check=True)
    script = place / "python3"
    script.write_text(f'#!/bin/sh\nfor last; do :; done\nexec cp -a "{place}/environment" "$last"\n')
    script.chmod(0o755)
    return str(script)


class Follower:
    """Runs plans and keeps what it hears."""

    def __init__(self) -> None:
        self.progress: list[tuple[float, str]] = []
        self.log: list[str] = []
        self.on_line: Callable[[str], None] = lambda line: None

    def installation(self, *arguments: Any, **options: Any) -> Installation:
        def hear(line: str) -> None:
            self.log.append(line)
            self.on_line(line)

        return Installation(
            Plan(*arguments, **options), lambda share, what: self.progress.append((share, what)), hear
        )


@pytest.fixture
def follower() -> Follower:
    return Follower()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path != folder] if folder.parent.exists() else []


def imports(folder: Path, module: str) -> bool:
    python = environment.environment_python(folder)
    return subprocess.run([python, "-I", "-c", f"import {module}"], check=False).returncode == 0


def test_offline_install_then_a_failed_repair_keeps_it(
    folder: Path, wheels: Path, follower: Follower, base: str
) -> None:
    follower.installation(folder, Variant(), wheels=wheels).run()
    assert environment.state(folder) is State.READY
    assert imports(folder, "tiny_two")
    assert leftovers(folder) == []
    shares = [share for share, _ in follower.progress]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert {"tiny-one", "tiny-two"} <= {what for _, what in follower.progress}
    assert any("--no-index" in line for line in follower.log)
    assert not any("http" in line for line in follower.log)

    (folder / "trace of the first").write_text("")
    (wheels / "tiny_two-1.0-py3-none-any.whl").unlink()
    with pytest.raises(TerramendError) as caught:
        follower.installation(folder, Variant(), wheels=wheels, base=base).run()
    assert caught.value.code == "backend.install" and "tiny-two==1.0" in str(caught.value)
    assert environment.state(folder) is State.READY and (folder / "trace of the first").exists()
    assert leftovers(folder) == []

    wheel(wheels, "tiny_two", "WELL = True\n")
    follower.installation(folder, Variant(), wheels=wheels, base=base).run()
    assert environment.state(folder) is State.READY and not (folder / "trace of the first").exists()
    assert leftovers(folder) == []


@pytest.mark.parametrize(
    "line",
    [
        "Collecting tiny-two==1.0",
        "Collecting tiny-two==1.0 (from -r /a b/requirements.txt (line 2))",
        "  Downloading tiny_two-1.0-py3-none-any.whl (10 kB)",
        "  Using cached tiny_two-1.0-py3-none-any.whl.metadata (3.2 kB)",
        "Processing /a b/tiny_two-1.0-py3-none-any.whl",
        "Processing ./tiny_two-1.0-py3-none-any.whl (from -r /a b/requirements.txt (line 2))",
    ],
)
def test_what_pip_is_at_is_told_whichever_pip(folder: Path, follower: Follower, line: str) -> None:
    follower.installation(folder, Variant())._count(line)
    assert follower.progress == [(pytest.approx(0.7), "tiny-two")]


def test_a_place_that_cannot_be_taken_is_the_reason(
    folder: Path, wheels: Path, follower: Follower, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that there was no environment before, which could be put back."""
    rename = Path.rename

    def held(path: Path, target: Path) -> Path:  # as by a virus scanner on Windows
        if target == folder and path == environment.building_place(folder):
            raise PermissionError(errno.EACCES, "Access is denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", held)
    with pytest.raises(TerramendError, match="Access is denied"):
        follower.installation(folder, Variant(), wheels=wheels, base=base).run()
    assert leftovers(folder) == []


@pytest.mark.parametrize("fault", ["WELL = False", "raise ImportError('no such library')"])
def test_what_does_not_compute_is_not_installed(
    folder: Path, wheels: Path, follower: Follower, base: str, fault: str
) -> None:
    wheel(wheels, "tiny_two", fault)
    with pytest.raises(TerramendError) as caught:
        follower.installation(folder, Variant(), wheels=wheels, base=base).run()
    assert caught.value.code == "backend.unproven"
    assert ("no such library" in "".join(follower.log)) == ("no such library" in fault)
    assert environment.state(folder) is State.ABSENT and leftovers(folder) == []


def test_the_real_doctor_finds_what_is_missing(
    folder: Path, wheels: Path, follower: Follower, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(installer.launch.__file__)
    monkeypatch.setattr(
        installer.launch, "command", lambda python, *rest: [python, "-I", "-X", "utf8", str(real), *rest]
    )
    with pytest.raises(TerramendError, match="numpy") as caught:
        follower.installation(folder, Variant(), wheels=wheels, base=base).run()
    assert caught.value.code == "backend.unproven"


def test_without_a_network_that_is_the_reason(
    folder: Path, base: str, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that the first of the packages does not exist, which is what pip says last."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(TerramendError) as error:
        follower.installation(folder, Variant(), base=base).run()
    assert error.value.arguments["why"].endswith("Connection refused"), error.value
    assert not folder.exists() and leftovers(folder) == []


@pytest.mark.parametrize("moment", ["-m venv", "Processing", "import tiny_one"])
def test_cancel_leaves_nothing(
    folder: Path, wheels: Path, follower: Follower, base: str, moment: str
) -> None:
    installation = follower.installation(folder, Variant(), wheels=wheels, base=base)
    follower.on_line = lambda line: installation.cancel() if moment in line else None
    with pytest.raises(TerramendError) as caught:
        installation.run()
    assert caught.value.code == "run.cancelled"
    assert not folder.exists() and leftovers(folder) == []


def test_wrong_places_have_their_sentences(folder: Path, tmp_path: Path, follower: Follower) -> None:
    with pytest.raises(TerramendError) as caught:
        follower.installation(folder, Variant(), wheels=tmp_path).run()
    assert caught.value.code == "backend.wheels"
    (tmp_path / "file").write_text("")
    with pytest.raises(TerramendError) as caught:
        follower.installation(tmp_path / "file" / "x" / "environment", Variant()).run()
    assert caught.value.code == "backend.folder"


def test_lack_of_room_is_seen_before(
    folder: Path, wheels: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = installer.shutil._ntuple_diskusage(10**9, 9 * 10**8, 10**8)
    monkeypatch.setattr(installer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(TerramendError, match="100 MB are free") as caught:
        follower.installation(folder, Variant(), wheels=wheels).run()
    assert caught.value.code == "backend.folder" and leftovers(folder) == []


# --- with a network: an index of our own ---


class Index:
    """An index of the wheels, over HTTP or HTTPS, that is a proxy for any other host as well."""

    def __init__(self, wheels: Path, context: ssl.SSLContext | None = None) -> None:
        asked = self.asked = []
        self.authorised = authorised = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                authorised.append(self.headers.get("Proxy-Authorization"))
                name = self.path.rstrip("/").rpartition("/")[2]
                if name.endswith(".whl"):
                    body, kind = (wheels / name).read_bytes(), "application/zip"
                else:
                    file = name.replace("-", "_") + "-1.0-py3-none-any.whl"
                    body, kind = f'<a href="/{file}">{file}</a>'.encode(), "text/html"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def index(wheels: Path) -> Iterator[Callable[..., Index]]:
    made: list[Index] = []

    def make(context: ssl.SSLContext | None = None) -> Index:
        made.append(Index(wheels, context))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def test_certificates_of_qgis_are_trusted(
    folder: Path,
    follower: Follower,
    base: str,
    index: Callable,
    localhost: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, context = localhost
    server = index(context)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://localhost:{server.port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(TerramendError) as caught:
        follower.installation(folder, Variant(), base=base).run()
    assert caught.value.code == "backend.install"
    follower.installation(folder, Variant(), base=base, certificates=certificate.read_bytes()).run()
    assert environment.state(folder) is State.READY
    assert "/tiny_two-1.0-py3-none-any.whl" in server.asked


def test_proxy_of_qgis_is_used_and_its_password_not_logged(
    folder: Path,
    follower: Follower,
    base: str,
    index: Callable,
    monkeypatch: pytest.MonkeyPatch,
    qgis_app: Any,
) -> None:
    from qgis.core import QgsNetworkAccessManager
    from qgis.PyQt.QtNetwork import QNetworkProxy
    from terramend.ui.installation import connection

    server = index()
    manager = QgsNetworkAccessManager.instance()
    before, excluded = manager.fallbackProxy(), manager.excludeList()
    kind = QNetworkProxy.ProxyType.HttpProxy
    manager.setFallbackProxyAndExcludes(
        QNetworkProxy(kind, "localhost", server.port, "zoë", "s3cr:t"), ["intranet.example"], []
    )
    try:
        proxy = connection.proxy_variables()
    finally:
        manager.setFallbackProxyAndExcludes(before, excluded, [])
    assert proxy["HTTPS_PROXY"] == f"http://zo%C3%AB:s3cr%3At@localhost:{server.port}"
    assert proxy["NO_PROXY"] == "intranet.example"
    assert connection.proxy_variables() == {}
    monkeypatch.setenv("PIP_INDEX_URL", "http://packages.invalid/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "packages.invalid")
    follower.installation(folder, Variant(), base=base, proxy=proxy).run()
    assert environment.state(folder) is State.READY
    assert "http://packages.invalid/tiny_two-1.0-py3-none-any.whl" in server.asked
    assert all(server.authorised)
    assert not [line for line in follower.log if "s3cr" in line]


def test_certificates_come_as_pem(qgis_app: Any) -> None:
    from terramend.ui.installation import connection

    assert connection.trusted_certificates().startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_marker_is_json(folder: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("environment").mkdir()
    environment.write_marker(tmp_path / "environment", Variant())
    marker = json.loads((tmp_path / "environment" / environment.MARKER).read_text())
    assert marker == {"full": False, "gpu": False, "requirements": environment.requirements_hash(Variant())}
