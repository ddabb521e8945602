"""The client on the real backend, from the GUI thread and from workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingFeedback, QgsProcessingMultiStepFeedback, QgsTask
from qgis.PyQt.QtCore import QThread, QTimer
from terramend.ui.words.messages import ClientError

gdal.UseExceptions()


class Feedback(QgsProcessingFeedback):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.warnings: list[str] = []
        self.percents: list[float] = []
        self.progressChanged.connect(self.percents.append)

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.told.append(text)

    def pushInfo(self, text: str) -> None:  # noqa: N802
        self.told.append(text)

    def pushWarning(self, text: str) -> None:  # noqa: N802
        self.warnings.append(text)


def gappy(folder: Path, side: int, bands: int = 3) -> dict[str, Any]:
    """A request for a noisy raster with gaps everywhere."""
    rng = np.random.default_rng(1)
    values = rng.integers(500, 4000, (bands, side, side), dtype=np.uint16)
    values[:, rng.random((side, side)) < 0.3] = 0
    path = folder / "groß und breit.tif"
    raster = gdal.GetDriverByName("GTiff").Create(str(path), side, side, bands, gdal.GDT_UInt16)
    raster.SetGeoTransform((400000, 10, 0, 5000000, 0, -10))
    for number in range(bands):
        band = raster.GetRasterBand(number + 1)
        band.SetNoDataValue(0)
        band.WriteArray(values[number])
    del raster
    return {
        "target": [str(path)],
        "output": str(folder / "out.tif"),
        "gaps": [{"path": str(path), "kind": "nodata"}],
        "model": "harmonic",
        "radiometry": "dn",
        "jobs": 1,
        "overwrite": True,
    }


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A request that takes minutes, in steps that are quick: a cancel is soon heeded, and no test lets it end."""
    request = gappy(tmp_path_factory.mktemp("big"), 150, bands=12)
    return {**request, "model": "aligndiff", "settings": [["prior", "harmonic"], ["steps", "1000"]]}


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    """A request that is quickly done."""
    return gappy(tmp_path, 150)


def test_doctor_reports_the_environment_and_a_device(client: Any, backend_python: str) -> None:
    found = client.call_blocking("doctor", {})
    assert found["healthy"] is True
    assert Path(found["python"]["executable"]) == Path(backend_python)
    assert client.pid is not None


def test_status_says_which_device_computes(client: Any, until: Callable) -> None:
    said: list[str] = []
    client.status_changed.connect(said.append)
    found = client.call_blocking("doctor", {})
    until(lambda: bool(said) and said[-1] == found["device"])
    assert client.status == found["device"]


def test_callbacks_arrive_in_the_gui_thread(client: Any, until: Callable, qgis_app: Any) -> None:
    threads: list[QThread] = []
    results: list[dict] = []

    def result(value: dict) -> None:
        threads.append(QThread.currentThread())
        results.append(value)

    worker = threading.Thread(target=lambda: client.call("models", {}, on_result=result))
    worker.start()
    worker.join()
    until(lambda: bool(results))
    assert threads == [qgis_app.thread()]
    assert "guided" in [model["name"] for model in results[0]["models"]]


def test_a_client_made_in_a_worker_thread_still_calls_back_in_the_gui(
    qgis_app: Any, until: Callable, backend_python: str
) -> None:
    from terramend.ui import client as module

    threads: list[QThread] = []
    worker = threading.Thread(
        target=lambda: module.client().call(
            "models", {}, on_result=lambda _: threads.append(QThread.currentThread())
        )
    )
    worker.start()
    worker.join()
    try:
        until(lambda: bool(threads))
        assert threads == [qgis_app.thread()]
    finally:
        module.close()


def test_the_gui_never_waits(
    client: Any, until: Callable, backend_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[dict] = []
    starting, wanted = threading.Event(), threading.Event()

    def interpreter() -> str:
        starting.set()
        assert wanted.wait(60)
        return backend_python

    monkeypatch.setattr(client._supervisor, "_interpreter", interpreter)
    call = client.call("doctor", {}, on_result=results.append)
    assert starting.wait(60) and not call.done  # the backend is only now being started
    wanted.set()
    until(lambda: bool(results))


def test_wrong_input_gets_its_sentence(client: Any, until: Callable, tmp_path: Path) -> None:
    request = {"target": [str(tmp_path / "nowhere.tif")], "output": str(tmp_path / "out.tif")}
    errors: list[Any] = []
    client.call("fill", {"request": request}, on_error=errors.append)
    until(lambda: bool(errors))
    assert errors[0].exit_status == 2 and "nowhere.tif" in errors[0].sentence
    assert list(tmp_path.iterdir()) == []


def test_fill_with_progress_then_result(client: Any, until: Callable, small: dict) -> None:
    progress: list[Any] = []
    results: list[Any] = []
    errors: list[Any] = []
    client.call(
        "fill",
        {"request": small},
        on_progress=progress.append,
        on_result=results.append,
        on_error=errors.append,
    )
    until(lambda: bool(results or errors))
    assert not errors, errors[0]
    assert progress and all({"stage", "done", "total", "eta"} <= set(one) for one in progress)
    assert results[0]["outputs"] == [small["output"]] and Path(small["output"]).is_file()


def test_cancel_in_the_middle_leaves_no_file(client: Any, until: Callable, big: dict) -> None:
    progress: list[Any] = []
    ends: list[Any] = []
    call = client.call(
        "fill", {"request": big}, on_progress=progress.append, on_result=ends.append, on_error=ends.append
    )
    until(lambda: bool(progress))
    pid = client.pid
    call.cancel()
    until(lambda: bool(ends))
    assert ends[0].cancelled, ends
    assert client.pid == pid, "the backend stopped by itself, so it must live on"
    folder = Path(big["output"]).parent
    assert [path.name for path in folder.iterdir() if "out" in path.name] == []


def test_backend_killed_in_the_middle(client: Any, until: Callable, big: dict) -> None:
    progress: list[Any] = []
    errors: list[Any] = []
    said: list[str] = []
    client.status_changed.connect(said.append)
    client.call("fill", {"request": big}, on_progress=progress.append, on_error=errors.append)
    until(lambda: bool(progress))
    pid = client.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: bool(errors))
    assert errors[0].code == "backend.crashed" and "SIGKILL" in errors[0].sentence
    assert errors[0].sentence in said
    assert client.call_blocking("doctor", {})["healthy"] is True
    assert client.pid not in (None, pid)
    assert not Path(big["output"]).exists()


def test_worker_thread_with_a_cancelling_feedback(client: Any, until: Callable, big: dict) -> None:
    feedback, failures = Feedback(), []

    class Work(QgsTask):
        def run(self) -> bool:
            try:
                client.call_blocking("fill", {"request": big}, feedback)
            except Exception as error:
                failures.append(error)
            return True

    task = Work("fill")
    QgsApplication.taskManager().addTask(task)
    until(lambda: len(feedback.told) > 1)
    feedback.cancel()
    until(lambda: bool(failures))
    assert failures[0].cancelled
    assert not Path(big["output"]).exists()


def test_the_batch_dialog_of_3_22_hears_cancel_though_we_wait_in_its_thread(client: Any, small: dict) -> None:
    feedback = QgsProcessingFeedback()
    QTimer.singleShot(0, feedback.cancel)
    with pytest.raises(ClientError) as caught:
        client.call_blocking("fill", {"request": small}, QgsProcessingMultiStepFeedback(1, feedback))
    assert caught.value.cancelled and not Path(small["output"]).exists()


def test_a_script_that_waits_is_not_interrupted(client: Any) -> None:
    happened: list[int] = []
    QTimer.singleShot(0, lambda: happened.append(1))
    client.call_blocking("doctor", {}, QgsProcessingFeedback())
    assert happened == []


def test_blocking_call_reports_to_the_feedback(client: Any, small: dict) -> None:
    feedback = Feedback()
    result = client.call_blocking("fill", {"request": small}, feedback)
    assert Path(result["outputs"][0]).is_file()
    stages = [line for line in feedback.told if "%" not in line]
    assert "Filling" in stages and sorted(set(stages)) == sorted(stages)
    assert feedback.percents and max(feedback.percents) <= 100


def test_notices_reach_the_feedback(client: Any, small: dict, tmp_path: Path) -> None:
    feedback = Feedback()
    clear = tmp_path / "clear.tif"
    gdal.Translate(str(clear), small["target"][0], options="-a_nodata none -scale 0 4000 1000 4000")
    request = {**small, "target": [str(clear)], "gaps": [{"path": str(clear), "kind": "value=7"}]}
    client.call_blocking("fill", {"request": request}, feedback)
    assert any("No gaps were found" in warning for warning in feedback.warnings), feedback.warnings


def test_missing_interpreter_says_where_to_get_one(
    qgis_app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from terramend.ui import client as module
    from terramend.ui.installation import interpreter

    monkeypatch.delenv("TERRAMEND_PYTHON")
    monkeypatch.setattr(interpreter, "managed_folder", lambda: tmp_path / "environment")
    try:
        with pytest.raises(module.ClientError, match="Backend environment") as caught:
            module.client().call_blocking("doctor", {})
        assert caught.value.code == "backend.absent"
        monkeypatch.setenv("TERRAMEND_PYTHON", str(tmp_path / "no such python"))
        with pytest.raises(module.ClientError, match="no such python"):
            module.client().call_blocking("doctor", {})
    finally:
        module.close()


PARENT = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import conftest
    from qgis.core import QgsApplication
    application = QgsApplication([], False)
    application.initQgis()
    from terramend.ui.client import client
    client().call_blocking("doctor", {{}})
    if {busy!r}:
        client().call("fill", {{"request": {request!r}}})
        while not list(Path({folder!r}).glob(".out.tif*")):
            time.sleep(0.01)
    print(client().pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "filling"])
def test_qgis_killed_leaves_no_orphan(
    busy: bool, big: dict, alive: Callable[[int], bool], backend_python: str
) -> None:
    folder = Path(big["output"]).parent
    code = textwrap.dedent(PARENT).format(
        tests=str(Path(__file__).parent), busy=busy, request=big, folder=str(folder)
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < end, "the backend outlived QGIS"
        time.sleep(0.05)
    assert [path.name for path in folder.iterdir() if "out" in path.name] == []
