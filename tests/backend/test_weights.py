"""Installing networks: pinned by hash, resumable, from a folder or a server."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from terramend.backend import weights
from terramend.backend.errors import TerramendError
from terramend.backend.route import Route
from terramend.backend.watch import Watch
from terramend.models.registry import Row
from terramend.models.weights import File, Weights, locate, read_manifest

CONTENT = {"model.onnx": bytes(range(256)) * 4000, "card.md": b"# A card\n"}
FILES = tuple(File(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in CONTENT.items())
NET = Weights(
    "net", "A network", "CC0", "http://127.0.0.1:9/none", "0.0.1", 1, ("red",), "reflectance", FILES
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT`; `broken` cuts an answer short, `ranges` says whether it can resume."""

    broken: int | None = None
    ranges = True
    asked: list[str | None]
    elsewhere: str | None = None
    """Sends on to this address."""
    status: int | None = None
    """Answers with this error."""
    silent: threading.Event | None = None
    """Sends the first byte, and the others when this is set."""

    def do_GET(self):
        data = CONTENT.get(self.path.rpartition("/")[2])
        if data is None or self.status:
            self.send_error(self.status or 404)
            return
        if self.elsewhere:
            self.send_response(302)
            self.send_header("Location", self.elsewhere)
            self.end_headers()
            return
        wanted = self.headers["Range"]
        self.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.silent:
            self.wfile.write(data[start : start + 1])
            start += 1
            self.silent.wait()
        self.wfile.write(data[start : start + self.broken] if self.broken else data[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Ours", (Handler,), {"asked": []})
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{made.server_port}/release"
    made.shutdown()
    made.server_close()


def install(source, folder, net=NET):
    return weights.install("net", source, Watch(), folder=folder, manifest={"net": net})


def refused(code, *arguments):
    with pytest.raises(TerramendError) as caught:
        install(*arguments)
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


def test_what_no_server_has_comes_from_a_folder(tmp_path):
    net = replace(NET, url="")
    said = refused("weights.unpublished", None, tmp_path / "own", net)
    assert "models/weights/net" in said and "--from" in said and not (tmp_path / "own").exists()
    for name, data in CONTENT.items():
        (tmp_path / name).write_bytes(data)
    assert install(str(tmp_path), tmp_path / "own", net)["installed"] == list(CONTENT)


def test_from_a_server(server, tmp_path):
    _, address = server
    result = install(address, tmp_path)
    assert result["installed"] == list(CONTENT)
    assert result["bytes"] == NET.size
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == CONTENT
    assert locate(NET, tmp_path) == tmp_path / "net"
    assert install(address, tmp_path)["installed"] == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_broke(server, tmp_path, ranges):
    handler, address = server
    handler.broken, handler.ranges = 300_000, ranges
    assert "run it again" in refused("weights.download", address, tmp_path)
    assert locate(NET, tmp_path) is None
    assert (tmp_path / "net" / "model.onnx.part").stat().st_size == 300_000
    handler.broken = None
    install(address, tmp_path)
    assert "bytes=300000-" in handler.asked
    assert (tmp_path / "net" / "model.onnx").read_bytes() == CONTENT["model.onnx"]
    assert not list((tmp_path / "net").glob("*.part"))


@pytest.mark.parametrize("own", [True, False])
def test_from_a_folder(tmp_path, own):
    source = tmp_path / "usb" / ("net" if own else "")
    source.mkdir(parents=True)
    for name, data in CONTENT.items():
        (source / name).write_bytes(data)
    install(str(tmp_path / "usb"), tmp_path / "here")
    assert locate(NET, tmp_path / "here") == tmp_path / "here" / "net"


def test_what_came_along_is_not_brought(tmp_path, monkeypatch):
    monkeypatch.setattr("terramend.models.weights.PACKAGED", tmp_path / "with us")
    (tmp_path / "with us" / "net").mkdir(parents=True)
    for name, data in CONTENT.items():
        (tmp_path / "with us" / "net" / name).write_bytes(data)
    result = install(None, tmp_path / "own")
    assert (result["installed"], result["folder"]) == ([], str(tmp_path / "with us" / "net"))
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("place", [None, "file"])
def test_without_a_folder_to_install_to(tmp_path, monkeypatch, place):
    """What came along is there all the same, and the others are said to be not installed."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(weights, "weights_folder", lambda: place and tmp_path / place)
    monkeypatch.setattr(weights, "read_manifest", lambda: {"net": NET})
    assert [entry["folder"] for entry in weights.listing()] == [None]
    row = Row("drawer", "", "", "network", "none:none", networks={"fill": "net"})
    with pytest.raises(TerramendError) as caught:
        weights.with_network(row, "fill", {})
    assert caught.value.code == "weights.absent"
    assert "TERRAMEND_WEIGHTS=FOLDER" in refused("weights.folder", None, None)


def test_what_is_not_the_pinned_file_is_not_installed(tmp_path):
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "model.onnx").write_bytes(b"\0" * FILES[0].size)
    assert "model.onnx" in refused("weights.hash", str(tmp_path / "usb"), tmp_path / "here")
    assert list((tmp_path / "here" / "net").iterdir()) == []


def test_an_address_may_hold_any_sign(server, tmp_path):
    assert install(f"{server[1]}/é und ü/", tmp_path)["installed"] == list(CONTENT)


def test_a_file_that_was_changed_is_brought_again(server, tmp_path):
    install(server[1], tmp_path)
    (tmp_path / "net" / "card.md").write_bytes(b"# B card\n")
    assert install(server[1], tmp_path)["installed"] == ["card.md"]


def test_a_file_that_was_changed_is_not_read(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TERRAMEND_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "read_manifest", lambda: {"net": NET})
    row = Row("drawer", "", "", "network", "none:none", networks={"fill": "net"})
    install(server[1], tmp_path)
    place = tmp_path / "net"
    assert weights.with_network(row, "fill", {}) == {"weights": str(place)}
    (place / "model.onnx").write_bytes(CONTENT["model.onnx"][:-1] + b"\0")
    with pytest.raises(TerramendError, match="run terramend models install net") as caught:
        weights.with_network(row, "fill", {})
    assert caught.value.code == "weights.changed" and str(place / "model.onnx") in str(caught.value)
    assert [entry["folder"] for entry in weights.listing()] == [None]
    install(server[1], tmp_path)
    assert weights.with_network(row, "fill", {}) == {"weights": str(place)}
    (place / "model.onnx").unlink()
    with pytest.raises(TerramendError) as caught:
        weights.with_network(row, "fill", {})
    assert caught.value.code == "weights.absent"


@pytest.mark.parametrize("size", [1, 300_000, FILES[0].size, FILES[0].size + 1])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_of_another_file_does_no_harm(server, tmp_path, size, ranges):
    handler, address = server
    handler.ranges = ranges
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.onnx.part").write_bytes(b"\xff" * size)
    assert install(address, tmp_path)["installed"] == list(CONTENT)
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == CONTENT


def test_no_part_is_left_where_nothing_goes_on_from_it(server, tmp_path, monkeypatch):
    _, address = server
    install(address, tmp_path)
    (tmp_path / "net" / "card.md.part").write_bytes(b"# A")
    assert install(address, tmp_path)["installed"] == []
    monkeypatch.setitem(CONTENT, "model.onnx", CONTENT["model.onnx"] + b"more")
    (tmp_path / "net" / "model.onnx").unlink()
    refused("weights.hash", address, tmp_path)
    assert [p.name for p in (tmp_path / "net").iterdir()] == ["card.md"]


def test_cancel_before_anything_came(tmp_path):
    watch = Watch()
    watch.cancel()
    with pytest.raises(TerramendError, match="Cancelled; nothing was written"):
        weights.install("net", str(tmp_path), watch, folder=tmp_path, manifest={"net": NET})


def test_a_proxy_is_asked_for_all_but_what_it_is_not_for(server, tmp_path):
    handler, proxy = server
    beyond = "http://release.invalid/release"  # only a proxy can know it
    by = {"http": proxy.rpartition("/")[0], "https": "http://127.0.0.1:9"}

    def through(**more):
        route = Route({**by, **more})
        return weights.install("net", beyond, Watch(), folder=tmp_path, manifest={"net": NET}, route=route)

    for more in ({"no": "release.invalid"}, {"http": "socks5h://127.0.0.1:9"}):
        with pytest.raises(TerramendError, match="could not be downloaded") as caught:
            through(**more)
    assert "SOCKS" in str(caught.value) and not handler.asked
    assert through(no="elsewhere.invalid")["installed"] == list(CONTENT)


@pytest.mark.posix("program openssl")
def test_further_authorities_are_trusted(tmp_path, localhost):
    own, context = localhost
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Handler,), {"asked": []}))
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    address = f"https://localhost:{made.server_port}/release"
    try:
        assert "certificate" in refused("weights.download", address, tmp_path)
        route = Route(certificates=own.read_text())
        done = weights.install("net", address, Watch(), folder=tmp_path, manifest={"net": NET}, route=route)
    finally:
        made.shutdown()
        made.server_close()
    assert done["installed"] == list(CONTENT)


def test_cancel_does_not_wait_for_a_silent_server(server, tmp_path):
    handler, address = server
    handler.silent = threading.Event()
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.done else None)
    try:
        with pytest.raises(TerramendError, match=r"Cancelled; what has come is kept in .*net, and") as error:
            weights.install("net", address, watch, folder=tmp_path, manifest={"net": NET})
        assert error.value.exit_status == 4 and list((tmp_path / "net").iterdir())
    finally:
        handler.silent.set()


@pytest.mark.posix("way to rename a file that another call has open")
def test_two_at_once_do_each_other_no_harm(server, tmp_path, monkeypatch):
    _, address = server
    alone, began = weights._download, []

    def meanwhile(*arguments):
        for offset, chunk in alone(*arguments):
            yield offset, chunk
            if not began:  # in the midst of the one, the other runs to its end
                began.append(1)
                install(address, tmp_path)

    monkeypatch.setattr(weights, "CHUNK", 100_000)
    monkeypatch.setattr(weights, "_download", meanwhile)
    install(address, tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == CONTENT


def test_what_a_server_does_not_have_is_not_asked_for_again(server, tmp_path):
    handler, address = server
    handler.status = 404
    sentence = refused("weights.refused", address, tmp_path)
    assert "404" in sentence and "again" not in sentence and "--from" in sentence
    handler.status = 503
    assert "run it again" in refused("weights.download", address, tmp_path)


def test_wrong_sources(tmp_path):
    refused("weights.missing", "~nobody-here/x", tmp_path)
    refused("weights.missing", str(tmp_path / "empty"), tmp_path)
    for address in ("ftp://example.org/x", "http://[::1", "http://", "file:///etc"):
        refused("weights.address", address, tmp_path)
    for address in ("http://127.0.0.1:9/none", f"http://{'x' * 80}.example/none"):
        assert "urlopen" not in refused("weights.download", address, tmp_path)
    refused("weights.download", None, tmp_path)  # the manifest's own address
    newer = Weights(**{**NET.__dict__, "least_software": "99.0"})
    refused("weights.software", str(tmp_path), tmp_path, newer)
    with pytest.raises(TerramendError, match="no network other"):
        weights.install("other", None, Watch(), folder=tmp_path)


@pytest.mark.parametrize(
    "address", ["http://[bad/", "http://127.0.0.1:port/", "file:///etc/hosts", "/model.onnx"]
)
def test_a_server_that_sends_on_to_nowhere(server, tmp_path, address):
    handler, release = server
    handler.elsewhere = address
    refused("weights.download", release, tmp_path)


def test_the_manifest_is_read_with_all_its_fields(tmp_path):
    files = [{"name": file.name, "digest": f"sha256:{file.sha256}", "size": file.size} for file in FILES]
    entry = {
        "title": "A network", "licence": "CC0", "url": NET.url, "least_software": "0.0.1", "io_version": 1,
        "bands": ["red"], "scaling": "reflectance", "files": files,
    }  # fmt: skip
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema_version": 1, "weights": {"net": entry}}))
    assert read_manifest(path) == {"net": NET}


def test_our_own_manifest_is_whole():
    for name, entry in read_manifest().items():
        assert entry.files and all(len(file.sha256) == 64 for file in entry.files), name
        assert all(Path(file.name).name == file.name for file in entry.files), name
