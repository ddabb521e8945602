"""Networks that a method lacks, brought by the dock: from a server, from a folder, cancelled, broken off."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from qgis.core import Qgis, QgsApplication
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from terramend.ui.widgets.method import MethodBox
from terramend.ui.widgets.network_line import NetworkLine

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "models" / "weights"
NETWORKS = ("align-cr", "ddpm")
"""What the method `align-cr` is said to need here: two, to see one after the other."""
ROWS = [
    {"name": "guided", "title": "Guided", "group": "guided", "available": True},
    {"name": "align-cr", "title": "Align", "group": "network", "available": True, "lacks": ["b", "a"]},
    {"name": "half", "title": "Half", "group": "network", "available": True, "lacks": ["b"]},
]
LISTED = [
    {
        "name": "a",
        "title": "A",
        "licence": "CC BY 4.0",
        "bytes": 3_400_000,
        "folder": None,
        "published": True,
    },
    {"name": "b", "title": "B", "licence": "MIT", "bytes": 200_000, "folder": None, "published": True},
    {"name": "c", "title": "C", "licence": "MIT", "bytes": 9_000_000, "folder": "/there", "published": True},
]


def click(button: Any) -> None:
    assert button.isVisible() and button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


class Release(BaseHTTPRequestHandler):
    """Serves the networks; while `held`, a file breaks off in its middle, and the line stays open."""

    held = threading.Event()
    freed = threading.Event()
    ranges: ClassVar[list[str]] = []  # what was asked for, of each file

    def do_GET(self) -> None:
        data = (WEIGHTS / self.path.lstrip("/")).read_bytes()
        asked = self.headers.get("Range", "")
        self.ranges.append(asked)
        begin = int(asked[len("bytes=") : -1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if self.held.is_set():
            self.wfile.write(data[begin : (begin + len(data)) // 2])
            self.freed.wait()
        else:
            self.wfile.write(data[begin:])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin that comes without weights, its release on a server; the folder where networks go."""
    from terramend.backend import launch

    server = ThreadingHTTPServer(("127.0.0.1", 0), Release)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plugin, place = tmp_path / "plugin", tmp_path / "networks"
    for name in ("backend", "models"):
        shutil.copytree(
            ROOT / name, plugin / name, ignore=shutil.ignore_patterns("*.onnx", "*.safetensors", "evaluation")
        )
    for name in ("__init__.py", "metadata.txt"):
        shutil.copy(ROOT / name, plugin)
    manifest = plugin / "models" / "weights" / "manifest.json"
    told = json.loads(manifest.read_text("utf-8"))
    for name, entry in told["weights"].items():
        entry["url"] = f"http://127.0.0.1:{server.server_port}/{name}"
    manifest.write_text(json.dumps(told), "utf-8")
    real = MethodBox.show_methods

    def show(box: MethodBox, rows: Any, networks: Any = ()) -> None:
        gone = [network["name"] for network in networks if network["folder"] is None]
        lacks = [name for name in NETWORKS if name in gone]
        real(box, [{**row, "lacks": lacks if row["name"] == "align-cr" else []} for row in rows], networks)

    monkeypatch.setattr(MethodBox, "show_methods", show)
    monkeypatch.setattr(launch, "__file__", str(plugin / "backend" / "launch.py"))
    monkeypatch.setenv("TERRAMEND_WEIGHTS", str(place))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Release.held.clear()
    Release.freed.clear()
    Release.ranges.clear()
    yield place
    Release.freed.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def line(bare: Path, dock: Any, until: Callable) -> NetworkLine:
    """The dock's line, once the backend has told that the chosen method lacks its networks."""
    method = dock.form.method
    method.model.setCurrentIndex(method.model.findData("align-cr"))
    until(lambda: method.network.isVisible())
    return method.network


def files(place: Path, name: str) -> set[str]:
    return {path.name for path in (place / name).iterdir()}


def begun(place: Path) -> bool:
    """Whether something of the first network's first file has come."""
    part = place / "align-cr" / "network.onnx.part"
    return part.exists() and part.stat().st_size > 0


def test_only_what_lacks_a_network_offers_it(qgis_app: QgsApplication) -> None:
    box = MethodBox()
    box.show_methods(ROWS, LISTED)
    assert box.network.isHidden()
    box.model.setCurrentIndex(box.model.findData("align-cr"))
    assert not box.network.isHidden() and box.network.progress.isHidden() and box.network.cancel.isHidden()
    assert box.network.button.text() == "Install its network (4 MB)"
    assert box.network.button.toolTip().splitlines()[:2] == ["A (CC BY 4.0)", "B (MIT)"]
    box.model.setCurrentIndex(box.model.findData("half"))
    assert box.network.button.text() == "Install its network (1 MB)"
    box.model.setCurrentIndex(box.model.findData("guided"))
    assert box.network.isHidden()


def test_what_no_server_has_is_asked_for_as_a_folder(
    qgis_app: QgsApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qgis.PyQt.QtWidgets import QFileDialog

    asked: list[str] = []
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda _, title: asked.append(title) or "")
    line = NetworkLine()
    line.show_lacking([LISTED[0], {**LISTED[1], "published": False}])
    assert line.button.text().endswith("MB)…") and "on no server yet" in line.button.toolTip()
    line.button.click()
    assert len(asked) == 1
    sip.delete(line)


def test_all_networks_come_from_the_release(
    line: NetworkLine, bare: Path, iface: Any, until: Callable
) -> None:
    percents: list[int] = []
    line.progress.valueChanged.connect(percents.append)
    click(line.button)
    assert line.button.isHidden() and line.cancel.isVisible()
    until(line.isHidden)
    assert [level for _, level in iface.said] == [Qgis.MessageLevel.Success] * 2
    assert "Align-CR, small" in iface.said[0][0]
    for name in NETWORKS:
        for path in (bare / name).iterdir():
            assert path.read_bytes() == (WEIGHTS / name / path.name).read_bytes()
    between = [value for value in percents if value >= 0]
    assert between == sorted(between) and between[-1] == 100 and len(between) > 1, "one bar for both"


def test_a_folder_serves_as_well_and_a_wrong_one_is_said(
    line: NetworkLine, bare: Path, iface: Any, until: Callable, tmp_path: Path, monkeypatch: Any
) -> None:
    from qgis.PyQt.QtWidgets import QFileDialog

    chosen = iter(["", str(tmp_path), str(WEIGHTS)])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: next(chosen))
    assert line.from_folder in line.button.actions()
    line.from_folder.trigger()
    assert line.button.isVisible(), "no folder was chosen"
    line.from_folder.trigger()
    until(lambda: line.button.isVisible())
    ((sentence, level),) = iface.said
    assert level == Qgis.MessageLevel.Critical
    assert sentence.endswith(f"in {tmp_path}: choose another by “From a folder…”.")
    line.from_folder.trigger()
    until(line.isHidden)
    assert Release.ranges == []
    assert "network.onnx" in files(bare, "align-cr") and "ddpm.onnx" in files(bare, "ddpm")


def test_what_is_cancelled_goes_on_the_next_time(
    line: NetworkLine, dock: Any, bare: Path, iface: Any, until: Callable
) -> None:
    Release.held.set()
    click(line.button)
    until(lambda: begun(bare))
    dock.form.method.model.setCurrentIndex(0)
    assert line.progress.isVisible(), "it comes, whichever method is chosen"
    click(line.cancel)
    until(lambda: iface.said)
    assert iface.said[0][1] == Qgis.MessageLevel.Info and line.isHidden()
    assert begun(bare) and not any(Release.ranges)
    Release.held.clear()
    Release.freed.set()
    dock.form.method.model.setCurrentIndex(dock.form.method.model.findData("align-cr"))
    click(line.button)
    until(line.isHidden)
    assert any(Release.ranges) and files(bare, "align-cr") >= {"network.onnx", "config.json"}


def test_after_a_cancel_that_came_too_late_no_other_begins(
    qgis_app: QgsApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terramend.ui.widgets import network_line

    calls: list[Any] = []

    class Client:
        def call(self, method: str, parameters: Any, **listeners: Any) -> Client:
            calls.append((parameters["name"], listeners))
            return self

        def cancel(self) -> None:
            """Too late: the result is on its way."""

    monkeypatch.setattr(network_line, "client", Client)
    line, heard = NetworkLine(), []
    line.installed.connect(lambda: heard.append("installed"))
    line.show_lacking(LISTED[:2])
    line.button.click()
    line.cancel.click()
    line.show_lacking(LISTED[:2])  # another look at the methods changes nothing about it
    calls[0][1]["on_result"]({})
    assert [name for name, _ in calls] == ["a"] and heard == ["installed"]
    assert not line.button.isHidden() and line.button.toolTip().startswith("B (MIT)")


def test_the_release_is_asked_by_the_way_that_qgis_takes(
    qgis_app: QgsApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qgis.core import QgsNetworkAccessManager
    from qgis.PyQt.QtNetwork import QNetworkProxy
    from terramend.ui.widgets import network_line

    asked: list[Any] = []

    class Client:
        def call(self, method: str, parameters: Any, **listeners: Any) -> Client:
            asked.append(parameters)
            return self

    monkeypatch.setattr(network_line, "client", Client)
    manager = QgsNetworkAccessManager.instance()
    before, excluded = manager.fallbackProxy(), manager.excludeList()
    proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 3128)
    manager.setFallbackProxyAndExcludes(proxy, ["intranet.example"], [])
    try:
        for source in ({}, {"source": "/a/folder"}):
            line = NetworkLine()
            line.show_lacking(LISTED[:1])
            line._install(source)
    finally:
        manager.setFallbackProxyAndExcludes(before, excluded, [])
    by = "http://proxy.example:3128"
    assert asked[0]["proxies"] == {"http": by, "https": by, "no": "intranet.example"}
    assert asked[0]["certificates"].startswith("-----BEGIN CERTIFICATE-----")
    assert asked[1] == {"name": "a", "source": "/a/folder"}


def test_a_dock_that_goes_takes_its_download_along(
    line: NetworkLine, dock: Any, bare: Path, iface: Any, until: Callable
) -> None:
    Release.held.set()
    click(line.button)
    until(lambda: begun(bare))
    call = line._call
    dock.close_down()
    assert call is not None and call.cancelled
    sip.delete(line)
    until(lambda: call.done)
    until(lambda: True)
    assert iface.said == []
