"""Runs in QGIS's own list of tasks: QGIS asks before it quits, and they can be cancelled there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis, QgsApplication, QgsProcessingFeedback, QgsTask
from qgis.PyQt.QtCore import QThreadPool
from terramend.ui.listed import ListedTask


def tasks() -> list[QgsTask]:
    """Those that are on."""
    return QgsApplication.taskManager().activeTasks()


@pytest.fixture(autouse=True)
def none_before(qgis_app: Any, until: Callable) -> None:
    until(lambda: not tasks())


LONG = (("prior", "harmonic"), ("steps", "1000"))
"""Settings of `aligndiff` that take minutes, and heed a cancel at once."""


@pytest.fixture
def long_fill(dock: Any, until: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fill that writes, and will not end by itself while the test lasts."""
    from dataclasses import replace

    chosen = dock.form.choices
    monkeypatch.setattr(dock.form, "choices", lambda: replace(chosen(), model="aligndiff", settings=LONG))
    dock.form.output.path.setFilePath(str(tmp_path / "result.tif"))
    dock.bar.fill.click()
    until(lambda: any(tmp_path.glob(".*")))
    return dock


def test_a_fill_is_listed_by_name_and_cancelled_there(
    long_fill: Any, iface: Any, until: Callable, tmp_path: Path
) -> None:
    (task,) = tasks()
    assert task.description() == "Terramend: filling target" and task.canCancel()
    assert not task.flags() & QgsTask.Flag.CancelWithoutPrompt, "QGIS asks before it quits"
    assert task.dependentLayers() == [], "layers may go while the run is on"
    QgsApplication.taskManager().cancelAll()  # as QGIS does when it quits, and its list for one of them
    until(lambda: long_fill.run is None and not tasks())
    assert iface.said[-1] == ("Cancelled; nothing was written.", Qgis.MessageLevel.Info)
    assert list(tmp_path.glob("*.tif")) == list(tmp_path.glob(".*")) == []


def test_it_goes_from_the_list_with_the_docks_cancel(long_fill: Any, until: Callable) -> None:
    assert len(tasks()) == 1
    long_fill.bar.cancel.click()
    until(lambda: long_fill.run is None and not tasks())


def test_it_goes_from_the_list_with_the_dock(long_fill: Any, until: Callable) -> None:
    from terramend.ui import client

    assert len(tasks()) == 1
    long_fill.close_down()
    client.close()
    until(lambda: not tasks())


def test_the_list_shows_how_far_it_is_and_how_it_ended(dock: Any, until: Callable, tmp_path: Path) -> None:
    dock.form.output.path.setFilePath(str(tmp_path / "result.tif"))
    dock.bar.fill.click()
    (task,) = tasks()
    seen: list[float] = []
    ends: list[str] = []
    task.progressChanged.connect(seen.append)
    task.taskCompleted.connect(lambda: ends.append("completed"))
    task.taskTerminated.connect(lambda: ends.append("terminated"))
    until(lambda: dock.run is None and bool(ends))
    assert ends == ["completed"] and seen == sorted(seen) and len({round(share) for share in seen}) > 3


def test_what_leaves_nothing_that_lasts_is_not_asked_about(dock: Any, until: Callable) -> None:
    dock.bar.preview.click()
    assert dock.run is not None and tasks() == []
    until(lambda: dock.run is None)


@pytest.fixture
def one_thread(until: Callable) -> Iterator[None]:
    """A machine of one core: its tasks wait for each other, and in older QGIS maps that are drawn for them."""
    pools = [QThreadPool.globalInstance()]
    if hasattr(QgsApplication.taskManager(), "threadPool"):
        pools.append(QgsApplication.taskManager().threadPool())
    usual = [pool.maxThreadCount() for pool in pools]
    for pool in pools:
        pool.setMaxThreadCount(1)
    yield
    until(lambda: not any(pool.activeThreadCount() for pool in pools))  # a task's thread outlives it a little
    assert all(pool.maxThreadCount() == 1 for pool in pools)
    for pool, count in zip(pools, usual, strict=True):
        pool.setMaxThreadCount(count)


def others_run(until: Callable) -> None:
    ran: list[bool] = []
    other = QgsTask.fromFunction("other", lambda task: ran.append(True))
    QgsApplication.taskManager().addTask(other)
    until(lambda: bool(ran))


def test_an_entry_of_the_list_keeps_no_other_task_waiting(one_thread: None, until: Callable) -> None:
    listed = ListedTask("listed", lambda: None)
    until(lambda: listed.status() == QgsTask.TaskStatus.Running)
    try:
        others_run(until)
    finally:
        listed.end(True)
    until(lambda: not tasks())


def test_a_run_of_the_toolbox_keeps_no_other_task_waiting(
    client: Any, one_thread: None, until: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()
    calls: list[Any] = []

    def submit(method: str, params: Any, sink: Callable[[str, Any], None]) -> None:
        calls.append(sink)
        began.set()

    monkeypatch.setattr(client._supervisor, "submit", submit)
    run = QgsTask.fromFunction("run", lambda task: client.call_blocking("fill", {}, QgsProcessingFeedback()))
    QgsApplication.taskManager().addTask(run)
    until(began.is_set)
    try:
        others_run(until)
    finally:
        calls[0]("result", {})
    until(lambda: not tasks())
